//! Other requests to the system that a shipper delivers to, and its events.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::{thread, time::Duration};

use millpond::{
    Client, Envelope, Shipper,
    read::{ReadError, Request, Stopper},
};

#[path = "support/web.rs"]
mod web;

use web::{Step, Web, answer, ok, stream};

fn shipper(web: &Web) -> Shipper {
    let envelope = Envelope::new(format!("http://{}/in", web.address)).header("x-key", "k");
    let builder = Client::builder().retry_delay(Duration::ZERO, Duration::ZERO);
    builder.build_shipper(envelope).unwrap()
}

fn get(web: &Web) -> Request {
    Request::new("GET", format!("http://{}/out?a=b", web.address))
}

#[test]
fn a_request_has_the_headers_of_the_envelope_and_any_answer_is_one() {
    let web = Web::start([answer(418, "X-Said: yes\r\nLocation: /x\r\n", "teapot"), ok("{}")]);
    let shipper = shipper(&web);
    let response = shipper.request(&get(&web)).unwrap();
    assert_eq!((response.status, response.body.as_str()), (418, "teapot"));
    assert!(response.headers.contains(&("x-said".to_owned(), "yes".to_owned())));
    let put = Request::new("PUT", format!("http://{}/out", web.address));
    let put = put.body("[]").header("X-Key", "other").header("x-more", "m");
    assert_eq!(shipper.request(&put).unwrap().status, 200);
    let requests = web.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].parameter("a")), ("GET", Some("b")));
    assert_eq!(requests[0].header("x-key"), Some("k"));
    assert_eq!(requests[0].header("content-type"), None);
    assert_eq!((requests[1].method.as_str(), requests[1].body.as_slice()), ("PUT", &b"[]"[..]));
    assert_eq!(requests[1].header("content-type"), Some("application/json"));
    assert_eq!(requests[1].header("x-key"), Some("other"));
    assert_eq!(requests[1].header("x-more"), Some("m"));
}

#[test]
fn what_of_an_answer_is_no_text_is_replaced() {
    let head = "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n";
    let web = Web::start([vec![Step::Send([head.as_bytes(), b"\"a\xff\""].concat())]]);
    assert_eq!(shipper(&web).request(&get(&web)).unwrap().body, "\"a\u{fffd}\"");
}

#[test]
fn only_what_does_no_harm_twice_is_sent_over_a_connection_that_may_be_closed() {
    let web = Web::start([ok("1"), ok("2"), vec![Step::Cut]]);
    let shipper = shipper(&web);
    for _ in 0..2 {
        shipper.request(&get(&web)).unwrap();
    }
    let post = Request::new("POST", format!("http://{}/out", web.address)).body("{}");
    assert!(matches!(shipper.request(&post).unwrap_err(), ReadError::Unreachable { .. }));
    let requests = web.requests();
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn a_request_is_tried_again_with_one_key_as_often_as_it_says() {
    let busy = || answer(503, "Retry-After: 0\r\n", "busy");
    let web = Web::start([
        busy(),
        vec![Step::Cut],
        ok("done"),
        busy(),
        busy(),
        answer(400, "", "no"),
        busy(),
    ]);
    let shipper = shipper(&web);
    let post = |attempts| {
        Request::new("POST", format!("http://{}/out", web.address))
            .body("{}")
            .attempts_max(attempts)
    };
    assert_eq!(shipper.request(&post(3)).unwrap().body, "done");
    // What comes of the last attempt counts, whatever it is, and what would be answered the same is not asked again.
    assert_eq!(shipper.request(&post(2)).unwrap().status, 503);
    assert_eq!(shipper.request(&post(9)).unwrap().status, 400);
    assert_eq!(shipper.request(&post(1)).unwrap().status, 503);
    let keys: Vec<_> = web
        .requests()
        .iter()
        .map(|request| request.header("idempotency-key").map(str::to_owned))
        .collect();
    assert!(keys[0].is_some() && keys[0] == keys[1] && keys[1] == keys[2]);
    assert!(keys[3] == keys[4] && keys[3] != keys[0] && keys[5] != keys[3]);
    assert_eq!(keys[6], None);
}

#[test]
fn a_request_ends_when_it_is_stopped_or_takes_too_long() {
    let web = Web::start([vec![Step::Hang], vec![Step::Hang]]);
    let shipper = shipper(&web);
    let late = get(&web).timeout(Duration::from_millis(20));
    assert!(matches!(shipper.request(&late).unwrap_err(), ReadError::Timeout { .. }));
    let stopper = Stopper::default();
    let stoppable = get(&web).stopped_by(&stopper);
    let asked = thread::spawn(move || shipper.request(&stoppable));
    web.wait_for(2);
    stopper.stop();
    assert!(asked.join().unwrap().is_err());
}

#[test]
fn events_of_every_type_come_and_go_on_behind_the_last_id() {
    let first = "event: log\nid: 7\ndata: one\n\n:\n\ndata: two\ndata: lines\n\n";
    let web = Web::start([
        stream(&[first], Step::Cut),
        vec![Step::Cut],
        stream(&["data: three\n\n"], Step::Hang),
    ]);
    let mut events = shipper(&web).events(get(&web).header("x-more", "m"));
    for expected in ["one", "two\nlines", "three"] {
        assert_eq!(events.next().unwrap().unwrap(), expected);
        assert_eq!(events.position(), Some("7"));
    }
    let stopper = events.stopper();
    let rest = thread::spawn(move || events.count());
    stopper.stop();
    assert_eq!(rest.join().unwrap(), 0);
    let requests = web.requests();
    let resumed: Vec<_> = requests.iter().map(|request| request.header("last-event-id")).collect();
    assert_eq!(resumed, [None, Some("7"), Some("7")]);
    for request in requests {
        assert_eq!((request.header("x-key"), request.header("x-more")), (Some("k"), Some("m")));
        assert_eq!(request.header("accept"), Some("text/event-stream"));
    }
}

#[test]
fn events_that_can_not_begin_or_are_refused_are_an_error() {
    let web = Web::start([vec![Step::Cut], answer(403, "", "no"), ok("{}")]);
    let mut events = shipper(&web).events(get(&web));
    assert!(matches!(events.next().unwrap().unwrap_err(), ReadError::Unreachable { .. }));
    assert!(events.next().is_none());
    let error = shipper(&web).events(get(&web)).next().unwrap().unwrap_err();
    assert_eq!((error.status(), error.to_string().contains("no")), (Some(403), true));
    let error = shipper(&web).events(get(&web)).next().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::Malformed { .. }));
}
