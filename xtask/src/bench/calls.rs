//! What a log call costs its caller, told by three programs of the SDK in their own words.

use anyhow::Result;

use super::sdk;
use crate::{screen, workspace};

pub(crate) struct Call {
    pub(crate) command: &'static str,
    pub(crate) output: String,
}

const RUST: &str = "cargo run --release -p millpond --example call_cost";
const TRACING: &str = "cargo run --release -p millpond-tracing --example info_cost";
const PYTHON: &str = "python bench/sdk/run.py --quick";

pub(crate) fn run() -> Result<Vec<Call>> {
    screen::heading("The cost of a log call");
    sdk::install()?;
    let mut calls = Vec::new();
    for command in [RUST, TRACING, PYTHON] {
        let mut child = match command.strip_prefix("cargo ") {
            Some(words) => workspace::cargo(words),
            None => sdk::program("--quick"),
        };
        let output = workspace::output(&mut child)?;
        println!("{}\n{}", screen::dim(command), output.trim_end());
        calls.push(Call { command, output });
    }
    Ok(calls)
}
