//! Sentry's logs: its layer for `tracing` or its macros, and its transport over ureq, which does not need TLS.

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail};
use sentry::{ClientOptions, integrations::tracing::LogLayer};

use super::{Account, Contestant, ENVIRONMENT, Room, SERVICE, VERSION, install, tracing_event};

/// Logs that it puts into one envelope; its transport counts envelopes.
const ENVELOPE_LOGS: usize = 100;

pub(super) fn set_up(name: &str, room: Room, port: u16) -> Result<Contestant> {
    let mut options = ClientOptions::new()
        .dsn(&format!("http://key@127.0.0.1:{port}/1"))
        .environment(ENVIRONMENT)
        .release(format!("{SERVICE}@{VERSION}"))
        .server_name(SERVICE);
    match room {
        Room::Default => {}
        Room::Records(records) => {
            options.transport_channel_capacity = NonZeroUsize::new(records.div_ceil(ENVELOPE_LOGS));
        }
        Room::CallerWaits => bail!("Sentry's callers never wait"),
    }
    let guard = sentry::init(options);
    let call: Box<dyn Fn(u64)> = if name == "sentry" {
        Box::new(log)
    } else {
        install(LogLayer::new())?;
        Box::new(tracing_event)
    };
    let client = sentry::Hub::current().client().context("Sentry has no client")?;
    let flushed = Arc::clone(&client);
    Ok(Contestant {
        call,
        flush: Box::new(move |patience| {
            let begun = Instant::now();
            while !flushed.flush(Some(patience)) {
                if begun.elapsed() > patience {
                    return false;
                }
            }
            true
        }),
        account: Box::new(move || {
            // It tells the server, not us: what was lost goes with the next envelope. Dropping the guard would wait
            // for what can't be sent.
            std::mem::forget(guard);
            Account { told_lost: None, written: None }
        }),
    })
}

#[expect(clippy::disallowed_methods, reason = "the macro asks for the time")]
fn log(number: u64) {
    sentry::logger_info!(
        order_id = number,
        total = 19.99,
        user = "u_4711",
        cached = false,
        path = "/api/v1/orders",
        "order placed"
    );
}
