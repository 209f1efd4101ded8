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
