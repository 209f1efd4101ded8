//! `POST /api/v1/ingest`: shapes, encodings, exactness, and each batch once.

use std::io::Write;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::fixture::{Fixture, event, event_ids, events, ids, messages, sorted};

const INGEST: &str = "/api/v1/ingest";

#[test]
fn every_shape_of_body_is_taken() -> Result<()> {
    let fixture = Fixture::start()?;
    let json = ("Content-Type", "application/json");
    let lines = ("Content-Type", "application/x-ndjson");
    for (header, body) in [
        (json, r#"{"logs":[{"message":"a"},{"message":"b"}]}"#),
        (json, r#"[{"message":"c"}]"#),
        (json, r#"{"message":"d"}"#),
        (lines, "{\"message\":\"e\"}\n{\"message\":\"f\"}\n"),
    ] {
        let reply = fixture.api.post(INGEST, &[header], body.as_bytes())?.succeeded()?;
        assert_eq!(reply.body["rejected"], json!([]), "{body}");
    }
    let all = fixture.api.all(&[])?;
    assert_eq!(sorted(&messages(&all)), ["a", "b", "c", "d", "e", "f"]);
    Ok(())
}

#[test]
fn a_compressed_body_is_taken() -> Result<()> {
    let fixture = Fixture::start()?;
    let json = ("Content-Type", "application/json");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(br#"[{"message":"by gzip"}]"#)?;
    let gzip = gzip.finish()?;
    let zstd = zstd::encode_all(&br#"[{"message":"by zstd"}]"#[..], 1)?;
    for (encoding, body) in [("gzip", gzip), ("zstd", zstd)] {
        let headers = [json, ("Content-Encoding", encoding)];
        fixture.api.post(INGEST, &headers, &body)?.succeeded()?;
    }
    assert_eq!(sorted(&messages(&fixture.api.all(&[])?)), ["by gzip", "by zstd"]);
    Ok(())
}

#[test]
fn numbers_times_and_strings_come_back_exactly() -> Result<()> {
    let fixture = Fixture::start()?;
    let fields = json!({
        "order_id": 9_007_199_254_740_993_u64, "lowest": i64::MIN, "highest": u64::MAX, "price": 0.1,
        "http": { "status": 503, "tags": ["a", null, true] }, "text": "line\nbreak \"quoted\" \u{1f980}", "empty": "",
    });
    let record = json!({ "time": "2026-01-31T12:00:00.123456789Z", "level": "error", "service": "shop",
        "message": "exact", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tags": ["x", "y"], "fields": fields });
    fixture.api.ingest(std::slice::from_ref(&record), None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    let stored = fixture.api.all(&[])?;
    for key in ["time", "level", "service", "message", "trace_id", "tags", "fields"] {
        assert_eq!(stored[0][key], record[key], "{key}");
    }
    Ok(())
}

#[test]
fn a_batch_sent_twice_is_stored_once_and_answered_the_same() -> Result<()> {
    let fixture = Fixture::start()?;
    let batch = [event("first"), json!({ "level": "info" }), event("second")];
    let first = fixture.api.ingest(&batch, Some("client-a:7"))?.succeeded()?;
    assert_eq!((&first.body["accepted"], &first.body["duplicate"]), (&json!(2), &json!(false)));
    let again = fixture.api.ingest(&batch, Some("client-a:7"))?.succeeded()?;
    assert_eq!((&again.body["accepted"], &again.body["duplicate"]), (&json!(2), &json!(true)));
    assert_eq!(again.body["rejected"], first.body["rejected"]);
    // Another sequence, another client: other batches, though the records are the same.
    for key in ["client-a:8", "client-b:7"] {
        let other = fixture.api.ingest(&batch, Some(key))?.succeeded()?;
        assert_eq!(other.body["duplicate"], json!(false), "{key}");
    }
    assert_eq!(fixture.api.all(&[])?.len(), 6);
    Ok(())
}

#[test]
fn a_batch_is_known_again_after_a_crash_and_after_a_restart() -> Result<()> {
    let fixture = Fixture::start()?;
    let batch = events(&ids("known", 3));
    fixture.api.ingest(&batch, Some("client-a:1"))?.succeeded()?;
    let fixture = fixture.crash(|| Ok(()))?;
    let again = fixture.api.ingest(&batch, Some("client-a:1"))?.succeeded()?;
    assert_eq!(again.body["duplicate"], json!(true));
    let fixture = fixture.restart(|| Ok(()))?;
    let again = fixture.api.ingest(&batch, Some("client-a:1"))?.succeeded()?;
    assert_eq!(again.body["duplicate"], json!(true));
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&ids("known", 3)));
    Ok(())
}

#[test]
fn records_of_any_time_are_kept_and_those_of_the_future_say_so() -> Result<()> {
    let fixture = Fixture::start()?;
    let at = |time: &str, id: &str| {
        let mut record = event(id);
        record["time"] = time.into();
        record
    };
    let records =
        [at("2200-01-01T00:00:00Z", "ahead"), at("1990-01-01T00:00:00Z", "late"), event("now")];
    fixture.api.ingest(&records, None)?.succeeded()?;
    let found = |fixture: &Fixture| -> Result<(Vec<String>, Vec<String>)> {
        let marked = fixture.api.all(&[("q", "fields.millpond.time_ahead_seconds:>1000000")])?;
        Ok((event_ids(&fixture.api.all(&[])?), event_ids(&marked)))
    };
    let expected = (["ahead", "now", "late"].map(str::to_owned).to_vec(), vec!["ahead".to_owned()]);
    assert_eq!(found(&fixture)?, expected);
    let fixture = fixture.crash(|| Ok(()))?;
    assert_eq!(found(&fixture)?, expected, "from the log");
    let fixture = fixture.restart(|| Ok(()))?;
    assert_eq!(found(&fixture)?, expected, "from segments");
    Ok(())
}

#[test]
fn a_field_that_a_record_has_twice_is_kept_once() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = br#"{"message":"m","a":1,"fields":{"a":2,"b":3},"b":4}"#;
    fixture.api.post(INGEST, &[("Content-Type", "application/json")], body)?.succeeded()?;
    let text = fixture.api.get("/api/v1/logs", &[])?.succeeded()?.text;
    assert!(text.contains(r#""fields":{"a":2,"b":4}"#), "{text}");
    Ok(())
}
