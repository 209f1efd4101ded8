//! OTLP over HTTP, as OpenTelemetry's exporters send it; `tests/compat` drives a real one.

use anyhow::Result;
use serde_json::{Value, json};

use crate::fixture::{Fixture, messages};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

fn request(messages: &[&str]) -> Vec<u8> {
    let records: Vec<Value> =
        messages.iter().map(|message| json!({ "body": { "stringValue": message } })).collect();
    json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string().into()
}

/// One record with a body, in protobuf.
fn protobuf(message: &str) -> Vec<u8> {
    let nested = |key: u8, inner: Vec<u8>| {
        [vec![key, u8::try_from(inner.len()).unwrap_or(0)], inner].concat()
    };
    let body = nested(0x2a, nested(0x0a, message.as_bytes().to_vec()));
    nested(0x0a, nested(0x12, nested(0x12, body)))
}

#[test]
fn logs_are_stored_from_either_encoding_and_answered_in_it() -> Result<()> {
    let fixture = Fixture::start()?;
    for path in ["/v1/logs", "/v1/otlp/logs"] {
        let reply = fixture.api.post(path, &[JSON], &request(&["in json"]))?.succeeded()?;
        assert_eq!(reply.body, json!({ "partialSuccess": {} }));
        let reply = fixture.api.post(path, &[PROTOBUF], &protobuf("in protobuf"))?.succeeded()?;
        assert_eq!(reply.text, "");
    }
    let stored = fixture.api.all(&[])?;
    let mut stored = messages(&stored);
    stored.sort_unstable();
    assert_eq!(stored, ["in json", "in json", "in protobuf", "in protobuf"]);
    Ok(())
}

#[test]
fn a_record_that_can_not_be_kept_is_told_and_costs_no_other() -> Result<()> {
    let fixture = Fixture::start()?;
    let huge = "x".repeat(2 << 20);
    let body = request(&["kept", &huge, "kept too"]);
    let reply = fixture.api.post("/v1/otlp/logs", &[JSON], &body)?.succeeded()?;
    let partial = &reply.body["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "1");
    assert!(partial["errorMessage"].as_str().is_some_and(|reason| reason.contains("bytes")));
    assert_eq!(fixture.api.all(&[])?.len(), 2);
    Ok(())
}

#[test]
fn what_is_no_request_is_refused_with_a_status_that_no_exporter_tries_again() -> Result<()> {
    let fixture = Fixture::start()?;
    let wrong = fixture.api.with_key("mp_wrong");
    for (api, path, content_type, body, status) in [
        (&fixture.api, "/v1/otlp/logs", JSON, &b"{\"resourceLogs\":7}"[..], 400),
        (&fixture.api, "/v1/logs", PROTOBUF, b"\xff\xff\xff", 400),
        (&fixture.api, "/v1/traces", PROTOBUF, b"", 404),
        (&fixture.api, "/v1/otlp/metrics", JSON, b"{}", 404),
        (&wrong, "/v1/logs", PROTOBUF, b"", 401),
        (&wrong, "/v1/otlp/traces", JSON, b"{}", 401),
    ] {
        let reply = api.post(path, &[content_type], body)?;
        assert_eq!(reply.status, status, "{path} {}", reply.text);
        if content_type == JSON {
            assert!(reply.body["message"].is_string(), "{}", reply.text);
        }
    }
    assert_eq!(fixture.api.all(&[])?.len(), 0);
    Ok(())
}
