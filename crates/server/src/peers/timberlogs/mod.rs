//! Timberlogs' routes, as its SDKs, its CLI and its documentation ask them.

mod flows;
mod ingest;
mod logs;
mod stats;
mod words;

use axum::{
    Json,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::Peer;
use crate::{
    auth::Caller,
    error::ApiError,
    routes::{Access, INGEST, QUERY, Route},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/v1/logs", INGEST, || post(ingest::ingest))
        .about("Stores logs, structured or raw, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/logs", QUERY, || get(logs::list))
        .about("Lists logs, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/logs/search", QUERY, || get(logs::search))
        .about("Searches logs, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/logs/{id}", QUERY, || get(logs::one))
        .about("Shows one log, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("POST", "/v1/flows", INGEST, || post(flows::create))
        .about("Makes an id for a new flow, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/flows", QUERY, || get(flows::list))
        .about("Lists flows, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/stats", QUERY, || get(stats::stats))
        .about("Counts logs by day, hour or source, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/stats/summary", QUERY, || get(stats::summary))
        .about("Compares today with yesterday, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("GET", "/v1/whoami", Access::AnyKey, || get(whoami))
        .about("Names the project of the key, as Timberlogs does.")
        .of(Peer::Timberlogs),
    Route::new("POST", "/v1/auth/device", Access::Everyone, || post(no_login))
        .about("Tells that there is no login but by key.")
        .of(Peer::Timberlogs),
    Route::new("POST", "/v1/auth/device/token", Access::Everyone, || post(no_login))
        .about("Tells that there is no login but by key.")
        .of(Peer::Timberlogs),
];

/// The code of an error whose details are what is wrong with each log.
const INVALID: &str = "validation_error";

/// The code of an error about a body that can't be read.
const UNREADABLE: &str = "PARSE_ERROR";

/// An error as its clients know them: `error` in Timberlogs' words. Where these say less than ours, `message` has ours.
pub(super) fn error(error: &ApiError) -> Value {
    let known = match error.code() {
        "missing_key" => "Missing API key",
        "invalid_key" => "Invalid API key",
        "expired_key" => "API key has expired",
        "overloaded" | "rate_limited" | "quota_exceeded" => "Rate limit exceeded",
        INVALID => return json!({ "error": "Validation error", "issues": error.details() }),
        "invalid_body" => {
            let said = format!("Failed to parse body: {}", error.message());
            return json!({ "error": said, "code": UNREADABLE });
        }
        code => return json!({ "error": error.message(), "code": code }),
    };
    let mut said = json!({ "error": known, "code": error.code(), "message": error.message() });
    if let (Some(seconds), Some(members)) = (error.retry_after_seconds(), said.as_object_mut()) {
        members.insert("retryAfter".to_owned(), seconds.into());
    }
    said
}

/// A workspace is a project.
async fn whoami(caller: Caller) -> Json<Value> {
    Json(json!({ "workspaceName": caller.project.as_str() }))
}

/// For the CLI, which stops at any error but one and shows it.
async fn no_login() -> ApiError {
    let message = "this server has no login, expected an API key as `millpond key create` makes it";
    ApiError::new(StatusCode::NOT_FOUND, "no_login", message)
}
