//! What one process measures of one contestant. It prints its finding as one line of JSON.

use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    contestants::{Account, set_up},
    stopwatch::{memory_bytes, permille, process_on_processor, thread_on_processor},
};

/// Calls in a row; then all is sent before the next ones. So many fit into the smallest queue of anyone, so that what
/// is measured is a record that is kept, not one that is dropped.
pub(crate) const BURST_CALLS: u32 = 1_000;

/// How long anyone may take to deliver what was logged.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same after an outage.
const PATIENCE_AFTER_OUTAGE: Duration = Duration::from_secs(15);

/// What a call costs its caller.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Calls {
    pub(crate) logged: u64,
    /// Of calls in a row, without a look at the clock between them.
    pub(crate) mean_ns: f64,
    pub(crate) mean_on_processor_ns: f64,
    /// Of calls that were timed one by one; the stopwatch is part of each.
    pub(crate) median_ns: u32,
    pub(crate) p99_ns: u32,
    pub(crate) p999_ns: u32,
    pub(crate) max_ns: u32,
    pub(crate) account: Account,
}

pub(crate) fn calls(name: &str, port: u16, scratch: &Path, bursts: u32) -> Result<()> {
    let contestant = set_up(name, port, scratch)?;
    let mut number = 0;
    let mut burst = |mut timed: Option<&mut Vec<u32>>| {
        let (start, start_on_processor) = (Instant::now(), thread_on_processor());
        for _ in 0..BURST_CALLS {
            match &mut timed {
                None => (contestant.call)(number),
                Some(times) => {
                    let start = Instant::now();
                    (contestant.call)(number);
                    let time = start.elapsed().as_nanos();
                    times.push(u32::try_from(time).unwrap_or(u32::MAX));
                }
            }
            number += 1;
        }
        let on_processor = thread_on_processor().saturating_sub(start_on_processor);
        let wall = start.elapsed();
        ensure!((contestant.flush)(PATIENCE), "{name} did not deliver {BURST_CALLS} records");
        Ok((wall, on_processor))
    };
    burst(None)?;
    let (mut wall, mut on_processor) = (Duration::ZERO, Duration::ZERO);
    let mut times = Vec::with_capacity((bursts * BURST_CALLS) as usize);
    for _ in 0..bursts {
        let cost = burst(None)?;
        wall += cost.0;
        on_processor += cost.1;
        burst(Some(&mut times))?;
    }
    times.sort_unstable();
    let mean = |time: Duration| time.as_nanos() as f64 / f64::from(bursts * BURST_CALLS);
    print(&Calls {
        logged: number,
        mean_ns: mean(wall),
        mean_on_processor_ns: mean(on_processor),
        median_ns: permille(&times, 500),
        p99_ns: permille(&times, 990),
        p999_ns: permille(&times, 999),
        max_ns: permille(&times, 1000),
        account: (contestant.account)(),
    })
}

/// How many records get through when one thread logs as fast as it can.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Throughput {
    pub(crate) logged: u64,
    /// Until the last call returned.
    pub(crate) calling_seconds: f64,
    /// Until all that was kept was delivered.
    pub(crate) wall_seconds: f64,
    /// Of all threads, until then.
    pub(crate) cpu_seconds: f64,
    pub(crate) account: Account,
}

pub(crate) fn throughput(name: &str, port: u16, scratch: &Path, records: u64) -> Result<()> {
    let contestant = set_up(name, port, scratch)?;
    let (start, start_on_processor) = (Instant::now(), process_on_processor());
    (0..records).for_each(&contestant.call);
    let calling = start.elapsed();
    ensure!((contestant.flush)(PATIENCE), "{name} did not deliver what it kept");
    let (wall, on_processor) = (start.elapsed(), process_on_processor());
    print(&Throughput {
        logged: records,
        calling_seconds: calling.as_secs_f64(),
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: on_processor.saturating_sub(start_on_processor).as_secs_f64(),
        account: (contestant.account)(),
    })
}

/// What becomes of more records than anyone may hold while nobody takes them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Limit {
    pub(crate) logged: u64,
    /// Resident memory before the first call, and its peak.
    pub(crate) memory_bytes_before: u64,
    pub(crate) memory_bytes_peak: u64,
    pub(crate) calling_seconds: f64,
    /// Whether it said after the outage that it had delivered what it kept.
    pub(crate) flushed: bool,
    pub(crate) account: Account,
}

/// Logs while the port is closed; then says so, and goes on when a line comes: now there is a sink.
pub(crate) fn limit(name: &str, port: u16, scratch: &Path, records: u64) -> Result<()> {
    let contestant = set_up(name, port, scratch)?;
    let memory_bytes_before = memory_bytes("VmRSS");
    let start = Instant::now();
    (0..records).for_each(&contestant.call);
    let calling_seconds = start.elapsed().as_secs_f64();
    let memory_bytes_peak = memory_bytes("VmHWM");
    println!("{LOGGED}");
    stdin().lock().read_line(&mut String::new())?;
    // One more, for those who tell the server of their losses with the next record.
    (contestant.call)(records);
    let flushed = (contestant.flush)(PATIENCE_AFTER_OUTAGE);
    print(&Limit {
        logged: records + 1,
        memory_bytes_before,
        memory_bytes_peak,
        calling_seconds,
        flushed,
        account: (contestant.account)(),
    })
}

/// What [`limit`] prints when the outage may end.
pub(crate) const LOGGED: &str = "logged";

/// One line on stdout, for the run.
pub(crate) fn print(finding: &impl Serialize) -> Result<()> {
    let mut stdout = stdout().lock();
    serde_json::to_writer(&mut stdout, finding)?;
    writeln!(stdout)?;
    // Not through the destructors of those who would wait for what can't be delivered.
    stdout.flush()?;
    std::process::exit(0);
}
