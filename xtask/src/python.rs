//! The Python side: a virtual environment of our own under `target/`, the package in it, and its checks.

use std::{path::Path, process::Command};

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

/// Makes a virtual environment of this Python if it is not there.
fn make(venv: &str, python: &str) -> Result<()> {
    let venv = workspace::target().join(venv);
    if venv.join("bin/python").exists() {
        return Ok(());
    }
    perform(workspace::command(python).args(["-m", "venv"]).arg(venv))
}

/// Builds and installs the package as a user would (`pip install ./python`), with whatever else is asked for.
pub(crate) fn install(more: &[&str]) -> Result<()> {
    install_into(VENV, more)
}

/// The same into another virtual environment below `target/`.
pub(crate) fn install_into(venv: &str, more: &[&str]) -> Result<()> {
    make(venv, "python3")?;
    let mut pip = program_of(venv, "pip", ".");
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(more);
    perform(built(&mut pip))
}

/// Tells pip how to build the package: as it is released, since the checks of a debug build abort a child that closes all
/// descriptors, ours too.
fn built(pip: &mut Command) -> &mut Command {
    // A target directory of its own: maturin's settings for PyO3 would make cargo rebuild in ours at every turn.
    let target = workspace::target().join("maturin");
    pip.env("MATURIN_PEP517_ARGS", "--profile release").env("CARGO_TARGET_DIR", target)
}

/// The step: the package's own tests and its checkers, and the core of the tests with every other Python that is here.
pub(crate) fn check() -> Result<()> {
    install(&["./python[test]"])?;
    perform(program("ruff", "python").args(["check", "."]))?;
    perform(&mut program("mypy", "python"))?;
    let own = workspace::target().join(VENV).join("bin/python");
    perform(program("pyright", "python").arg("--pythonpath").arg(own))?;
    perform(program("python", "python").args(["-m", "pytest", "-q"]))?;
    check_others()
}

/// The other Pythons that the one wheel is for, as they are called where there are several.
const OTHERS: [&str; 6] =
    ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"];
/// Tests of the native half and the end of the process, which need nothing but pytest.
const CORE: [&str; 6] = [
    "test_logger",
    "test_client",
    "test_values",
    "test_exceptions",
    "test_handler",
    "test_process",
];

/// Builds the wheel once and tests it with each of them.
fn check_others() -> Result<()> {
    let own = version(&mut program("python", "."))?;
    let found = |name: &&str| match version(&mut workspace::command(name)) {
        // A shim may stand for a version that is not active.
        Err(_) => false,
        Ok(version) => version != own,
    };
    let others: Vec<&str> = OTHERS.into_iter().filter(found).collect();
    if others.is_empty() {
        println!("not tested with another Python: there is none here");
        return Ok(());
    }
    let wheels = workspace::target().join("wheels");
    // Of an earlier version of the package there may be one still.
    let _ = std::fs::remove_dir_all(&wheels);
    let mut pip = program("pip", ".");
    pip.args(["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "./python"]);
    perform(built(pip.arg("--wheel-dir").arg(&wheels)))?;
    others.into_iter().try_for_each(|python| check_other(python, &wheels))
}

fn check_other(python: &str, wheels: &Path) -> Result<()> {
    println!("with {python}");
    let venv = format!("venv-{python}");
    make(&venv, python)?;
    let mut pip = program_of(&venv, "pip", ".");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "pytest"]);
    perform(&mut pip)?;
    // No compiler may be asked, and nothing else be needed: the wheel has to do.
    let mut pip = program_of(&venv, "pip", ".");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--force-reinstall"]);
    perform(pip.args(["--no-index", "--find-links"]).arg(wheels).arg("millpond"))?;
    let tests = CORE.map(|name| format!("tests/{name}.py"));
    perform(program_of(&venv, "python", "python").args(["-m", "pytest", "-q"]).args(tests))
}

/// Major and minor version, such as `3.11`.
fn version(python: &mut Command) -> Result<String> {
    let code = "import sys, venv; print('%d.%d' % sys.version_info[:2])";
    Ok(workspace::output(python.args(["-c", code]))?.trim().to_owned())
}
