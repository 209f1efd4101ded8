//! Millpond's Rust client side by side with crates that anyone can get, on one machine, in one run.
//!
//! `millpond-peers run` starts a fresh process for each contestant and each round, in a new order each round, and one
//! more for the sink that takes what they send. What the run found goes to stdout as Markdown and to a file as JSON.

mod contestants;
mod measure;
mod outage;
mod report;
mod run;
mod sink;
mod stopwatch;
mod tally;

use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", raw, scratch] => run::all(Path::new(raw), Path::new(scratch), &run::FULL),
        ["run", raw, scratch, "--quick"] => {
            run::all(Path::new(raw), Path::new(scratch), &run::QUICK)
        }
        // What follows is for the children of a run.
        ["sink", manner, port] => sink::serve(manner.parse()?, port.parse()?),
        ["calls", contestant, port, scratch, bursts] => {
            measure::calls(contestant, port.parse()?, Path::new(scratch), bursts.parse()?)
        }
        ["throughput", contestant, port, scratch, records] => {
            measure::throughput(contestant, port.parse()?, Path::new(scratch), records.parse()?)
        }
        ["limit", contestant, port, scratch, records] => {
            measure::limit(contestant, port.parse()?, Path::new(scratch), records.parse()?)
        }
        ["outage", load, port, spool, seconds] => {
            outage::measure(load.parse()?, port.parse()?, spool, seconds.parse()?)
        }
        _ => bail!("expected `run RAW.json SCRATCH-DIRECTORY [--quick]`"),
    }
}
