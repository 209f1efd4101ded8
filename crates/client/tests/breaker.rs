//! The circuit breaker, and what the client counts about its deliveries.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails panics"
)]

mod support;

use std::time::Duration;

use millpond::{BreakerState, DropReason};
use serde_json::Value;
use support::{
    LOG_BYTES_MAX, Reply, Server, builder, eventually, flush, log, log_too_large, numbers,
};

const SOON: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_secs(3600);
const UNAVAILABLE: Reply = Reply::Status(503, &[], "busy");

#[test]
fn a_server_that_fails_again_and_again_is_left_alone_until_a_probe_finds_it_well() {
    let server = Server::start();
    server.always(UNAVAILABLE);
    let client = builder(server.address).batch_entries(5).breaker(3, NEVER).build().unwrap();
    assert_eq!(client.breaker_state(), BreakerState::Closed);
    log(&client, 0..5);
    eventually("open", || client.breaker_state() == BreakerState::Open);
    assert_eq!(server.requests().len(), 3);
    log(&client, 5..50);
    // A flush probes once, and it fails.
    assert_eq!(client.flush(SOON).left, 50);
    eventually("the probe", || server.requests().len() == 4);
    eventually("open again", || client.breaker_state() == BreakerState::Open);
    assert_eq!(client.metrics().breaker_trips, 1);
    server.script([Reply::Hang]);
    server.always(Reply::Accept);
    assert_eq!(client.flush(SOON).left, 50);
    server.wait_for(5);
    assert_eq!(client.breaker_state(), BreakerState::HalfOpen);
    server.release();
    flush(&client);
    assert_eq!(client.breaker_state(), BreakerState::Closed);
    assert_eq!(server.messages(), numbers(0..50));
}

#[test]
fn a_server_that_is_back_gets_its_records_within_a_reset_time_and_without_a_flush() {
    let address = Server::nowhere();
    let reset = Duration::from_millis(20);
    let client = builder(address).batch_entries(5).breaker(2, reset).build().unwrap();
    log(&client, 0..5);
    eventually("open", || client.metrics().breaker_trips == 1);
    let server = Server::start_at(address);
    eventually("delivered", || client.metrics().delivered == 5);
    assert_eq!(client.breaker_state(), BreakerState::Closed);
    assert_eq!(server.messages(), numbers(0..5));
}

#[test]
fn a_refused_key_is_no_failure_of_the_server() {
    let server = Server::start();
    server.always(Reply::Status(401, &[], ""));
    let client = builder(server.address).breaker(1, NEVER).build().unwrap();
    log(&client, 0..5);
    assert_eq!(client.flush(SOON).left, 5);
    server.wait_for(3);
    assert_eq!(client.breaker_state(), BreakerState::Closed);
}

#[test]
fn metrics_begin_anew_with_a_balanced_account() {
    let server = Server::start();
    server.script([UNAVAILABLE, Reply::Accept]);
    let client = builder(server.address).max_log_size(LOG_BYTES_MAX).build().unwrap();
    log(&client, 0..5);
    flush(&client);
    log_too_large(&client);
    server.script([Reply::Hang]);
    log(&client, 5..8);
    assert_eq!(client.flush(SOON).left, 3);
    assert!(client.metrics().latency_mean > Duration::ZERO);
    client.reset_metrics();
    let metrics = client.metrics();
    assert_eq!((metrics.accepted, metrics.queued, metrics.delivered), (3, 3, 0));
    assert_eq!((metrics.dropped.total(), metrics.retries, metrics.sent_bytes), (0, 0, 0));
    assert_eq!(metrics.latency_mean, Duration::ZERO);
    server.release();
    flush(&client);
    let metrics = client.metrics();
    assert_eq!((metrics.accepted, metrics.queued, metrics.delivered), (3, 0, 3));
}

#[test]
fn the_server_is_told_of_what_was_lost_once_there_is_a_way_again() {
    let server = Server::start();
    server.script([Reply::Hang]);
    let client = builder(server.address)
        .batch_entries(10)
        .queue_limits(1 << 20, 30)
        .max_log_size(LOG_BYTES_MAX)
        .loss_reports(true)
        .build()
        .unwrap();
    log(&client, 0..10);
    server.wait_for(1);
    log(&client, 10..42);
    log_too_large(&client);
    server.release();
    flush(&client);
    flush(&client);
    let reports: Vec<Value> = server
        .stored()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["logger"] == "millpond")
        .collect();
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((&report["level"], &report["service"]), (&"warn".into(), &"test".into()));
    assert_eq!(report["message"], "13 log records were lost");
    assert_eq!(report["fields"]["lost"], 13);
    assert_eq!(
        report["fields"]["lost_by_reason"],
        serde_json::json!({"overflow": 12, "too_large": 1})
    );
    assert!(report["fields"]["lost_until"].is_string());
    // The last chance is taken, however little time has passed.
    log_too_large(&client);
    assert!(client.close(support::PATIENCE).is_complete());
    assert!(server.messages().contains(&"1 log records were lost".to_owned()));
    assert_eq!(client.metrics().dropped.get(DropReason::TooLarge), 2);
}
