//! The questions that people ask, each first once and then again and again.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use millpond_system_tests::Api;
use serde_json::{Value, json};

use super::lines::Lines;
use crate::interrupt::Interrupt;

const REPEATS: usize = 15;

pub(crate) struct Answer {
    pub(crate) question: &'static Question,
    /// Records, rows or the count that it found, so that two runs can be seen to do the same.
    pub(crate) found: u64,
    pub(crate) first_ms: f64,
    pub(crate) median_ms: f64,
}

/// A question, and what others need for it on one million of the same lines.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    /// In the query language; `TRACE` is a trace id of the lines, `RARE` a word of one of them.
    text: &'static str,
    /// Medians over HTTP in milliseconds on a machine of two cores, the first asking of an aggregate for Quickwit:
    /// VictoriaLogs 1.26, ClickHouse 26.7 with a text index, Quickwit 0.9.
    pub(crate) peers_ms: [Option<f64>; 3],
}

const fn question(
    name: &'static str,
    text: &'static str,
    victoria_logs: f64,
    click_house: f64,
    quickwit: Option<f64>,
) -> Question {
    Question { name, text, peers_ms: [Some(victoria_logs), Some(click_house), quickwit] }
}

pub(crate) const QUESTIONS: [Question; 15] = [
    question("count all", "* | stats count()", 10.0, 1.6, Some(1.8)),
    question(
        "phrase, count",
        "\"upstream did not respond\" | stats count()",
        15.0,
        25.0,
        Some(2.2),
    ),
    question("word, newest 100", "deadlock", 74.0, 69.0, Some(60.0)),
    question("by trace id", "trace_id:TRACE", 4.0, 13.0, Some(4.0)),
    question("rare word", "RARE", 2.0, 12.0, Some(4.0)),
    question("substring, count", "*ssuer* | stats count()", 131.0, 71.0, None),
    question(
        "level and service, newest 100",
        "level:error service:payments",
        26.0,
        24.0,
        Some(53.0),
    ),
    question("field equals number, count", "http.status:503 | stats count()", 4.0, 30.0, Some(2.5)),
    question("number above, count", "duration_ms:>1000 | stats count()", 42.0, 19.0, Some(2.4)),
    question("count by service", "* | stats count() by service", 6.0, 8.0, Some(2.7)),
    question(
        "histogram by level, 5 minutes",
        "* | stats count() by level, bin(5m)",
        51.0,
        40.0,
        Some(37.0),
    ),
    question("top ten users", "* | top 10 user_id", 110.0, 43.0, Some(26.0)),
    question(
        "p95 of a number by service",
        "* | stats p95(duration_ms) by service",
        130.0,
        37.0,
        Some(14.0),
    ),
    question("distinct trace ids, exact", "* | stats count_distinct(trace_id)", 625.0, 188.0, None),
    question("newest 100 rows", "*", 198.0, 138.0, Some(26.0)),
];

pub(crate) fn run(api: &Api, lines: &Lines, interrupt: &Interrupt) -> Result<Vec<Answer>> {
    QUESTIONS.iter().map(|question| answer(api, lines, question, interrupt)).collect()
}

fn answer(
    api: &Api,
    lines: &Lines,
    question: &'static Question,
    interrupt: &Interrupt,
) -> Result<Answer> {
    let text =
        question.text.replace("TRACE", &lines.a_trace_id()?).replace("RARE", &lines.a_rare_word()?);
    let limit = if text.contains('|') { 10_000 } else { 100 };
    let body = json!({ "q": text, "limit": limit, "total": false }).to_string();
    let mut times_ms = Vec::new();
    let mut found = None;
    for _ in 0..=REPEATS {
        interrupt.check()?;
        let begun = Instant::now();
        let headers = [("Content-Type", "application/json")];
        let reply = api.post("/api/v1/query", &headers, body.as_bytes())?.succeeded()?;
        times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        let now = size(&reply.body).context("an answer without logs and rows")?;
        ensure!(*found.get_or_insert(now) == now, "{}: the answer changed", question.name);
    }
    let first_ms = times_ms.remove(0);
    times_ms.sort_by(f64::total_cmp);
    let median_ms = times_ms.get(REPEATS / 2).copied().unwrap_or_default();
    let found = found.unwrap_or_default();
    println!("{:<34} {first_ms:>9.1} {median_ms:>9.1} ms  {found}", question.name);
    Ok(Answer { question, found, first_ms, median_ms })
}

/// The number in a table of one cell, else the number of rows or records.
fn size(body: &Value) -> Option<u64> {
    let rows = body.get("rows").or_else(|| body.get("logs"))?.as_array()?;
    let cell = match rows.as_slice() {
        [only] => only
            .as_array()
            .filter(|cells| cells.len() == 1)
            .and_then(|cells| cells.first()?.as_u64()),
        _ => None,
    };
    Some(cell.unwrap_or(rows.len() as u64))
}
