//! What Streamlogia's clients and collectors send.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use millpond_protocols::{Defaults, Protocol, streamlogia::uuid};
use serde_json::{Value, json};

use crate::{
    App,
    auth::Caller,
    error::ApiError,
    ingest::{Ingested, Rejected, Wanted, take},
    keys::Scope,
};

/// The code of what is refused because we do not take it.
pub(super) const NOT_TAKEN: &str = "not_taken";

pub(super) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    let wanted =
        Wanted { protocol: Protocol::Streamlogia, defaults: Defaults::default(), places: true };
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
    if taken.accepted == 0 {
        let details = taken
            .rejected
            .iter()
            .map(|rejected| json!({ "field": place(rejected), "message": rejected.reason }));
        let message = "no entry could be kept, expected what `details` say";
        return Err(ApiError::body(message).with_details(details.collect()));
    }
    let mut answer = json!({ "ingested": taken.accepted, "ids": ids(&taken) });
    if let Some(members) = answer.as_object_mut().filter(|_| taken.rejected_count > 0) {
        let rejected = taken.rejected.iter().map(|rejected| {
            json!({ "index": rejected.index, "field": place(rejected), "reason": rejected.reason })
        });
        members.insert("rejected".to_owned(), rejected.collect());
        members.insert("rejected_count".to_owned(), taken.rejected_count.into());
    }
    Ok(Json(answer))
}

/// The id of each entry, in order. Those of a batch that had been stored before are not known any more.
fn ids(taken: &Ingested) -> Vec<Option<String>> {
    let mut ids: Vec<_> =
        taken.ids().into_iter().map(|id| id.map(|id| uuid(&id.to_string()))).collect();
    ids.resize(taken.accepted + taken.rejected_count, None);
    ids
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
    let protocol = Protocol::StreamlogiaBulk;
    let wanted = Wanted { protocol, defaults: Defaults::default(), places: false };
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
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
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn otlp(caller: Caller) -> Result<(), ApiError> {
    caller.require(Scope::Ingest)?;
    let message = "OTLP is not taken here, expected records for /v1/ingest/bulk";
    Err(ApiError::new(StatusCode::BAD_REQUEST, NOT_TAKEN, message))
}
