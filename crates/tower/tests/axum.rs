//! With axum: its routes and addresses, and a real server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

#[path = "../../client/tests/support/mod.rs"]
mod support;

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, header::CONTENT_LENGTH},
    routing::get,
};
use http_body::Frame;
use millpond::Client;
use millpond_tower::MillpondLayer;
use serde_json::{Value, json};
use support::{PATIENCE, Server, client, eventually, flush};
use tower::ServiceExt as _;

/// Says something over and over.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

fn app(client: &Client) -> Router {
    let logging = client.clone();
    Router::new()
        .route("/orders/{number}", get(async move || logging.info("inside").send()))
        .route("/endless", get(async || Body::new(Endless)))
        .route("/sized", get(async || ([(CONTENT_LENGTH, "2048")], Body::new(Endless))))
        .route("/text", get(async || "text"))
        .route("/panic", get(async || -> &'static str { panic!("expected in this test") }))
        .layer(MillpondLayer::new(client.clone()))
}

fn stored(server: &Server, client: &Client) -> Vec<Value> {
    flush(client);
    server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_route_is_the_one_that_matched() {
    let server = Server::start();
    let client = client(&server);
    let request = |path| Request::builder().uri(path).body(Body::empty()).unwrap();
    app(&client).oneshot(request("/orders/7")).await.unwrap();
    app(&client).oneshot(request("/nowhere")).await.unwrap();
    let records = stored(&server, &client);
    assert_eq!(records[0]["message"], "inside");
    assert_eq!(records[0]["request_id"], records[1]["request_id"]);
    assert_eq!(
        (&records[1]["fields"]["route"], &records[1]["fields"]["path"]),
        (&json!("/orders/{number}"), &json!("/orders/7"))
    );
    assert_eq!(
        (&records[2]["fields"]["route"], &records[2]["fields"]["status"]),
        (&Value::Null, &json!(404))
    );
}

/// Serves the app; asks for each path on a connection of its own, reads so many bytes at least or what there is, and
/// goes away. A server need not begin with a request whose client is gone, so something is read of each.
fn ask(client: &Client, paths: &[(&str, &str, usize)]) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener =
        runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(client).into_make_service_with_connect_info::<SocketAddr>();
    runtime.spawn(async move { axum::serve(listener, app).await });
    for (method, path, bytes_min) in paths {
        let before = client.metrics().accepted;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
        let mut came = 0;
        let mut buffer = [0; 4096];
        while came < *bytes_min {
            let read = stream.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            came += read;
        }
        drop(stream);
        eventually("a record of the request", || client.metrics().accepted > before);
    }
}

#[test]
fn a_real_server_tells_when_a_response_ends_and_when_the_client_goes_away() {
    let server = Server::start();
    let client = client(&server);
    ask(
        &client,
        &[
            ("GET", "/text", 1),
            ("HEAD", "/text", 1),
            ("GET", "/sized", 2048),
            ("GET", "/endless", 10_000),
            ("GET", "/panic", 1),
        ],
    );
    let records = stored(&server, &client);
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record["message"].as_str().unwrap(), record["fields"]["outcome"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("GET /text 200", None),
            ("HEAD /text 200", None),
            ("GET /sized 200", None),
            ("GET /endless 200", Some("disconnected")),
            ("GET /panic 500", Some("panicked")),
        ]
    );
    assert!(records.iter().all(|record| record["fields"]["ip"] == "127.0.0.1"));
}
