//! Records as Streamlogia shows them. The same is said under the names that its server has and under those that its
//! documentation has.

use std::borrow::Cow;

use millpond_record::{
    Level, LogRecord, TextAttribute, Timestamp,
    json::{ObjectBuilder, Scalar},
};

use super::{INFRA, PROJECT_ID, SOURCE_TYPE, bulk::COLUMNS};
use crate::{
    derived_id,
    shown::{Rest, write_tags},
    time::exactly,
};

/// Attributes that Streamlogia has no member for, by their names in `meta`.
const AMONG_META: [(TextAttribute, &str); 10] = [
    (TextAttribute::Environment, "environment"),
    (TextAttribute::Version, "version"),
    (TextAttribute::Logger, "logger"),
    (TextAttribute::TraceId, "trace_id"),
    (TextAttribute::SpanId, "span_id"),
    (TextAttribute::RequestId, "request_id"),
    (TextAttribute::SessionId, "session_id"),
    (TextAttribute::UserId, "user_id"),
    (TextAttribute::FlowId, "flow_id"),
    (TextAttribute::Dataset, "dataset"),
];

/// The columns of an export as CSV.
pub const CSV_HEADER: &str = "id,timestamp,level,source,message,projectId,sourceType,tags,meta\n";

/// What 32 hex digits are as a UUID.
#[must_use]
pub fn uuid(id: &str) -> String {
    derived_id::with_dashes(id)
}

/// The 32 hex digits of an id as it is shown; also with the `log_` in front that the documentation shows.
#[must_use]
pub fn record_id(shown: &str) -> String {
    shown.strip_prefix("log_").unwrap_or(shown).replace('-', "")
}

/// The id of a project that has none but its name.
#[must_use]
pub fn id_of_project(name: &str) -> String {
    derived_id::of(&[b"project", name.as_bytes()])
}

/// Streamlogia's name of a level.
#[must_use]
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Trace | Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error | Level::Critical => "ERROR",
    }
}

/// A time as it is shown: exactly.
#[must_use]
pub fn timestamp(time: Timestamp) -> String {
    exactly(time)
}

/// The parts of a record that both forms show.
struct Parts<'a> {
    project: Cow<'a, str>,
    source_type: Cow<'a, str>,
    timestamp: String,
    /// What is sent as `meta`, or by collectors as `attributes`.
    rest: String,
}

impl<'a> Parts<'a> {
    fn of(project: &str, record: &'a LogRecord<'_>) -> Self {
        let text = |name| {
            record.fields.get(name).map(|value| match value {
                Scalar::String(text) => text,
                other => Cow::Owned(other.text().to_owned()),
            })
        };
        let source_type = text(SOURCE_TYPE).unwrap_or(Cow::Borrowed("app"));
        let mut hidden = vec![PROJECT_ID, SOURCE_TYPE];
        if source_type == INFRA {
            hidden.extend(COLUMNS.iter().map(|(_, field)| field));
        }
        let rest = Rest { attributes: &AMONG_META, tags: false, exception: true, hidden: &hidden };
        Self {
            project: text(PROJECT_ID).unwrap_or_else(|| id_of_project(project).into()),
            source_type,
            timestamp: exactly(record.time),
            rest: rest.of(record),
        }
    }
}

/// A record, by its 32 hex digits, of a project, as an entry.
#[must_use]
pub fn entry(id: &str, project: &str, record: &LogRecord<'_>) -> String {
    let parts = Parts::of(project, record);
    let is_infra = parts.source_type == INFRA;
    let mut entry = ObjectBuilder::default();
    entry.string("id", &uuid(id));
    entry.string("pid", &parts.project);
    entry.string("projectId", &parts.project);
    entry.string("level", level(record.severity.level()));
    entry.string("message", record.message());
    entry.string("source", record.service());
    entry.string("timestamp", &parts.timestamp);
    entry.string("ts", &parts.timestamp);
    write_tags(entry.key("tags"), record);
    let none = "{}";
    entry.key("meta").push_str(if is_infra { none } else { &parts.rest });
    entry.string("sourceType", &parts.source_type);
    entry.key("sourceId").push_str("null");
    if let Some(host) = record.text(TextAttribute::Host) {
        entry.string("host", host);
    }
    if is_infra {
        for (name, field) in COLUMNS {
            if let Some(value) = record.fields.get(field) {
                entry.string(name, value.text());
            }
        }
    }
    entry.key("attributes").push_str(if is_infra { &parts.rest } else { none });
    entry.finish().as_str().to_owned()
}

/// The same as a row of CSV, with a line end.
#[must_use]
pub fn csv_row(id: &str, project: &str, record: &LogRecord<'_>) -> Vec<u8> {
    let parts = Parts::of(project, record);
    let tags = record.tags.join(",");
    let meta = if parts.rest == "{}" { "" } else { &parts.rest };
    let row = [
        &uuid(id),
        &parts.timestamp,
        level(record.severity.level()),
        record.service(),
        record.message(),
        &parts.project,
        &parts.source_type,
        &tags,
        meta,
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory can't fail.
    let _ = writer.write_record(row);
    writer.into_inner().unwrap_or_default()
}

/// The attribute that is shown in `meta` under a name.
#[must_use]
pub fn attribute_in_meta(name: &str) -> Option<TextAttribute> {
    AMONG_META.into_iter().find(|(_, shown)| *shown == name).map(|(attribute, _)| attribute)
}

#[cfg(test)]
mod tests {
    use millpond_record::Decoded;

    use super::*;
    use crate::{Defaults, Protocol};

    const ID: &str = "98ea23df2da110010000000000000004";

    fn shown(protocol: Protocol, body: &str, show: impl Fn(&LogRecord<'_>) -> String) -> String {
        let mut shown = String::new();
        let arrived = Timestamp::from_nanos(1);
        let read =
            crate::read(protocol, body.as_bytes(), &Defaults::default(), arrived, &mut |entry| {
                match entry.decoded {
                    Decoded::Record(record) => shown = show(&record),
                    Decoded::Rejected(rejection) => panic!("{rejection}"),
                }
            });
        assert_eq!(read, Ok(()));
        shown
    }

    const SENT: &str = r#"{"projectId":"p-1","level":"WARN","message":"a, \"b\"","source":"shop",
        "timestamp":"2026-11-20T23:59:07.471820+00:00","tags":["x","y"],"meta":{"n":9007199254740993,"a":{"b":1.10}}}"#;

    #[test]
    fn what_a_client_sent_comes_back_as_it_was() {
        assert_eq!(
            shown(Protocol::Streamlogia, SENT, |record| entry(ID, "default", record)),
            concat!(
                r#"{"id":"98ea23df-2da1-1001-0000-000000000004","pid":"p-1","projectId":"p-1","level":"WARN","#,
                r#""message":"a, \"b\"","source":"shop","timestamp":"2026-11-20T23:59:07.471820Z","#,
                r#""ts":"2026-11-20T23:59:07.471820Z","tags":["x","y"],"meta":{"n":9007199254740993,"a":{"b":1.10}},"#,
                r#""sourceType":"app","sourceId":null,"attributes":{}}"#
            )
        );
        assert_eq!(record_id("log_98ea23df-2da1-1001-0000-000000000004"), ID);
    }

    #[test]
    fn what_a_collector_sent_is_shown_as_such() {
        let sent = r#"{"message":"m","level":"CRITICAL","source":"nginx","host":"a1","pod":"web-1","attributes":{"port":443}}"#;
        assert_eq!(
            shown(Protocol::StreamlogiaBulk, sent, |record| entry(ID, "default", record)),
            concat!(
                r#"{"id":"98ea23df-2da1-1001-0000-000000000004","pid":"4c072ae8-5580-83b7-ab42-db642bbfbe22","#,
                r#""projectId":"4c072ae8-5580-83b7-ab42-db642bbfbe22","level":"ERROR","message":"m","source":"nginx","#,
                r#""timestamp":"1970-01-01T00:00:00.000000001Z","ts":"1970-01-01T00:00:00.000000001Z","tags":[],"meta":{},"#,
                r#""sourceType":"infra","sourceId":null,"host":"a1","pod":"web-1","attributes":{"port":443}}"#
            )
        );
    }

    #[test]
    fn a_row_of_csv_has_what_the_header_names() {
        let row = shown(Protocol::Streamlogia, SENT, |record| {
            String::from_utf8(csv_row(ID, "default", record)).unwrap_or_default()
        });
        assert_eq!(
            row,
            concat!(
                r#"98ea23df-2da1-1001-0000-000000000004,2026-11-20T23:59:07.471820Z,WARN,shop,"a, ""b""",p-1,app,"x,y","#,
                r#""{""n"":9007199254740993,""a"":{""b"":1.10}}""#,
                "\n"
            )
        );
        assert_eq!(CSV_HEADER.split(',').count(), 9);
    }
}
