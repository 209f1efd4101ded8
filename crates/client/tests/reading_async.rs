//! The reader for async programs, on an executor that is no runtime.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use futures_core::Stream;
use millpond::read::{
    Aggregation, AsyncLogs, AsyncReader, Log, Query, RawFormat, RawOptions, ReadError,
};
use pollster::block_on;

#[path = "support/web.rs"]
mod web;

use web::{Step, Web, answer, comment, event, ok, page, stream};

fn reader(web: &Web) -> AsyncReader {
    web.reader().into_async()
}

async fn next(logs: &mut AsyncLogs) -> Option<Result<Log, ReadError>> {
    poll_fn(|context| Pin::new(&mut *logs).poll_next(context)).await
}

/// Begins a future, and gives it back while it waits.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn every_call_is_a_future() {
    const STATISTICS: &str =
        r#"{"interval":"1h","total":0,"timeseries":[],"top_services":[],"top_errors":[]}"#;
    let web = Web::start([
        page(&[1], None),
        page(&[2], None),
        ok(STATISTICS),
        ok(r#"{"accepted":1}"#),
        answer(401, "", ""),
    ]);
    let reader = reader(&web);
    block_on(async {
        assert_eq!(reader.query(&Query::default()).await.unwrap().logs[0].id(), "1");
        assert_eq!(reader.by_trace_id("a").await.unwrap().logs[0].id(), "2");
        assert_eq!(reader.aggregated(&Aggregation::new()).await.unwrap().interval, "1h");
        let receipt = reader.ingest_raw(RawFormat::Text, "a", &RawOptions::new()).await;
        assert_eq!(receipt.unwrap().accepted, 1);
        let refused = reader.query(&Query::default()).await.unwrap_err();
        assert_eq!(refused.status(), Some(401));
    });
    assert!(web.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn futures_and_streams_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let reader = reader(&Web::start([]));
    is_send(&reader.query(&Query::default()));
    is_send(&reader.ingest_raw(RawFormat::Text, "a", &RawOptions::new()));
    is_send(&reader.logs(""));
}

#[test]
fn a_future_that_is_dropped_closes_its_connection() {
    let web = Web::start([]);
    let reader = reader(&web);
    {
        let query = Query::default();
        let mut waiting = pin!(reader.query(&query));
        block_on(begin(waiting.as_mut()));
        web.wait_for(1);
    }
    web.wait_for_closed(1);
}

#[test]
fn a_raw_body_whose_future_is_dropped_is_not_sent_again() {
    let web = Web::start([vec![Step::Hang], ok(r#"{"accepted":1}"#)]);
    let reader = reader(&web);
    {
        let options = RawOptions::new();
        let mut waiting = pin!(reader.ingest_raw(RawFormat::Text, "a", &options));
        block_on(begin(waiting.as_mut()));
        web.wait_for(1);
    }
    web.wait_for_closed(1);
    block_on(reader.query(&Query::default())).unwrap_err();
    let methods: Vec<_> = web.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[test]
fn all_pages_are_one_stream() {
    let web = Web::start([page(&[3, 2], Some("2")), page(&[1], None)]);
    let mut logs = reader(&web).logs("");
    block_on(async {
        for id in ["3", "2", "1"] {
            assert_eq!(next(&mut logs).await.unwrap().unwrap().id(), id);
        }
        assert!(next(&mut logs).await.is_none());
    });
}

#[test]
fn a_live_stream_is_taken_up_again_and_ends_with_an_error() {
    let web = Web::start([
        stream(&[&comment(1), &event(2), "id: 3\ndata: {"], Step::Cut),
        stream(&[&event(3)], Step::Cut),
        answer(403, "", ""),
    ]);
    let mut logs = reader(&web).stream("");
    block_on(async {
        for id in ["2", "3"] {
            assert_eq!(next(&mut logs).await.unwrap().unwrap().id(), id);
        }
        assert_eq!(next(&mut logs).await.unwrap().unwrap_err().status(), Some(403));
        assert!(next(&mut logs).await.is_none());
    });
}

#[test]
fn a_live_stream_that_is_dropped_closes_its_connection() {
    let web = Web::start([stream(&[&event(1)], Step::Hang)]);
    let mut logs = reader(&web).stream("");
    block_on(next(&mut logs)).unwrap().unwrap();
    drop(logs);
    web.wait_for_closed(1);
}

#[test]
fn a_live_stream_that_nobody_reads_stops_when_it_is_dropped() {
    let many: String = (0..1000).map(|_| event(1)).collect();
    let web = Web::start([stream(&[&many], Step::Hang)]);
    let logs = reader(&web).stream("");
    web.wait_for(1);
    drop(logs);
    web.wait_for_closed(1);
}
