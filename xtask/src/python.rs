//! The Python side: a virtual environment of our own under `target/`, the package in it, and its checks.

use std::process::Command;

use anyhow::Result;

use crate::{workspace, workspace::perform};

/// The virtual environment of tests and demo, below `target/`.
const VENV: &str = "venv";

/// A program of the virtual environment, run in `folder`.
pub(crate) fn program(name: &str, folder: &str) -> Command {
    program_of(VENV, name, folder)
}

/// A program of another virtual environment below `target/`.
pub(crate) fn program_of(venv: &str, name: &str, folder: &str) -> Command {
    let mut command = Command::new(workspace::target().join(venv).join("bin").join(name));
    command.current_dir(workspace::path(folder));
    command
}

/// Makes a virtual environment if it is not there.
fn make(venv: &str) -> Result<()> {
    let venv = workspace::target().join(venv);
    if venv.join("bin/python").exists() {
        return Ok(());
    }
    perform(workspace::command("python3").args(["-m", "venv"]).arg(venv))
}

/// Builds and installs the package as a user would (`pip install ./python`), with whatever else is asked for.
pub(crate) fn install(release: bool, more: &[&str]) -> Result<()> {
    install_into(VENV, release, more)
}

/// The same into another virtual environment below `target/`.
pub(crate) fn install_into(venv: &str, release: bool, more: &[&str]) -> Result<()> {
    make(venv)?;
    let profile = if release { "--profile release" } else { "--profile dev" };
    let mut pip = program_of(venv, "pip", ".");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(more);
    // A target directory of its own: maturin's settings for PyO3 would make cargo rebuild in ours at every turn.
    let target = workspace::target().join("maturin");
    perform(pip.env("MATURIN_PEP517_ARGS", profile).env("CARGO_TARGET_DIR", target))
}

/// The step: the package's own tests and its three checkers.
pub(crate) fn check() -> Result<()> {
    install(false, &["./python[test]"])?;
    perform(program("ruff", "python").args(["check", "."]))?;
    perform(&mut program("mypy", "python"))?;
    perform(program("python", "python").args(["-m", "mypy.stubtest", "millpond._native"]))?;
    perform(program("python", "python").args(["-m", "pytest", "-q"]))
}
