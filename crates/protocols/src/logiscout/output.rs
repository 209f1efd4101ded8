//! Records as LogiScout shows them: in a search, and in the live view.

use millpond_record::{
    Level, LogRecord, TextAttribute,
    json::{ObjectBuilder, Scalar},
};

use super::{CORRELATION_ID, LEVEL, PROJECT};
use crate::{request, shown::Rest, time::exactly};

/// Attributes that LogiScout has no member for, by their names in `metadata`.
const AMONG_METADATA: [(TextAttribute, &str); 9] = [
    (TextAttribute::Environment, "environment"),
    (TextAttribute::Host, "host"),
    (TextAttribute::Version, "version"),
    (TextAttribute::TraceId, "trace_id"),
    (TextAttribute::SpanId, "span_id"),
    (TextAttribute::SessionId, "session_id"),
    (TextAttribute::UserId, "user_id"),
    (TextAttribute::FlowId, "flow_id"),
    (TextAttribute::Dataset, "dataset"),
];

/// Fields that are members of their own when a record is shown, by their names there.
const MEMBERS: [(&str, &str); 6] = [
    (request::START, "startedAt"),
    (request::END, "endedAt"),
    (request::DURATION, "durationMs"),
    (request::METHOD, "requestMethod"),
    (request::PATH, "requestPath"),
    (request::STATUS, "statusCode"),
];

/// Fields that are not shown among the metadata.
const HIDDEN: [&str; 9] = [
    request::START,
    request::END,
    request::DURATION,
    request::METHOD,
    request::PATH,
    request::STATUS,
    LEVEL,
    PROJECT,
    CORRELATION_ID,
];

/// A record with its id as a search shows it.
#[must_use]
pub fn log(id: &str, project: &str, record: &LogRecord<'_>) -> String {
    let field = |name| record.fields.get(name);
    let sent = |name| field(name).map(|value| value.text().to_owned());
    let mut log = ObjectBuilder::default();
    log.string("id", id);
    log.string("projectName", &sent(PROJECT).unwrap_or_else(|| project.to_owned()));
    let correlation = sent(CORRELATION_ID);
    let request_id = record.text(TextAttribute::RequestId);
    log.string("correlationId", correlation.as_deref().or(request_id).unwrap_or_default());
    log.string("timestamp", &exactly(record.time));
    log.string("level", &sent(LEVEL).unwrap_or_else(|| level(record).to_owned()));
    log.string("service", record.service());
    if let Some(logger) = record.text(TextAttribute::Logger) {
        log.string("loggerName", logger);
    }
    log.string("message", record.message());
    log.key("metadata").push_str(&metadata(record));
    if let Some(exception) = &record.exception {
        log.key("exception").push_str(exception.as_str());
    }
    let fields = record.fields.members();
    for (key, value) in fields {
        if let Some((_, name)) = MEMBERS.iter().find(|(field, _)| *field == key) {
            log.key(name).push_str(value);
        }
    }
    log.finish().as_str().to_owned()
}

/// A record with its id as the live view shows it: the time of the day, a level that it has a colour for, and metadata
/// as texts.
#[must_use]
pub fn live(id: &str, record: &LogRecord<'_>) -> String {
    let mut log = ObjectBuilder::default();
    log.string("id", id);
    let time = record.time.to_string();
    log.string("timestamp", time.get(11..19).unwrap_or_default());
    log.string("level", colour(record));
    log.string("service", record.service());
    log.string("message", record.message());
    let mut texts = ObjectBuilder::default();
    if let Some(id) = record.text(TextAttribute::RequestId) {
        texts.string("correlation_id", id);
    }
    let request = [
        ("request_method", request::METHOD),
        ("request_path", request::PATH),
        ("status_code", request::STATUS),
    ];
    for (name, field) in request {
        if let Some(value) = record.fields.get(field) {
            texts.string(name, value.text());
        }
    }
    for (key, value) in crate::walk::members(&metadata(record)) {
        texts.string(&key, Scalar::read(value).as_ref().map_or(value, Scalar::text));
    }
    log.key("metadata").push_str(texts.finish().as_str());
    log.finish().as_str().to_owned()
}

fn metadata(record: &LogRecord<'_>) -> String {
    Rest { attributes: &AMONG_METADATA, tags: true, exception: false, hidden: &HIDDEN }.of(record)
}

/// LogiScout's name of a level.
fn level(record: &LogRecord<'_>) -> &'static str {
    match record.severity.level() {
        Level::Trace | Level::Debug => "debug",
        Level::Warn => "warning",
        level => level.name(),
    }
}

/// The level as the live view knows it. What is worse than an error is one.
fn colour(record: &LogRecord<'_>) -> &'static str {
    let named = record.fields.get(LEVEL);
    match record.severity.level() {
        Level::Error | Level::Critical => "error",
        Level::Warn => "warning",
        _ if named.is_some_and(|name| name.text() == "success") => "success",
        _ => "info",
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::{Decoded, Timestamp};

    use super::*;
    use crate::{Defaults, Protocol};

    fn shown(body: &str, show: impl Fn(&LogRecord<'_>) -> String) -> String {
        let mut shown = String::new();
        let arrived = Timestamp::from_nanos(0);
        let protocol = Protocol::LogiScout;
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

    const SENT: &str = r#"{"payloads":[{"correlationId":"c-1","startedAt":"2026-11-20T23:59:24.126464Z",
        "endedAt":"2026-11-20T23:59:24.139464Z","durationMS":13.25,"request":{"method":"GET","path":"/a","statusCode":500},
        "serviceName":"shop","logs":[{"timestamp":"2026-11-20T23:59:24.129546+00:00","level":"critical","message":"m",
        "loggerName":"shop.orders","metadata":{"n":9007199254740993,"items":[1,2]},"exception":{"value":"v"}}]}]}"#;

    #[test]
    fn what_a_client_sent_is_found_as_it_was() {
        assert_eq!(
            shown(SENT, |record| log("1", "default", record)),
            concat!(
                r#"{"id":"1","projectName":"default","correlationId":"c-1","timestamp":"2026-11-20T23:59:24.129546Z","#,
                r#""level":"critical","service":"shop","loggerName":"shop.orders","message":"m","#,
                r#""metadata":{"n":9007199254740993,"items":[1,2]},"exception":{"value":"v"},"#,
                r#""startedAt":"2026-11-20T23:59:24.126464Z","endedAt":"2026-11-20T23:59:24.139464Z","durationMs":13.25,"#,
                r#""requestMethod":"GET","requestPath":"/a","statusCode":500}"#
            )
        );
    }

    #[test]
    fn the_live_view_shows_texts_and_knows_what_is_worse_than_an_error() {
        assert_eq!(
            shown(SENT, |record| live("1", record)),
            concat!(
                r#"{"id":"1","timestamp":"23:59:24","level":"error","service":"shop","message":"m","metadata":{"#,
                r#""correlation_id":"c-1","request_method":"GET","request_path":"/a","status_code":"500","#,
                r#""n":"9007199254740993","items":"[1,2]"}}"#
            )
        );
        let success =
            r#"[{"type":"single","data":{"level":"success","message":"m","projectName":"web"}}]"#;
        assert!(shown(success, |record| live("1", record)).contains(r#""level":"success""#));
        let found = shown(success, |record| log("1", "default", record));
        assert!(found.contains(r#""level":"success""#) && found.contains(r#""projectName":"web""#));
    }
}
