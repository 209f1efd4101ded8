//! Real HTTP requests at both services, paced, with the server killed and started again meanwhile.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use millpond_system_tests::pause;

use serde_json::{Value, json};

use super::system::{ORDERS, OUTAGE, PAYMENTS, System};
use crate::{interrupt::Interrupt, screen};

const CLIENTS: usize = 4;
/// 600 requests of 4 clients take about 8 seconds: long enough to be killed in, short enough to watch.
const PAUSE: Duration = Duration::from_millis(40);

/// What was sent and how it was answered.
#[derive(Default)]
pub(crate) struct Sent {
    statuses: BTreeMap<u16, usize>,
    seconds: f64,
    /// Trace ids that we gave to requests that pass through both services; failed requests first.
    pub(crate) traces: Vec<String>,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.statuses.values().sum();
        let statuses: Vec<_> =
            self.statuses.iter().map(|(status, count)| format!("{status} × {count}")).collect();
        write!(f, "{total} answers in {:.1} s: {}", self.seconds, statuses.join(", "))
    }
}

/// One request and what it is for.
struct Request {
    url: String,
    body: Option<Value>,
    trace_id: String,
    crosses: bool,
}

struct Answer {
    status: u16,
    trace_id: String,
    crosses: bool,
}

/// Sends `requests`; kills the server after 40 % of them and has it back after 60 %.
pub(crate) fn drive(system: &mut System, requests: usize, interrupt: &Interrupt) -> Result<Sent> {
    let urls = [system.service_url(ORDERS), system.service_url(PAYMENTS)];
    let (next, done, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let client = || -> Result<Vec<Answer>> {
        let agent = agent();
        let mut answers = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= requests {
                break;
            }
            answers.push(send(&agent, request(&urls, index))?);
            done.fetch_add(1, Ordering::Relaxed);
            pause(PAUSE);
        }
        Ok(answers)
    };
    let (events, answers) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let finished = || clients.iter().all(thread::ScopedJoinHandle::is_finished);
        let progress = Progress { done: &done, requests };
        let events = disturb(system, &progress, finished, interrupt);
        stopped.store(true, Ordering::Relaxed);
        let answers: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (events, answers)
    });
    events?;
    let mut sent = Sent { seconds: begun.elapsed().as_secs_f64(), ..Sent::default() };
    for answers in answers {
        let Ok(answers) = answers else { bail!("a client panicked") };
        sent.take(answers?);
    }
    Ok(sent)
}

impl Sent {
    fn take(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            *self.statuses.entry(answer.status).or_default() += 1;
            if answer.crosses {
                let place = if answer.status >= 500 { 0 } else { self.traces.len() };
                self.traces.insert(place, answer.trace_id);
            }
        }
    }
}

struct Progress<'a> {
    done: &'a AtomicUsize,
    requests: usize,
}

impl Progress<'_> {
    fn percent(&self) -> usize {
        100 * self.done.load(Ordering::Relaxed) / self.requests.max(1)
    }

    fn show(&self, note: &str) {
        let done = self.done.load(Ordering::Relaxed);
        let bar = screen::bar(done, self.requests, 40);
        screen::passing(&format!("{bar} {done}/{} {note}", self.requests));
    }
}

/// The server's fate while the clients work.
fn disturb(
    system: &mut System,
    progress: &Progress<'_>,
    finished: impl Fn() -> bool,
    interrupt: &Interrupt,
) -> Result<()> {
    let until = |percent: usize, note: &str| -> Result<()> {
        while progress.percent() < percent && !finished() {
            interrupt.pause(Duration::from_millis(50))?;
            progress.show(note);
        }
        screen::passing("");
        Ok(())
    };
    until(40, "")?;
    system.kill_server()?;
    println!("{}", screen::red("✘ server killed with SIGKILL; the traffic goes on"));
    let down = Instant::now();
    until(60, "server down")?;
    interrupt.pause(OUTAGE.saturating_sub(down.elapsed()))?;
    system.restart_server()?;
    println!("{}", screen::green("✔ server back on the same port and data directory"));
    until(100, "")
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(super::PATIENCE)).build().into()
}

/// Most requests are orders, which orders asks payments about; some look an order up, some go to payments directly,
/// some fail.
fn request([orders, payments]: &[String; 2], index: usize) -> Request {
    // No card takes more than 1,000,000 cents; a bug and declined cards are in the services.
    let amount_cents = if index % 29 == 7 { 2_000_000 } else { 500 + index };
    let (url, body, crosses) = match index % 10 {
        8 => (format!("{orders}/orders/{}", index / 2), None, false),
        9 => {
            let charge = json!({ "order_number": 100_000 + index, "amount_cents": amount_cents });
            (format!("{payments}/charge"), Some(charge), false)
        }
        _ => {
            let order =
                json!({ "customer_id": format!("c-{}", index % 50), "amount_cents": amount_cents });
            (format!("{orders}/orders"), Some(order), true)
        }
    };
    Request { url, body, trace_id: trace_id(index), crosses }
}

/// Known beforehand, so that what is found under it owes nothing to what the services say.
fn trace_id(index: usize) -> String {
    format!("6d696c6c706f6e64{index:016x}")
}

fn send(agent: &ureq::Agent, request: Request) -> Result<Answer> {
    let Request { url, body, trace_id, crosses } = request;
    let traceparent = format!("00-{trace_id}-{:016x}-01", 1);
    let answer = match &body {
        None => agent.get(&url).header("traceparent", traceparent).call(),
        Some(body) => {
            let post = agent.post(&url).header("traceparent", traceparent);
            post.header("Content-Type", "application/json").send(body.to_string())
        }
    };
    let mut answer = answer.with_context(|| format!("ask {url}"))?;
    let status = answer.status().as_u16();
    // Read to its end, so that the connection can be used again.
    answer.body_mut().read_to_vec()?;
    Ok(Answer { status, trace_id, crosses })
}
