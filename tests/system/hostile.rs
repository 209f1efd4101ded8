//! Bad input: each has its clear answer, and nothing else is lost.

use std::io::Write;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::fixture::{Fixture, event, event_ids, messages};

const INGEST: &str = "/api/v1/ingest";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Sends `bad` between two good records: these are stored, and the reason for the other is returned.
fn rejected_between_good_ones(bad: &str) -> Result<String> {
    let fixture = Fixture::start()?;
    let body = format!("[{},{bad},{}]", event("before"), event("after"));
    let reply = fixture.api.post(INGEST, &[JSON], body.as_bytes())?.succeeded()?;
    assert_eq!((&reply.body["accepted"], &reply.body["rejected_count"]), (&json!(2), &json!(1)));
    assert_eq!(reply.body["rejected"][0]["index"], 1);
    let mut stored = event_ids(&fixture.api.all(&[])?);
    stored.sort();
    assert_eq!(stored, ["after", "before"]);
    Ok(reply.body["rejected"][0]["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_record_without_message_is_rejected_by_itself() -> Result<()> {
    let reason = rejected_between_good_ones(r#"{"level":"info"}"#)?;
    assert!(reason.contains("message"), "{reason}");
    Ok(())
}

#[test]
fn a_level_that_nobody_knows_is_rejected_by_itself() -> Result<()> {
    let reason = rejected_between_good_ones(r#"{"message":"m","level":"loud"}"#)?;
    assert!(reason.contains("loud"), "{reason}");
    Ok(())
}

#[test]
fn ten_megabytes_in_one_field_are_rejected_by_themselves() -> Result<()> {
    let text = "x".repeat(10 << 20);
    let reason = rejected_between_good_ones(&json!({ "message": "m", "blob": text }).to_string())?;
    assert!(reason.contains("bytes") && reason.contains("at most"), "{reason}");
    Ok(())
}

#[test]
fn a_million_deep_nesting_is_rejected_by_itself() -> Result<()> {
    let depth = 1_000_000;
    let bad = format!(r#"{{"message":"m","deep":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let reason = rejected_between_good_ones(&bad)?;
    assert!(reason.contains("deep"), "{reason}");
    Ok(())
}

#[test]
fn what_is_no_record_at_all_is_rejected_by_itself() -> Result<()> {
    let reason = rejected_between_good_ones("5")?;
    assert!(reason.contains("expected an object"), "{reason}");
    Ok(())
}

#[test]
fn a_line_that_is_no_json_costs_only_itself() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = format!("{}\n{{\"message\":\n{}\n", event("before"), event("after"));
    let headers = [("Content-Type", "application/x-ndjson")];
    let reply = fixture.api.post(INGEST, &headers, body.as_bytes())?.succeeded()?;
    assert_eq!((&reply.body["accepted"], &reply.body["rejected_count"]), (&json!(2), &json!(1)));
    assert_eq!(fixture.api.all(&[])?.len(), 2);
    Ok(())
}

#[test]
fn a_body_that_is_no_json_is_refused_and_leaves_nothing_behind() -> Result<()> {
    let fixture = Fixture::start()?;
    let deep = "[".repeat(1_000_000);
    let half = format!("[{},", event("half"));
    for body in ["", "hello", "\u{0}", half.as_str(), deep.as_str()] {
        let reply = fixture.api.post(INGEST, &[JSON], body.as_bytes())?;
        let shown: String = body.chars().take(20).collect();
        assert_eq!((reply.status, reply.code()), (400, "invalid_body"), "{shown}: {}", reply.text);
    }
    assert_eq!(fixture.api.all(&[])?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_and_cost_no_record() -> Result<()> {
    let fixture = Fixture::start()?;
    let reply = fixture.api.post(INGEST, &[JSON], b"[{\"message\":\"a \xff b\"}]")?;
    assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(1)), "{}", reply.text);
    assert_eq!(messages(&fixture.api.all(&[])?), ["a \u{fffd} b"]);
    // Outside a string nothing can be made of them.
    let reply = fixture.api.post(INGEST, &[JSON], b"\xff[]")?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_body"), "{}", reply.text);
    Ok(())
}

#[test]
fn lone_surrogates_and_nul_cost_no_record() -> Result<()> {
    let fixture = Fixture::start()?;
    let body =
        r#"[{"message":"lone \ud800 and \u0000","fields":{"event_id":"odd","\udfff":"\u0000"}}]"#;
    let reply = fixture.api.post(INGEST, &[JSON], body.as_bytes())?.succeeded()?;
    assert_eq!(reply.body["accepted"], 1);
    assert_eq!(event_ids(&fixture.api.all(&[])?), ["odd"]);
    Ok(())
}

#[test]
fn a_key_that_is_a_number_here_and_a_string_there_keeps_both() -> Result<()> {
    let fixture = Fixture::start()?;
    let of = |code: Value| json!({ "message": "m", "fields": { "event_id": code.to_string(), "code": code } });
    let records = [of(json!(7)), of(json!("seven")), of(json!({ "deep": 7 })), of(json!(null))];
    fixture.api.ingest(&records, None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    let mut codes: Vec<_> =
        fixture.api.all(&[])?.iter().map(|record| record["fields"]["code"].to_string()).collect();
    codes.sort();
    assert_eq!(codes, ["\"seven\"", "7", "null", "{\"deep\":7}"]);
    Ok(())
}

#[test]
fn a_body_over_the_limit_is_refused_also_when_it_is_small_on_the_wire() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let megabyte = [b' '; 1 << 20];
    for _ in 0..65 {
        bomb.write_all(&megabyte)?;
    }
    let bomb = bomb.finish()?;
    let reply = fixture.api.post(INGEST, &[JSON, ("Content-Encoding", "gzip")], &bomb)?;
    assert_eq!((reply.status, reply.code()), (413, "body_too_large"));
    fixture.api.ingest(&[event("afterwards")], None)?.succeeded()?;
    Ok(())
}

#[test]
fn what_the_server_does_not_offer_is_refused_in_json() -> Result<()> {
    let fixture = Fixture::start()?;
    let key = ("X-API-Key", fixture.api.key());
    let encoded = fixture.api.post(INGEST, &[JSON, ("Content-Encoding", "br")], b"[]")?;
    assert_eq!((encoded.status, encoded.code()), (415, "unsupported_encoding"));
    let broken = fixture.api.post(INGEST, &[JSON, ("Content-Encoding", "gzip")], b"no gzip")?;
    assert_eq!((broken.status, broken.code()), (400, "invalid_body"));
    let absent = fixture.api.bare("GET", "/api/v1/nothing", &[key])?;
    assert_eq!((absent.status, absent.code()), (404, "not_found"));
    let method = fixture.api.bare("DELETE", "/api/v1/logs", &[key])?;
    assert_eq!((method.status, method.code()), (405, "method_not_allowed"));
    Ok(())
}
