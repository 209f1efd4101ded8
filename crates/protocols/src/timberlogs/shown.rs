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
