//! LogTide: records as it shows them. What its clients send is read as our own JSON is.

use millpond_record::{Level, LogRecord, TextAttribute, json::ObjectBuilder};

use crate::{shown::Rest, time::with_micros};

/// Attributes that stand beside `metadata`, by LogTide's names.
const BESIDE: [(TextAttribute, &str); 3] = [
    (TextAttribute::TraceId, "traceId"),
    (TextAttribute::SpanId, "spanId"),
    (TextAttribute::SessionId, "sessionId"),
];

/// Attributes that LogTide has no member for, by their names in `metadata`.
const AMONG_METADATA: [(TextAttribute, &str); 8] = [
    (TextAttribute::Environment, "environment"),
    (TextAttribute::Host, "hostname"),
    (TextAttribute::Version, "version"),
    (TextAttribute::Logger, "logger"),
    (TextAttribute::RequestId, "request_id"),
    (TextAttribute::UserId, "user_id"),
    (TextAttribute::FlowId, "flow_id"),
    (TextAttribute::Dataset, "dataset"),
];

/// A record with its id as LogTide shows it: names in camel case, everything that it has no member for in `metadata`,
/// and no member without a value. Times have microseconds, as its clients send them.
#[must_use]
pub fn log(id: &str, project: &str, record: &LogRecord<'_>) -> String {
    let mut log = ObjectBuilder::default();
    log.string("id", id);
    log.string("time", &with_micros(record.time));
    log.string("projectId", project);
    log.string("service", record.service());
    log.string("level", level(record.severity.level()));
    log.string("message", record.message());
    log.key("metadata").push_str(&metadata(record));
    for (attribute, name) in BESIDE {
        if let Some(text) = record.text(attribute) {
            log.string(name, text);
        }
    }
    log.finish().as_str().to_owned()
}

/// The record in an event of the live tail: its members, as LogTide's documentation has them, and around them the
/// envelope that its server sends.
#[must_use]
pub fn event(id: &str, project: &str, record: &LogRecord<'_>) -> String {
    let log = log(id, project, record);
    let flat = log.strip_suffix('}').unwrap_or_default();
    format!("{flat},\"type\":\"log\",\"data\":{log}}}")
}

/// LogTide's name of a level.
#[must_use]
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Trace => Level::Debug.name(),
        level => level.name(),
    }
}

/// The attribute that LogTide's clients find under a name in `metadata`.
#[must_use]
pub fn attribute_in_metadata(name: &str) -> Option<TextAttribute> {
    let found = AMONG_METADATA.into_iter().find(|(_, shown)| *shown == name);
    found.map(|(attribute, _)| attribute)
}

fn metadata(record: &LogRecord<'_>) -> String {
    Rest { attributes: &AMONG_METADATA, tags: true, exception: true, hidden: &[] }.of(record)
}

#[cfg(test)]
mod tests {
    use millpond_record::{Decoded, Timestamp, decode, json::Reader};

    use super::*;

    fn shown(json: &str) -> String {
        let mut reader = Reader::new(json);
        match decode(&mut reader, Timestamp::from_nanos(0)) {
            Ok(Decoded::Record(record)) => log("1", "shop", &record),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_client_sent_comes_back_as_it_was() {
        let sent = r#"{"service":"db","level":"critical","message":"m","time":"2026-01-31T12:00:00.123456Z",
            "metadata":{"n":9007199254740993,"exception":{"type":"E","message":"x"},"tags":{"a":"b"}},
            "trace_id":"t","span_id":"00f067aa0ba902b7","session_id":"s"}"#;
        assert_eq!(
            shown(sent),
            concat!(
                r#"{"id":"1","time":"2026-01-31T12:00:00.123456Z","projectId":"shop","service":"db","level":"critical","#,
                r#""message":"m","metadata":{"exception":{"type":"E","message":"x"},"n":9007199254740993,"tags":{"a":"b"}},"#,
                r#""traceId":"t","spanId":"00f067aa0ba902b7","sessionId":"s"}"#
            )
        );
    }

    #[test]
    fn what_logtide_has_no_member_for_is_metadata() {
        let sent = r#"{"message":"m","level":"trace","host":"a1","user_id":"u","step_index":2,"tags":["x","y"],
            "fields":{"user_id":7}}"#;
        assert_eq!(
            shown(sent),
            concat!(
                r#"{"id":"1","time":"1970-01-01T00:00:00.000000Z","projectId":"shop","service":"unknown_service","#,
                r#""level":"debug","message":"m","metadata":{"hostname":"a1","step_index":2,"tags":["x","y"],"user_id":7}}"#
            )
        );
    }

    #[test]
    fn an_event_has_the_members_of_the_record_flat_and_in_an_envelope() {
        let record = LogRecord::new(Timestamp::from_nanos(0), Level::Info.into(), "m");
        let event = event("1", "shop", &record);
        let members: Vec<_> = crate::walk::members(&event).collect();
        let find = |name| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        assert_eq!((find("message"), find("type")), (Some("\"m\""), Some("\"log\"")));
        assert_eq!(find("data"), Some(log("1", "shop", &record).as_str()));
    }
}
