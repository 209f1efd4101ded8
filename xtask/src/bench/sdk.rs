//! The Python package side by side with libraries that anyone can get: `bench/sdk` measures and writes the tables; here
//! it gets a virtual environment of its own, a place, and a head that says where and of what they were taken.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::{
    machine,
    report::{folder, save},
};
use crate::{python, screen, workspace::output};

const COMMAND: &str = "cargo xtask bench --python";
/// The virtual environment below `target/`. Not that of the tests: what is measured has versions that don't change.
const VENV: &str = "bench-venv";
/// Shows the last run that was recorded.
const PAGE: &str = "docs/python/performance.md";

/// The package as it is released, and those that it is measured beside.
pub(super) fn install() -> Result<()> {
    python::install_into(VENV, &["-r", "bench/sdk/requirements.txt", "./python"])
}

/// The program that measures, with its first argument.
pub(super) fn program(argument: &str) -> Command {
    let mut program = python::program_of(VENV, "python", ".");
    program.args(["bench/sdk/run.py", argument]);
    program
}

pub(super) fn run() -> Result<()> {
    screen::heading("Building the Python package in release mode, and its peers");
    install()?;

    // Before anything of a run that is recorded again is written over.
    let (load, commit) = (machine::load(), machine::commit()?);
    screen::heading("The Python package and its peers, about ten minutes");
    let folder = folder("-python")?;
    let mut bench = program(&folder);
    let tables = output(bench.args(["--page", PAGE]).stderr(Stdio::inherit()))?;

    let head = format!(
        "# Benchmark run: the Python package and its peers\n\n- machine: {}\n- load average before: {load}\n\
         - commit: {commit}\n- command: `{COMMAND}`\n",
        machine::description(),
    );
    let markdown = head + &tables;
    save(&format!("{folder}/README.md"), &markdown)?;
    screen::heading(&folder);
    print!("{markdown}");
    Ok(())
}
