//! What the reader's HTTP library logs, a dump of each request with the key in it, is none of the program's records.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "../../client/tests/support/web.rs"]
mod web;

use std::{sync::mpsc, time::Duration};

use millpond::{
    Client,
    read::{Query, RawFormat, RawOptions},
};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};
use web::{PATIENCE, Step, Web, answer, event, ok, page, stream};

/// Longer than the test: nothing is sent that would be answered from the script.
const LATER: Duration = Duration::from_secs(3600);

/// All in one test, because there is one global subscriber.
#[test]
fn what_the_reader_does_is_not_logged_but_what_functions_of_the_program_log_is() {
    let web = Web::start([
        page(&[1], None),
        page(&[1], Some("next")),
        page(&[2], None),
        ok(r#"{"accepted":1,"rejected":[],"rejected_count":0}"#),
        answer(503, "", "{}"),
        stream(&[&event(1)], Step::Hang),
    ]);
    let client = Client::builder()
        .endpoint(format!("http://{}", web.address))
        .api_key("mp_secret")
        .retry_delay(Duration::ZERO, Duration::ZERO)
        .batch_age(LATER)
        .shutdown_timeout(Duration::ZERO)
        .build()
        .unwrap();
    tracing_subscriber::registry().with(millpond_tracing::layer(client.clone())).init();
    let accepted = || client.metrics().accepted;

    let reader = client.reader();
    assert_eq!(reader.query(&Query::new("")).unwrap().logs.len(), 1);
    assert_eq!(accepted(), 0, "after a query");
    assert_eq!(reader.logs("").map(Result::unwrap).count(), 2);
    assert_eq!(accepted(), 0, "after all pages");
    reader.ingest_raw(RawFormat::Jsonl, "{}", &RawOptions::new()).unwrap();
    assert_eq!(accepted(), 0, "after a raw body");

    let (tell, told) = mpsc::sync_channel(1);
    let tail = reader
        .tail("")
        .on_outage(|_| log::trace!("an outage"))
        .spawn(move |_| {
            log::trace!("a log");
            tell.send(()).unwrap();
        })
        .unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(accepted(), 2, "what both functions logged");
    assert!(tail.stop());
    assert_eq!(accepted(), 2, "after the end of the tail");
    assert_eq!(web.requests().len(), 6);
}
