//! A run: which contestants, how often, in which order; and the processes that it takes.

use std::{
    cell::Cell,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    measure::{Calls, LOGGED, Limit, Throughput},
    outage::Outage,
    report,
    sink::COUNT_PATH,
};

/// How much is measured.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) call_rounds: usize,
    /// Of each kind: with a look at the clock after each call, and without.
    pub(crate) call_bursts: usize,
    pub(crate) throughput_rounds: usize,
    pub(crate) throughput_records: u64,
    pub(crate) limit_records: u64,
    pub(crate) outage_seconds: u64,
}

pub(crate) const FULL: Plan = Plan {
    // The processors run at one of two speeds, now and then, and nobody tells: a median wants rounds.
    call_rounds: 31,
    call_bursts: 40,
    throughput_rounds: 3,
    throughput_records: 1_000_000,
    limit_records: 2_000_000,
    outage_seconds: 20,
};

/// To see that everything works; its numbers say little.
pub(crate) const QUICK: Plan = Plan {
    call_rounds: 1,
    call_bursts: 3,
    throughput_rounds: 1,
    throughput_records: 100_000,
    limit_records: 300_000,
    outage_seconds: 2,
};

pub(crate) const CALLERS: [&str; 9] = [
    "nothing",
    "millpond-tracing",
    "appender-tracing",
    "otel-tracing",
    "sentry-tracing",
    "millpond",
    "millpond-submit",
    "otel",
    "sentry",
];

/// As they come; then with room for all that is logged, or with a caller that waits.
pub(crate) const SENDERS: [&str; 8] = [
    "millpond-tracing",
    "appender-tracing",
    "otel-tracing",
    "sentry-tracing",
    "millpond-tracing:waits",
    "appender-tracing:waits",
    "otel-tracing:1000000",
    "sentry-tracing:1000000",
];

/// As they come; then with room for about as many records as ours holds in its 64 MiB.
pub(crate) const HOLDERS: [&str; 6] = [
    "millpond-tracing",
    "full-disk-tracing",
    "otel-tracing",
    "sentry-tracing",
    "otel-tracing:200000",
    "sentry-tracing:200000",
];

pub(crate) const OUTAGES: [&str; 3] = ["refused", "busy", "mute"];
pub(crate) const LOADS: [&str; 2] = ["steady", "bursts"];

/// A finding of one process, and what the sink has to say.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Round<T> {
    pub(crate) contestant: String,
    pub(crate) round: usize,
    pub(crate) finding: T,
    pub(crate) sink: Count,
    /// What the library wrote to stderr.
    pub(crate) stderr: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) told_lost: u64,
}

/// One of the three outages, with a queue in memory or on disk.
#[derive(Debug, Serialize)]
pub(crate) struct OutageRun {
    pub(crate) outage: &'static str,
    pub(crate) spool: bool,
    pub(crate) load: &'static str,
    pub(crate) finding: Outage,
}

/// All that a run has found.
#[derive(Debug, Serialize)]
pub(crate) struct Findings<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) versions: Vec<(&'static str, String)>,
    pub(crate) calls: Vec<Round<Calls>>,
    pub(crate) throughput: Vec<Round<Throughput>>,
    pub(crate) limit: Vec<Round<Limit>>,
    pub(crate) outages: Vec<OutageRun>,
    pub(crate) seconds: f64,
}

pub(crate) fn all(raw: &Path, scratch: &Path, plan: &Plan) -> Result<()> {
    let begun = Instant::now();
    fs::create_dir_all(scratch)?;
    let bench = Bench { scratch, started: Cell::new(0) };
    let findings = Findings {
        plan,
        versions: report::versions(),
        calls: bench.rounds(&CALLERS, plan.call_rounds, |name| {
            bench.with_sink(name, "calls", &plan.call_bursts.to_string())
        })?,
        throughput: bench.rounds(&SENDERS, plan.throughput_rounds, |name| {
            bench.with_sink(name, "throughput", &plan.throughput_records.to_string())
        })?,
        limit: bench.rounds(&HOLDERS, 1, |name| bench.limit(name, plan.limit_records))?,
        outages: bench.outages(plan.outage_seconds)?,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let mut file = File::create(raw)?;
    serde_json::to_writer_pretty(&mut file, &findings)?;
    writeln!(file)?;
    print!("{}", report::markdown(&findings)?);
    Ok(())
}

struct Bench<'a> {
    scratch: &'a Path,
    /// Processes so far.
    started: Cell<u32>,
}

/// A finding and what came with it.
type Found<T> = (T, Count, String);

impl Bench<'_> {
    fn rounds<T>(
        &self,
        names: &[&str],
        rounds: usize,
        measure: impl Fn(&str) -> Result<Found<T>>,
    ) -> Result<Vec<Round<T>>> {
        let mut found = Vec::new();
        for round in 0..rounds {
            for name in shuffled(names, round as u64) {
                eprintln!("round {}/{rounds} {name}", round + 1);
                let (finding, sink, stderr) = measure(name).with_context(|| name.to_owned())?;
                let contestant = name.to_owned();
                found.push(Round { contestant, round, finding, sink, stderr });
            }
        }
        Ok(found)
    }

    /// A finding about a contestant that has a sink.
    fn with_sink<T: DeserializeOwned>(
        &self,
        name: &str,
        task: &str,
        amount: &str,
    ) -> Result<Found<T>> {
        let sink = Sink::start("takes", 0)?;
        let contestant =
            self.start(&[task, name, &sink.port.to_string(), self.place()?, amount])?;
        let (finding, stderr) = contestant.end()?;
        Ok((finding, sink.count()?, stderr))
    }

    fn limit(&self, name: &str, records: u64) -> Result<Found<Limit>> {
        let port = closed_port()?;
        let mut contestant =
            self.start(&["limit", name, &port.to_string(), self.place()?, &records.to_string()])?;
        ensure!(contestant.line()? == LOGGED, "{name} did not come to the end of the outage");
        let sink = Sink::start("takes", port)?;
        writeln!(contestant.process.0.stdin.take().context("stdin was piped")?)?;
        let (finding, stderr) = contestant.end()?;
        Ok((finding, sink.count()?, stderr))
    }

    /// All at the same time, one load after the other.
    fn outages(&self, seconds: u64) -> Result<Vec<OutageRun>> {
        let mut found = Vec::new();
        for load in LOADS {
            eprintln!("outages, {load}");
            let mut running = Vec::new();
            for outage in OUTAGES {
                for spool in [false, true] {
                    running.push((outage, spool, self.outage(outage, spool, load, seconds)?));
                }
            }
            for (outage, spool, (contestant, _sink)) in running {
                let (finding, _) = contestant.end()?;
                found.push(OutageRun { outage, spool, load, finding });
            }
        }
        Ok(found)
    }

    fn outage(
        &self,
        outage: &str,
        spool: bool,
        load: &str,
        seconds: u64,
    ) -> Result<(Contestant, Option<Sink>)> {
        let sink = match outage {
            "refused" => None,
            manner => Some(Sink::start(manner, 0)?),
        };
        let port = sink.as_ref().map_or_else(closed_port, |sink| Ok(sink.port))?.to_string();
        let directory = self.scratch.join(format!("spool-{outage}"));
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let directory = directory.to_str().context("a path in UTF-8")?;
        let directory = if spool { directory } else { "-" };
        Ok((self.start(&["outage", load, &port, directory, &seconds.to_string()])?, sink))
    }

    fn place(&self) -> Result<&str> {
        self.scratch.to_str().context("a path in UTF-8")
    }

    fn start(&self, arguments: &[&str]) -> Result<Contestant> {
        self.started.set(self.started.get() + 1);
        let stderr_path = self.scratch.join(format!("{}.stderr", self.started.get()));
        let process = child(arguments).stderr(File::create(&stderr_path)?).spawn()?;
        Contestant::of(process, stderr_path)
    }
}

/// This program with other arguments; nothing of the environment sends loopback through a proxy.
fn child(arguments: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let mut command = Command::new(own);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command
}

/// A process that does not outlive its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that measures.
struct Contestant {
    process: Process,
    stdout: BufReader<ChildStdout>,
    stderr_path: PathBuf,
}

impl Contestant {
    fn of(mut child: Child, stderr_path: PathBuf) -> Result<Self> {
        let stdout = BufReader::new(child.stdout.take().context("stdout was piped")?);
        Ok(Self { process: Process(child), stdout, stderr_path })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Its finding, and what was written to stderr.
    fn end<T: DeserializeOwned>(mut self) -> Result<(T, String)> {
        let line = self.line()?;
        let status = self.process.0.wait()?;
        let stderr = fs::read_to_string(&self.stderr_path)?;
        ensure!(status.success(), "{status}: {stderr}");
        Ok((serde_json::from_str(&line).with_context(|| format!("`{line}`"))?, stderr))
    }
}

struct Sink {
    port: u16,
    _process: Process,
}

impl Sink {
    fn start(manner: &str, port: u16) -> Result<Self> {
        let process = child(&["sink", manner, &port.to_string()]).spawn()?;
        let mut sink = Contestant::of(process, PathBuf::new())?;
        let port = sink.line()?.parse().context("the sink has no port")?;
        Ok(Self { port, _process: sink.process })
    }

    fn count(&self) -> Result<Count> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        write!(stream, "GET {COUNT_PATH} HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the sink can't count")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// A port that refuses connections. Not one that the system gives out for outgoing ones: such a connection could be
/// one to itself.
fn closed_port() -> Result<u16> {
    let closed =
        (20_000..32_000).find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    closed.context("every port is taken")
}

/// Another order for each round, the same in each run.
fn shuffled<'a>(names: &[&'a str], round: u64) -> Vec<&'a str> {
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut order = names.to_vec();
    for place in (1..order.len()).rev() {
        // Knuth's generator; its upper bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(place, (state >> 33) as usize % (place + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_everyone_in_another_order() {
        let orders: Vec<_> = (0..5).map(|round| shuffled(&CALLERS, round)).collect();
        for (round, order) in orders.iter().enumerate() {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            let mut all = CALLERS;
            all.sort_unstable();
            assert_eq!(sorted, all);
            assert!(!orders[..round].contains(order));
        }
    }
}
