//! From `log` to a request.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

#[path = "../../client/tests/support/mod.rs"]
mod support;

use std::{fmt, io, time::Duration};

use log::{Level, LevelFilter, Log, Record, debug, error, info, trace, warn};
use millpond::{Client, DropReason, Scope};
use millpond_tracing::log::Logger;
use serde_json::{Value, json};
use support::{Server, builder, client, flush};

/// A logger that is not that of the process. The macros ask the process first, which has all levels off until then.
fn logger(client: &Client) -> Logger {
    log::set_max_level(LevelFilter::Trace);
    Logger::new(client.clone())
}

/// The records that `log` makes with such a logger.
fn records(log: impl FnOnce(&Logger)) -> Vec<Value> {
    let server = Server::start();
    let client = client(&server);
    log(&logger(&client));
    stored(&server, &client)
}

fn stored(server: &Server, client: &Client) -> Vec<Value> {
    flush(client);
    server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The fields but for the place in the source.
fn fields(record: &Value) -> Value {
    let mut fields = record["fields"].clone();
    fields.as_object_mut().unwrap().retain(|key, _| !key.starts_with("code."));
    fields
}

#[test]
fn a_record_of_log_becomes_one_of_ours_with_typed_fields() {
    let records = records(|logger| {
        info!(
            logger: logger, count = 3_u64, below = -1, ratio = 0.5, on = true, name = "tea", letter = 'x',
            wide = u128::MAX, nothing:? = None::<u8>, shown:% = io::ErrorKind::NotFound, user_id = 42,
            trace_id = "t1"; "order {} placed", 4711
        );
    });
    let record = &records[0];
    let said = ["message", "level", "logger", "user_id", "trace_id"].map(|key| &record[key]);
    assert_eq!(said, ["order 4711 placed", "info", "log", "42", "t1"]);
    assert_eq!(
        fields(record),
        serde_json::from_str::<Value>(concat!(
            r#"{"count":3,"below":-1,"ratio":0.5,"on":true,"name":"tea","letter":"x","#,
            r#""wide":340282366920938463463374607431768211455,"nothing":"None","shown":"entity not found"}"#
        ))
        .unwrap()
    );
    assert!(record["fields"]["code.file.path"].as_str().unwrap().ends_with("log.rs"));
    assert!(record["fields"]["code.line.number"].is_u64());
    assert_eq!(record["fields"]["code.namespace"], Value::Null);
}

#[test]
fn levels_and_targets_are_kept() {
    let records = records(|logger| {
        trace!(logger: logger, "a");
        debug!(logger: logger, "b");
        info!(logger: logger, "c");
        warn!(logger: logger, "d");
        error!(logger: logger, target: "shop::cart", "e");
    });
    let levels: Vec<&Value> = records.iter().map(|record| &record["level"]).collect();
    assert_eq!(levels, ["trace", "debug", "info", "warn", "error"]);
    assert_eq!(records[4]["logger"], "shop::cart");
    assert_eq!(records[4]["fields"]["code.namespace"], "log");
}

#[test]
fn the_client_decides_what_is_enabled_and_our_own_work_never_is() {
    let server = Server::start();
    let client = builder(server.address).min_level(millpond::Level::Info).build().unwrap();
    let logger = logger(&client);
    let enabled = |level, target| {
        logger.enabled(&log::Metadata::builder().level(level).target(target).build())
    };
    assert!(enabled(Level::Info, "shop") && enabled(Level::Error, "millponds::x"));
    assert!(!enabled(Level::Debug, "shop"));
    for target in ["millpond", "millpond::sender", "millpond_tracing::log"] {
        assert!(!enabled(Level::Error, target), "{target}");
        error!(logger: &logger, target: target, "no");
    }
    debug!(logger: &logger, "no");
    info!(logger: &logger, "yes");
    assert_eq!(stored(&server, &client).len(), 1);
}

#[test]
fn an_error_becomes_the_exception_and_a_second_one_a_field() {
    let (first, second) = (io::Error::other("first"), io::Error::other("second"));
    let records = records(|logger| {
        error!(logger: logger, cause:err = first, second:err = second; "m");
    });
    assert_eq!(records[0]["exception"], json!({"message": "first"}));
    assert_eq!(fields(&records[0]), json!({"second": "second"}));
}

#[test]
fn a_value_that_panics_costs_its_record_only() {
    struct Bomb;
    impl fmt::Display for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("expected in this test")
        }
    }
    let server = Server::start();
    let client = client(&server);
    let logger = logger(&client);
    info!(logger: &logger, bomb:% = Bomb; "a");
    info!(logger: &logger, "{}", Bomb);
    info!(logger: &logger, "b");
    flush(&client);
    assert_eq!(server.messages(), ["b"]);
    assert_eq!(client.metrics().dropped.get(DropReason::Panicked), 2);
}

#[test]
fn a_record_belongs_to_its_scope() {
    let records = records(|logger| {
        Scope::new().request_id("r1").run(|| info!(logger: logger, "m"));
    });
    assert_eq!(records[0]["request_id"], "r1");
}

#[test]
fn a_flush_delivers_and_does_not_wait_for_ever() {
    let server = Server::start();
    let client = client(&server);
    logger(&client).log(&Record::builder().args(format_args!("m")).build());
    logger(&client).flush();
    assert_eq!(server.messages(), ["m"]);

    let unreachable = builder(Server::nowhere()).build().unwrap();
    let logger = logger(&unreachable).flush_timeout(Duration::ZERO);
    info!(logger: &logger, "m");
    logger.flush();
    assert_eq!(unreachable.metrics().queued, 1);
}
