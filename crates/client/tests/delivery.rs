//! From a log call to a request, when all goes well.

mod support;

use std::{io, time::Duration};

use millpond::{Compression, DropReason, Level, Severity};
use serde_json::{Value, json};
use support::{PATIENCE, Reply, Server, builder, client, flush, log, numbers};

#[test]
fn a_record_arrives_with_everything_that_was_said() {
    let server = Server::start();
    let client = builder(server.address)
        .api_key("mp_secret")
        .service("shop")
        .environment("production")
        .version("1.2.3")
        .host("a1")
        .build()
        .unwrap();
    client
        .error("order \"4711\" failed")
        .field("order_id", 4711)
        .field("total", 19.5)
        .field("items", ["tea", "cup"])
        .field("coupon", None::<&str>)
        .trace_id("4bf92f3577b34da6a3ce929d0e0e4736")
        .user_id("u1")
        .flow("checkout-1", 2)
        .tag("shop")
        .error(&io::Error::new(io::ErrorKind::TimedOut, "no answer"))
        .send();
    flush(&client);

    let request = &server.requests()[0];
    assert_eq!(request.path, "/api/v1/ingest");
    assert_eq!(request.header("x-api-key"), Some("mp_secret"));
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    let (client_id, sequence) = request.key().split_once(':').unwrap();
    assert_eq!((client_id.len(), sequence), (32, "1"));

    let mut record: Value = serde_json::from_str(&request.lines[0]).unwrap();
    assert!(record["time"].take().as_i64().unwrap() > 1_763_000_000_000_000_000);
    assert_eq!(
        record,
        json!({
            "time": null, "level": "error", "message": "order \"4711\" failed", "service": "shop",
            "environment": "production", "host": "a1", "version": "1.2.3",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "user_id": "u1", "flow_id": "checkout-1", "step_index": 2,
            "tags": ["shop"], "exception": {"type": "std::io::error::Error", "message": "no answer"},
            "fields": {"order_id": 4711, "total": 19.5, "items": ["tea", "cup"], "coupon": null},
        })
    );
}

#[test]
fn a_field_with_the_name_of_a_context_attribute_is_that_attribute() {
    let server = Server::start();
    let client = client(&server);
    client
        .info("m")
        .field("user_id", 4711)
        .field("session_id", "s\"1")
        .field("request_id", [1, 2])
        .field("peer", std::net::Ipv4Addr::LOCALHOST)
        .send();
    flush(&client);
    let record: Value = serde_json::from_str(&server.stored()[0]).unwrap();
    assert_eq!((&record["user_id"], &record["session_id"]), (&json!("4711"), &json!("s\"1")));
    assert_eq!(record["fields"], json!({"request_id": [1, 2], "peer": "127.0.0.1"}));
}

#[test]
fn an_endless_time_out_delivers_and_none_at_all_is_refused() {
    let server = Server::start();
    let client = builder(server.address)
        .connect_timeout(Duration::MAX)
        .request_timeout(Duration::MAX)
        .build()
        .unwrap();
    log(&client, 0..3);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..3));
    assert!(builder(server.address).request_timeout(Duration::ZERO).build().is_err());
    assert!(builder(server.address).connect_timeout(Duration::ZERO).build().is_err());
}

#[test]
fn a_batch_has_so_many_records_and_no_more() {
    let server = Server::start();
    let client = builder(server.address).batch_entries(10).build().unwrap();
    log(&client, 0..25);
    let requests = server.wait_for(2);
    assert_eq!([requests[0].lines.len(), requests[1].lines.len()], [10, 10]);
    flush(&client);
    assert_eq!(server.requests()[2].lines.len(), 5);
    assert_eq!(server.messages(), numbers(0..25));
}

#[test]
fn a_batch_has_so_many_bytes_and_no_more() {
    let server = Server::start();
    let client =
        builder(server.address).batch_bytes(2000).compression(Compression::None).build().unwrap();
    log(&client, 0..100);
    // No flush: they go because there are enough of them.
    let requests = server.wait_for(3);
    assert!(requests.iter().all(|request| (1000..=2000).contains(&request.body.len())));
    flush(&client);
    assert_eq!(server.messages(), numbers(0..100));
}

#[test]
fn a_record_that_is_larger_than_a_batch_goes_alone() {
    let server = Server::start();
    let client = builder(server.address).batch_bytes(100).build().unwrap();
    for _ in 0..3 {
        client.info("x".repeat(1000)).send();
    }
    assert!(server.wait_for(3).iter().all(|request| request.lines.len() == 1));
}

#[test]
fn a_record_does_not_wait_longer_than_the_age_of_a_batch() {
    let server = Server::start();
    let client = builder(server.address).batch_age(Duration::from_millis(1)).build().unwrap();
    client.info("one").send();
    assert_eq!(server.wait_for(1)[0].lines.len(), 1);
    client.info("two").send();
    server.wait_for(2);
}

#[test]
fn every_compression_carries_the_same() {
    for (compression, encoding) in [
        (Compression::Zstd, Some("zstd")),
        (Compression::Gzip, Some("gzip")),
        (Compression::None, None),
    ] {
        let server = Server::start();
        let client = builder(server.address).compression(compression).build().unwrap();
        log(&client, 0..5000);
        flush(&client);
        assert_eq!(server.messages(), numbers(0..5000));
        assert_eq!(server.requests()[0].header("content-encoding"), encoding);
        let metrics = client.metrics();
        assert_eq!(
            metrics.sent_bytes,
            server.requests().iter().map(|request| request.body.len() as u64).sum::<u64>()
        );
        assert_eq!(
            metrics.encoded_bytes > 5 * metrics.sent_bytes,
            compression != Compression::None
        );
    }
}

#[test]
fn one_connection_carries_many_batches() {
    let server = Server::start();
    let client = client(&server);
    for number in 0..20 {
        log(&client, [number]);
        flush(&client);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 20);
    assert!(requests.iter().all(|request| request.connection == 0));
    for (place, request) in requests.iter().enumerate() {
        assert_eq!(request.key().rsplit_once(':').unwrap().1, (place + 1).to_string());
    }
    assert_eq!(client.metrics().batches, 20);
}

#[test]
fn records_below_the_least_level_are_nothing() {
    let server = Server::start();
    let client = builder(server.address).min_level(Level::Warn).build().unwrap();
    assert!(!client.info("no").is_enabled());
    client.info("no").field("k", 1).send();
    client.submit(Level::Debug, |_| panic!("not called"));
    client.set_min_level(Level::Info);
    client.submit(Severity::from_number(10).unwrap(), |line| line.message("yes"));
    flush(&client);
    assert_eq!(server.messages(), ["yes"]);
    assert_eq!(client.metrics().accepted, 1);
}

#[test]
fn what_the_server_rejects_is_counted() {
    let server = Server::start();
    server.script([Reply::Reject(2)]);
    let client = client(&server);
    log(&client, 0..5);
    flush(&client);
    let metrics = client.metrics();
    assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Rejected)), (3, 2));
    assert_eq!(
        (metrics.accepted, metrics.queued, metrics.queued_bytes, metrics.dropped.total()),
        (5, 0, 0, 2)
    );
}

#[test]
fn a_record_that_is_too_large_is_cut_until_it_fits() {
    let server = Server::start();
    let client = client(&server);
    client.info("x".repeat(2 << 20)).send();
    client.info("fits").field("k", "x".repeat(2 << 20)).send();
    client.info("fits").send();
    flush(&client);
    let messages = server.messages();
    assert!(messages[0].ends_with("x...[TRUNCATED]"));
    assert_eq!(messages[1..], ["fits", "fits"]);
    assert!(server.stored()[1].contains("\"fields\":{\"_truncated\":true,\"_original_size\":20"));
    let metrics = client.metrics();
    assert_eq!((metrics.truncated, metrics.dropped.get(DropReason::TooLarge)), (2, 0));
}

#[test]
fn a_value_that_panics_costs_its_record_only() {
    struct Bomb;
    impl std::fmt::Display for Bomb {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("expected in this test")
        }
    }
    let server = Server::start();
    let client = client(&server);
    client.info("a").field("bomb", millpond::display(Bomb)).field("k", 1).send();
    client.submit(Level::Info, |line| line.message_fmt(format_args!("{Bomb}")));
    client.info("b").send();
    flush(&client);
    assert_eq!(server.messages(), ["b"]);
    assert_eq!(client.metrics().dropped.get(DropReason::Panicked), 2);
}

#[test]
fn closing_delivers_what_is_there_and_drops_what_comes_later() {
    let server = Server::start();
    let client = client(&server);
    log(&client, 0..1000);
    assert!(client.close(PATIENCE).is_complete());
    assert_eq!(server.messages(), numbers(0..1000));
    client.info("too late").send();
    assert!(client.flush(PATIENCE).is_complete());
    assert!(client.close(PATIENCE).is_complete());
    let metrics = client.metrics();
    assert_eq!(
        (metrics.accepted, metrics.delivered, metrics.dropped.get(DropReason::Closed)),
        (1001, 1000, 1)
    );
}

#[test]
fn the_last_handle_delivers_what_is_there_when_it_is_dropped() {
    let server = Server::start();
    let client = builder(server.address).shutdown_timeout(PATIENCE).build().unwrap();
    let other = client.clone();
    log(&client, 0..10);
    drop(client);
    log(&other, 10..20);
    drop(other);
    assert_eq!(server.messages(), numbers(0..20));
}

#[test]
fn a_client_that_logs_nothing_does_nothing() {
    let server = Server::start();
    let client = client(&server);
    assert!(client.flush(PATIENCE).is_complete());
    assert!(client.close(PATIENCE).is_complete());
    assert_eq!(client.metrics(), millpond::Metrics::default());
    assert!(server.requests().is_empty());
}

#[test]
fn two_clients_do_not_know_each_other() {
    let server = Server::start();
    let (a, b) = (client(&server), client(&server));
    log(&a, 0..3);
    flush(&a);
    log(&b, 3..5);
    flush(&b);
    assert_eq!((a.metrics().delivered, b.metrics().delivered), (3, 2));
    let requests = server.requests();
    assert_ne!(requests[0].key(), requests[1].key());
}

#[test]
fn nesting_and_odd_text_survive() {
    let server = Server::start();
    let client = client(&server);
    let odd = "quote \" backslash \\ control \u{1} line\nbreak \u{2028} 🦆 nul \0";
    client.info(odd).field(odd, odd).send();
    flush(&client);
    let record: Value = serde_json::from_str(&server.stored()[0]).unwrap();
    assert_eq!(record["message"], odd);
    assert_eq!(record["fields"][odd], odd);
}
