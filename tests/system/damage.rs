//! Files that came to harm while the server was down: it starts, says which, and serves the rest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fixture::{Fixture, event, event_ids, events, ids, sorted};

/// Every file below `folder` with this extension, in the order of their names.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn newest_log(data_dir: &Path) -> Result<PathBuf> {
    let logs = files(&data_dir.join("wal"), "wal")?;
    let last = logs.into_iter().rfind(|log| fs::metadata(log).is_ok_and(|log| log.len() > 0));
    last.context("no write-ahead log")
}

/// `status` and `complaints` of `/health`.
fn health(fixture: &Fixture) -> Result<(String, Vec<String>)> {
    let reply = fixture.api.get("/health", &[])?.succeeded()?;
    Ok((
        reply.body["status"].as_str().unwrap_or_default().to_owned(),
        texts(&reply.body["complaints"]),
    ))
}

/// The elements of an array of strings; none if it is none.
fn texts(array: &Value) -> Vec<String> {
    let texts = array.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn ok() -> (String, Vec<String>) {
    ("ok".to_owned(), Vec::new())
}

/// Five batches of three, still in the log.
fn with_batches() -> Result<(Fixture, Vec<Vec<String>>)> {
    let fixture = Fixture::start()?;
    let batches: Vec<_> = (0..5).map(|batch| ids(&format!("batch-{batch}"), 3)).collect();
    for (sequence, batch) in batches.iter().enumerate() {
        let key = format!("client:{sequence}");
        fixture.api.ingest(&events(batch), Some(&key))?.succeeded()?;
    }
    Ok((fixture, batches))
}

#[test]
fn garbage_behind_the_log_costs_nothing() -> Result<()> {
    let (fixture, batches) = with_batches()?;
    let data_dir = fixture.data_dir();
    let fixture = fixture.crash(|| {
        let log = newest_log(&data_dir)?;
        let mut bytes = fs::read(&log)?;
        bytes.extend(b"\xff\x00garbage that a torn write left behind".repeat(20));
        Ok(fs::write(&log, bytes)?)
    })?;
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&batches.concat()));
    assert_eq!(health(&fixture)?, ok());
    // What is written from now on is not behind the garbage: it survives the next crash.
    fixture.api.ingest(&[event("afterwards")], None)?.succeeded()?;
    let fixture = fixture.crash(|| Ok(()))?;
    assert_eq!(fixture.api.all(&[])?.len(), 16);
    // The garbage was nobody's record, however often the server starts.
    assert_eq!(health(&fixture)?, ok());
    let fixture = fixture.crash(|| Ok(()))?;
    assert_eq!(fixture.api.all(&[])?.len(), 16);
    assert_eq!(health(&fixture)?, ok());
    Ok(())
}

#[test]
fn a_log_that_was_cut_short_costs_its_last_batch_whole_and_no_other() -> Result<()> {
    let (fixture, batches) = with_batches()?;
    let data_dir = fixture.data_dir();
    let mut fixture = fixture.crash(|| {
        let log = newest_log(&data_dir)?;
        let bytes = fs::read(&log)?;
        Ok(fs::write(&log, &bytes[..bytes.len() - 3])?)
    })?;
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&batches[..4].concat()));
    let said = fixture.server.process().output();
    assert!(said.contains(".wal"), "no word about the damage: {said}");
    // The batch is unknown again, so its client can send it once more.
    let again = fixture.api.ingest(&events(&batches[4]), Some("client:4"))?.succeeded()?;
    assert_eq!(again.body["duplicate"], json!(false));
    let fixture = fixture.crash(|| Ok(()))?;
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&batches.concat()));
    Ok(())
}

#[test]
fn a_damaged_segment_is_named_and_the_others_are_served() -> Result<()> {
    let fixture = Fixture::start()?;
    for day in ["2026-01-30", "2026-01-31"] {
        let mut records = events(&ids(day, 50));
        for record in &mut records {
            record["time"] = json!(format!("{day}T12:00:00Z"));
        }
        fixture.api.ingest(&records, None)?.succeeded()?;
    }
    let data_dir = fixture.data_dir();
    let mut name = String::new();
    let mut fixture = fixture.restart(|| {
        let folder = data_dir.join("segments");
        let segments = files(&folder, "parquet")?;
        let damaged = segments.iter().find(|path| path.to_string_lossy().contains("2026-01-30"));
        let damaged = damaged.with_context(|| format!("no segment of 2026-01-30: {segments:?}"))?;
        name = damaged.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let mut bytes = fs::read(damaged)?;
        bytes.iter_mut().skip(4).for_each(|byte| *byte ^= 0x5a);
        Ok(fs::write(damaged, bytes)?)
    })?;
    let whole = [("from", "2026-01-31T00:00:00Z")];
    let untouched = fixture.api.get("/api/v1/logs", &whole)?.succeeded()?;
    assert_eq!(untouched.body.get("damaged"), None, "{}", untouched.text);
    assert_eq!(sorted(&event_ids(&fixture.api.all(&whole)?)), sorted(&ids("2026-01-31", 50)));
    let names_it = |damaged: &[String]| matches!(damaged, [one] if one.strip_prefix(&name).is_some_and(|rest| rest.starts_with(": ")));
    let touched = fixture.api.get("/api/v1/logs", &[("limit", "1000")])?.succeeded()?;
    assert!(names_it(&texts(&touched.body["damaged"])), "{name}: {}", touched.body["damaged"]);
    assert_eq!(touched.body["logs"].as_array().map(Vec::len), Some(50));
    let days = [("from", "2026-01-30T00:00:00Z"), ("to", "2026-02-01T00:00:00Z")];
    let counted = fixture.api.aggregated(&days)?;
    assert!(names_it(&texts(&counted["damaged"])), "{name}: {counted}");
    assert_eq!(counted["total"], 50);
    let (status, complaints) = health(&fixture)?;
    assert_eq!(status, "degraded");
    assert!(complaints.iter().any(|complaint| complaint.contains(&name)), "{complaints:?}");
    let said = fixture.server.process().output();
    assert!(said.contains(&name), "no word about the damage: {said}");
    fixture.api.ingest(&[event("afterwards")], None)?.succeeded()?;
    let found = fixture.api.all(&[("q", "afterwards"), ("from", "2026-01-31T00:00:00Z")])?;
    assert_eq!(event_ids(&found), ["afterwards"]);
    Ok(())
}
