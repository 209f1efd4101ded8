//! Millpond: its builder of records, the call for bindings, and the layer for `tracing`.

use std::time::Duration;

use anyhow::{Result, bail};
use millpond::{Client, Level, Overflow};

use super::{Account, Contestant, ENVIRONMENT, Room, SERVICE, VERSION, install, tracing_event};

pub(super) fn set_up(name: &str, room: Room, port: u16) -> Result<Contestant> {
    let builder = Client::builder()
        .endpoint(format!("http://127.0.0.1:{port}"))
        .service(SERVICE)
        .environment(ENVIRONMENT)
        .version(VERSION)
        .shutdown_timeout(Duration::ZERO);
    let client = match room {
        Room::Default => builder,
        Room::CallerWaits => builder.overflow(Overflow::Block(Duration::from_secs(60))),
        Room::Records(_) => bail!("millpond's room is in bytes"),
    }
    .build()?;
    let logger = client.clone();
    let call: Box<dyn Fn(u64)> = match name {
        "millpond" => Box::new(move |number| event(&logger, number)),
        "millpond-submit" => Box::new(move |number| submit(&logger, number)),
        _ => {
            install(millpond_tracing::layer(logger))?;
            Box::new(tracing_event)
        }
    };
    let flushed = client.clone();
    Ok(Contestant {
        call,
        flush: Box::new(move |patience| flushed.flush(patience).is_complete()),
        account: Box::new(move || Account {
            told_lost: Some(client.metrics().dropped.total()),
            written: None,
        }),
    })
}

fn event(client: &Client, number: u64) {
    client
        .info("order placed")
        .field("order_id", number)
        .field("total", 19.99)
        .field("user", "u_4711")
        .field("cached", false)
        .field("path", "/api/v1/orders")
        .send();
}

fn submit(client: &Client, number: u64) {
    client.submit(Level::Info, |line| {
        line.message("order placed");
        line.field("order_id", &number);
        line.field("total", &19.99);
        line.field("user", "u_4711");
        line.field("cached", &false);
        line.field("path", "/api/v1/orders");
    });
}
