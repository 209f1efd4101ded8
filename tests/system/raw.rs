//! `POST /api/v1/ingest` in formats that are not ours, and `POST /api/v1/flows`: what was sent is read back.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use millpond_system_tests::Reply;
use serde_json::{Value, json};

use crate::fixture::{Fixture, messages, printed_key, sorted};

/// Sends a body with parameters and no content type that says anything.
fn send(fixture: &Fixture, parameters: &str, body: &str) -> Result<Reply> {
    let path = format!("/api/v1/ingest?{parameters}");
    fixture.api.post(&path, &[("Content-Type", "application/octet-stream")], body.as_bytes())
}

/// The only record that the server has, held to `expected` member by member.
fn assert_stored(fixture: &Fixture, expected: &Value) -> Result<()> {
    let stored = fixture.api.all(&[])?;
    assert_eq!(stored.len(), 1, "{stored:?}");
    for (key, value) in expected.as_object().context("expected an object")? {
        assert_eq!(&stored[0][key], value, "{key} of {}", stored[0]);
    }
    Ok(())
}

const CASES: [(&str, &str); 6] = [
    ("json", r#"{"logs":[{"message":"m","level":"warn"}]}"#),
    ("jsonl", "{\"message\":\"m\",\"level\":\"warn\"}\n"),
    ("syslog", "<12>1 - - - - - - m\n"),
    ("text", "WARN\n"),
    ("csv", "level,message\nwarn,m\n"),
    ("obl", r#"{"format":"open-board-log-0.1","sessions":[{"events":[{"label":"m"}]}]}"#),
];

#[test]
fn syslog_is_read_back_field_by_field() -> Result<()> {
    let fixture = Fixture::start()?;
    let line = "<165>1 2026-01-31T05:00:00.123456-07:00 web-1 shop 8710 ID47 [cart@1 items=\"3\"] order placed\n";
    send(&fixture, "format=syslog&service=other&environment=staging", line)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    assert_stored(
        &fixture,
        &json!({ "time": "2026-01-31T12:00:00.123456000Z", "level": "info", "severity_number": 10, "service": "shop",
            "host": "web-1", "environment": "staging", "message": "order placed", "fields": {
            "facility": "local4", "proc_id": "8710", "msg_id": "ID47", "structured_data": { "cart@1": { "items": "3" } } } }),
    )
}

#[test]
fn text_is_read_back_field_by_field() -> Result<()> {
    let fixture = Fixture::start()?;
    let line = "2026-01-31 12:00:00,250 [main] ERROR payment failed\r\n";
    send(&fixture, "format=text&service=shop&tags=raw,%20file", line)?.succeeded()?;
    assert_stored(
        &fixture,
        &json!({ "time": "2026-01-31T12:00:00.250000000Z", "level": "error", "service": "shop",
            "message": "[main] ERROR payment failed", "tags": ["raw", "file"] }),
    )
}

#[test]
fn csv_is_read_back_field_by_field() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = "timestamp,level,message,source,userId,flowId,stepIndex,errorName,tags,data,order\n\
        1769860800000,error,\"payment\nfailed, \"\"late\"\"\",shop,u-1,checkout-a7x9k2f3,2,Timeout,a;b,\"{\"\"n\"\":1}\",9007199254740993\n";
    send(&fixture, "format=csv&service=other&user_id=other&dataset=orders", body)?.succeeded()?;
    assert_stored(
        &fixture,
        &json!({ "time": "2026-01-31T12:00:00.000000000Z", "level": "error", "service": "shop",
            "message": "payment\nfailed, \"late\"", "user_id": "u-1", "flow_id": "checkout-a7x9k2f3", "step_index": 2,
            "dataset": "orders", "exception": { "type": "Timeout" }, "tags": ["a", "b"],
            "fields": { "n": 1, "order": 9_007_199_254_740_993_u64 } }),
    )
}

#[test]
fn obl_is_read_back_field_by_field() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = r#"/* private */ {"format":"open-board-log-0.1","user_id":"aac:u7","sessions":[{"id":"s1","device_id":"tablet-3",
        "events":[{"id":"e1","timestamp":"2000-01-01T00:00:05Z","type":"button","label":"eat","spoken":true}]}]}"#;
    send(&fixture, "format=obl&service=leafboard&level=debug", body)?.succeeded()?;
    assert_stored(
        &fixture,
        &json!({ "time": "2000-01-01T00:00:05.000000000Z", "level": "debug", "service": "leafboard",
            "message": "Button: eat", "user_id": "aac:u7", "session_id": "tablet-3", "fields": { "spoken": true,
            "obl": { "event": { "type": "button", "id": "e1" }, "session": { "id": "s1" } } } }),
    )
}

#[test]
fn defaults_fill_what_a_record_does_not_say() -> Result<()> {
    let fixture = Fixture::start()?;
    let parameters = "format=jsonl&service=shop&environment=staging&level=error&dataset=orders&tags=a,b\
        &user_id=u-1&session_id=s-1&request_id=r-1&flow_id=f-1";
    let whole = json!({ "message": "whole", "service": "own", "environment": "own", "level": "debug", "dataset": "own",
        "tags": ["own"], "user_id": "own", "session_id": "own", "request_id": "own", "flow_id": "own" });
    send(&fixture, parameters, &format!("{whole}\n{{\"message\":\"bare\"}}\n"))?.succeeded()?;
    let filled = json!({ "message": "bare", "service": "shop", "environment": "staging", "level": "error",
        "dataset": "orders", "tags": ["a", "b"], "user_id": "u-1", "session_id": "s-1", "request_id": "r-1",
        "flow_id": "f-1" });
    let stored = fixture.api.all(&[])?;
    for expected in [&whole, &filled] {
        let found = stored.iter().find(|record| record["message"] == expected["message"]);
        let found = found.with_context(|| format!("no {expected}"))?;
        for (key, value) in expected.as_object().context("expected an object")? {
            assert_eq!(&found[key], value, "{key}");
        }
    }
    Ok(())
}

#[test]
fn every_format_is_taken_compressed_and_by_its_content_type() -> Result<()> {
    for ((format, body), content_type) in CASES.into_iter().zip([
        "application/json",
        "application/x-ndjson",
        "application/x-syslog",
        "text/plain; charset=utf-8",
        "text/csv",
        "application/x-obl",
    ]) {
        let fixture = Fixture::start()?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(body.as_bytes())?;
        let headers = [("Content-Type", content_type), ("Content-Encoding", "gzip")];
        let reply = fixture.api.post("/api/v1/ingest", &headers, &gzip.finish()?)?.succeeded()?;
        assert_eq!(reply.body["accepted"], 1, "{format}: {}", reply.text);
        send(&fixture, &format!("format={format}"), body)?.succeeded()?;
        let stored = fixture.api.all(&[])?;
        assert_eq!(stored.len(), 2, "{format}");
        for key in ["message", "level", "fields"] {
            assert_eq!(stored[0][key], stored[1][key], "{format}: {key}");
        }
    }
    Ok(())
}

#[test]
fn bad_lines_are_named_and_cost_nobody_else() -> Result<()> {
    let fixture = Fixture::start()?;
    for (format, body, index, line, reason) in [
        (
            "jsonl",
            "{\"message\":\"a\"}\n\n{\"message\":\n{\"message\":\"b\"}\n",
            1,
            json!(3),
            "invalid JSON",
        ),
        ("syslog", "<13>a\n\nno priority\n<13>b\n", 1, json!(3), "expected a priority"),
        ("csv", "message,level\n\"a\",\nx,y,z\nb,\n", 1, json!(3), "row has 3 cells, expected 2"),
        ("csv", "message,level\n\"a\",\nx,loud\nb,\n", 1, json!(3), "unknown level `loud`"),
        (
            "obl",
            r#"{"format":"open-board-log-0.1","sessions":[{"events":[{"text":"a"},5,{"text":"b"}]}]}"#,
            1,
            Value::Null,
            "session 1, event 2",
        ),
    ] {
        let reply =
            send(&fixture, &format!("format={format}&dataset={format}"), body)?.succeeded()?;
        assert_eq!(reply.body["accepted"], 2, "{format}: {}", reply.text);
        assert_eq!(reply.body["rejected_count"], 1, "{format}: {}", reply.text);
        let rejected = &reply.body["rejected"][0];
        assert_eq!(
            (&rejected["index"], &rejected["line"]),
            (&json!(index), &line),
            "{format}: {rejected}"
        );
        let said = rejected["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{format}: {said}");
    }
    let stored = fixture.api.all(&[("q", "dataset:syslog")])?;
    assert_eq!(sorted(&messages(&stored)), ["a", "b"]);
    Ok(())
}

#[test]
fn a_body_that_can_not_be_read_is_refused_whole() -> Result<()> {
    let fixture = Fixture::start()?;
    for (format, body, reason) in [
        ("syslog", "\n", "the body is empty"),
        ("text", "", "the body is empty"),
        ("csv", "level,text\ninfo,m\n", "expected one named `message`"),
        ("obl", r#"{"format":"open-board-log-9","sessions":[]}"#, "`format`"),
        (
            "obl",
            r#"{"format":"open-board-log-0.1","sessions":[{"events":[{"text":"a"}]}"#,
            "invalid JSON",
        ),
    ] {
        let reply = send(&fixture, &format!("format={format}"), body)?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_body"), "{format}: {}", reply.text);
        assert!(reply.message().contains(reason), "{format}: {}", reply.text);
    }
    let many = send(
        &fixture,
        &format!("format=text&user_id={}", "u".repeat(4096)),
        &"a\n".repeat(20_000),
    )?;
    assert_eq!((many.status, many.code()), (413, "body_too_large"), "{}", many.text);
    assert_eq!(fixture.api.all(&[])?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn a_wrong_parameter_is_refused_with_what_was_expected() -> Result<()> {
    let fixture = Fixture::start()?;
    let long = format!("service={}", "x".repeat(4097));
    for (parameters, expected) in [
        ("format=xml", "expected json, jsonl, syslog, text, csv or obl"),
        ("level=loud", "unknown level `loud`"),
        ("servise=shop", "servise"),
        (&long, "`service` is 4097 bytes"),
    ] {
        let reply = send(&fixture, parameters, r#"{"message":"m"}"#)?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"), "{}", reply.text);
        assert!(reply.message().contains(expected), "{}", reply.text);
    }
    assert_eq!(fixture.api.all(&[])?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn a_raw_batch_sent_twice_is_stored_once_also_after_a_crash() -> Result<()> {
    let mut fixture = Fixture::start()?;
    for (sequence, (format, body)) in CASES.into_iter().enumerate() {
        let path = format!("/api/v1/ingest?format={format}&service=shop");
        let key = format!("raw:{sequence}");
        let headers = [("Idempotency-Key", key.as_str())];
        for duplicate in [false, true] {
            let reply = fixture.api.post(&path, &headers, body.as_bytes())?.succeeded()?;
            assert_eq!(reply.body["duplicate"], duplicate, "{format}: {}", reply.text);
        }
        fixture = fixture.crash(|| Ok(()))?;
        let again = fixture.api.post(&path, &headers, body.as_bytes())?.succeeded()?;
        assert_eq!(again.body["duplicate"], true, "{format}: {}", again.text);
    }
    let stored = fixture.api.all(&[("service", "shop")])?;
    assert_eq!(stored.len(), CASES.len());
    Ok(())
}

#[test]
fn bytes_that_are_no_utf8_are_replaced() -> Result<()> {
    let fixture = Fixture::start()?;
    let text = ("Content-Type", "text/plain");
    fixture.api.post("/api/v1/ingest", &[text], b"a \xff b\n")?.succeeded()?;
    assert_eq!(messages(&fixture.api.all(&[])?), ["a \u{fffd} b"]);
    Ok(())
}

#[test]
fn a_flow_gets_an_id_of_its_own() -> Result<()> {
    let fixture = Fixture::start()?;
    let ask = |name: &str| {
        let body = json!({ "name": name }).to_string();
        fixture.api.post("/api/v1/flows", &[], body.as_bytes())
    };
    let mut ids = Vec::new();
    for name in ["checkout", "checkout", "two words-and a dash", &"ü".repeat(100)] {
        let flow = ask(name)?.succeeded()?;
        assert_eq!(flow.body["name"], name);
        let id = flow.body["flow_id"].as_str().unwrap_or_default().to_owned();
        let suffix = id.strip_prefix(&format!("{name}-")).with_context(|| id.clone())?;
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        assert!(suffix.len() == 8 && suffix.bytes().all(good), "{id}");
        assert!(!ids.contains(&id), "{id}");
        ids.push(id);
    }
    for name in [String::new(), "x".repeat(101)] {
        let refused = ask(&name)?;
        assert_eq!((refused.status, refused.code()), (400, "invalid_body"), "{}", refused.text);
        assert!(refused.message().contains("expected 1 to 100"), "{}", refused.text);
    }
    for body in ["", "{}", "[]", r#"{"name":7}"#] {
        let refused = fixture.api.post("/api/v1/flows", &[], body.as_bytes())?;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "invalid_body"),
            "{body}: {}",
            refused.text
        );
    }
    // Not so large that the connection is closed while it is still being written.
    let large = fixture.api.post("/api/v1/flows", &[], " ".repeat(8 << 10).as_bytes())?;
    assert_eq!((large.status, large.code()), (413, "body_too_large"));
    Ok(())
}

#[test]
fn a_flow_needs_a_key_that_may_ingest() -> Result<()> {
    let fixture = Fixture::start()?;
    let reader = fixture.key(&["create", "--scopes", "query", "--name", "reader"])?;
    let reader = fixture.api.with_key(&printed_key(&reader)?);
    let refused = reader.post("/api/v1/flows", &[], br#"{"name":"checkout"}"#)?;
    assert_eq!((refused.status, refused.code()), (403, "missing_scope"), "{}", refused.text);
    Ok(())
}
