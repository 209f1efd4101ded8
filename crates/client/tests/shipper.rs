//! Entries of any form, to a server that is not Millpond's.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    time::Duration,
};

use millpond::{
    BreakerState, Builder, Client, Compression, DropReason, Envelope, FlushOutcome, Overflow,
    Shipper,
    read::{ReadError, Request},
};
use support::{PATIENCE, Reply, Server, builder, eventually};

const UNAVAILABLE: Reply = Reply::Status(503, &[], "busy");
/// So long that a test which waited for it would be noticed.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn url(server: &Server) -> String {
    format!("http://{}/v1/things?a=b", server.address)
}

fn envelope(server: &Server) -> Envelope {
    Envelope::new(url(server)).header("x-key", "k")
}

fn shipper(server: &Server) -> Shipper {
    settings(server).build_shipper(envelope(server)).unwrap()
}

fn settings(server: &Server) -> Builder {
    builder(server.address)
}

fn ship(shipper: &Shipper, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert!(shipper.ship(&number.to_string()));
    }
}

fn flush(shipper: &Shipper) {
    let outcome = shipper.flush(PATIENCE);
    assert!(outcome.is_complete(), "{outcome:?} {:?}", shipper.metrics());
}

/// What [`Envelope::on_failure`] was told, without the address.
type Told = Arc<Mutex<Vec<(Option<u16>, String, String, u64, u32, bool)>>>;

fn telling(envelope: Envelope) -> (Envelope, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let envelope = envelope.on_failure(move |failure| {
        let message = failure.message.replace(|letter: char| letter.is_ascii_digit(), "");
        let message = message.split("://").next().unwrap_or_default().to_owned();
        let (status, body) = (failure.status, failure.body.to_owned());
        let facts = (status, message, body, failure.records, failure.attempt, failure.dropped);
        tell.lock().unwrap().push(facts);
    });
    (envelope, told)
}

fn taken(told: &Told) -> Vec<(Option<u16>, u64, u32, bool)> {
    let told = std::mem::take(&mut *told.lock().unwrap());
    told.into_iter()
        .map(|(status, _, _, records, attempt, dropped)| (status, records, attempt, dropped))
        .collect()
}

#[test]
fn a_batch_is_an_array_with_the_headers_of_the_envelope() {
    let server = Server::start();
    server.script([Reply::Status(202, &[], "taken")]);
    let shipper = shipper(&server);
    assert!(shipper.ship("{\"a\":\n[1,\n2]}"));
    ship(&shipper, 7..8);
    flush(&shipper);
    let request = server.requests().remove(0);
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), r#"[{"a": [1, 2]},7]"#);
    assert_eq!(request.path, "/v1/things?a=b");
    assert_eq!(request.header("x-key"), Some("k"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("content-encoding").is_none() && !request.key().is_empty());
    assert_eq!(shipper.metrics().delivered, 2);
}

#[test]
fn a_body_may_be_compressed_and_have_something_around_its_entries() {
    let server = Server::start();
    let around = envelope(&server).around("{\"logs\":[", "]}");
    let shipper = settings(&server).compression(Compression::Gzip).build_shipper(around).unwrap();
    ship(&shipper, 0..3);
    flush(&shipper);
    assert_eq!(server.requests()[0].header("content-encoding"), Some("gzip"));
    assert_eq!(server.stored(), ["0", "1", "2"]);
}

#[test]
fn what_a_success_lists_as_rejected_is_dropped_and_told() {
    let server = Server::start();
    server.script([Reply::Say(r#"{"received":1,"rejected":[{"index":0,"reason":"x"}]}"#)]);
    let (envelope, told) = telling(envelope(&server));
    let shipper = settings(&server).build_shipper(envelope).unwrap();
    ship(&shipper, 0..2);
    flush(&shipper);
    let metrics = shipper.metrics();
    assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Rejected)), (1, 1));
    assert_eq!(taken(&told), [(Some(200), 1, 1, true)]);
}

#[test]
fn closing_goes_on_trying_whatever_the_waits_and_the_breaker_say() {
    let server = Server::start();
    server.script(vec![UNAVAILABLE; 3]);
    let builder = settings(&server).retry_delay(FOR_EVER, FOR_EVER).breaker(1, FOR_EVER);
    let shipper = builder.build_shipper(envelope(&server)).unwrap();
    ship(&shipper, 0..1);
    assert!(shipper.flush(PATIENCE).in_vain);
    assert!(shipper.close(PATIENCE).is_complete());
    assert_eq!((server.stored(), server.requests().len()), (vec!["0".to_owned()], 4));
}

#[test]
fn the_status_decides_whatever_the_body_is() {
    let long = vec![b'x'; 3 << 20];
    for (body, length) in [(b"\xff\xfe".to_vec(), 2), (b"{\"rece".to_vec(), 99), (long, 3 << 20)] {
        let server = Server::start();
        let say = |status| {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            Reply::SayBytes([head.into_bytes(), body.clone()].concat())
        };
        server.script([say(200), say(403)]);
        let (envelope, told) = telling(envelope(&server).drop_refused());
        let shipper = settings(&server).build_shipper(envelope).unwrap();
        ship(&shipper, 0..2);
        flush(&shipper);
        ship(&shipper, 2..3);
        assert!(shipper.flush(PATIENCE).in_vain);
        assert_eq!(taken(&told), [(Some(403), 1, 1, true)]);
        assert_eq!((server.requests().len(), shipper.metrics().delivered), (2, 2));
    }
}

#[test]
fn a_server_in_trouble_is_asked_again_and_each_failure_is_told_with_its_facts() {
    let server = Server::start();
    server.script([UNAVAILABLE, Reply::Cut, Reply::Status(429, &[], r#"{"retryAfter":0.01}"#)]);
    let (envelope, told) = telling(envelope(&server));
    let shipper = settings(&server).build_shipper(envelope).unwrap();
    ship(&shipper, 0..2);
    flush(&shipper);
    assert_eq!(server.stored(), ["0", "1"]);
    let keys: Vec<String> =
        server.requests().iter().map(|request| request.key().to_owned()).collect();
    assert!(keys.len() == 4 && keys.iter().all(|key| *key == keys[0]));
    let told = told.lock().unwrap();
    let busy = (
        Some(503),
        "the server answered  Service Unavailable".to_owned(),
        "busy".to_owned(),
        2,
        1,
        false,
    );
    assert_eq!(told[0], busy);
    assert_eq!((told[1].0, told[1].1.as_str(), told[1].4), (None, "can't reach http", 2));
    assert_eq!((told[2].0, told[2].4, told.len()), (Some(429), 3, 3));
}

#[test]
fn an_entry_that_is_not_understood_costs_no_other_one() {
    for status in [400, 415, 422] {
        let server = Server::start();
        server.always(Reply::Poisoned(status, "13"));
        let (envelope, told) = telling(envelope(&server));
        let shipper = settings(&server).build_shipper(envelope).unwrap();
        ship(&shipper, 0..20);
        flush(&shipper);
        let metrics = shipper.metrics();
        assert_eq!((metrics.delivered, metrics.dropped.get(DropReason::Rejected)), (19, 1));
        let told = taken(&told);
        assert_eq!(told.first(), Some(&(Some(status), 20, 1, false)));
        assert_eq!(told.last(), Some(&(Some(status), 1, 1, true)));
    }
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let server = Server::start();
    server.always(Reply::AtMost(3));
    let shipper = shipper(&server);
    ship(&shipper, 0..10);
    flush(&shipper);
    let expected: Vec<String> = (0..10).map(|number: usize| number.to_string()).collect();
    assert_eq!(server.stored(), expected);
}

#[test]
fn what_is_refused_is_kept_until_that_is_put_right_and_a_flush_says_so_at_once() {
    for status in [401, 403, 404, 307] {
        let server = Server::start();
        server.script([Reply::Status(status, &[], "no"), Reply::Status(status, &[], "no")]);
        let (envelope, told) = telling(envelope(&server));
        let builder = settings(&server).retry_delay(FOR_EVER, FOR_EVER);
        let shipper = builder.build_shipper(envelope).unwrap();
        ship(&shipper, 0..2);
        for _ in 0..2 {
            let outcome = shipper.flush(FOR_EVER);
            assert!(outcome.in_vain && outcome.left == 2 && !outcome.is_complete());
        }
        flush(&shipper);
        assert_eq!(server.stored(), ["0", "1"]);
        let refused = |attempt| (Some(status), 2, attempt, false);
        assert_eq!(taken(&told), [refused(1), refused(2)]);
    }
}

#[test]
fn what_is_refused_is_dropped_at_once_if_told_so() {
    let server = Server::start();
    server.script([Reply::Status(401, &[], "")]);
    let (envelope, told) = telling(envelope(&server).drop_refused());
    let shipper = settings(&server).build_shipper(envelope).unwrap();
    ship(&shipper, 0..2);
    assert!(shipper.flush(FOR_EVER).in_vain);
    assert_eq!(shipper.metrics().dropped.get(DropReason::Refused), 2);
    assert_eq!(taken(&told), [(Some(401), 2, 1, true)]);
    ship(&shipper, 2..3);
    flush(&shipper);
    assert_eq!(server.stored(), ["2"]);
}

#[test]
fn a_flush_ends_with_the_last_attempt_of_a_batch() {
    let server = Server::start();
    server.script([UNAVAILABLE, UNAVAILABLE]);
    let (envelope, told) = telling(envelope(&server));
    let shipper = settings(&server).attempts_max(2).build_shipper(envelope).unwrap();
    ship(&shipper, 0..3);
    let outcome = shipper.flush(FOR_EVER);
    assert_eq!((outcome.in_vain, outcome.left), (true, 0));
    // It is told before anybody is who waits.
    assert_eq!(taken(&told), [(Some(503), 3, 1, false), (Some(503), 3, 2, true)]);
    assert_eq!(shipper.metrics().dropped.get(DropReason::Exhausted), 3);
    ship(&shipper, 3..4);
    flush(&shipper);
    assert_eq!(server.stored(), ["3"]);
}

#[test]
fn a_flush_ends_when_another_attempt_has_failed_and_the_breaker_is_open() {
    let server = Server::start();
    server.always(UNAVAILABLE);
    let builder = settings(&server).breaker(3, FOR_EVER);
    let shipper = builder.build_shipper(envelope(&server)).unwrap();
    ship(&shipper, 0..1);
    for attempts in [3, 4] {
        assert!(shipper.flush(FOR_EVER).in_vain);
        assert_eq!(server.requests().len(), attempts);
        assert_eq!(shipper.breaker_state(), BreakerState::Open);
    }
}

#[test]
fn a_flush_that_would_end_before_the_server_wants_to_be_asked_again_ends_at_once() {
    let server = Server::start();
    server.script([Reply::Status(429, &[("retry-after", "100")], "")]);
    let shipper = shipper(&server);
    ship(&shipper, 0..1);
    assert!(shipper.flush(Duration::from_secs(60)).in_vain);
    assert!(shipper.flush(Duration::from_secs(60)).in_vain);
    assert_eq!(server.requests().len(), 1);
    // Closing is the last chance.
    let _ = shipper.close(PATIENCE);
    assert_eq!(server.stored(), ["0"]);
}

#[test]
fn the_hook_may_ship_flush_close_and_panic() {
    let server = Server::start();
    server.script([UNAVAILABLE, Reply::Cut]);
    let (give, given) = sync_channel::<Shipper>(1);
    let (tell, told) = sync_channel::<(bool, FlushOutcome)>(1);
    let given = Mutex::new(given);
    let envelope = envelope(&server).on_failure(move |failure| {
        let shipper = given.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
        let shipped = shipper.ship("\"from the hook\"");
        tell.send((shipped, shipper.flush(FOR_EVER))).unwrap();
        if failure.attempt == 2 {
            let _ = shipper.close(FOR_EVER);
        }
        panic!("as usual");
    });
    // When there is no room, the sender is the one to make it, and can't wait for itself.
    let builder = settings(&server).queue_limits(1 << 20, 2).overflow(Overflow::Block(FOR_EVER));
    let shipper = builder.build_shipper(envelope).unwrap();
    ship(&shipper, 0..1);
    give.send(shipper.clone()).unwrap();
    let _ = shipper.flush(Duration::ZERO);
    for expected in [true, false] {
        let (shipped, outcome) = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!((shipped, outcome.left), (expected, 2));
        give.send(shipper.clone()).unwrap();
    }
    eventually("it is closed", || shipper.metrics().dropped.get(DropReason::Closed) > 0);
}

#[test]
fn what_can_not_be_taken_is_refused_and_counted() {
    let server = Server::start();
    let shipper =
        settings(&server).queue_limits(1 << 20, 1).build_shipper(envelope(&server)).unwrap();
    for entry in ["", &"1".repeat(1 << 20)] {
        assert!(!shipper.ship(entry));
    }
    assert!(shipper.ship("1"));
    assert!(!shipper.ship("2"));
    assert!(shipper.close(PATIENCE).is_complete());
    assert!(!shipper.ship("3"));
    let dropped = shipper.metrics().dropped;
    let reasons = [DropReason::TooLarge, DropReason::Overflow, DropReason::Closed];
    assert_eq!(reasons.map(|reason| dropped.get(reason)), [2, 1, 1]);
}

#[test]
fn a_silent_shipper_takes_everything_and_sends_nothing() {
    let server = Server::start();
    let builder = settings(&server).mode(millpond::Mode::Silent);
    let shipper = builder.build_shipper(envelope(&server)).unwrap();
    ship(&shipper, 0..2);
    flush(&shipper);
    assert_eq!((shipper.metrics().filtered, server.requests().len()), (2, 0));
}

#[test]
fn a_spool_is_shared_with_nobody_who_delivers_elsewhere() {
    let (server, other) = (Server::start(), Server::start());
    let directory = tempfile::tempdir().unwrap();
    server.always(UNAVAILABLE);
    let spooled = |server: &Server| {
        let builder = settings(server).spool(directory.path());
        builder.build_shipper(envelope(server)).unwrap()
    };
    let before = spooled(&server);
    ship(&before, 0..2);
    assert_eq!(before.close(Duration::ZERO).at_risk(), 0);
    drop(before);
    // Neither a client nor a shipper to another address takes over what is there.
    let client = settings(&other).spool(directory.path()).build().unwrap();
    client.info("of the client").send();
    support::flush(&client);
    let elsewhere = spooled(&other);
    ship(&elsewhere, 7..8);
    flush(&elsewhere);
    assert_eq!((client.metrics().recovered, elsewhere.metrics().recovered), (0, 0));
    server.always(Reply::Accept);
    let after = spooled(&server);
    server.wait(|requests| requests.iter().any(|request| request.lines == ["0", "1"]));
    eventually("it is delivered", || after.metrics().delivered == 2);
    // No mark was put into what is not ours to change.
    assert_eq!(server.stored(), ["0", "1"]);
}

#[test]
fn nobody_is_told_of_losses_in_a_form_that_is_not_theirs() {
    let server = Server::start();
    let builder = settings(&server).loss_reports(true).queue_limits(1 << 20, 1);
    let shipper = builder.build_shipper(envelope(&server)).unwrap();
    ship(&shipper, 0..1);
    assert!(!shipper.ship("1"));
    flush(&shipper);
    assert!(shipper.close(PATIENCE).is_complete());
    assert_eq!(server.stored(), ["0"]);
}

#[test]
fn an_address_that_is_none_builds_no_shipper() {
    let error = Client::builder().build_shipper(Envelope::new("localhost/x")).unwrap_err();
    assert!(error.to_string().contains("`localhost/x` is no address"), "{error}");
}

#[test]
fn a_request_that_can_not_be_written_says_why() {
    let server = Server::start();
    let shipper = shipper(&server);
    for (request, words) in [
        (Request::new("GET", "x"), "`x` is no address"),
        (Request::new("GET", "http://secret@h"), "`…@h` is no address"),
        (Request::new("G ET", url(&server)), "the method is none"),
        (Request::new("GET", url(&server)).header("a b", ""), "the header `a b`"),
    ] {
        let error = shipper.request(&request).unwrap_err();
        assert!(matches!(error, ReadError::Request { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let nowhere = Request::new("GET", format!("http://{}/", Server::nowhere()));
    assert!(matches!(shipper.request(&nowhere).unwrap_err(), ReadError::Unreachable { .. }));
}
