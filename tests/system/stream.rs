//! `GET /api/v1/logs/stream`: everything that is stored, once, also across a lost connection.

use anyhow::{Context, Result};

use crate::fixture::{Fixture, event, event_ids, events, ids};

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
