//! OTLP over HTTP: logs are stored; of spans and metrics it is said that they are not.

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use millpond_protocols::{
    Defaults, Protocol,
    otlp::{Encoding, answer, refusal},
};
use serde_json::{Value, json};

use super::Peer;
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    ingest::{Ingested, Wanted, take},
    routes::{Access, INGEST, Route},
};

const PROTOBUF: &str = "application/x-protobuf";

/// What is true of all paths of OTLP but that of Timberlogs, which is shared: `POST /v1/logs`.
pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/v1/otlp/logs", INGEST, || post(logs))
        .about("Stores OTLP's logs.")
        .of(Peer::Otlp),
    Route::new("GET", "/v1/otlp/logs", Access::Everyone, || get(ready))
        .about("Tells that logs are taken here.")
        .of(Peer::Otlp),
    Route::new("POST", "/v1/traces", INGEST, || post(not_kept))
        .about("Tells that spans are not kept.")
        .of(Peer::Otlp),
    Route::new("POST", "/v1/metrics", INGEST, || post(not_kept))
        .about("Tells that metrics are not kept.")
        .of(Peer::Otlp),
    Route::new("POST", "/v1/otlp/traces", INGEST, || post(not_kept))
        .about("Tells that spans are not kept.")
        .of(Peer::Otlp),
    Route::new("POST", "/v1/otlp/metrics", INGEST, || post(not_kept))
        .about("Tells that metrics are not kept.")
        .of(Peer::Otlp),
];

pub(super) fn error(error: &ApiError) -> Value {
    let said = refusal(Encoding::Json, error.message());
    serde_json::from_slice(&said).unwrap_or_default()
}

/// The encoding of a body that can only be OTLP's: one in protobuf, or JSON that has what only OTLP's has.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match content_type.is_some_and(|value| value.trim().starts_with(PROTOBUF)) {
        true => Encoding::Protobuf,
        false => Encoding::Json,
    }
}

pub(super) async fn logs(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let encoding = encoding(&parts.headers);
    match store(&app, &mut parts, body, encoding).await {
        Ok(ingested) => stored(encoding, &ingested),
        Err(error) => refused(encoding, &error),
    }
}

async fn store(
    app: &App,
    parts: &mut Parts,
    body: Body,
    encoding: Encoding,
) -> Result<Ingested, ApiError> {
    let caller = Caller::from_request_parts(parts, app).await?;
    let wanted = Wanted::good_of(Protocol::Otlp(encoding), Defaults::default());
    take(app, &caller, &parts.headers, body, |_| Ok(wanted)).await
}

/// What an exporter is told of a body whose records are stored.
pub(super) fn stored(encoding: Encoding, ingested: &Ingested) -> Response {
    let reason = ingested.rejected.first().map_or("", |rejected| rejected.reason.as_str());
    encoded(encoding, answer(encoding, ingested.rejected_count, reason))
}

/// An exporter that is told `404` gives up what it sent, and says so; it does not try for ever.
async fn not_kept(State(app): State<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let encoding = encoding(&parts.headers);
    if let Err(error) = Caller::from_request_parts(&mut parts, &app).await {
        return refused(encoding, &error);
    }
    let what = if parts.uri.path().ends_with("metrics") { "metrics" } else { "spans" };
    let message = format!("{what} are not kept by this server, only logs: POST /v1/logs");
    refused(encoding, &ApiError::not_found(message))
}

async fn ready() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

fn refused(encoding: Encoding, error: &ApiError) -> Response {
    let mut response = encoded(encoding, refusal(encoding, error.message()));
    *response.status_mut() = error.status();
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn encoded(encoding: Encoding, body: Vec<u8>) -> Response {
    let content_type = match encoding {
        Encoding::Protobuf => PROTOBUF,
        Encoding::Json => "application/json",
    };
    (StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response()
}
