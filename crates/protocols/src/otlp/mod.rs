//! OTLP's logs, over HTTP in protobuf or JSON (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! Attributes of a record are its fields; those of the resource and of the scope that no attribute of ours stands for are
//! in the fields `resource` and `scope`.

mod messages;
mod sent;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use millpond_record::{
    Severity, TextAttribute, Timestamp,
    json::{ObjectBuilder, write_f64, write_i64, write_string},
};
use prost::Message as _;

use self::{
    messages::{AnyOf, AnyValue, InstrumentationScope, KeyValue, OtlpRecord, Resource},
    sent::{Field, Sent},
};
use crate::{
    document::whole,
    draft::Draft,
    output::{BodyError, Output},
};

/// Attributes of OpenTelemetry's semantic conventions that are attributes of a record.
const ATTRIBUTES: [(&str, TextAttribute); 7] = [
    ("service.name", TextAttribute::Service),
    ("service.version", TextAttribute::Version),
    ("host.name", TextAttribute::Host),
    ("deployment.environment.name", TextAttribute::Environment),
    ("deployment.environment", TextAttribute::Environment),
    ("session.id", TextAttribute::SessionId),
    ("user.id", TextAttribute::UserId),
];

/// How a body is encoded, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// Fields of the messages around records.
const RESOURCE_LOGS: Field = (1, "resourceLogs");
const RESOURCE: Field = (1, "resource");
const SCOPE_LOGS: Field = (2, "scopeLogs");
const SCOPE: Field = (1, "scope");
const LOG_RECORDS: Field = (2, "logRecords");

/// A record that can't be read costs no other; nor do a resource and a scope, but their own records.
pub(crate) fn read(
    encoding: Encoding,
    body: &[u8],
    text: &str,
    output: &mut Output<'_>,
) -> Result<(), BodyError> {
    let request = match encoding {
        Encoding::Protobuf => Sent::Protobuf(body),
        Encoding::Json => Sent::Json(whole(text)?),
    };
    let read = request.each(RESOURCE_LOGS, |of_resource| {
        let resource = of_resource.one(RESOURCE);
        of_resource.each(SCOPE_LOGS, |of_scope| {
            let scope = of_scope.one(SCOPE);
            of_scope.each(LOG_RECORDS, |record| {
                read_record(record, &scope, &resource, output).map_err(Fault::Body)
            })
        })
    });
    read.map_err(|fault| match fault {
        Fault::Body(error) => error,
        Fault::Message(reason) => {
            BodyError::Head(format!("{reason}, expected an ExportLogsServiceRequest"))
        }
    })
}

/// Why reading ends.
enum Fault {
    /// A message that holds others can't be read.
    Message(String),
    Body(BodyError),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Message(reason)
    }
}

fn read_record(
    record: Sent<'_>,
    scope: &Result<Option<InstrumentationScope>, String>,
    resource: &Result<Option<Resource>, String>,
    output: &mut Output<'_>,
) -> Result<(), BodyError> {
    let text = match (record.read(), scope, resource) {
        (Ok(record), Ok(scope), Ok(resource)) => {
            Ok(json(&record, scope.as_ref(), resource.as_ref()))
        }
        (Err(reason), ..) => Err(format!("record: {reason}")),
        (_, Err(reason), _) => Err(format!("scope: {reason}")),
        (.., Err(reason)) => Err(format!("resource: {reason}")),
    };
    match text {
        Ok(text) => output.record(None, &text),
        Err(reason) => output.rejected(None, reason),
    }
}

/// What is answered to a body whose records were stored, but for `rejected` of them.
#[must_use]
pub fn answer(encoding: Encoding, rejected: usize, message: &str) -> Vec<u8> {
    let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
    match encoding {
        Encoding::Json if rejected == 0 => b"{\"partialSuccess\":{}}".to_vec(),
        Encoding::Json => {
            let mut partial = ObjectBuilder::default();
            partial.string("rejectedLogRecords", &rejected.to_string());
            partial.string("errorMessage", message);
            format!("{{\"partialSuccess\":{}}}", partial.finish().as_str()).into_bytes()
        }
        Encoding::Protobuf => {
            messages::ExportLogsServiceResponse::new(rejected, message).encode_to_vec()
        }
    }
}

/// What is answered to a body that was refused: a `google.rpc.Status`.
#[must_use]
pub fn refusal(encoding: Encoding, message: &str) -> Vec<u8> {
    /// `INVALID_ARGUMENT`, `UNAVAILABLE` and the like say no more than the HTTP status.
    const UNKNOWN: i32 = 2;
    match encoding {
        Encoding::Json => {
            let mut status = ObjectBuilder::default();
            status.key("code").push_str(&UNKNOWN.to_string());
            status.string("message", message);
            status.finish().as_str().as_bytes().to_vec()
        }
        Encoding::Protobuf => {
            messages::Status { code: UNKNOWN, message: message.to_owned() }.encode_to_vec()
        }
    }
}

/// The text of a record.
fn json(
    record: &OtlpRecord,
    scope: Option<&InstrumentationScope>,
    resource: Option<&Resource>,
) -> String {
    let mut draft = Draft::default();
    time(&mut draft, record);
    severity(&mut draft, record);
    message(&mut draft, record);
    for (attribute, id) in
        [(TextAttribute::TraceId, &record.trace_id), (TextAttribute::SpanId, &record.span_id)]
    {
        // All zeros is no id.
        if id.iter().any(|&byte| byte != 0) {
            let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            draft.text(attribute, &digits);
        }
    }
    let mut exception = ObjectBuilder::default();
    for attribute in &record.attributes {
        match (attribute.key.as_str(), attribute.text()) {
            ("exception.type", Some(text)) => exception.string("type", text),
            ("exception.message", Some(text)) => exception.string("message", text),
            ("exception.stacktrace", Some(text)) => exception.string("raw", text),
            _ => set(&mut draft, attribute, Draft::field),
        }
    }
    if !exception.is_empty() {
        draft.member("exception").push_str(exception.finish().as_str());
    }
    if let Some(scope) = scope {
        scope_of(&mut draft, scope);
    }
    if let Some(resource) = resource {
        let mut rest = ObjectBuilder::default();
        for attribute in &resource.attributes {
            set(&mut draft, attribute, |_, key| rest.key(key));
        }
        if !rest.is_empty() {
            draft.field("resource").push_str(rest.finish().as_str());
        }
    }
    draft.finish()
}

fn time(draft: &mut Draft, record: &OtlpRecord) {
    let at = |nanos: u64| i64::try_from(nanos).ok().filter(|&nanos| nanos > 0);
    let observed = at(record.observed_time_unix_nano);
    if let Some(nanos) = at(record.time_unix_nano).or(observed) {
        draft.time(Timestamp::from_nanos(nanos));
    }
    if let Some(nanos) = observed {
        draft.member("observed_time").push_str(&format!("\"{}\"", Timestamp::from_nanos(nanos)));
    }
}

/// The number counts; a text that is no level is kept all the same.
fn severity(draft: &mut Draft, record: &OtlpRecord) {
    let known = Severity::from_name(&record.severity_text).is_ok();
    match u8::try_from(record.severity_number).ok().and_then(Severity::from_number) {
        Some(severity) => draft.member("severity_number").push_str(&severity.number().to_string()),
        None if known => return draft.level(&record.severity_text),
        None => {}
    }
    if !known && !record.severity_text.is_empty() {
        draft.text_field("severity_text", &record.severity_text);
    }
}

fn message(draft: &mut Draft, record: &OtlpRecord) {
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    match body {
        Some(AnyOf::Text(text)) => draft.text(TextAttribute::Message, text),
        Some(value) => write(draft.member(TextAttribute::Message.name()), Some(value)),
        None => draft.text(TextAttribute::Message, &record.event_name),
    }
    if body.is_some() && !record.event_name.is_empty() {
        draft.text_field("event.name", &record.event_name);
    }
}

fn scope_of(draft: &mut Draft, scope: &InstrumentationScope) {
    if !scope.name.is_empty() {
        draft.text(TextAttribute::Logger, &scope.name);
    }
    let mut rest = ObjectBuilder::default();
    if !scope.version.is_empty() {
        rest.string("version", &scope.version);
    }
    for attribute in &scope.attributes {
        write(rest.key(&attribute.key), attribute.any());
    }
    if !rest.is_empty() {
        draft.field("scope").push_str(rest.finish().as_str());
    }
}

/// An attribute as that of the record which it means, or else where `other` says.
fn set<'a>(
    draft: &'a mut Draft,
    attribute: &KeyValue,
    other: impl FnOnce(&'a mut Draft, &str) -> &'a mut String,
) {
    let ours = ATTRIBUTES.iter().find(|(name, _)| *name == attribute.key);
    match (ours, attribute.text()) {
        (Some((_, ours)), Some(text)) => draft.text(*ours, text),
        _ => write(other(draft, &attribute.key), attribute.any()),
    }
}

impl KeyValue {
    fn any(&self) -> Option<&AnyOf> {
        self.value.as_ref()?.value.as_ref()
    }

    fn text(&self) -> Option<&str> {
        match self.any() {
            Some(AnyOf::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Writes a value as JSON. Depth was limited when it was read.
fn write(out: &mut String, value: Option<&AnyOf>) {
    match value {
        None => out.push_str("null"),
        Some(AnyOf::Text(text)) => write_string(out, text),
        Some(AnyOf::Bool(truth)) => out.push_str(if *truth { "true" } else { "false" }),
        Some(AnyOf::Int(number)) => write_i64(out, *number),
        Some(AnyOf::Double(number)) => write_f64(out, *number),
        Some(AnyOf::Bytes(bytes)) => write_string(out, &STANDARD.encode(bytes)),
        Some(AnyOf::Array(array)) => {
            out.push('[');
            for (place, AnyValue { value }) in array.values.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(out, value.as_ref());
            }
            out.push(']');
        }
        Some(AnyOf::List(list)) => {
            let mut object = ObjectBuilder::default();
            for member in &list.values {
                write(object.key(&member.key), member.any());
            }
            out.push_str(object.finish().as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{messages::*, *};
    use crate::{Defaults, Protocol, read};

    const JSON: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"a1"}},
        {"key":"cloud.region","value":{"stringValue":"eu"}}]},
        "scopeLogs":[{"scope":{"name":"orders","version":"2"},"logRecords":[{
            "timeUnixNano":"1769860800123456789","observedTimeUnixNano":1769860801000000000,"severityNumber":18,
            "severityText":"ERROR2","traceId":"4BF92F3577B34DA6A3CE929D0E0E4736","spanId":"00f067aa0ba902b7",
            "body":{"stringValue":"charge failed"},"attributes":[
                {"key":"http.status","value":{"intValue":"9007199254740993"}},
                {"key":"ratio","value":{"doubleValue":0.5}},
                {"key":"list","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}},
                {"key":"exception.type","value":{"stringValue":"Timeout"}},
                {"key":"exception.stacktrace","value":{"stringValue":"at x"}},
                {"key":"user.id","value":{"stringValue":"u-1"}}]}]}]}]}"#;

    const RECORD: &str = concat!(
        r#"{"time":"2026-01-31T12:00:00.123456789Z","observed_time":"2026-01-31T12:00:01.000000000Z","level":"error","#,
        r#""severity_number":18,"service":"shop","message":"charge failed","host":"a1","logger":"orders","#,
        r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","user_id":"u-1","#,
        r#""exception":{"type":"Timeout","raw":"at x"},"fields":{"severity_text":"ERROR2","http.status":9007199254740993,"#,
        r#""ratio":0.5,"list":[true,null],"scope":{"version":"2"},"resource":{"cloud.region":"eu"}}}"#,
    );

    fn records(encoding: Encoding, body: &[u8]) -> Result<Vec<String>, BodyError> {
        let mut records = Vec::new();
        let observed = Timestamp::from_nanos(7);
        read(Protocol::Otlp(encoding), body, &Defaults::default(), observed, &mut |entry| {
            records.push(match entry.decoded {
                millpond_record::Decoded::Record(record) => record.to_json(),
                millpond_record::Decoded::Rejected(rejection) => rejection.to_string(),
            });
        })?;
        Ok(records)
    }

    #[test]
    fn a_record_is_the_same_in_both_encodings() {
        assert_eq!(records(Encoding::Json, JSON.as_bytes()).unwrap(), [RECORD]);
        let request: ExportLogsServiceRequest = serde_json::from_str(JSON).unwrap();
        assert_eq!(records(Encoding::Protobuf, &request.encode_to_vec()).unwrap(), [RECORD]);
    }

    #[test]
    fn a_record_that_says_nothing_is_a_record() {
        let body =
            br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"body":{"kvlistValue":{"values":[
            {"key":"a","value":{"intValue":1}}]}},"eventName":"e","severityText":"warn"}]}]}]}"#;
        assert_eq!(
            records(Encoding::Json, body).unwrap(),
            [
                r#"{"time":"1970-01-01T00:00:00.000000007Z","level":"info","service":"unknown_service","message":""}"#,
                concat!(
                    r#"{"time":"1970-01-01T00:00:00.000000007Z","level":"warn","service":"unknown_service","#,
                    r#""message":"{\"a\":1}","fields":{"event.name":"e"}}"#
                ),
            ]
        );
    }

    #[test]
    fn what_can_not_be_read_costs_only_its_records() {
        let body = br#"{"resourceLogs":[
            {"scopeLogs":[{"logRecords":[{"traceId":"xyz"},{"body":{"stringValue":"good"}}]}]},
            {"resource":{"attributes":7},"scopeLogs":[{"logRecords":[{}]}]}]}"#;
        let read = records(Encoding::Json, body).unwrap();
        assert!(read[0].starts_with("record: ") && read[1].contains("good"), "{read:?}");
        assert!(read[2].starts_with("resource: ") && read.len() == 3, "{read:?}");
        let nested = |key: u8, inner: &[u8]| [&[key, inner.len() as u8], inner].concat();
        let two = [nested(0x12, &nested(0x32, b"\xff")), nested(0x12, b"")].concat();
        let read = records(Encoding::Protobuf, &nested(0x0a, &nested(0x12, &two))).unwrap();
        assert!(read[0].starts_with("record: ") && read[1].starts_with('{'), "{read:?}");
    }

    #[test]
    fn null_says_nothing_and_what_is_not_known_is_ignored() {
        let body = br#"{"resourceLogs":[{"resource":null,"scopeLogs":[{"scope":{"name":null,"new":1},"logRecords":[
            {"timeUnixNano":null,"traceId":null,"severityText":null,"attributes":null,"body":{"new":[1],"stringValue":"m"}},
            {"body":{"stringValue":null},"attributes":[{"key":"a","value":{"new":1}},{"key":"b","value":null}]}]}]},
            {"scopeLogs":null}],"new":{}}"#;
        let read = records(Encoding::Json, body).unwrap();
        assert!(read.len() == 2 && read[0].ends_with(r#""message":"m"}"#), "{read:?}");
        assert!(read[1].ends_with(r#""message":"","fields":{"a":null,"b":null}}"#), "{read:?}");
    }

    #[test]
    fn what_is_no_request_is_refused_as_a_whole() {
        for (encoding, body) in [
            (Encoding::Json, &b"{"[..]),
            (Encoding::Json, b"[]"),
            (Encoding::Json, br#"{"resourceLogs":7}"#),
            (Encoding::Json, br#"{"resourceLogs":[{"scopeLogs":[7]}]}"#),
            (Encoding::Protobuf, b"\xff\xff\xff"),
            (Encoding::Protobuf, b"\x0a\x02\x12\x01"),
            (Encoding::Protobuf, b"\x0b"),
        ] {
            let error = records(encoding, body).unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
        assert_eq!(records(Encoding::Protobuf, b"").unwrap(), [""; 0]);
    }

    #[test]
    fn an_answer_says_what_was_rejected() {
        assert_eq!(answer(Encoding::Json, 0, ""), br#"{"partialSuccess":{}}"#);
        let rejected = answer(Encoding::Json, 2, "too large");
        let expected =
            br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too large"}}"#;
        assert_eq!(rejected, expected);
        assert_eq!(answer(Encoding::Protobuf, 0, ""), b"");
        let rejected = answer(Encoding::Protobuf, 2, "too large");
        let read = ExportLogsServiceResponse::decode(rejected.as_slice()).unwrap();
        assert_eq!(read, ExportLogsServiceResponse::new(2, "too large"));
        assert_eq!(refusal(Encoding::Json, "no"), br#"{"code":2,"message":"no"}"#);
    }
}
