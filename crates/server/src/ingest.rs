//! `POST /api/v1/ingest`: body -> records -> store.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
};
use bytes::Bytes;
use millpond_record::{
    Body as Records, BodyFormat, Decoded, Timestamp, limits::REJECTIONS_REPORTED_MAX,
};
use millpond_store::{Batch, BatchBuilder};
use millpond_wire::{IdempotencyKey, header::IDEMPOTENCY_KEY};
use serde::Serialize;

use crate::{
    App,
    auth::Caller,
    body::{self, Encoding},
    clock,
    error::ApiError,
    keys::Scope,
    limits::BODY_BYTES_INLINE,
};

/// What became of a batch.
#[derive(Debug, Serialize)]
pub(crate) struct Ingested {
    accepted: usize,
    /// The first [`REJECTIONS_REPORTED_MAX`].
    rejected: Vec<Rejected>,
    rejected_count: usize,
    duplicate: bool,
}

#[derive(Debug, Serialize)]
struct Rejected {
    /// Place in the body, from 0.
    index: usize,
    reason: String,
}

pub(crate) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Ingested>, ApiError> {
    caller.require(Scope::Ingest)?;
    let key = idempotency_key(&headers)?;
    let encoding = body::encoding(&headers)?;
    let format = format(&headers);
    let _share = body::reserve(&app.bodies, &headers).await?;
    let bytes = body::read(request).await?;
    let observed = clock::now();
    let (batch, mut answer) =
        if matches!(encoding, Encoding::Identity) && bytes.len() < BODY_BYTES_INLINE {
            decode(&bytes, encoding, format, observed)?
        } else {
            let turn = Arc::clone(&app.decoding).acquire_owned().await;
            let decoding = tokio::task::spawn_blocking(move || {
                let decoded = decode(&bytes, encoding, format, observed);
                drop(turn);
                decoded
            });
            decoding.await.map_err(|error| ApiError::internal(error.to_string()))??
        };
    let appended = app.store.append(&caller.project, key, batch).await?;
    answer.duplicate = appended.duplicate;
    Ok(Json(answer))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let invalid = |reason: String| ApiError::parameter(format!("Idempotency-Key: {reason}"));
    let text = value.to_str().map_err(|error| invalid(error.to_string()))?;
    text.parse()
        .map(Some)
        .map_err(|error: millpond_wire::IdempotencyKeyError| invalid(error.to_string()))
}

/// Line by line only where the client says so: otherwise a broken array would become many broken lines.
fn format(headers: &HeaderMap) -> BodyFormat {
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => BodyFormat::JsonLines,
        _ => BodyFormat::Json,
    }
}

fn decode(
    bytes: &Bytes,
    encoding: Encoding,
    format: BodyFormat,
    observed: Timestamp,
) -> Result<(Batch, Ingested), ApiError> {
    let bytes = body::decompress(bytes, encoding)?;
    let text: Cow<'_, str> = String::from_utf8_lossy(&bytes);
    let mut builder = BatchBuilder::new(observed);
    let mut answer =
        Ingested { accepted: 0, rejected: Vec::new(), rejected_count: 0, duplicate: false };
    let records =
        Records::new(&text, format, observed).map_err(|error| ApiError::body(error.to_string()))?;
    for (index, item) in records.enumerate() {
        match item.map_err(|error| ApiError::body(error.to_string()))? {
            (Decoded::Record(record), json) => builder.push(&record, json),
            (Decoded::Rejected(rejection), _) => {
                answer.rejected_count += 1;
                if answer.rejected.len() < REJECTIONS_REPORTED_MAX {
                    answer.rejected.push(Rejected { index, reason: rejection.to_string() });
                }
            }
        }
    }
    answer.accepted = builder.len();
    Ok((builder.finish(), answer))
}
