//! `GET /api/v1/logs/stream`: everything that is stored, once, also across a lost connection.

use std::time::Duration;

use anyhow::{Context, Result};
use millpond_system_tests::wait_for;

use crate::fixture::{Fixture, event, event_ids, events, ids, printed_key};

#[test]
fn a_stream_shows_what_is_stored_from_now_on() -> Result<()> {
    let fixture = Fixture::start()?;
    fixture.api.ingest(&[event("before")], None)?.succeeded()?;
    let mut stream = fixture.api.stream(&[("q", "event")], None)?;
    let sent = ids("live", 20);
    fixture.api.ingest(&events(&sent), None)?.succeeded()?;
    let mut seen = Vec::new();
    for _ in &sent {
        seen.push(stream.next().context("the stream ended")??.1);
    }
    assert_eq!(event_ids(&seen), sent);
    Ok(())
}

#[test]
fn a_stream_resumes_behind_the_last_event_with_nothing_lost_and_nothing_twice() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent = ids("resumed", 30);
    let mut stream = fixture.api.stream(&[], None)?;
    fixture.api.ingest(&events(&sent[..10]), None)?.succeeded()?;
    let mut seen = Vec::new();
    let mut last_id = String::new();
    for _ in 0..5 {
        let (id, record) = stream.next().context("the stream ended")??;
        seen.push(record);
        last_id = id;
    }
    drop(stream);
    fixture.api.ingest(&events(&sent[10..]), None)?.succeeded()?;
    let mut stream = fixture.api.stream(&[], Some(&last_id))?;
    while seen.len() < sent.len() {
        seen.push(stream.next().context("the stream ended")??.1);
    }
    assert_eq!(event_ids(&seen), sent);
    Ok(())
}

#[test]
fn a_stream_shows_only_what_its_filter_lets_through() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut stream = fixture.api.stream(&[("q", "level:error"), ("service", "tests")], None)?;
    let mut failed = event("failed");
    failed["level"] = "error".into();
    fixture.api.ingest(&[event("fine"), failed, event("fine as well")], None)?.succeeded()?;
    let (_, record) = stream.next().context("the stream ended")??;
    assert_eq!(event_ids(&[record]), ["failed"]);
    Ok(())
}

#[test]
fn a_stream_can_not_start_behind_the_newest_record() -> Result<()> {
    let fixture = Fixture::start()?;
    fixture.api.ingest(&[event("x")], None)?.succeeded()?;
    for id in ["1000", "18446744073709551615", "-1", "x"] {
        let reply = fixture.api.get("/api/v1/logs/stream", &[("last_event_id", id)])?;
        assert_eq!(
            (reply.status, reply.code()),
            (400, "invalid_parameter"),
            "{id}: {}",
            reply.text
        );
    }
    Ok(())
}

#[test]
fn a_stream_ends_when_its_key_is_revoked() -> Result<()> {
    let fixture = Fixture::start()?;
    let created = fixture.key(&["create", "--name", "stream"])?;
    let api = fixture.api.with_key(&printed_key(&created)?);
    let mut stream = api.stream(&[], None)?;
    let listed = fixture.key(&["list"])?;
    let line = listed.lines().find(|line| line.ends_with("stream")).context("not listed")?;
    fixture.key(&["revoke", line.split_whitespace().next().context("no id")?])?;
    let refused = wait_for(Duration::from_secs(30), || {
        Ok((api.get("/api/v1/logs", &[])?.status == 401).then_some(()))
    })?;
    assert!(refused.is_some(), "the key was never refused");
    fixture.api.ingest(&[event("secret")], None)?.succeeded()?;
    assert!(stream.next().is_none(), "the stream went on");
    Ok(())
}
