//! "payments": the service behind `examples/fastapi`. `POST /charge` takes an order's payment or declines it; each
//! request is recorded, and every record of a request carries the trace id that came with it.
//!
//! ```sh
//! PORT=8001 MILLPOND_ENDPOINT=http://127.0.0.1:4480 MILLPOND_API_KEY=… cargo run -p millpond-example-axum
//! ```

mod witness;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use millpond_tower::MillpondLayer;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal::unix};
use tracing::Instrument as _;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::witness::event_id;

/// How long the end may wait for records that are not delivered.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Every so manieth order is declined.
const DECLINED_EVERY: u64 = 7;

/// No card takes more, in cents.
const AMOUNT_CENTS_MAX: u64 = 1_000_000;

#[derive(Debug, Deserialize)]
struct Charge {
    order_number: u64,
    amount_cents: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut builder = millpond::Builder::from_env();
    if env::var_os("MILLPOND_SERVICE").is_none() {
        builder = builder.service("payments");
    }
    let client = builder.build()?;
    tracing_subscriber::registry().with(millpond_tracing::layer(client.clone())).init();

    let port = env::var("PORT").map_or(Ok(8001), |port| port.parse()).context("read PORT")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("listen")?;
    let app = Router::new()
        .route("/charge", post(charge))
        .route("/health", get(async || "ok"))
        .layer(MillpondLayer::new(client.clone()))
        .into_make_service_with_connect_info::<SocketAddr>();
    announce(listener.local_addr()?.port());
    tracing::info!(event_id = event_id("started").await, "started");

    let served = axum::serve(listener, app).with_graceful_shutdown(stop()).await;

    tracing::info!(event_id = event_id("stopped").await, "stopped");
    let outcome = tokio::task::spawn_blocking(move || client.close(SHUTDOWN_TIMEOUT)).await?;
    anyhow::ensure!(outcome.is_complete(), "{} records could not be delivered", outcome.left);
    served.context("serve")
}

/// Opens the span that gives every record inside of it the order; the ids of the request are there already.
async fn charge(Json(charge): Json<Charge>) -> (StatusCode, Json<Value>) {
    let span = tracing::info_span!("charge", order_number = charge.order_number);
    decide(charge).instrument(span).await
}

async fn decide(charge: Charge) -> (StatusCode, Json<Value>) {
    let Charge { order_number, amount_cents } = charge;
    // Not inside of the macro: what it builds can't be kept across an `await`.
    let id = event_id("charging").await;
    tracing::info!(event_id = id, amount_cents, "charging a card");
    if amount_cents > AMOUNT_CENTS_MAX {
        let id = event_id("over the limit").await;
        tracing::error!(
            event_id = id,
            amount_cents,
            limit_cents = AMOUNT_CENTS_MAX,
            "amount over the limit"
        );
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({ "error": "amount over the limit" })),
        );
    }
    if order_number.is_multiple_of(DECLINED_EVERY) {
        let id = event_id("declined").await;
        tracing::warn!(event_id = id, amount_cents, reason = "insufficient funds", "card declined");
        return (StatusCode::PAYMENT_REQUIRED, Json(json!({ "error": "card declined" })));
    }
    let payment_id = format!("pay-{order_number}");
    let id = event_id("charged").await;
    tracing::info!(event_id = id, amount_cents, payment_id, retried = false, "card charged");
    (StatusCode::OK, Json(json!({ "payment_id": payment_id })))
}

#[expect(clippy::print_stdout, reason = "whoever started the service reads the port here")]
fn announce(port: u16) {
    println!("payments: listening on http://127.0.0.1:{port}");
}

/// Ends when the process is asked to end.
async fn stop() {
    let mut terminate = unix::signal(unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
