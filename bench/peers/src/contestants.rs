//! Who is measured, each behind the same three closures: log a record, see to it that all is delivered, say what was
//! lost. All of them log the same message with the same five fields.

mod appender;
mod otel;
mod ours;
mod sentries;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    layer::{Layered, SubscriberExt as _},
};

/// What everyone says of the process that logs.
pub(crate) const SERVICE: &str = "peers";
pub(crate) const ENVIRONMENT: &str = "bench";
pub(crate) const VERSION: &str = "1.0.0";

/// A library that is set up and ready to log.
pub(crate) struct Contestant {
    /// Logs the record with this number.
    pub(crate) call: Box<dyn Fn(u64)>,
    /// Waits until all is delivered, at most for so long; whether it is, as far as the library can tell.
    pub(crate) flush: Box<dyn Fn(Duration) -> bool>,
    /// Asks the library at the very end.
    pub(crate) account: Box<dyn FnOnce() -> Account>,
}

/// What a library says about its records.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Account {
    /// Records that it says it has lost; absent if it can't tell in the process.
    pub(crate) told_lost: Option<u64>,
    /// Lines and bytes that were written to a file, where there is no sink.
    pub(crate) written: Option<(u64, u64)>,
}

/// How much a contestant may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// As it comes.
    Default,
    /// So many records.
    Records(usize),
    /// As it comes, and the caller waits when it is full.
    CallerWaits,
}

/// Sets a contestant up by its name, such as `otel`, `otel:200000` or `millpond:waits`; what it sends goes to the
/// sink at `port`, what it writes into `scratch`.
pub(crate) fn set_up(name: &str, port: u16, scratch: &Path) -> Result<Contestant> {
    let (name, room) = match name.split_once(':') {
        None => (name, Room::Default),
        Some((name, "waits")) => (name, Room::CallerWaits),
        Some((name, records)) => {
            (name, Room::Records(records.parse().context("a number of records")?))
        }
    };
    match name {
        "nothing" => Ok(Contestant {
            call: Box::new(|number| {
                std::hint::black_box(number);
            }),
            flush: Box::new(|_| true),
            account: Box::new(Account::default),
        }),
        "millpond" | "millpond-submit" | "millpond-tracing" => ours::set_up(name, room, port),
        "appender-tracing" => appender::set_up(room, &scratch.join("appender.log")),
        "full-disk-tracing" => appender::set_up(room, Path::new("/dev/full")),
        "otel" | "otel-tracing" => otel::set_up(name, room, port),
        "sentry" | "sentry-tracing" => sentries::set_up(name, room, port),
        _ => bail!("nobody is called `{name}`"),
    }
}

/// What all events from `info` on go through.
type Filtered = Layered<LevelFilter, Registry>;

/// Makes a layer the one that all events of the process go to.
fn install(layer: impl Layer<Filtered> + Send + Sync) -> Result<()> {
    let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(layer);
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// The record, as `tracing` says it.
fn tracing_event(number: u64) {
    tracing::info!(
        order_id = number,
        total = 19.99,
        user = "u_4711",
        cached = false,
        path = "/api/v1/orders",
        "order placed"
    );
}
