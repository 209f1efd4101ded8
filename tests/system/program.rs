//! `millpond query` and `millpond tail` as a person runs them.

use std::{process::Command, time::Duration};

use anyhow::Result;
use millpond_system_tests::{Process, built_program, wait_for};
use serde_json::{Value, json};

use crate::fixture::{Fixture, event, output};

fn millpond(fixture: &Fixture, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(built_program("millpond")?);
    command.args(arguments);
    command.env("MILLPOND_ENDPOINT", fixture.api.url()).env("MILLPOND_API_KEY", fixture.api.key());
    Ok(command)
}

#[test]
fn query_prints_what_it_finds() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut failed = event("wanted");
    failed["level"] = "error".into();
    fixture.api.ingest(&[event("unwanted"), failed], None)?.succeeded()?;
    let found = output(&mut millpond(&fixture, &["query", "level:error"])?)?;
    assert!(found.contains("event wanted") && !found.contains("unwanted"), "{found}");
    Ok(())
}

#[test]
fn query_prints_no_control_characters_of_a_record() -> Result<()> {
    let fixture = Fixture::start()?;
    let hostile = "a\u{1b}[2J\u{9b}2J\u{202e}b";
    let record = json!({ "message": hostile, "service": hostile, "fields": { hostile: hostile } });
    fixture.api.ingest(&[record], None)?.succeeded()?;
    let line = output(&mut millpond(&fixture, &["query"])?)?;
    assert!(!line.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    assert!(line.contains(r"a\u{1b}[2J\u{9b}2J\u{202e}b"), "{line:?}");
    let line = output(&mut millpond(&fixture, &["query", "--json"])?)?;
    assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    let record: Value = serde_json::from_str(&line)?;
    assert_eq!((&record["service"], &record["message"]), (&json!(hostile), &json!(hostile)));
    Ok(())
}

#[test]
fn key_list_prints_no_control_characters_of_a_name() -> Result<()> {
    let fixture = Fixture::start()?;
    fixture.key(&["create", "--name", "a\u{1b}[2J\u{9b}b"])?;
    let listed = fixture.key(&["list"])?;
    assert!(listed.contains(r"a\u{1b}[2J\u{9b}b"), "{listed:?}");
    Ok(())
}

#[test]
fn a_wrong_query_or_key_fails_with_the_servers_words() -> Result<()> {
    let fixture = Fixture::start()?;
    let wrong = output(&mut millpond(&fixture, &["query", "(level:error"])?);
    assert!(wrong.is_err_and(|error| error.to_string().contains("expected")));
    let mut command = millpond(&fixture, &["query", "x", "--key", "mp_wrong"])?;
    assert!(output(&mut command).is_err_and(|error| error.to_string().contains("key")));
    Ok(())
}

#[test]
fn tail_prints_records_as_they_arrive() -> Result<()> {
    let fixture = Fixture::start()?;
    let log = fixture.folder.path().join("tail.log");
    let tail = Process::start("millpond tail", &mut millpond(&fixture, &["tail"])?, &log)?;
    // Nothing says when a tail has begun: it is sent to until it shows something.
    let shown = wait_for(Duration::from_secs(60), || {
        fixture.api.ingest(&[event("seen")], None)?.succeeded()?;
        Ok(tail.output().contains("event seen").then_some(()))
    })?;
    assert!(shown.is_some(), "{}", tail.output());
    Ok(())
}
