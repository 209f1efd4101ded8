//! Records as Timberlogs shows logs.

use std::borrow::Cow;

use millpond_record::{
    Level, LogRecord, TextAttribute,
    json::{Object, ObjectBuilder, Reader, Scalar, write_string},
};

use crate::{
    names::{CLIENT_ADDRESS, CLIENT_COUNTRY},
    walk::{elements, members, text_of},
};

/// Attributes that a log has members for.
const ATTRIBUTES: [(TextAttribute, &str); 9] = [
    (TextAttribute::Message, "message"),
    (TextAttribute::Service, "source"),
    (TextAttribute::Environment, "environment"),
    (TextAttribute::Dataset, "dataset"),
    (TextAttribute::Version, "version"),
    (TextAttribute::UserId, "userId"),
    (TextAttribute::SessionId, "sessionId"),
    (TextAttribute::RequestId, "requestId"),
    (TextAttribute::FlowId, "flowId"),
];

/// Attributes that it has none for, by their names in `data`.
const AMONG_DATA: [(TextAttribute, &str); 4] = [
    (TextAttribute::Host, "hostname"),
    (TextAttribute::Logger, "logger"),
    (TextAttribute::TraceId, "traceId"),
    (TextAttribute::SpanId, "spanId"),
];

/// Fields that it has members for.
const FIELDS: [(&str, &str); 2] = [CLIENT_ADDRESS, CLIENT_COUNTRY];

/// A record with its id as Timberlogs shows it: names in camel case, the time in milliseconds, everything that it has no
/// member for in `data`, and no member without a value.
#[must_use]
pub fn log(id: &str, record: &LogRecord<'_>) -> String {
    let mut log = ObjectBuilder::default();
    log.string("id", id);
    let millis = record.time.nanos().div_euclid(1_000_000);
    log.key("timestamp").push_str(&millis.to_string());
    log.string("level", level(record.severity.level()));
    for (attribute, name) in ATTRIBUTES {
        if let Some(text) = record.text(attribute) {
            log.string(name, text);
        }
    }
    if let Some(step) = record.step_index {
        log.key("stepIndex").push_str(&step.to_string());
    }
    if !record.tags.is_empty() {
        write_tags(log.key("tags"), record);
    }
    for (name, ours) in FIELDS {
        if let Some(value) = field(record, ours) {
            log.string(name, &text_of(value));
        }
    }
    if let Some(exception) = &record.exception {
        if let Some(name) = exception.get("type") {
            log.string("errorName", name.text());
        }
        if let Some(stack) = stack(exception) {
            log.string("errorStack", &stack);
        }
    }
    let data = data(record);
    if !data.is_empty() {
        log.key("data").push_str(data.as_str());
    }
    log.finish().as_str().to_owned()
}

/// Timberlogs' name of a level: it has four.
#[must_use]
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Trace => Level::Debug.name(),
        Level::Critical => Level::Error.name(),
        level => level.name(),
    }
}

fn write_tags(out: &mut String, record: &LogRecord<'_>) {
    for (place, tag) in record.tags.iter().enumerate() {
        out.push(if place == 0 { '[' } else { ',' });
        write_string(out, tag);
    }
    out.push(']');
}

/// The text of a member of `fields` that is a scalar.
fn field<'a>(record: &'a LogRecord<'_>, name: &str) -> Option<&'a str> {
    let mut members = record.fields.members();
    let (_, value) = members.find(|(key, _)| key == name)?;
    (!value.starts_with(['{', '['])).then_some(value)
}

fn data(record: &LogRecord<'_>) -> Object<'static> {
    let mut data = ObjectBuilder::default();
    for (attribute, name) in AMONG_DATA {
        if let Some(text) = record.text(attribute) {
            data.string(name, text);
        }
    }
    if let Some(exception) = record.exception.as_ref().filter(|found| !is_told(found, record)) {
        data.key("exception").push_str(exception.as_str());
    }
    for (key, value) in record.fields.members() {
        let is_beside = FIELDS.iter().any(|(_, ours)| *ours == key);
        if is_beside && !value.starts_with(['{', '[']) {
            continue;
        }
        // What was sent under one of the names above counts. The text is one that was read before.
        let _ = data.copy(&key, &mut Reader::new(value));
    }
    data.finish()
}

/// Whether the log says all that an exception says without it: name, stack, and the message among the data.
fn is_told(exception: &Object<'_>, record: &LogRecord<'_>) -> bool {
    exception.members().all(|(key, value)| match &*key {
        "type" | "raw" => true,
        "message" => record.fields.members().any(|(key, data)| key == "message" && data == value),
        _ => false,
    })
}

/// The stack as a text: as it was sent, or the frames one a line, the message in front.
fn stack<'a>(exception: &'a Object<'_>) -> Option<Cow<'a, str>> {
    if let Some(Scalar::String(raw)) = exception.get("raw") {
        return Some(raw);
    }
    let Some(Scalar::Nested(frames)) = exception.get("stacktrace") else { return None };
    let mut lines = Vec::new();
    if let Some(message) = exception.get("message") {
        let name = exception.get("type");
        let name = name.as_ref().map_or("Error", Scalar::text);
        lines.push(format!("{name}: {}", message.text()));
    }
    lines.extend(elements(frames).map(frame));
    (!lines.is_empty()).then(|| Cow::Owned(lines.join("\n")))
}

fn frame(frame: &str) -> String {
    if !frame.starts_with('{') {
        return text_of(frame).into_owned();
    }
    let member = |name| {
        let found = members(frame).find(|(key, _)| key == name);
        found.map_or(Cow::Borrowed("?"), |(_, value)| text_of(value))
    };
    format!("    at {} ({}:{})", member("function"), member("file"), member("line"))
}

#[cfg(test)]
mod tests {
    use millpond_record::Timestamp;
    use millpond_wire::Format;

    use super::*;
    use crate::{Defaults, Entry, Protocol, read};

    const OBSERVED: Timestamp = Timestamp::from_nanos(7_999_999);

    /// How a body's only entry is shown after it was read.
    fn shown(protocol: impl Into<Protocol>, body: &str) -> String {
        let mut found = Vec::new();
        let mut take = |entry: Entry<'_>| match entry.decoded {
            millpond_record::Decoded::Record(record) => found.push(log("log_1", &record)),
            rejected => panic!("{rejected:?}"),
        };
        read(protocol, body.as_bytes(), &Defaults::default(), OBSERVED, &mut take).unwrap();
        found.pop().unwrap()
    }

    #[test]
    fn what_was_sent_comes_back_byte_for_byte() {
        let sent = concat!(
            r#""timestamp":1769857200123,"level":"error","message":"m","source":"s","environment":"e","dataset":"d","#,
            r#""version":"1","userId":"u","sessionId":"i","requestId":"r","flowId":"f-1","stepIndex":3,"tags":["a","b"],"#,
            r#""ipAddress":"203.0.113.7","country":"DE","errorName":"ValueError","#,
            r#""errorStack":"Traceback\n  File \"a.py\"\n\nValueError: bad\n","#,
            r#""data":{"message":"bad","n":9007199254740993,"price":12.50,"a":{"b":[null,{}]},"hostname":7}"#,
        );
        let shown = shown(Protocol::Timberlogs(Format::Json), &format!("{{{sent}}}"));
        assert_eq!(shown, format!("{{\"id\":\"log_1\",{sent}}}"));
    }

    #[test]
    fn a_value_that_is_no_object_is_one_in_the_data() {
        for value in ["\"text\"", "[1,2]", "false", "7"] {
            let sent = format!(
                "{{\"level\":\"info\",\"message\":\"m\",\"source\":\"s\",\"environment\":\"e\",\"data\":{value}}}"
            );
            let shown = shown(Protocol::Timberlogs(Format::Json), &sent);
            assert!(shown.ends_with(&format!(",\"data\":{{\"value\":{value}}}}}")), "{shown}");
        }
    }

    #[test]
    fn what_timberlogs_has_no_member_for_is_data_unless_something_was_sent_there() {
        let sent = r#"{"message":"m","level":"trace","host":"a1","logger":"l","trace_id":"t",
            "fields":{"traceId":7,"client.address":{"a":1}}}"#;
        assert_eq!(
            shown(Format::Json, sent),
            concat!(
                r#"{"id":"log_1","timestamp":7,"level":"debug","message":"m","source":"unknown_service","#,
                r#""data":{"hostname":"a1","logger":"l","traceId":7,"client.address":{"a":1}}}"#
            )
        );
    }

    #[test]
    fn an_exception_of_ours_has_a_name_and_a_stack_and_stands_in_the_data() {
        let exception = r#"{"type":"KeyError","message":"'x'","stacktrace":[{"file":"a.py","line":7,"function":"f"},"x"]}"#;
        let shown =
            shown(Format::Json, &format!("{{\"message\":\"m\",\"exception\":{exception}}}"));
        let expected = format!(
            r#""errorName":"KeyError","errorStack":"KeyError: 'x'\n    at f (a.py:7)\nx","data":{{"exception":{exception}}}}}"#
        );
        assert!(shown.ends_with(&expected), "{shown}");
    }

    #[test]
    fn there_are_four_levels() {
        let shown = Level::ALL.map(level);
        assert_eq!(shown, ["debug", "debug", "info", "warn", "error", "error"]);
    }
}
