//! LogiScout: the payloads that its clients send, and records as it shows them.
//!
//! A payload is what was logged while one request was served. Each of its logs becomes a record that has the request's
//! id as `request_id` and says the rest about it in the fields that [`crate::request`] names. A payload that was cut in
//! two says the same of its request twice, so that the records of both belong together; nothing else is made of that,
//! for two requests may have one id, and two logs may be equal.
//!
//! Python's clients send `{"payloads":[…]}`, those of Node an array of `{"type","data"}`.

mod output;

use std::borrow::Cow;

use millpond_record::{Severity, TextAttribute, json::write_string, limits::ATTRIBUTE_BYTES_MAX};

pub use self::output::{live, log};
use crate::{
    derived_id,
    document::{said, shown, text_of, time_of, whole},
    draft::Draft,
    output::{BodyError, Fault, Output},
    request,
    walk::{elements, members},
};

/// The field for a level that we have no name for.
pub const LEVEL: &str = "logiscout.level";

/// The field for the name that a client has for its project.
pub const PROJECT: &str = "logiscout.project_name";

/// The field for a correlation id that is too long to be a request's id.
pub const CORRELATION_ID: &str = "logiscout.correlation_id";

/// What Node's clients send where they have no correlation id.
const NO_CORRELATION_ID: &str = "no-correlation-id";

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    let text = whole(text)?;
    if text.starts_with('[') {
        return elements(text).try_for_each(|element| read_element(element, output));
    }
    match members(text).find(|(key, _)| key == "payloads") {
        Some((_, payloads)) if payloads.starts_with('[') => {
            elements(payloads).try_for_each(|payload| read_payload(payload, output))
        }
        Some((_, other)) => {
            let message = format!("`payloads` is `{}`, expected an array", shown(other));
            Err(BodyError::Head(message))
        }
        None if text.starts_with('{') => read_element(text, output),
        None => Err(BodyError::Head(format!(
            "the body is `{}`, expected {{\"payloads\":[…]}} or an array",
            shown(text)
        ))),
    }
}

/// A payload or a log that stands for itself, in an envelope that says which, or bare.
fn read_element(element: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    let data = members(element).find(|(key, value)| key == "data" && value.starts_with('{'));
    let data = data.map_or(element, |(_, data)| data);
    let has = |name| members(data).any(|(key, _)| key == name);
    if has("logs") {
        read_payload(data, output)
    } else if has("message") || has("level") {
        let single = Payload::read(data);
        let request_id = single.request_id(data, output);
        single.log(data, &request_id, output)
    } else {
        let found = shown(element);
        output.rejected(None, format!("it is `{found}`, expected a payload with `logs`, or a log"))
    }
}

fn read_payload(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    let payload = Payload::read(text);
    let Some(logs) = payload.logs.filter(|logs| logs.starts_with('[')) else {
        let found = shown(payload.logs.unwrap_or(text));
        let reason = format!("the payload's `logs` is `{found}`, expected an array");
        return output.rejected_for(None, "logs", reason);
    };
    let request_id = payload.request_id(text, output);
    elements(logs).try_for_each(|log| payload.log(log, &request_id, output))
}

/// What all logs of a payload share, each as its JSON.
#[derive(Default)]
struct Payload<'a> {
    correlation: Option<&'a str>,
    service: Option<&'a str>,
    environment: Option<&'a str>,
    /// Values for the fields that tell of the request, and of the project; of each the last.
    fields: Vec<(&'static str, &'a str)>,
    logs: Option<&'a str>,
}

impl<'a> Payload<'a> {
    fn read(text: &'a str) -> Self {
        let mut payload = Self::default();
        for (key, value) in members(text).filter(|(_, value)| said(value).is_some()) {
            match &*key {
                "correlationId" | "correlation_id" => payload.correlation = Some(value),
                "serviceName" | "service_name" => payload.service = Some(value),
                "environment" => payload.environment = Some(value),
                "startedAt" | "started_at" => payload.field(request::START, value),
                "endedAt" | "ended_at" => payload.field(request::END, value),
                "durationMS" | "durationMs" | "duration_ms" => {
                    payload.field(request::DURATION, value);
                }
                "projectName" => payload.field(PROJECT, value),
                "request" => payload.request(value),
                "logs" => payload.logs = Some(value),
                _ => {}
            }
        }
        payload
    }

    fn field(&mut self, name: &'static str, value: &'a str) {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, value));
    }

    fn request(&mut self, text: &'a str) {
        for (key, value) in members(text).filter(|(_, value)| said(value).is_some()) {
            match &*key {
                "method" => self.field(request::METHOD, value),
                "path" => self.field(request::PATH, value),
                "statusCode" | "status_code" => self.field(request::STATUS, value),
                _ => {}
            }
        }
    }

    /// The id of the request; where there is none, one that no other payload has.
    fn request_id(&self, text: &str, output: &Output<'_>) -> Cow<'a, str> {
        let sent = self.correlation.map(text_of);
        sent.filter(|id| !id.is_empty() && id != NO_CORRELATION_ID).unwrap_or_else(|| {
            let place = output.index().to_be_bytes();
            let arrived = output.observed().nanos().to_be_bytes();
            derived_id::of(&[b"logiscout", &arrived, &place, text.as_bytes()]).into()
        })
    }

    /// Hands on one log of the payload. What the log says itself counts.
    fn log(&self, text: &str, request_id: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
        if !text.starts_with('{') {
            let found = shown(text);
            return output.rejected(None, format!("the log is `{found}`, expected an object"));
        }
        if !output.fits(None, text.len())? {
            return Ok(());
        }
        let mut draft = Draft::default();
        let id = shortened(request_id);
        draft.text(TextAttribute::RequestId, id);
        if id.len() < request_id.len() {
            draft.text_field(CORRELATION_ID, request_id);
        }
        for (name, value) in &self.fields {
            draft.field(name).push_str(value);
        }
        for (name, value) in [("service", self.service), ("environment", self.environment)] {
            if let Some(value) = value {
                draft.member(name).push_str(value);
            }
        }
        match write_log(&mut draft, text) {
            Ok(()) => output.record(None, &draft.finish()),
            Err(reason) => {
                let fault = Fault { field: "timestamp", reason };
                output.refused(None, fault, &draft.finish())
            }
        }
    }
}

/// As much of an id as a record can have for one.
fn shortened(id: &str) -> &str {
    id.get(..id.floor_char_boundary(ATTRIBUTE_BYTES_MAX)).unwrap_or(id)
}

fn write_log(draft: &mut Draft, text: &str) -> Result<(), String> {
    let mut message = None;
    for (key, value) in members(text).filter(|(_, value)| said(value).is_some()) {
        match &*key {
            "timestamp" => {
                let time = time_of(value).map_err(|error| format!("`timestamp`: {error}"))?;
                draft.time(time);
            }
            "level" => {
                let name = text_of(value);
                match Severity::from_name(&name) {
                    Ok(_) => draft.level(&name),
                    Err(_) => draft.field(LEVEL).push_str(value),
                }
            }
            "message" => message = Some(value),
            "loggerName" | "logger_name" | "logger" | "component" => {
                draft.member(TextAttribute::Logger.name()).push_str(value);
            }
            "metadata" | "meta" if value.starts_with('{') => {
                members(value).for_each(|(key, value)| draft.field(&key).push_str(value));
            }
            "exception" if value != "{}" => write_exception(draft.member("exception"), value),
            // They belong to the payload, which a log that stands for itself is as well; or are none of ours to keep.
            "exception" | "correlationId" | "correlation_id" | "serviceName" | "service_name"
            | "environment" | "projectName" | "type" | "send" => {}
            other => draft.field(other).push_str(value),
        }
    }
    match message {
        Some(message) => draft.member("message").push_str(message),
        None => draft.text(TextAttribute::Message, ""),
    }
    Ok(())
}

/// An exception with what can be told of it: its type and message stand in Python's traceback.
fn write_exception(out: &mut String, value: &str) {
    let find = |name| members(value).find(|(key, _)| key == name).map(|(_, value)| text_of(value));
    let traceback = find("traceback").unwrap_or_default();
    let (name, message) = raised(&traceback).unzip();
    let told =
        [("type", find("name").or(name.map(Cow::from))), ("message", message.map(Cow::from))];
    let Some(rest) = value.strip_prefix('{') else { return out.push_str(value) };
    out.push('{');
    for (key, text) in told {
        if let Some(text) = text.filter(|_| find(key).is_none()) {
            write_string(out, key);
            out.push(':');
            write_string(out, &text);
            out.push(',');
        }
    }
    out.push_str(rest);
}

/// Type and message of the exception that a traceback of Python's ends with. A message may have many lines.
fn raised(traceback: &str) -> Option<(&str, &str)> {
    const HEADER: &str = "Traceback (most recent call last):\n";
    let frames = traceback.rsplit_once(HEADER).map(|(_, frames)| frames)?;
    let of_frames = frames.split_inclusive('\n').take_while(|line| line.starts_with(' '));
    let told = frames.get(of_frames.map(str::len).sum()..)?.trim_end();
    let (name, message) = told.split_once(": ").unwrap_or((told, ""));
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    is_name.then_some((name, message))
}
