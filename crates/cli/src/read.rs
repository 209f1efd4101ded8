//! `millpond query` and `millpond tail`.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Args;
use millpond_query::Interval;
use serde_json::Value;

use crate::{
    remote::Remote,
    render::{self, plain},
};

/// Most records that the server gives at once.
const PAGE_RECORDS: usize = 1000;

/// How long `tail` waits before it connects again.
const RECONNECT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// What to look for, such as `level:error service:api "did not respond"`; everything if left out. With pipes, such
    /// as `level:error | stats count() by service`, a table.
    #[arg(default_value = "", allow_hyphen_values = true)]
    query: String,
    #[command(flatten)]
    remote: Remote,
    /// Only records from this time on: RFC 3339, or how long ago, such as 15m.
    #[arg(long)]
    from: Option<String>,
    /// Only records before this time.
    #[arg(long)]
    to: Option<String>,
    /// At most so many records, or rows of a table.
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

/// A time in the server's words; how long ago is counted from its now.
fn time(text: &str) -> String {
    match text.parse::<Interval>() {
        Ok(ago) => format!("now-{ago}"),
        Err(_) => text.to_owned(),
    }
}

/// Writes a record; `false` when nobody reads any more, as behind `| head`.
fn show(out: &mut impl Write, record: &Value, json: bool) -> Result<bool> {
    write(out, &if json { render::json(record) } else { render::line(record) })
}

/// Writes a line; `false` when nobody reads any more.
fn write(out: &mut impl Write, line: &str) -> Result<bool> {
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
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
        let mut parameters = vec![
            ("q", arguments.query.clone()),
            ("limit", left.min(PAGE_RECORDS).to_string()),
            ("total", false.to_string()),
        ];
        parameters.extend(arguments.from.as_deref().map(|from| ("from", time(from))));
        parameters.extend(arguments.to.as_deref().map(|to| ("to", time(to))));
        parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = arguments.remote.get("/api/v1/query", &parameters)?;
        for damaged in page.get("damaged").and_then(Value::as_array).into_iter().flatten() {
            anstream::eprintln!(
                "warning: a part of the data is damaged and was left out: {}",
                plain(&damaged.to_string())
            );
        }
        if let Some(columns) = page.get("columns").and_then(Value::as_array) {
            return show_table(&mut out, columns, &page, arguments.json, PAGE_RECORDS);
        }
        let Some(records) = page.get("logs").and_then(Value::as_array) else {
            bail!("the answer has no `logs`: {}", plain(&page.to_string()))
        };
        for record in records {
            if !show(&mut out, record, arguments.json)? {
                return Ok(());
            }
        }
        left = left.saturating_sub(records.len());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(())
}

/// Shows an answer that is a table. `rows_max` is what the server gives at most.
pub(crate) fn show_table(
    out: &mut impl Write,
    columns: &[Value],
    page: &Value,
    json: bool,
    rows_max: usize,
) -> Result<()> {
    let rows = page.get("rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lines = if json {
        rows.iter().map(|row| render::json_row(columns, row)).collect()
    } else {
        render::table(columns, rows)
    };
    for line in lines {
        if !write(out, &line)? {
            return Ok(());
        }
    }
    if page.get("truncated") == Some(&Value::Bool(true)) {
        anstream::eprintln!("warning: there are more rows; `--limit` shows up to {rows_max}");
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
    let (mut id, mut data, mut missed) = (None, None, false);
    for text in body.lines() {
        // The connection broke; every event that was read whole was shown.
        let Ok(text) = text else { return Ok(true) };
        if let Some(of_event) = text.strip_prefix("id: ") {
            id = Some(of_event.to_owned());
        } else if text == "event: missed" {
            missed = true;
        } else if let Some(record) = text.strip_prefix("data: ") {
            data = Some(record.to_owned());
        } else if text.is_empty() {
            let data = data.take();
            if std::mem::take(&mut missed) {
                let missed = plain(&data.unwrap_or_default());
                anstream::eprintln!("warning: this is too slow, records were left out: {missed}");
            } else if let Some(record) = data
                && !show(out, &serde_json::from_str(&record)?, json)?
            {
                return Ok(false);
            }
            // An event without a record says how far the stream is.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream shows from this place on, and where the next one resumes.
    fn followed(body: &str, from: Option<&str>) -> (String, Option<String>) {
        let mut out = Vec::new();
        let mut last_id = from.map(str::to_owned);
        assert!(follow(body.as_bytes(), &mut out, true, &mut last_id).unwrap());
        (String::from_utf8(out).unwrap(), last_id)
    }

    #[test]
    fn a_tail_that_has_shown_nothing_resumes_where_it_connected() {
        let resumed = (String::new(), Some("42".to_owned()));
        assert_eq!(followed("id: 42\n: connected\n\n", None), resumed);
        assert_eq!(followed("id: 42\n: connected\n\n: \n\n", Some("7")), resumed);
        assert_eq!(followed("id: 41\n: connected\n\nid: 42\n:\n\n", None), resumed);
    }

    #[test]
    fn each_record_is_shown_and_the_last_one_is_remembered() {
        let body =
            "id: 1\n: connected\n\nid: 3\ndata: {\"n\":3}\n\n: \n\nid: 5\ndata: {\"n\":5}\n\n";
        let shown = "{\"n\":3}\n{\"n\":5}\n".to_owned();
        assert_eq!(followed(body, None), (shown, Some("5".to_owned())));
    }

    #[test]
    fn what_was_left_out_is_no_record_and_is_remembered() {
        let body = "id: 3\ndata: {\"n\":3}\n\nid: 9\nevent: missed\ndata: {\"from_id\":4,\"to_id\":9,\"records\":6}\n\n";
        assert_eq!(followed(body, None), ("{\"n\":3}\n".to_owned(), Some("9".to_owned())));
    }

    #[test]
    fn an_event_that_was_cut_off_is_neither_shown_nor_remembered() {
        let whole = "id: 3\ndata: {\"n\":3}\n\n";
        for cut in ["id: 4", "id: 42\n", "id: 42\ndata: {\"n\"", "id: 42\ndata: {\"n\":42}\n"] {
            let (shown, last_id) = followed(&format!("{whole}{cut}"), None);
            assert_eq!((shown.as_str(), last_id.as_deref()), ("{\"n\":3}\n", Some("3")), "{cut:?}");
        }
        assert_eq!(followed("id: 42\n", None), (String::new(), None));
    }
}
