//! `POST /api/v1/ingest`: body -> records -> store.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
};
use millpond_protocols::{Defaults, Entry, Format, Protocol, read};
use millpond_query::Cursor;
use millpond_record::{
    Decoded, LogRecord, TextAttribute, Timestamp,
    limits::{BODY_BYTES_MAX, REJECTIONS_REPORTED_MAX},
};
use millpond_store::{Batch, BatchBuilder};
use millpond_wire::{IdempotencyKey, header::IDEMPOTENCY_KEY};
use serde::{Deserialize, Serialize};

use crate::{
    App, ahead,
    auth::Caller,
    body::{self, Encoding, Received},
    budget::{BatchShare, Budget},
    clock,
    error::ApiError,
    keys::Scope,
    limits::{BATCH_BYTES, BODY_BYTES_INLINE, RECORD_BYTES, RECORD_TEXT_ADDED},
    logs::Parameters,
    metrics::Metrics,
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
    /// Entries of the body; this and the time of the answer are what LogTide's clients are told.
    received: usize,
    timestamp: String,
    pub(crate) accepted: usize,
    /// The first [`REJECTIONS_REPORTED_MAX`].
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) rejected_count: usize,
    pub(crate) duplicate: bool,
    /// Of the body, after decompression.
    #[serde(skip)]
    bytes: usize,
    /// Of each record its place among the entries of the body and its time, if that was wanted.
    #[serde(skip)]
    places: Vec<(usize, Timestamp)>,
    #[serde(skip)]
    first_sequence: Option<u64>,
    /// How the body was read.
    #[serde(skip)]
    pub(crate) protocol: Option<Protocol>,
    /// Whether nothing was stored because of what was rejected.
    #[serde(skip)]
    pub(crate) refused: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Rejected {
    /// Place among the entries of the body, from 0.
    pub(crate) index: usize,
    /// From 1; of formats that have lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The member at fault, in the words of another system's client.
    #[serde(skip)]
    pub(crate) field: Option<&'static str>,
    pub(crate) reason: String,
}

impl Ingested {
    /// The id of each entry of the body, in order, `None` for those that are no records, and for all if the batch had
    /// been stored before. Only if places were wanted.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Option<Cursor>> {
        let sequences = self.first_sequence.into_iter().flat_map(|first| first..);
        let mut stored = sequences.zip(&self.places).peekable();
        (0..self.accepted + self.rejected_count).map(move |entry| {
            let (sequence, (_, time)) = stored.next_if(|(_, (index, _))| *index == entry)?;
            Some(Cursor { time: *time, sequence })
        })
    }
}

pub(crate) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    Parameters(parameters): Parameters<IngestParameters>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Ingested>, ApiError> {
    let wanted = Wanted::good_of(parameters.format(&headers)?, parameters.defaults()?);
    take(&app, &caller, &headers, request, |_| Ok(wanted)).await.map(Json)
}

/// How a body is to be read.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) protocol: Protocol,
    pub(crate) defaults: Defaults,
    /// Whether the caller wants to know the place of each record.
    pub(crate) places: bool,
    /// Whether one entry that is rejected costs all of them.
    pub(crate) whole: bool,
}

impl Wanted {
    /// What is good of a body is stored, wherever it stands.
    pub(crate) fn good_of(protocol: impl Into<Protocol>, defaults: Defaults) -> Self {
        Self { protocol: protocol.into(), defaults, places: false, whole: false }
    }
}

/// Stores the records of a request's body. `how` is asked how to read it, once the start of the decompressed body is
/// known.
pub(crate) async fn take(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    request: Body,
    how: impl FnOnce(&[u8]) -> Result<Wanted, ApiError> + Send + 'static,
) -> Result<Ingested, ApiError> {
    caller.require(Scope::Ingest)?;
    app.usage.admit(&caller.key)?;
    let key = idempotency_key(headers)?;
    let encoding = body::encoding(headers)?;
    app.disk.room()?;
    let body = body::read(request, headers, &app.budget, app.budget.body_bytes_max()).await?;
    app.metrics.body_bytes.add(body.bytes.len());
    let reading = Arriving { encoding, how, observed: clock::now() };
    // The share is held until the store has the records.
    let (batch, mut answer, _share) = decode(&app.budget, reading, body).await?;
    if answer.refused {
        return Ok(answer);
    }
    let appended = app.store.append(&caller.project, key, batch).await?;
    if !appended.duplicate {
        app.usage.book(&caller.key, answer.accepted, answer.bytes);
    }
    answer.duplicate = appended.duplicate;
    answer.first_sequence = appended.first_sequence;
    answer.received = answer.accepted + answer.rejected_count;
    answer.timestamp = clock::now().to_string();
    app.metrics.count(&answer);
    Ok(answer)
}

/// Makes records of a body: at once if it takes so little that nobody notices, else away from the threads that serve
/// connections.
async fn decode<F>(
    budget: &Budget,
    arriving: Arriving<F>,
    body: Received,
) -> Result<(Batch, Ingested, BatchShare), ApiError>
where
    F: FnOnce(&[u8]) -> Result<Wanted, ApiError> + Send + 'static,
{
    let Arriving { encoding, how, observed } = arriving;
    if matches!(encoding, Encoding::Identity) && body.bytes.len() < BODY_BYTES_INLINE {
        let reading = Reading::new(how(&body.bytes)?, observed);
        let bytes = reading.memory_bytes(&body.bytes);
        let share = budget.batch(bytes).await?;
        if reading.is_light() {
            let (batch, answer) = reading.decode(&body.bytes, bytes)?;
            return Ok((batch, answer, share));
        }
        return decode_away(reading, body, bytes, share).await;
    }
    let of_bodies = budget.clone();
    let (body, reading, bytes) = away(move || {
        let body = body::decompress(body, encoding, &of_bodies)?;
        let reading = Reading::new(how(&body.bytes)?, observed);
        let bytes = reading.memory_bytes(&body.bytes);
        Ok((body, reading, bytes))
    })
    .await?;
    let share = budget.batch(bytes).await?;
    decode_away(reading, body, bytes, share).await
}

async fn decode_away(
    reading: Reading,
    body: Received,
    bytes: usize,
    mut share: BatchShare,
) -> Result<(Batch, Ingested, BatchShare), ApiError> {
    let (batch, answer) = away(move || reading.decode(&body.bytes, bytes)).await?;
    share.decoded();
    Ok((batch, answer, share))
}

async fn away<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::internal(error.to_string()))?
}

impl Metrics {
    fn count(&self, answer: &Ingested) {
        if answer.duplicate {
            self.batches_duplicate.add(1);
            return;
        }
        self.batches_stored.add(1);
        self.records_accepted.add(answer.accepted);
        self.records_rejected.add(answer.rejected_count);
    }
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

/// Bytes of the texts of a record that may be larger than they were in the body.
fn text_bytes(record: &LogRecord<'_>) -> usize {
    let exception = record.exception.as_ref().map_or(0, |exception| exception.as_str().len());
    record.message().len() + record.fields.as_str().len() + exception
}

/// All that there is to know about a body before it is looked at.
struct Arriving<F> {
    encoding: Encoding,
    how: F,
    observed: Timestamp,
}

/// All that there is to know about a decompressed body but its bytes.
struct Reading {
    protocol: Protocol,
    defaults: Defaults,
    places: bool,
    whole: bool,
    observed: Timestamp,
}

impl Reading {
    fn new(wanted: Wanted, observed: Timestamp) -> Self {
        let Wanted { protocol, defaults, places, whole } = wanted;
        Self { protocol, defaults, places, whole, observed }
    }

    /// Whether decoding a small body takes so little that nobody notices: its records are no larger than itself.
    fn is_light(&self) -> bool {
        self.protocol.is_verbatim() && self.defaults.is_empty()
    }

    /// What decoding a body holds at most, in bytes, from what can be told without: there are no more records than
    /// ends of objects, or of lines, and hardly more text than there is already.
    fn memory_bytes(&self, bytes: &[u8]) -> usize {
        let records = bytes.iter().filter(|&&byte| self.protocol.counts(byte)).count() + 1;
        let added = if self.is_light() { 0 } else { RECORD_TEXT_ADDED };
        let text = (bytes.len() + records * added).min(2 * BODY_BYTES_MAX);
        // Bytes that are no UTF-8 become three each, in a copy of the body.
        let copy = if std::str::from_utf8(bytes).is_ok() { 0 } else { 3 * bytes.len() };
        // The text for the log, and the columns with the room that they keep for more.
        BATCH_BYTES + text + text / 10 * 13 + records * RECORD_BYTES + copy
    }

    /// Makes records of the bytes, as long as these take no more memory than was expected.
    fn decode(&self, bytes: &[u8], memory_bytes: usize) -> Result<(Batch, Ingested), ApiError> {
        let mut builder = BatchBuilder::new(self.observed);
        let protocol = Some(self.protocol);
        let mut answer = Ingested { bytes: bytes.len(), protocol, ..Ingested::default() };
        let mut held_bytes = 0;
        let mut take = |entry: Entry<'_>| match entry.decoded {
            Decoded::Record(record) => {
                held_bytes += RECORD_BYTES + text_bytes(&record);
                if held_bytes <= memory_bytes {
                    if self.places {
                        answer.places.push((entry.index, record.time));
                    }
                    ahead::marked(&record, entry.json, self.observed, |record, json| {
                        builder.push(record, json);
                    });
                }
            }
            Decoded::Rejected(rejection) => {
                answer.rejected_count += 1;
                if answer.rejected.len() < REJECTIONS_REPORTED_MAX {
                    let Entry { index, line, field, .. } = entry;
                    let reason = rejection.to_string();
                    answer.rejected.push(Rejected { index, line, field, reason });
                }
            }
        };
        read(self.protocol, bytes, &self.defaults, self.observed, &mut take)?;
        if held_bytes > memory_bytes {
            // Escapes in what was sent raw, for instance: a byte of it may become six.
            let message = format!(
                "the records of the body take more than {memory_bytes} bytes of memory, expected fewer in one body"
            );
            return Err(ApiError::too_large(message));
        }
        answer.refused = self.whole && answer.rejected_count > 0;
        answer.accepted = if answer.refused { 0 } else { builder.len() };
        Ok((builder.finish(), answer))
    }
}
