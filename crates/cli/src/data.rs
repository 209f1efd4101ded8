//! `millpond check`, `repair` and `backup`: what an operator does to a data directory.

use std::{io::Write, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::render::plain;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server's data directory; no server may be running on it.
    #[arg(long, alias = "data", env = "MILLPOND_DATA_DIR", default_value = "millpond-data")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The server's data directory; the server may be running.
    #[arg(long, alias = "data", env = "MILLPOND_DATA_DIR", default_value = "millpond-data")]
    data_dir: PathBuf,
    /// The directory of the copy: an empty one, or one that is not there.
    #[arg(long)]
    to: PathBuf,
}

pub(crate) fn check(arguments: &Arguments) -> Result<()> {
    let checked = millpond_store::check(&arguments.data_dir)?;
    let mut out = std::io::stdout().lock();
    for problem in &checked.problems {
        writeln!(out, "{}", plain(problem))?;
    }
    writeln!(
        out,
        "{} records in {} segments, {} in the log",
        checked.records, checked.segments, checked.log_records
    )?;
    match checked.problems.len() {
        0 => Ok(()),
        count => bail!("problems: {count}; `millpond repair` puts aside what can't be read"),
    }
}

pub(crate) fn repair(arguments: &Arguments) -> Result<()> {
    let done = millpond_store::repair(&arguments.data_dir)?;
    let mut out = std::io::stdout().lock();
    for line in &done {
        writeln!(out, "{}", plain(line))?;
    }
    if done.is_empty() {
        writeln!(out, "nothing to repair")?;
    }
    Ok(())
}

pub(crate) fn backup(arguments: &BackupArguments) -> Result<()> {
    let done = millpond_store::backup(&arguments.data_dir, &arguments.to)?;
    let mut out = std::io::stdout().lock();
    for damage in &done.damaged {
        writeln!(out, "{}", plain(damage))?;
    }
    writeln!(out, "{} bytes, {} segments", done.bytes, done.segments)?;
    match done.damaged.len() {
        0 => Ok(()),
        count => bail!("damaged segments: {count}; everything else was copied"),
    }
}
