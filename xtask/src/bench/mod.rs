//! `cargo xtask bench`: what ingest, disk, queries and a log call cost, recorded in `bench/runs/`; with
//! `--clients`, the Rust client beside its peers; with `--python`, the Python package beside its own.
//!
//! It measures and claims nothing; a run names the machine, the commit and the command.

mod calls;
mod clients;
mod drive;
mod lines;
mod machine;
mod queries;
mod report;
mod sdk;
mod usage;

use std::fs;

use anyhow::Result;
use millpond_system_tests::{Api, Serve, Server};

use self::{report::Report, usage::Usage};
use crate::{interrupt::Interrupt, screen, workspace};

/// How many lines are ingested unless told otherwise.
const LINES: usize = 1_000_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many lines of `bench/gen_logs.py` are ingested.
    #[arg(long, value_name = "N", default_value_t = LINES)]
    lines: usize,
    /// How many connections send at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    connections: usize,
    /// What the server may hold in memory, as `millpond serve --memory` takes it; its own default if it is not told.
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// Ingests the lines again and again until so many are stored, and tells what each time cost.
    #[arg(long, value_name = "N")]
    grow: Option<usize>,
    /// Only the server: leave the cost of a log call out.
    #[arg(long)]
    server_only: bool,
    /// Only the Rust client, side by side with crates that anyone can get, into a folder of its own.
    #[arg(long, conflicts_with_all = ["lines", "connections", "memory", "server_only"])]
    clients: bool,
    /// Only the Python package, side by side with libraries that anyone can get, into a folder of its own.
    #[arg(long, conflicts_with_all = ["lines", "connections", "memory", "server_only", "clients"])]
    python: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.clients {
        return clients::run();
    }
    if options.python {
        return sdk::run();
    }
    let interrupt = Interrupt::install()?;
    screen::heading("Building in release mode");
    workspace::build(true)?;
    screen::heading(&format!("{} lines of bench/gen_logs.py", options.lines));
    let lines = lines::Lines::generate(options.lines)?;
    println!("{} bytes", lines.bytes());

    let load = machine::load();
    screen::heading("Ingest over HTTP");
    let folder = workspace::target().join("bench/server");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut serve = Serve::new(&workspace::program("millpond", true), &folder.join("data"));
    if let Some(memory) = &options.memory {
        serve.arguments = vec!["--memory".to_owned(), memory.clone()];
    }
    let mut server = serve.start()?;
    let api = server.first_api()?;
    let before = Usage::of(server.process().id())?;
    let sent = drive::ingest(&api, &lines, options.connections, 0, &interrupt)?;
    let acknowledged = Usage::of(server.process().id())?;
    screen::heading("Queries over HTTP, just ingested");
    let fresh = queries::run(&api, &lines, &interrupt)?;
    let asked = Usage::of(server.process().id())?;
    // Its end writes what is still hot to segments.
    server.process().ask_to_end()?;
    let settled = usage::until_end(server.process().id(), &interrupt)?;
    let serve = server.stop()?;
    let disk_bytes = usage::bytes_below(&serve.data_dir)?;

    screen::heading("Queries over HTTP, all in segments, after a restart");
    let mut server = serve.start()?;
    let merged = queries::run(&api, &lines, &interrupt)?;
    let queried = Usage::of(server.process().id())?;
    let growth = grow(&mut server, &api, &lines, options, &interrupt)?;
    server.stop()?;

    let calls = if options.server_only { Vec::new() } else { calls::run()? };
    let report = Report {
        lines: &lines,
        options,
        load,
        sent,
        before,
        acknowledged,
        asked,
        settled,
        queried,
        disk_bytes,
        fresh,
        merged,
        growth,
        calls,
    };
    report.write()
}

/// The store after one more ingest of all lines.
pub(crate) struct Grown {
    pub(crate) lines: usize,
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    pub(crate) disk_bytes: u64,
    pub(crate) memory_bytes_peak: u64,
}

fn grow(
    server: &mut Server,
    api: &Api,
    lines: &lines::Lines,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Vec<Grown>> {
    let mut grown = Vec::new();
    let Some(target) = options.grow else { return Ok(grown) };
    screen::heading(&format!("The same lines again, up to {target}"));
    for round in 1..target / lines.count.max(1) {
        let before = Usage::of(server.process().id())?;
        let sent = drive::ingest(api, lines, options.connections, round, interrupt)?;
        let after = Usage::of(server.process().id())?;
        let now = Grown {
            lines: lines.count * (round + 1),
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            wall_seconds: sent.wall.as_secs_f64(),
            disk_bytes: usage::bytes_below(&server.serve().data_dir)?,
            memory_bytes_peak: after.memory_bytes_peak,
        };
        println!(
            "{:>10} lines: {:>6.2} CPU-seconds, {:>6.2} s, {:>7} MB on disk, {} MB peak",
            now.lines,
            now.cpu_seconds,
            now.wall_seconds,
            now.disk_bytes / 1_000_000,
            now.memory_bytes_peak / 1_000_000
        );
        grown.push(now);
    }
    Ok(grown)
}
