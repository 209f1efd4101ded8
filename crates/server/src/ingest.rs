//! `POST /api/v1/ingest`: body -> records -> store.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
};
use bytes::Bytes;
use millpond_protocols::{Defaults, Entry, Format, read};
use millpond_record::{
    Decoded, TextAttribute, Timestamp,
    limits::{BODY_BYTES_MAX, REJECTIONS_REPORTED_MAX},
};
use millpond_store::{Batch, BatchBuilder};
use millpond_wire::{IdempotencyKey, header::IDEMPOTENCY_KEY};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    auth::Caller,
    body::{self, Encoding},
    clock,
    error::ApiError,
    keys::Scope,
    limits::BODY_BYTES_INLINE,
    logs::Parameters,
};

/// How the body is written, and what its records say where they say nothing themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IngestParameters {
    format: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    level: Option<String>,
    dataset: Option<String>,
    tags: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    flow_id: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Ingested {
    accepted: usize,
    /// The first [`REJECTIONS_REPORTED_MAX`].
    rejected: Vec<Rejected>,
    rejected_count: usize,
    duplicate: bool,
    /// Of the body, after decompression.
    #[serde(skip)]
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Rejected {
    /// Place among the entries of the body, from 0.
    index: usize,
    /// From 1; of formats that have lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    reason: String,
}

pub(crate) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    Parameters(parameters): Parameters<IngestParameters>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Ingested>, ApiError> {
    caller.require(Scope::Ingest)?;
    app.usage.admit(&caller.key)?;
    let key = idempotency_key(&headers)?;
    let encoding = body::encoding(&headers)?;
    let format = parameters.format(&headers)?;
    let defaults = parameters.defaults()?;
    let _share = body::reserve(&app.bodies, &headers).await?;
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    let reading = Reading { encoding, format, defaults, observed: clock::now() };
    let (batch, mut answer) = if reading.is_light(&bytes) {
        reading.decode(&bytes)?
    } else {
        let turn = Arc::clone(&app.decoding).acquire_owned().await;
        let decoding = tokio::task::spawn_blocking(move || {
            let decoded = reading.decode(&bytes);
            drop(turn);
            decoded
        });
        decoding.await.map_err(|error| ApiError::internal(error.to_string()))??
    };
    let appended = app.store.append(&caller.project, key, batch).await?;
    if !appended.duplicate {
        app.usage.book(&caller.key, answer.accepted, answer.bytes);
    }
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

impl IngestParameters {
    /// The format that is named, else that of the content type, else JSON. A body is never guessed at: a broken array
    /// would become many broken lines.
    fn format(&self, headers: &HeaderMap) -> Result<Format, ApiError> {
        if let Some(name) = &self.format {
            return name.parse().map_err(|error| ApiError::parameter(format!("format: {error}")));
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(content_type.and_then(Format::of_content_type).unwrap_or(Format::Json))
    }

    fn defaults(&self) -> Result<Defaults, ApiError> {
        let mut defaults = Defaults::default();
        for (attribute, text) in [
            (TextAttribute::Service, &self.service),
            (TextAttribute::Environment, &self.environment),
            (TextAttribute::Dataset, &self.dataset),
            (TextAttribute::UserId, &self.user_id),
            (TextAttribute::SessionId, &self.session_id),
            (TextAttribute::RequestId, &self.request_id),
            (TextAttribute::FlowId, &self.flow_id),
        ] {
            let set = defaults.set_text(attribute, text.as_deref().unwrap_or_default());
            set.map_err(|error| ApiError::parameter(error.to_string()))?;
        }
        if let Some(level) = &self.level {
            let set = defaults.set_level(level);
            set.map_err(|error| ApiError::parameter(format!("level: {error}")))?;
        }
        for tag in self.tags.iter().flat_map(|tags| tags.split(',')) {
            let added = defaults.add_tag(tag.trim());
            added.map_err(|error| ApiError::parameter(error.to_string()))?;
        }
        Ok(defaults)
    }
}

/// All that there is to know about a body but its bytes.
struct Reading {
    encoding: Encoding,
    format: Format,
    defaults: Defaults,
    observed: Timestamp,
}

impl Reading {
    /// Whether decoding takes so little that nobody notices: a small body whose records are no larger than itself.
    fn is_light(&self, bytes: &Bytes) -> bool {
        matches!(self.encoding, Encoding::Identity)
            && matches!(self.format, Format::Json | Format::Jsonl)
            && self.defaults.is_empty()
            && bytes.len() < BODY_BYTES_INLINE
    }

    fn decode(&self, bytes: &Bytes) -> Result<(Batch, Ingested), ApiError> {
        let bytes = body::decompress(bytes, self.encoding)?;
        let mut builder = BatchBuilder::new(self.observed);
        let mut answer = Ingested { bytes: bytes.len(), ..Ingested::default() };
        let mut take = |entry: Entry<'_>| match entry.decoded {
            Decoded::Record(record) => builder.push(&record, entry.json),
            Decoded::Rejected(rejection) => {
                answer.rejected_count += 1;
                if answer.rejected.len() < REJECTIONS_REPORTED_MAX {
                    let (index, line) = (entry.index, entry.line);
                    answer.rejected.push(Rejected { index, line, reason: rejection.to_string() });
                }
            }
        };
        read(self.format, &bytes, &self.defaults, self.observed, &mut take)?;
        answer.accepted = builder.len();
        Ok((builder.finish(), answer))
    }
}
