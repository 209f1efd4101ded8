//! How requests end, and what is logged until then.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod fixture;

use std::{
    collections::VecDeque,
    future::{pending, poll_fn, ready},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use fixture::{Fixture, Incoming, request, response};
use http::{HeaderValue, Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use millpond::{Client, Scope, TextAttribute};
use millpond_tower::{MillpondLayer, RecordedBody};
use serde_json::{Value, json};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

/// One thing that a body does when it is polled.
enum Step {
    Data(&'static str),
    Wait,
    Fail,
    Panic,
}

/// A body that does one step after the other and logs, if it can, when it is polled and dropped.
struct Steps {
    steps: VecDeque<Step>,
    client: Option<Client>,
    length: Option<u64>,
}

impl Steps {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), client: None, length: None }
    }

    fn of_length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    fn logging_to(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    fn log(&self, message: &str) {
        if let Some(client) = &self.client {
            client.info(message).send();
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.log("body dropped");
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.log("body polled");
        match self.steps.pop_front() {
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(data))))),
            Some(Step::Wait) => Poll::Pending,
            Some(Step::Fail) => Poll::Ready(Some(Err(io::Error::other("the disk is gone")))),
            Some(Step::Panic) => panic!("expected in this test"),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The response of a service that answers with this body.
async fn respond(
    layer: &MillpondLayer,
    asked: Incoming,
    body: Steps,
) -> Response<RecordedBody<Steps>> {
    let mut body = Some(body);
    let inner = service_fn(move |_: Incoming| {
        ready(Ok::<_, io::Error>(Response::new(body.take().unwrap())))
    });
    layer.layer(inner).oneshot(asked).await.unwrap()
}

#[tokio::test]
async fn a_stream_is_recorded_after_its_last_byte() {
    let fixture = Fixture::new();
    let steps = Steps::new([Step::Data("abc"), Step::Data("de")]);
    let mut body = respond(&fixture.layer(), request("/"), steps).await.into_body();
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(fixture.records().len(), 0);
    assert!(body.frame().await.is_none());
    drop(body);
    let record = fixture.record();
    assert_eq!(
        (&record["fields"]["response_bytes"], &record["level"]),
        (&json!(5), &json!("info"))
    );
    assert!(record["fields"]["outcome"].is_null());
}

#[tokio::test]
async fn a_body_of_known_length_is_over_with_its_last_byte() {
    let fixture = Fixture::new();
    let steps = Steps::new([Step::Data("abc"), Step::Data("de")]).of_length(5);
    let mut body = respond(&fixture.layer(), request("/"), steps).await.into_body();
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    // hyper asks for no more.
    drop(body);
    assert!(fixture.record()["fields"]["outcome"].is_null());
}

#[tokio::test]
async fn a_body_that_nobody_asks_for_is_no_disconnect() {
    let fixture = Fixture::new();
    let mut head = request("/");
    *head.method_mut() = Method::HEAD;
    drop(respond(&fixture.layer(), head, Steps::new([Step::Data("abc")])).await);
    let inner = service_fn(async |_: Incoming| Ok::<_, io::Error>(response(200, "")));
    drop(fixture.layer().layer(inner).oneshot(request("/")).await.unwrap());
    let outcomes: Vec<_> =
        fixture.records().iter().map(|record| record["fields"]["outcome"].clone()).collect();
    assert_eq!(outcomes, [Value::Null, Value::Null]);
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_lost_its_client() {
    let fixture = Fixture::new();
    let steps = Steps::new([Step::Data("abc"), Step::Data("de")]);
    let mut body = respond(&fixture.layer(), request("/"), steps).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let record = fixture.record();
    assert_eq!((&record["message"], &record["level"]), (&json!("GET / 200"), &json!("warn")));
    let fields = &record["fields"];
    assert_eq!(
        [&fields["outcome"], &fields["disconnected"], &fields["response_bytes"]],
        [&json!("disconnected"), &json!(true), &json!(3)]
    );
}

#[tokio::test]
async fn a_future_that_is_dropped_before_its_response_lost_its_client() {
    let fixture = Fixture::new();
    let inner = service_fn(|_: Incoming| pending::<Result<Response<Empty<Bytes>>, io::Error>>());
    {
        let mut future = pin!(fixture.layer().layer(inner).oneshot(request("/")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert_eq!(fixture.records().len(), 0);
    }
    let record = fixture.record();
    assert_eq!((&record["message"], &record["level"]), (&json!("GET / 499"), &json!("warn")));
    assert_eq!(record["fields"]["outcome"], "disconnected");
}

#[tokio::test]
async fn an_error_of_the_service_is_recorded_and_passed_on() {
    let fixture = Fixture::new();
    let inner = service_fn(async |_: Incoming| {
        Err::<Response<Empty<Bytes>>, _>(io::Error::other("no database"))
    });
    let error = fixture.layer().layer(inner).oneshot(request("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "no database");
    let record = fixture.record();
    assert_eq!((&record["message"], &record["level"]), (&json!("GET / 500"), &json!("error")));
    assert_eq!(record["fields"]["outcome"], "failed");
    assert_eq!(record["exception"], json!({"message": "no database"}));
}

#[tokio::test]
async fn an_error_of_the_body_is_recorded_and_passed_on() {
    let fixture = Fixture::new();
    let body =
        respond(&fixture.layer(), request("/"), Steps::new([Step::Data("abc"), Step::Fail])).await;
    let error = body.into_body().collect().await.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    let record = fixture.record();
    assert_eq!((&record["message"], &record["level"]), (&json!("GET / 200"), &json!("error")));
    assert_eq!(record["exception"], json!({"message": "the disk is gone"}));
}

#[test]
fn panics_are_recorded_and_go_on() {
    let fixture = Fixture::new();
    let mut context = Context::from_waker(Waker::noop());

    let mut in_call = fixture.layer().layer(service_fn(
        |_: Incoming| -> std::future::Ready<Result<Response<Empty<Bytes>>, io::Error>> {
            panic!("expected in this test")
        },
    ));
    assert!(catch_unwind(AssertUnwindSafe(|| in_call.call(request("/call")))).is_err());

    let mut in_future = fixture.layer().layer(service_fn(
        async |_: Incoming| -> Result<Response<Empty<Bytes>>, io::Error> {
            panic!("expected in this test")
        },
    ));
    let mut future = Box::pin(in_future.call(request("/future")));
    assert!(catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))).is_err());
    // Whoever caught it drops the future later.
    drop(future);

    let mut steps = Some(Steps::new([Step::Panic]));
    let mut in_body = fixture.layer().layer(service_fn(move |_: Incoming| {
        ready(Ok::<_, io::Error>(Response::new(steps.take().unwrap())))
    }));
    let mut future = pin!(in_body.call(request("/body")));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) else { panic!("not ready") };
    let mut body = Box::pin(response.into_body());
    assert!(catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(&mut context))).is_err());
    drop(body);

    let records = fixture.records();
    let messages: Vec<_> =
        records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["GET /call 500", "GET /future 500", "GET /body 200"]);
    assert!(records.iter().all(|record| record["level"] == "error"));
    assert!(records.iter().all(|record| record["fields"]["outcome"] == "panicked"));
}

#[tokio::test]
async fn everything_that_is_logged_for_a_request_has_its_ids() {
    let fixture = Fixture::new();
    let client = fixture.client.clone();
    let inner = service_fn(move |_: Incoming| {
        client.info("call").send();
        let client = client.clone();
        async move {
            client.info("future").send();
            let mut waited = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            client.info("later").user_id("own").send();
            assert_eq!(Scope::current().get(TextAttribute::RequestId), Some("r-1"));
            let steps = Steps::new([Step::Data("abc")]).logging_to(client);
            Ok::<_, io::Error>(Response::new(steps))
        }
    });
    let mut asked = request("/");
    asked.headers_mut().insert("x-request-id", HeaderValue::from_static("r-1"));
    let answered = fixture.layer().layer(inner).oneshot(asked).await.unwrap();
    fixture.client.info("outside").send();
    drop(answered.into_body().collect().await.unwrap());
    let records = fixture.records();
    let (inside, outside): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record["message"] != "outside");
    assert!(outside[0]["request_id"].is_null() && outside[0]["trace_id"].is_null());
    let messages: Vec<_> =
        inside.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        ["call", "future", "later", "body polled", "body polled", "GET / 200", "body dropped"]
    );
    for record in &inside {
        assert_eq!(record["request_id"], "r-1");
        assert_eq!(record["trace_id"], inside[0]["trace_id"]);
        assert_eq!(record["span_id"], inside[0]["span_id"]);
    }
}

#[tokio::test]
async fn a_wait_of_the_body_is_no_end() {
    let fixture = Fixture::new();
    let steps = Steps::new([Step::Data("abc"), Step::Wait, Step::Data("de")]);
    let mut body = respond(&fixture.layer(), request("/"), steps).await.into_body();
    body.frame().await.unwrap().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut body.frame()).poll(&mut context).is_pending());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "de");
    assert_eq!(fixture.record()["fields"]["response_bytes"], 5);
}
