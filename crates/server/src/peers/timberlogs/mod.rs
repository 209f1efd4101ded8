//! Timberlogs' routes, as its SDKs, its CLI and its documentation ask them.

mod ingest;
mod logs;
mod words;

use axum::routing::{get, post};
use serde_json::{Value, json};

use super::Peer;
use crate::{
    error::ApiError,
    routes::{INGEST, QUERY, Route},
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
