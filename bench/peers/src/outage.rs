//! How long the application's calls take while the server is away, beside threads that do the same at the same times
//! but log nothing: what they wait for is the machine.

use std::{
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use millpond::Client;
use serde::{Deserialize, Serialize};

use crate::{measure::print, stopwatch::permille};

/// How the application logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// 500 records a second from one thread.
    Steady,
    /// 100 records at once from each of four threads, five times a second.
    Bursts,
}

impl Load {
    fn threads(self) -> usize {
        match self {
            Self::Steady => 1,
            Self::Bursts => 4,
        }
    }

    fn burst(self) -> (u32, Duration) {
        match self {
            Self::Steady => (1, Duration::from_millis(2)),
            Self::Bursts => (100, Duration::from_millis(200)),
        }
    }
}

impl FromStr for Load {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "steady" => Self::Steady,
            "bursts" => Self::Bursts,
            _ => bail!("a load is steady or comes in bursts, not `{word}`"),
        })
    }
}

/// Calls of one kind, in microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Times {
    pub(crate) calls: u64,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

/// What an outage did to the application.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Outage {
    pub(crate) logging: Times,
    pub(crate) idle: Times,
    pub(crate) queued: u64,
    pub(crate) spooled: u64,
    pub(crate) lost: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
}

/// `spool` is a directory, or `-` for none.
pub(crate) fn measure(load: Load, port: u16, spool: &str, seconds: u64) -> Result<()> {
    let builder = Client::builder()
        .endpoint(format!("http://127.0.0.1:{port}"))
        .service("outage")
        .shutdown_timeout(Duration::ZERO);
    let client = if spool == "-" { builder } else { builder.spool(spool) }.build()?;
    let length = Duration::from_secs(seconds);
    let (logging, idle) = thread::scope(|scope| {
        let start = |logs: bool| {
            let client = &client;
            let call = move |number: u64| {
                if logs {
                    log(client, number);
                } else {
                    std::hint::black_box(number);
                }
            };
            scope.spawn(move || pace(load, length, call))
        };
        let logging: Vec<_> = (0..load.threads()).map(|_| start(true)).collect();
        let idle: Vec<_> = (0..load.threads()).map(|_| start(false)).collect();
        (together(logging), together(idle))
    });
    let metrics = client.metrics();
    print(&Outage {
        logging,
        idle,
        queued: metrics.queued,
        spooled: metrics.spooled,
        lost: metrics.dropped.total(),
        errors: metrics.errors,
    })
}

fn log(client: &Client, number: u64) {
    client
        .info("order placed")
        .field("order_id", number)
        .field("total", 19.99)
        .field("user", "u_4711")
        .field("cached", false)
        .field("path", "/api/v1/orders")
        .send();
}

/// Calls at the load's times for so long; how long each took, in nanoseconds.
fn pace(load: Load, length: Duration, call: impl Fn(u64)) -> Vec<u32> {
    let (calls, interval) = load.burst();
    let (begun, mut times, mut number) = (Instant::now(), Vec::new(), 0);
    let mut next = begun;
    while next.duration_since(begun) < length {
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        for _ in 0..calls {
            let start = Instant::now();
            call(number);
            times.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
            number += 1;
        }
        next += interval;
    }
    times
}

fn together(threads: Vec<thread::ScopedJoinHandle<'_, Vec<u32>>>) -> Times {
    let mut times: Vec<u32> =
        threads.into_iter().flat_map(|thread| thread.join().expect("pacing panics not")).collect();
    times.sort_unstable();
    let us = |of| f64::from(permille(&times, of)) / 1e3;
    Times {
        calls: times.len() as u64,
        median_us: us(500),
        p99_us: us(990),
        p999_us: us(999),
        max_us: us(1000),
    }
}
