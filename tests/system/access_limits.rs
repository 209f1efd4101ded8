//! What a key may do in a second and in a day, and what is kept of its use.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    access::accepted_soon,
    fixture::{Fixture, event, events, ids},
};

/// `bytes_today` and `last_used` of a key, as the server tells.
fn used(fixture: &Fixture, id: &str) -> Result<(u64, Value)> {
    let body = fixture.api.get("/api/v1/admin/keys", &[])?.succeeded()?.body;
    let keys = body["keys"].as_array().context("no keys")?;
    let key = keys.iter().find(|key| key["id"] == id).context("the key is not listed")?;
    Ok((key["bytes_today"].as_u64().context("no bytes")?, key["last_used"].clone()))
}

#[test]
fn a_key_that_stored_more_records_than_it_may_is_told_to_wait() -> Result<()> {
    let fixture = Fixture::start()?;
    let (api, _) = fixture.new_key(&["--records-per-second", "1"])?;
    accepted_soon(&api)?;
    // A batch above the rate is taken whole, lest it could never be sent.
    api.ingest(&events(&ids("much", 1000)), None)?.succeeded()?;
    let refused = api.ingest(&[event("more")], None)?;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert!(refused.retry_after.is_some_and(|seconds| (1..=1000).contains(&seconds)));
    assert_eq!(api.get("/api/v1/logs", &[])?.status, 200, "reading is not limited");
    fixture.api.ingest(&[event("other key")], None)?.succeeded()?;
    assert_eq!(fixture.api.all(&[])?.len(), 1001);
    Ok(())
}

#[test]
fn a_key_that_asks_too_often_is_told_to_wait() -> Result<()> {
    let fixture = Fixture::start()?;
    let (api, _) = fixture.new_key(&["--requests-per-second", "1"])?;
    let mut refused = None;
    // However slow the machine is, some two of so many come within a second.
    for _ in 0..200 {
        let reply = api.get("/api/v1/key", &[])?;
        refused = refused.or((reply.status == 429).then_some(reply));
    }
    let refused = refused.context("none was refused")?;
    assert_eq!((refused.code(), refused.retry_after), ("rate_limited", Some(1)));
    Ok(())
}

#[test]
fn a_days_bytes_count_what_was_stored_and_survive_a_restart() -> Result<()> {
    let fixture = Fixture::start()?;
    let (api, id) = fixture.new_key(&["--bytes-per-day", "2kB"])?;
    accepted_soon(&api)?;
    let body = zstd::bulk::compress(format!("[{}]", event(&"x".repeat(3000))).as_bytes(), 3)?;
    let headers = [("Content-Encoding", "zstd"), ("Idempotency-Key", "client:1")];
    api.post("/api/v1/ingest", &headers, &body)?.succeeded()?;
    let (bytes, last_used) = used(&fixture, &id)?;
    assert!(bytes > 3000, "{bytes} is before decompression");
    assert!(last_used.is_string());
    let fixture = fixture.restart(|| Ok(()))?;
    assert_eq!(used(&fixture, &id)?, (bytes, last_used));
    let api = fixture.api.with_key(api.key());
    let refused = api.ingest(&[event("more")], None)?;
    assert_eq!((refused.status, refused.code()), (429, "quota_exceeded"));
    assert!(refused.retry_after.is_some_and(|seconds| (1..=86_400).contains(&seconds)));
    fixture.key(&["change", &id, "--bytes-per-day", "none"])?;
    let taken = millpond_system_tests::wait_for(std::time::Duration::from_secs(30), || {
        Ok((api.ingest(&[event("more")], None)?.status == 200).then_some(()))
    })?;
    taken.context("the limit was never lifted")?;
    let (bytes, _) = used(&fixture, &id)?;
    api.post("/api/v1/ingest", &headers, &body)?.succeeded()?;
    assert_eq!(used(&fixture, &id)?.0, bytes, "a duplicate is counted twice");
    Ok(())
}
