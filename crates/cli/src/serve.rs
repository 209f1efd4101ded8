//! `millpond serve`.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use millpond_server::{Config, MEMORY_BYTES_MIN, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{allocator, size::bytes};

/// Raised when a file would grow over the process's limit; by default it kills.
const SIGXFSZ: i32 = 25;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where everything is kept; made if it does not exist.
    #[arg(long, env = "MILLPOND_DATA_DIR", default_value = "millpond-data")]
    data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "MILLPOND_ADDRESS", default_value_t = SocketAddr::from(([127, 0, 0, 1], millpond_wire::PORT)))]
    address: SocketAddr,
    /// What the process may hold in memory: bytes, or a number with a unit such as 512MiB or 4GiB.
    #[arg(long, env = "MILLPOND_MEMORY", value_name = "BYTES", default_value = "640MiB", value_parser = memory)]
    memory: u64,
    /// Free room on the disk below which no more records are taken; by default as much as half of the store's memory.
    #[arg(long, env = "MILLPOND_DISK_RESERVE", value_name = "BYTES", value_parser = bytes::<u64>)]
    disk_reserve: Option<u64>,
}

fn memory(text: &str) -> Result<u64> {
    let bytes = bytes::<u64>(text)?;
    if bytes < MEMORY_BYTES_MIN as u64 {
        bail!("expected at least {}MiB", MEMORY_BYTES_MIN >> 20);
    }
    Ok(bytes)
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    allocator::tame();
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(log).with(LevelFilter::INFO).init();
    let config = Config {
        data_directory: arguments.data_dir,
        address: arguments.address,
        memory_bytes: usize::try_from(arguments.memory).unwrap_or(usize::MAX),
        disk_reserve_bytes: arguments.disk_reserve,
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<()> {
    let (interrupt, terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // With a handler in place, a write over the file-size limit is an error like a full disk.
    let _file_size = signal(SignalKind::from_raw(SIGXFSZ))?;
    let server = Server::start(config).await?;
    let recovery = server.recovery();
    tracing::info!(
        data_dir = ?config.data_directory,
        segments = recovery.segments,
        records_recovered = recovery.records,
        "opened"
    );
    announce(&server).context("write to standard output")?;
    server.run(stopped(interrupt, terminate)).await?;
    tracing::info!("closed");
    Ok(())
}

/// Programs that start a server read these lines.
fn announce(server: &Server) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(key) = server.first_key() {
        writeln!(out, "key: {key}")?;
        writeln!(out, "     shown this once; `millpond key create` makes more")?;
    }
    writeln!(out, "listening on http://{}", server.address()?)?;
    out.flush()?;
    Ok(())
}

async fn stopped(mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
}
