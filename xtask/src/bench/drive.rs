//! Sends the lines over several connections, as fast as the server takes them.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use millpond_system_tests::{Api, pause};

use super::lines::Lines;
use crate::{interrupt::Interrupt, screen};

const BODY_BYTES: usize = 1 << 20;

pub(crate) struct Sent {
    pub(crate) wall: Duration,
    pub(crate) requests: usize,
    /// Times that the server asked to come back later.
    pub(crate) postponed: usize,
}

/// `round` tells the lines of one time from the same ones of another.
pub(crate) fn ingest(
    api: &Api,
    lines: &Lines,
    connections: usize,
    round: usize,
    interrupt: &Interrupt,
) -> Result<Sent> {
    let bodies = lines.bodies(BODY_BYTES);
    let (next, done, postponed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let stopped = AtomicBool::new(false);
    let connection = || -> Result<usize> {
        let api = Api::new(api.url(), api.key());
        let mut accepted = 0;
        while !stopped.load(Ordering::Relaxed) {
            let sequence = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(sequence) else { break };
            let key = format!("bench-{round}:{sequence}");
            accepted += send(&api, &key, body, &postponed)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(accepted)
    };
    let begun = Instant::now();
    let (watched, accepted) = thread::scope(|scope| {
        let senders: Vec<_> = (0..connections).map(|_| scope.spawn(connection)).collect();
        let mut watched = Ok(());
        while watched.is_ok() && !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            let sent = done.load(Ordering::Relaxed);
            screen::passing(&format!(
                "{} {sent}/{} MB",
                screen::bar(sent, bodies.len(), 40),
                bodies.len()
            ));
            watched = interrupt.pause(Duration::from_millis(20));
        }
        stopped.store(true, Ordering::Relaxed);
        (watched, senders.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>())
    });
    let wall = begun.elapsed();
    screen::passing("");
    watched?;
    let mut total = 0;
    for accepted in accepted {
        let Ok(accepted) = accepted else { bail!("a connection panicked") };
        total += accepted?;
    }
    ensure!(total == lines.count, "{total} of {} lines were accepted", lines.count);
    Ok(Sent { wall, requests: bodies.len(), postponed: postponed.into_inner() })
}

/// One body, until it is taken; how many records were. The key says that it is not another's.
fn send(api: &Api, key: &str, body: &str, postponed: &AtomicUsize) -> Result<usize> {
    let headers = [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", key)];
    loop {
        let reply = api.post("/api/v1/ingest", &headers, body.as_bytes())?;
        match (reply.status, reply.retry_after) {
            (429 | 503, Some(seconds)) => {
                postponed.fetch_add(1, Ordering::Relaxed);
                pause(Duration::from_secs(seconds));
            }
            _ => {
                let accepted =
                    reply.succeeded()?.body.get("accepted").and_then(serde_json::Value::as_u64);
                return Ok(usize::try_from(accepted.unwrap_or(0))?);
            }
        }
    }
}
