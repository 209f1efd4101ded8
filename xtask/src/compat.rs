//! The drop-ins beside the packages that they stand in for: a virtual environment for each published one, and the tests
//! that drive both.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    python,
    workspace::{self, perform},
};

/// Where the pinned packages are listed, one file for each environment, named like it.
const REQUIREMENTS: &str = "tests/compat/requirements";

/// The step.
pub(crate) fn check() -> Result<()> {
    for requirements in listed()? {
        install(&requirements)?;
    }
    perform(python::program("ruff", ".").args(["check", "tests/compat"]))?;
    perform(python::program("python", ".").args(["-m", "pytest", "-q", "tests/compat"]))
}

fn listed() -> Result<Vec<PathBuf>> {
    let folder = workspace::path(REQUIREMENTS);
    let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    Ok(files)
}

/// Makes the environment anew, unless the copy of the list in it says that it is up to date.
fn install(requirements: &Path) -> Result<()> {
    let name = requirements.file_stem().context("a list of requirements has no name")?;
    let venv = workspace::target().join("compat").join(name);
    let stamp = venv.join("requirements.txt");
    let wanted = fs::read(requirements)?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing {} into {}", requirements.display(), venv.display());
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    perform(workspace::command("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = workspace::command(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    perform(pip.arg(requirements))?;
    // Last: an installation that was broken off is made again.
    fs::copy(requirements, &stamp)?;
    Ok(())
}
