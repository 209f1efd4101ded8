//! What is recorded of a request.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod fixture;

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use fixture::{Fixture, Incoming, answer, request, response};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use millpond::Level;
use millpond_tower::ForwardedHeader;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_request_is_recorded_once_at_the_end_of_its_response() {
    let fixture = Fixture::new();
    let request = Request::builder()
        .method(Method::POST)
        .uri("http://shop/orders/7?secret=1")
        .header("user-agent", "curl/8")
        .header("traceparent", TRACEPARENT)
        .header("x-request-id", "r-1")
        .extension("203.0.113.9:4711".parse::<SocketAddr>().unwrap())
        .body(Empty::new())
        .unwrap();
    let answered = answer(&fixture.layer(), request, 201).await;
    assert_eq!((answered.status(), answered.body().as_ref()), (StatusCode::CREATED, &b"body"[..]));
    assert_eq!(answered.headers()["x-request-id"], "r-1");

    let mut record = fixture.record();
    let said = ["message", "level", "logger", "trace_id", "request_id"]
        .map(|key| record[key].as_str().unwrap());
    assert_eq!(
        said,
        [
            "POST /orders/7 201",
            "info",
            "millpond.request",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "r-1"
        ]
    );
    assert_ne!(record["span_id"], "00f067aa0ba902b7");
    assert!(record["fields"]["duration_ms"].take().as_f64().unwrap() >= 0.0);
    assert_eq!(
        record["fields"],
        json!({
            "method": "POST", "path": "/orders/7", "status": 201, "duration_ms": null, "response_bytes": 4,
            "ip": "203.0.113.9", "user_agent": "curl/8", "parent_span_id": "00f067aa0ba902b7",
        })
    );
}

#[tokio::test]
async fn the_status_decides_the_level() {
    let fixture = Fixture::new();
    for status in [200, 302, 404, 500, 503] {
        answer(&fixture.layer(), request("/"), status).await;
    }
    let quiet = fixture.layer().level_of(|_| Level::Debug);
    answer(&quiet, request("/"), 404).await;
    let levels: Vec<_> = fixture
        .records()
        .iter()
        .map(|record| record["level"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(levels, ["info", "info", "warn", "error", "error", "debug"]);
}

#[tokio::test]
async fn ids_that_are_missing_or_no_ids_are_made() {
    let fixture = Fixture::new();
    let too_long = "x".repeat(129);
    let mut made = Vec::new();
    for (name, value) in [
        ("x-other", "r"),
        ("x-request-id", "with space"),
        ("x-request-id", too_long.as_str()),
        ("x-request-id", ""),
    ] {
        let mut request = request("/");
        request.headers_mut().insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
        request.headers_mut().insert("traceparent", HeaderValue::from_static("00-0-0-0"));
        let answered = answer(&fixture.layer(), request, 200).await;
        made.push(answered.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    let records = fixture.records();
    for (record, made) in records.iter().zip(&made) {
        assert_eq!(record["request_id"], *made);
        assert_eq!(made.len(), 32);
        assert!(millpond::TraceId::parse(record["trace_id"].as_str().unwrap()).is_some());
        assert!(record["fields"]["parent_span_id"].is_null());
    }
    assert_ne!(made[0], made[1]);

    let mut correlated = request("/");
    correlated.headers_mut().insert("x-correlation-id", HeaderValue::from_static("c-1"));
    let answered = answer(&fixture.layer(), correlated, 200).await;
    assert_eq!(answered.headers()["x-request-id"], "c-1");
}

#[tokio::test]
async fn a_request_id_that_the_service_sets_itself_stays() {
    let fixture = Fixture::new();
    let inner = service_fn(async |_: Incoming| {
        let mut response = response(200, "");
        response.headers_mut().insert("x-request-id", HeaderValue::from_static("own"));
        Ok::<_, io::Error>(response)
    });
    let answered = fixture.layer().layer(inner).oneshot(request("/")).await.unwrap();
    assert_eq!(answered.headers()["x-request-id"], "own");
}

#[tokio::test]
async fn paths_that_are_skipped_are_not_recorded_unless_they_fail() {
    let fixture = Fixture::new();
    for path in ["/health", "/healthz", "/metrics", "/metrics/x"] {
        answer(&fixture.layer(), request(path), 200).await;
        answer(&fixture.layer().skip_paths(["/other"]), request(path), 200).await;
    }
    answer(&fixture.layer(), request("/health/deep"), 200).await;
    let inner = service_fn(async |_: Incoming| Err::<Response<Empty<Bytes>>, _>("broken"));
    fixture.layer().layer(inner).oneshot(request("/health")).await.unwrap_err();
    let paths: Vec<_> = fixture
        .records()
        .iter()
        .map(|record| record["fields"]["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["/health", "/healthz", "/metrics", "/metrics/x", "/health/deep", "/health"]);
}

#[tokio::test]
async fn the_address_is_that_of_the_peer_unless_a_trusted_proxy_names_another() {
    let fixture = Fixture::new();
    let asked = || {
        let mut request = request("/");
        let headers = request.headers_mut();
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1, 198.51.100.1"));
        headers.insert("forwarded", HeaderValue::from_static("for=192.0.2.60"));
        request.extensions_mut().insert("10.0.0.1:4711".parse::<SocketAddr>().unwrap());
        request
    };
    let trusting = || fixture.layer().trusted_proxies(["10.0.0.0/8".parse().unwrap()]);
    answer(&fixture.layer(), asked(), 200).await;
    answer(&trusting(), asked(), 200).await;
    answer(&trusting().forwarded_header(ForwardedHeader::Forwarded), asked(), 200).await;
    let told = fixture.layer().peer_address(|_| "203.0.113.9".parse::<IpAddr>().ok());
    answer(&told, asked(), 200).await;
    // Nobody knows the peer, so nobody knows whether it is to be trusted.
    answer(&trusting().peer_address(|_| None), asked(), 200).await;
    let ips: Vec<_> =
        fixture.records().iter().map(|record| record["fields"]["ip"].clone()).collect();
    assert_eq!(
        ips,
        [
            json!("10.0.0.1"),
            json!("198.51.100.1"),
            json!("192.0.2.60"),
            json!("203.0.113.9"),
            Value::Null
        ]
    );
}

#[tokio::test]
async fn headers_are_recorded_if_they_are_asked_for() {
    let fixture = Fixture::new();
    let mut asked = request("/");
    let headers = asked.headers_mut();
    headers.insert("accept", HeaderValue::from_static("a"));
    headers.append("accept", HeaderValue::from_static("b"));
    headers.insert("authorization", HeaderValue::from_static("secret"));
    let mut cookie = HeaderValue::from_static("secret");
    cookie.set_sensitive(true);
    headers.insert("cookie", cookie);
    let names = ["accept", "cookie", "host"].map(HeaderName::from_static);
    answer(&fixture.layer().request_headers(names), asked, 200).await;
    assert_eq!(fixture.record()["fields"]["request_headers"], json!({"accept": "a, b"}));
}
