//! When the server is away, slow, full, or does not like what it gets.

mod support;

use std::time::Duration;

use millpond::{Compression, DropReason, Overflow, limits::REFUSALS_MAX};
use support::{PATIENCE, Reply, Request, Server, builder, client, eventually, flush, log, numbers};

const SOON: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_secs(3600);
const UNAVAILABLE: Reply = Reply::Status(503, &[], "busy");

/// Whether all requests are the same batch: same key, same bytes.
fn are_one_batch(requests: &[Request]) -> bool {
    let same = |a: &Request, b: &Request| a.key() == b.key() && a.body == b.body;
    requests.iter().zip(requests.iter().skip(1)).all(|(before, after)| same(before, after))
}

#[test]
fn a_batch_is_sent_again_under_the_same_key_until_it_is_taken() {
    let server = Server::start();
    server.script([
        UNAVAILABLE,
        Reply::Status(429, &[], ""),
        Reply::Status(500, &[], ""),
        Reply::Cut,
    ]);
    let client = client(&server);
    log(&client, 0..10);
    flush(&client);
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(are_one_batch(&requests));
    assert_eq!(server.messages(), numbers(0..10));
    let metrics = client.metrics();
    assert_eq!((metrics.retries, metrics.errors, metrics.batches), (4, 4, 1));
}

#[test]
fn a_batch_whose_answer_was_lost_is_stored_once() {
    let server = Server::start();
    server.script([Reply::StoreAndCut]);
    let client = client(&server);
    log(&client, 0..10);
    flush(&client);
    assert_eq!(server.requests().len(), 2);
    assert!(are_one_batch(&server.requests()));
    assert_eq!(server.messages(), numbers(0..10));
    assert_eq!(client.metrics().delivered, 10);
}

#[test]
fn a_connection_that_the_server_closed_between_batches_costs_nothing() {
    let server = Server::start();
    let client = client(&server);
    for number in 0..10 {
        server.script([Reply::Accept, Reply::Cut]);
        log(&client, [number]);
        flush(&client);
    }
    assert_eq!(server.messages(), numbers(0..10));
}

#[test]
fn a_server_that_comes_up_later_gets_everything_in_order() {
    let address = Server::nowhere();
    let client = builder(address).batch_entries(100).build().unwrap();
    log(&client, 0..1000);
    eventually("a failed attempt", || client.metrics().errors > 0);
    log(&client, 1000..1500);
    assert_eq!(client.metrics().queued, 1500);
    let server = Server::start_at(address);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..1500));
}

#[test]
fn order_is_kept_through_retries_and_splits() {
    let server = Server::start();
    server.script((0..40).map(|turn| match turn % 4 {
        0 => UNAVAILABLE,
        1 => Reply::AtMost(7),
        2 => Reply::StoreAndCut,
        _ => Reply::Accept,
    }));
    server.always(Reply::AtMost(7));
    let client = builder(server.address).batch_entries(20).build().unwrap();
    log(&client, 0..500);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..500));
}

#[test]
fn a_wait_that_the_server_asked_for_is_not_cut_short_by_a_flush() {
    let server = Server::start();
    server.script([Reply::Status(503, &[("Retry-After", "3600")], "")]);
    let client = client(&server);
    log(&client, 0..3);
    assert_eq!(client.flush(SOON).left, 3);
    eventually("the answer", || client.metrics().errors == 1);
    assert_eq!(client.flush(SOON).left, 3);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_wait_of_our_own_is_cut_short_by_a_flush() {
    let server = Server::start();
    server.script([UNAVAILABLE]);
    let client =
        builder(server.address).batch_entries(3).retry_delay(NEVER, NEVER).build().unwrap();
    log(&client, 0..3);
    eventually("the answer", || client.metrics().errors == 1);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..3));
}

#[test]
fn a_batch_that_is_too_large_is_split_until_it_passes() {
    let server = Server::start();
    server.always(Reply::AtMost(3));
    let client = client(&server);
    log(&client, 0..50);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..50));
    let requests = server.requests();
    let mut keys: Vec<&str> = requests.iter().map(Request::key).collect();
    keys.dedup();
    assert_eq!(keys.len(), requests.len());
    assert_eq!(client.metrics().delivered, 50);
}

#[test]
fn a_single_record_that_the_server_finds_too_large_is_dropped() {
    let server = Server::start();
    server.script([Reply::Status(413, &[], ""), Reply::Accept, Reply::Status(413, &[], "")]);
    let client = client(&server);
    log(&client, 0..2);
    flush(&client);
    assert_eq!(server.messages(), ["0"]);
    let metrics = client.metrics();
    assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::TooLarge)), (1, 1));
}

#[test]
fn a_record_that_is_not_understood_is_found_and_dropped_alone() {
    for status in [400, 422] {
        let server = Server::start();
        server.always(Reply::Poisoned(status, "poison"));
        let client = client(&server);
        log(&client, 0..60);
        client.info("poison").send();
        log(&client, 60..99);
        client.info("more poison").send();
        flush(&client);
        assert_eq!(server.messages(), numbers(0..99));
        let metrics = client.metrics();
        assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Rejected)), (99, 2));
        assert!(server.requests().len() < 40, "{}", server.requests().len());
    }
}

#[test]
fn a_server_that_understands_nothing_is_not_asked_about_every_record() {
    let server = Server::start();
    server.always(Reply::Poisoned(400, "0"));
    let client = client(&server);
    for _ in 0..3_000 {
        client.info("0").send();
    }
    flush(&client);
    assert_eq!(server.requests().len(), REFUSALS_MAX as usize);
    server.always(Reply::Accept);
    log(&client, 5..7);
    flush(&client);
    assert_eq!(server.messages(), ["5", "6"]);
    let dropped = client.metrics().dropped;
    assert_eq!(dropped.get(DropReason::Rejected) + dropped.get(DropReason::Refused), 3_000);
}

#[test]
fn a_batch_is_dropped_after_so_many_attempts_if_that_is_wished() {
    let server = Server::start();
    server.script([UNAVAILABLE, Reply::Cut, UNAVAILABLE]);
    let client = builder(server.address).attempts_max(3).build().unwrap();
    log(&client, 0..5);
    flush(&client);
    log(&client, 5..7);
    flush(&client);
    assert_eq!(server.messages(), ["5", "6"]);
    let metrics = client.metrics();
    assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Exhausted)), (2, 5));
}

#[test]
fn a_key_that_is_refused_keeps_the_batch_until_it_is_set_right() {
    for status in [401, 403, 404] {
        let server = Server::start();
        server.always(Reply::Status(status, &[], ""));
        let client = client(&server);
        log(&client, 0..5);
        assert_eq!(client.flush(SOON).left, 5);
        server.wait_for(3);
        server.always(Reply::Accept);
        flush(&client);
        assert!(are_one_batch(&server.requests()));
        assert_eq!(server.messages(), numbers(0..5));
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::start();
    let server = Server::start();
    let location: &'static str = format!("http://{}/api/v1/ingest", elsewhere.address).leak();
    let headers: &'static [_] = Vec::from([("Location", location)]).leak();
    server.script([301, 302, 303, 307, 308].map(|status| Reply::Status(status, headers, "")));
    let client = client(&server);
    log(&client, 0..5);
    flush(&client);
    assert!(elsewhere.requests().is_empty());
    assert_eq!(server.messages(), numbers(0..5));
}

#[test]
fn a_compression_that_is_refused_is_given_up_for_a_simpler_one() {
    let server = Server::start();
    server.script([Reply::Status(415, &[], ""), Reply::Status(415, &[], "")]);
    let client = builder(server.address).compression(Compression::Zstd).build().unwrap();
    log(&client, 0..5);
    flush(&client);
    log(&client, 5..6);
    flush(&client);
    let requests = server.requests();
    let encodings: Vec<Option<&str>> =
        requests.iter().map(|request| request.header("content-encoding")).collect();
    assert_eq!(encodings, [Some("zstd"), Some("gzip"), None, None]);
    assert_eq!(server.messages(), numbers(0..6));
}

#[test]
fn a_success_that_no_millpond_server_gave_is_no_delivery() {
    let server = Server::start();
    server.script([
        Reply::Status(200, &[], "<html>Welcome to the hotel</html>"),
        Reply::Status(204, &[], ""),
    ]);
    let client = client(&server);
    log(&client, 0..5);
    flush(&client);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(client.metrics().delivered, 5);
}

#[test]
fn a_flush_that_runs_out_of_time_says_what_is_left() {
    let server = Server::start();
    server.script([Reply::Hang]);
    let client = client(&server);
    log(&client, 0..5);
    assert_eq!(client.flush(SOON).left, 5);
    server.wait_for(1);
    log(&client, 5..8);
    assert_eq!(client.flush(SOON).left, 8);
    assert_eq!(client.flush(Duration::ZERO).left, 8);
    server.release();
    flush(&client);
    assert_eq!(server.messages(), numbers(0..8));
}

#[test]
fn a_flush_does_not_wait_for_what_is_logged_after_it() {
    let server = Server::start();
    server.script([Reply::Accept, Reply::Hang]);
    let client = client(&server);
    log(&client, 0..5);
    flush(&client);
    log(&client, 5..6);
    assert_eq!(client.flush(SOON).left, 1);
    server.wait_for(2);
    log(&client, 6..7);
    let waiting = client.clone();
    std::thread::scope(|scope| {
        let flushed = scope.spawn(move || waiting.flush(PATIENCE));
        server.release();
        assert!(flushed.join().unwrap().is_complete());
    });
}

#[test]
fn closing_in_an_outage_says_what_is_left_and_counts_it() {
    let client = builder(Server::nowhere()).batch_entries(10).build().unwrap();
    log(&client, 0..25);
    assert_eq!(client.close(SOON).left, 25);
    eventually("the account", || client.metrics().queued == 0);
    assert_eq!(client.metrics().dropped.get(DropReason::Closed), 25);
}

#[test]
fn a_request_that_is_under_way_when_closing_gives_up_still_counts() {
    let server = Server::start();
    server.script([Reply::Hang]);
    let client = client(&server);
    log(&client, 0..5);
    assert_eq!(client.flush(SOON).left, 5);
    server.wait_for(1);
    log(&client, 5..7);
    assert_eq!(client.close(SOON).left, 7);
    assert_eq!(client.metrics().queued, 7);
    server.release();
    eventually("the account", || client.metrics().queued == 0);
    let metrics = client.metrics();
    assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Closed)), (5, 2));
}

#[test]
fn closing_tries_once_more_at_once() {
    let server = Server::start();
    server.script([UNAVAILABLE]);
    let client =
        builder(server.address).batch_entries(3).retry_delay(NEVER, NEVER).build().unwrap();
    log(&client, 0..3);
    eventually("the answer", || client.metrics().errors == 1);
    assert!(client.close(PATIENCE).is_complete());
    assert_eq!(server.messages(), numbers(0..3));
}

#[test]
fn a_call_does_not_wait_for_a_server_that_never_answers() {
    let server = Server::start();
    server.always(Reply::Hang);
    let client = builder(server.address).batch_entries(10).build().unwrap();
    log(&client, 0..10);
    server.wait_for(1);
    // Had a call waited for the answer, it would wait for ever: the server answers after the last one.
    log(&client, 10..20_000);
    assert_eq!(client.metrics().queued, 20_000);
    assert_eq!(server.requests().len(), 1);
    server.release();
    flush(&client);
    assert_eq!(server.messages(), numbers(0..20_000));
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let server = Server::start();
    server.always(Reply::Hang);
    let client =
        builder(server.address).batch_entries(10).queue_limits(1 << 20, 50).build().unwrap();
    log(&client, 0..10);
    server.wait_for(1);
    log(&client, 10..100);
    let metrics = client.metrics();
    assert_eq!((metrics.queued, metrics.dropped.get(DropReason::Overflow)), (50, 50));
    server.release();
    flush(&client);
    assert_eq!(server.messages(), numbers(0..50));
}

#[test]
fn the_oldest_make_room_if_that_is_wished_but_for_those_on_their_way() {
    let server = Server::start();
    server.always(Reply::Hang);
    let client = builder(server.address)
        .batch_entries(10)
        .queue_limits(1 << 20, 50)
        .overflow(Overflow::DropOldest)
        .build()
        .unwrap();
    log(&client, 0..10);
    server.wait_for(1);
    log(&client, 10..100);
    assert_eq!(client.metrics().dropped.get(DropReason::Overflow), 50);
    server.release();
    flush(&client);
    assert_eq!(server.messages(), [numbers(0..10), numbers(60..100)].concat());
}

#[test]
fn a_caller_waits_for_room_if_that_is_wished() {
    let server = Server::start();
    let client = builder(server.address)
        .batch_entries(10)
        .queue_limits(1 << 20, 20)
        .overflow(Overflow::Block(PATIENCE))
        .build()
        .unwrap();
    log(&client, 0..5_000);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..5_000));
}

#[test]
fn the_queue_is_limited_in_bytes() {
    let client = builder(Server::nowhere()).queue_limits(10_000, 1_000_000).build().unwrap();
    for _ in 0..100 {
        client.info("x".repeat(900)).send();
    }
    let metrics = client.metrics();
    assert!(metrics.queued_bytes <= 10_000 && metrics.queued > 5, "{metrics:?}");
    assert_eq!(metrics.queued + metrics.dropped.get(DropReason::Overflow), 100);
}
