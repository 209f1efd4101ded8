//! What Streamlogia's clients and collectors send.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use millpond_protocols::{Defaults, Protocol, otlp::Encoding, streamlogia::uuid};
use millpond_record::json::write_string;
use serde_json::{Value, json};

use crate::{
    App,
    auth::Caller,
    error::ApiError,
    ingest::{Ingested, Rejected, Wanted, take},
    logs::page::finish,
};

pub(super) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    let wanted = wanted(Protocol::Streamlogia, true);
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
    if taken.accepted == 0 {
        let details = taken
            .rejected
            .iter()
            .map(|rejected| json!({ "field": place(rejected), "message": rejected.reason }));
        let message = "no entry could be kept, expected what `details` say";
        return Err(ApiError::body(message).with_details(details.collect()));
    }
    let mut members = vec![("ingested", taken.accepted.into())];
    if taken.rejected_count > 0 {
        let rejected = taken.rejected.iter().map(|rejected| {
            json!({ "index": rejected.index, "field": place(rejected), "reason": rejected.reason })
        });
        members.push(("rejected", rejected.collect()));
        members.push(("rejected_count", taken.rejected_count.into()));
    }
    Ok(finish(ids(&taken), members))
}

/// The id of each entry, in order: the start of an answer, written at once, for there may be a million of them. Those of a
/// batch that had been stored before are not known any more.
fn ids(taken: &Ingested) -> String {
    let mut body = String::from("{\"ids\":[");
    for (place, id) in taken.ids().enumerate() {
        if place > 0 {
            body.push(',');
        }
        match id {
            Some(id) => write_string(&mut body, &uuid(&id.to_string())),
            None => body.push_str("null"),
        }
    }
    body.push(']');
    body
}

/// Which entry, and which of its members.
fn place(rejected: &Rejected) -> String {
    match rejected.field {
        Some(field) => format!("[{}].{field}", rejected.index),
        None => format!("[{}]", rejected.index),
    }
}

pub(super) async fn bulk(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wanted = wanted(Protocol::StreamlogiaBulk, false);
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
    Ok(accepted(&taken))
}

pub(super) async fn otlp(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| value.contains("json"));
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    let wanted = wanted(Protocol::Otlp(encoding), false);
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
    Ok(accepted(&taken))
}

fn wanted(protocol: Protocol, places: bool) -> Wanted {
    Wanted { protocol, defaults: Defaults::default(), places, whole: false }
}

/// What a collector is told.
fn accepted(taken: &Ingested) -> (StatusCode, Json<Value>) {
    let errors = taken.rejected.iter().map(|rejected| {
        let mut error = json!({ "index": rejected.index, "error": rejected.reason });
        if let (Some(line), Some(members)) = (rejected.line, error.as_object_mut()) {
            members.insert("line".to_owned(), line.into());
        }
        error
    });
    let answer = json!({
        "accepted": taken.accepted,
        "rejected": taken.rejected_count,
        "errors": errors.collect::<Vec<_>>(),
    });
    (StatusCode::ACCEPTED, Json(answer))
}
