//! Five questions that people ask, each first once and then again and again.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use millpond_system_tests::Api;
use serde_json::Value;

use super::lines::Lines;
use crate::interrupt::Interrupt;

const REPEATS: usize = 15;
/// All of the lines; counts without a window are of the last day.
const FROM: (&str, &str) = ("from", "2026-01-31T00:00:00Z");
const TO: (&str, &str) = ("to", "2026-02-02T00:00:00Z");

pub(crate) struct Answer {
    pub(crate) question: &'static str,
    /// Records or count that it found, so that two runs can be seen to do the same.
    pub(crate) found: u64,
    pub(crate) first_ms: f64,
    pub(crate) median_ms: f64,
}

struct Question {
    name: &'static str,
    path: String,
    parameters: Vec<(&'static str, &'static str)>,
}

pub(crate) fn run(api: &Api, lines: &Lines, interrupt: &Interrupt) -> Result<Vec<Answer>> {
    questions(lines)?.iter().map(|question| answer(api, question, interrupt)).collect()
}

fn questions(lines: &Lines) -> Result<[Question; 5]> {
    let logs = || "/api/v1/logs".to_owned();
    let counts = || "/api/v1/logs/aggregated".to_owned();
    let question = |name, path, parameters| Question { name, path, parameters };
    Ok([
        question("a word, newest 100", logs(), vec![("q", "deadlock")]),
        question(
            "a phrase, counted",
            counts(),
            vec![("q", "\"upstream did not respond\""), FROM, TO],
        ),
        question("a trace id", format!("/api/v1/logs/trace/{}", lines.a_trace_id()?), Vec::new()),
        question(
            "level and service, newest 100",
            logs(),
            vec![("q", "level:error service:payments")],
        ),
        question("histogram by level, everything", counts(), vec![FROM, TO]),
    ])
}

fn answer(api: &Api, question: &Question, interrupt: &Interrupt) -> Result<Answer> {
    let mut times_ms = Vec::new();
    let mut found = None;
    for _ in 0..=REPEATS {
        interrupt.check()?;
        let begun = Instant::now();
        let reply = api.get(&question.path, &question.parameters)?.succeeded()?;
        times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        let now = size(&reply.body).context("an answer without logs and total")?;
        ensure!(*found.get_or_insert(now) == now, "{}: the answer changed", question.name);
    }
    let first_ms = times_ms.remove(0);
    times_ms.sort_by(f64::total_cmp);
    let median_ms = times_ms.get(REPEATS / 2).copied().unwrap_or_default();
    let found = found.unwrap_or_default();
    println!("{:<34} {first_ms:>9.1} {median_ms:>9.1} ms  {found}", question.name);
    Ok(Answer { question: question.name, found, first_ms, median_ms })
}

fn size(body: &Value) -> Option<u64> {
    let logs = body.get("logs").and_then(Value::as_array).map(|logs| logs.len() as u64);
    logs.or_else(|| body.get("total").and_then(Value::as_u64))
}
