//! `millpond query` and `millpond tail`.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Args;
use millpond_query::Interval;
use millpond_record::Timestamp;
use serde_json::Value;

use crate::{key::now, remote::Remote, render::line};

/// Most records that the server gives at once.
const PAGE_RECORDS: usize = 1000;

/// How long `tail` waits before it connects again.
const RECONNECT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// What to look for, such as `level:error service:api "did not respond"`; everything if left out.
    #[arg(default_value = "", allow_hyphen_values = true)]
    query: String,
    #[command(flatten)]
    remote: Remote,
    /// Only records from this time on: RFC 3339, or how long ago, such as 15m.
    #[arg(long, value_parser = time)]
    from: Option<Timestamp>,
    /// Only records before this time.
    #[arg(long, value_parser = time)]
    to: Option<Timestamp>,
    /// At most so many records.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// What to show; everything if left out.
    #[arg(default_value = "", allow_hyphen_values = true)]
    query: String,
    #[command(flatten)]
    remote: Remote,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Reads a time, or how long ago it was.
fn time(text: &str) -> Result<Timestamp> {
    if let Ok(ago) = text.parse::<Interval>() {
        return Ok(Timestamp::from_nanos(now().nanos().saturating_sub(ago.nanos())));
    }
    Ok(Timestamp::parse(text)?)
}

/// Writes a record; `false` when nobody reads any more, as behind `| head`.
fn show(out: &mut impl Write, record: &Value, json: bool) -> Result<bool> {
    let written = if json { writeln!(out, "{record}") } else { writeln!(out, "{}", line(record)) };
    match written.and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn query(arguments: &QueryArguments) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let mut left = arguments.limit;
    let mut cursor: Option<String> = None;
    while left > 0 {
        let mut parameters =
            vec![("q", arguments.query.clone()), ("limit", left.min(PAGE_RECORDS).to_string())];
        parameters.extend(arguments.from.map(|from| ("from", from.to_string())));
        parameters.extend(arguments.to.map(|to| ("to", to.to_string())));
        parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = arguments.remote.get("/api/v1/logs", &parameters)?;
        let Some(records) = page.get("logs").and_then(Value::as_array) else {
            bail!("the answer has no `logs`: {page}")
        };
        for record in records {
            if !show(&mut out, record, arguments.json)? {
                return Ok(());
            }
        }
        for damaged in page.get("damaged").and_then(Value::as_array).into_iter().flatten() {
            anstream::eprintln!(
                "warning: a part of the data is damaged and was left out: {damaged}"
            );
        }
        left = left.saturating_sub(records.len());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(())
}

pub(crate) fn tail(arguments: &TailArguments) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let mut last_id: Option<String> = None;
    let mut connected = false;
    loop {
        let mut parameters = vec![("q", arguments.query.clone())];
        parameters.extend(last_id.clone().map(|id| ("last_event_id", id)));
        match arguments.remote.open("/api/v1/logs/stream", &parameters, None) {
            Ok(body) => {
                connected = true;
                if !follow(BufReader::new(body), &mut out, arguments.json, &mut last_id)? {
                    return Ok(());
                }
            }
            // A server that was there comes back; one that never was is a mistake.
            Err(error) if connected && error.downcast_ref::<ureq::Error>().is_some() => {}
            Err(error) => return Err(error),
        }
        wait(RECONNECT_WAIT);
    }
}

/// Shows the events of one connection; `false` when nobody reads any more.
fn follow(
    body: impl BufRead,
    out: &mut impl Write,
    json: bool,
    last_id: &mut Option<String>,
) -> Result<bool> {
    let mut id = None;
    for text in body.lines() {
        // The connection broke; what was read whole was shown.
        let Ok(text) = text else { return Ok(true) };
        if let Some(of_event) = text.strip_prefix("id: ") {
            id = Some(of_event.to_owned());
        } else if let Some(record) = text.strip_prefix("data: ") {
            if !show(out, &serde_json::from_str(record)?, json)? {
                return Ok(false);
            }
            *last_id = id.take().or_else(|| last_id.take());
        }
    }
    Ok(true)
}

fn wait(time: Duration) {
    let never = Mutex::new(());
    let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
    // Nothing notifies: the signal that ends the program ends the wait.
    drop(Condvar::new().wait_timeout(guard, time));
}
