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

use super::system::{OUTAGE, System};
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
    body: serde_json::Value,
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
    let urls = [system.service_url("shop"), system.service_url("payments")];
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

/// Most requests are orders at the shop, which asks payments; some go to payments directly; some fail.
fn request(urls: &[String; 2], index: usize) -> Request {
    let [shop, payments] = urls;
    let direct = index % 5 == 4;
    let url = if direct { format!("{payments}/pay") } else { format!("{shop}/orders") };
    // An amount that payments declines comes every so often.
    let amount = if index.is_multiple_of(13) { 100_000 } else { 100 + index };
    Request {
        url,
        body: serde_json::json!({ "item": "lamp", "quantity": 1 + index % 3, "amount": amount }),
        trace_id: format!("{:016x}{index:016x}", 0x6d69_6c6c_706f_6e64_u64),
        crosses: !direct,
    }
}

fn send(agent: &ureq::Agent, request: Request) -> Result<Answer> {
    let traceparent = format!("00-{}-{:016x}-01", request.trace_id, 1);
    let post = agent.post(&request.url).header("traceparent", traceparent);
    let post = post.header("Content-Type", "application/json");
    let body = serde_json::to_vec(&request.body)?;
    let mut response = post.send(&body).with_context(|| format!("POST {}", request.url))?;
    let status = response.status().as_u16();
    // Read to its end, so that the connection can be used again.
    response.body_mut().read_to_vec()?;
    Ok(Answer { status, trace_id: request.trace_id, crosses: request.crosses })
}
