//! Streamlogia's routes. The key decides the project; the project ids that its clients send select within it.

mod asked;
mod export;
mod ingest;
mod reading;
mod tail;
mod tickets;

use axum::routing::{get, post};
use serde_json::{Value, json};

pub(crate) use self::tickets::Tickets;
use super::Peer;
use crate::{
    error::ApiError,
    routes::{INGEST, QUERY, Route},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/v1/ingest", INGEST, || post(ingest::ingest))
        .about("Stores the entries of Streamlogia's clients.")
        .of(Peer::Streamlogia),
    Route::new("POST", "/v1/ingest/bulk", INGEST, || post(ingest::bulk))
        .about("Stores the records of Streamlogia's collectors.")
        .of(Peer::Streamlogia),
    Route::new("POST", "/v1/ingest/otlp", INGEST, || post(ingest::otlp))
        .about("Stores OTLP's logs, where Streamlogia takes them.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs", QUERY, || get(reading::list))
        .about("Finds records, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/{log_id}", QUERY, || get(reading::one))
        .about("Shows one record, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/stats", QUERY, || get(reading::stats))
        .about("Counts records by level, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/timeseries", QUERY, || {
        get(reading::timeseries)
    })
    .about("Counts records over time, as Streamlogia does.")
    .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/aggregate", QUERY, || {
        get(reading::aggregate)
    })
    .about("Counts the values of a field, as Streamlogia does.")
    .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/export", QUERY, || get(export::export))
        .about("Gives many records as lines of JSON or as CSV, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/projects/{project_id}/logs/stream", QUERY, || get(tail::stream))
        .about("Streams records over a WebSocket, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("POST", "/v1/projects/{project_id}/logs/stream-ticket", QUERY, || {
        post(tail::ticket)
    })
    .about("Makes a ticket that opens one stream.")
    .of(Peer::Streamlogia),
    Route::new("GET", "/v1/query/projects", QUERY, || get(reading::projects))
        .about("Names the project of the key, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/query/logs", QUERY, || get(reading::list_of_key))
        .about("Finds records of the key's project, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/query/logs/{log_id}", QUERY, || get(reading::one_of_key))
        .about("Shows one record of the key's project, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/query/logs/export", QUERY, || get(export::export_of_key))
        .about("Gives many records of the key's project, as Streamlogia does.")
        .of(Peer::Streamlogia),
    Route::new("GET", "/v1/query/stats", QUERY, || get(reading::stats_of_key))
        .about("Counts records of the key's project by level, as Streamlogia does.")
        .of(Peer::Streamlogia),
];

pub(super) fn error(error: &ApiError) -> Value {
    let code = code(error);
    let mut said = json!({ "error": code, "code": code, "message": error.message() });
    let details: Vec<&Value> =
        error.details().iter().filter(|detail| detail.get("field").is_some()).collect();
    if let Some(members) = said.as_object_mut().filter(|_| !details.is_empty()) {
        members.insert("details".to_owned(), json!(details));
    }
    said
}

/// Streamlogia's word for a kind of error.
fn code(error: &ApiError) -> &'static str {
    match (error.status().as_u16(), error.code()) {
        (_, "expired_key") => "key_expired",
        (_, "query_timeout" | "body_too_slow") => "deadline_exceeded",
        (_, "quota_exceeded") => "too_many_requests",
        (401, _) => "unauthenticated",
        (403, _) => "permission_denied",
        (404, _) => "not_found",
        (409, _) => "already_exists",
        (413, _) => "payload_too_large",
        (429, _) => "resource_exhausted",
        (503, _) => "unavailable",
        (500.., _) => "internal",
        _ => "invalid_argument",
    }
}
