//! The Rust client side by side with crates that anyone can get: `bench/peers`, a workspace of its own, measures and
//! writes the tables; here they get a place, and a head that says where and of what they were taken.

use std::{fs, process::Stdio};

use anyhow::Result;

use super::{
    machine,
    report::{folder, save},
};
use crate::{
    screen,
    workspace::{self, cargo, command, output, perform},
};

const COMMAND: &str = "cargo xtask bench --clients";

pub(super) fn run() -> Result<()> {
    let target = workspace::target().join("bench/peers");
    screen::heading("Building the Rust client and its peers in release mode");
    let manifest = "--release --manifest-path bench/peers/Cargo.toml";
    perform(cargo(&format!("build {manifest} --target-dir")).arg(&target))?;

    // Before anything of a run that is recorded again is written over.
    let (load, commit) = (machine::load(), machine::commit()?);
    screen::heading("The Rust client and its peers, about five minutes");
    let folder = folder("-clients")?;
    // Spools go where the records of an application would, to a disk.
    let scratch = target.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let mut peers = command(target.join("release/millpond-peers"));
    peers.arg("run").arg(workspace::path(&format!("{folder}/raw.json"))).arg(scratch);
    let tables = output(peers.stderr(Stdio::inherit()))?;

    let head = format!(
        "# Benchmark run: the Rust client and its peers\n\n- machine: {}\n- load average before: {load}\n\
         - commit: {commit}\n- command: `{COMMAND}`\n",
        machine::description(),
    );
    let markdown = head + &tables;
    save(&format!("{folder}/README.md"), &markdown)?;
    screen::heading(&folder);
    print!("{markdown}");
    Ok(())
}
