//! `GET /api/v1/logs/stream`: everything that is stored, once, also across a lost connection.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use millpond_system_tests::wait_for;
use serde_json::Value;

use crate::{
    fixture::{Fixture, event, event_ids, events, ids, printed_key},
    tails,
};

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
fn a_reader_that_reconnects_again_and_again_sees_each_record_once() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent = ids("kept", 1200);
    let (id, _) = first_id(&fixture)?;
    let (api, to_send) = (fixture.api.clone(), sent.clone());
    let sending = thread::spawn(move || -> Result<()> {
        for part in to_send.chunks(15) {
            api.ingest(&events(part), None)?.succeeded()?;
        }
        Ok(())
    });
    let (mut seen, mut last_id) = (Vec::new(), id);
    for round in 1.. {
        let mut stream = fixture.api.stream(&[("q", "event")], Some(&last_id))?;
        for _ in 0..(round * 37 % 101).min(sent.len() - seen.len()) {
            let (id, record) = stream.next().context("the stream ended")??;
            seen.push(record);
            last_id = id;
        }
        if seen.len() == sent.len() {
            break;
        }
    }
    sending.join().map_err(|_| anyhow::anyhow!("sending panicked"))??;
    assert_eq!(event_ids(&seen), sent);
    Ok(())
}

#[test]
fn streams_with_different_filters_run_side_by_side() -> Result<()> {
    let fixture = Fixture::start()?;
    let (sent, each) = (ids("split", 200), 50);
    let first = fixture.api.stream(&[("q", "fields.quarter:0")], None)?;
    let third = fixture.api.stream(&[("q", "fields.quarter:>=2 -fields.quarter:3")], None)?;
    let mut records = events(&sent);
    for (index, record) in records.iter_mut().enumerate() {
        record["fields"]["quarter"] = (index % 4).into();
    }
    for part in records.chunks(30) {
        fixture.api.ingest(part, None)?.succeeded()?;
    }
    let of_quarter = |quarter| sent.iter().skip(quarter).step_by(4).cloned().collect::<Vec<_>>();
    let first = first.take(each).map(|event| Ok(event?.1)).collect::<Result<Vec<_>>>()?;
    let third = third.take(each).map(|event| Ok(event?.1)).collect::<Result<Vec<_>>>()?;
    assert_eq!(event_ids(&first), of_quarter(0));
    assert_eq!(event_ids(&third), of_quarter(2));
    Ok(())
}

#[test]
fn a_key_in_the_address_opens_a_stream_and_nothing_else() -> Result<()> {
    let mut fixture = Fixture::start()?;
    let key = fixture.api.key().to_owned();
    let wrong = fixture.api.bare("GET", "/api/v1/logs/stream?token=mp_wrong", &[])?;
    assert_eq!((wrong.status, wrong.code()), (401, "invalid_key"));
    let elsewhere = fixture.api.bare("GET", &format!("/api/v1/logs?token={key}"), &[])?;
    assert_eq!((elsewhere.status, elsewhere.code()), (401, "missing_key"));
    let mistyped = format!("/api/v1/logs/stream?token={key}&q=(");
    let mistyped = fixture.api.bare("GET", &mistyped, &[])?;
    assert_eq!((mistyped.status, mistyped.code()), (400, "invalid_query"));
    assert!(!mistyped.text.contains(&key), "{}", mistyped.text);
    let no_key = fixture.api.with_key("");
    assert!(no_key.stream(&[("token", &key)], None).is_err(), "a header wins");
    assert_eq!(tails::Tail::open(&fixture, &key, "")?.next_line()?, "id: 0");
    // It was printed when it was made, and not again.
    assert_eq!(fixture.server.process().output().matches(&key).count(), 1);
    Ok(())
}

#[test]
fn a_stream_ends_when_the_server_is_told_to_stop() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut stream = fixture.api.stream(&[], None)?;
    let ended = thread::spawn(move || stream.next().is_none());
    fixture.server.stop()?;
    assert!(ended.join().map_err(|_| anyhow::anyhow!("reading panicked"))?);
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

/// An event to resume behind.
fn first_id(fixture: &Fixture) -> Result<(String, Value)> {
    let mut stream = fixture.api.stream(&[], None)?;
    fixture.api.ingest(&[event("first")], None)?.succeeded()?;
    stream.next().context("the stream ended")?
}
