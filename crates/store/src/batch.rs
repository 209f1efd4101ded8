//! Records on their way in: as columns for the reader and as bytes for the write-ahead log, made in one pass.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ListBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
        TimestampNanosecondBuilder, UInt8Builder, UInt32Builder, UInt64Array,
    },
    error::ArrowError,
};
use millpond_record::{Decoded, LogRecord, TextAttribute, Timestamp, decode, json::Reader};

use crate::{
    schema::{schema, tag_field},
    wal::Payload,
};

/// Compression level of the log: the log is short-lived, its CPU time is not.
const ZSTD_LEVEL: i32 = 1;

/// A batch of records, ready to be stored.
#[derive(Debug)]
pub struct Batch {
    /// The columns behind `sequence`, which is not known yet.
    columns: Vec<ArrayRef>,
    rows: usize,
    pub(crate) payload: Payload,
}

impl Batch {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns with sequences from `first_sequence` on.
    pub(crate) fn sequenced(&self, first_sequence: u64) -> Result<RecordBatch, ArrowError> {
        let end = first_sequence.saturating_add(self.rows as u64);
        let sequence: ArrayRef = Arc::new(UInt64Array::from_iter_values(first_sequence..end));
        let columns = std::iter::once(sequence).chain(self.columns.iter().cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::clone(schema()), columns, &options)
    }
}

/// Collects records into a [`Batch`].
#[derive(Debug)]
pub struct BatchBuilder {
    observed: Timestamp,
    rows: usize,
    text: String,
    time: TimestampNanosecondBuilder,
    observed_time: TimestampNanosecondBuilder,
    severity_number: UInt8Builder,
    level: StringBuilder,
    texts: [StringBuilder; TextAttribute::ALL.len()],
    step_index: UInt32Builder,
    tags: ListBuilder<StringBuilder>,
    exception: StringBuilder,
    fields: StringBuilder,
}

impl BatchBuilder {
    /// A builder for records that arrived at `observed`.
    #[must_use]
    pub fn new(observed: Timestamp) -> Self {
        Self {
            observed,
            rows: 0,
            text: String::new(),
            time: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            observed_time: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            severity_number: UInt8Builder::new(),
            level: StringBuilder::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            step_index: UInt32Builder::new(),
            tags: ListBuilder::new(StringBuilder::new()).with_field(tag_field()),
            exception: StringBuilder::new(),
            fields: StringBuilder::new(),
        }
    }

    /// Adds a record; `json` is the text that it was decoded from, or its canonical JSON. The log keeps that text,
    /// so decoding it again, with the same time of arrival, must give the same record.
    pub fn push(&mut self, record: &LogRecord<'_>, json: &str) {
        self.text.push_str(json);
        self.text.push('\n');
        self.columns(record);
    }

    fn columns(&mut self, record: &LogRecord<'_>) {
        self.rows += 1;
        self.time.append_value(record.time.nanos());
        self.observed_time.append_value(record.observed_time.nanos());
        self.severity_number.append_value(record.severity.number());
        self.level.append_value(record.severity.level().name());
        for (builder, attribute) in self.texts.iter_mut().zip(TextAttribute::ALL) {
            builder.append_option(record.text(attribute));
        }
        self.step_index.append_option(record.step_index);
        for tag in &record.tags {
            self.tags.values().append_value(tag);
        }
        self.tags.append(!record.tags.is_empty());
        self.exception.append_option(record.exception.as_ref().map(|exception| exception.as_str()));
        self.fields.append_option((!record.fields.is_empty()).then(|| record.fields.as_str()));
    }

    /// Number of records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no records yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The batch.
    #[must_use]
    pub fn finish(mut self) -> Batch {
        let payload = Payload {
            observed: self.observed,
            records: u32::try_from(self.rows).unwrap_or(u32::MAX),
            raw_bytes: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
            // Compressing memory to memory fails only when memory is short, which aborts.
            zstd: zstd::bulk::compress(self.text.as_bytes(), ZSTD_LEVEL).unwrap_or_default(),
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.observed_time.finish()),
            Arc::new(self.severity_number.finish()),
            Arc::new(self.level.finish()),
        ];
        columns.extend(self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        columns.push(Arc::new(self.step_index.finish()));
        columns.push(Arc::new(self.tags.finish()));
        columns.push(Arc::new(self.exception.finish()));
        columns.push(Arc::new(self.fields.finish()));
        Batch { columns, rows: self.rows, payload }
    }
}

/// A frame of the log whose payload is not what its header says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("decompress the records: {0}")]
    Zstd(#[from] std::io::Error),
    #[error("the records are no UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Json(#[from] millpond_record::json::SyntaxError),
    #[error("{found} records, expected {expected}")]
    Count { found: usize, expected: u32 },
}

/// Reads a payload of the log back into the batch that it was made from.
pub(crate) fn replay(payload: Payload) -> Result<Batch, ReplayError> {
    let text = zstd::bulk::decompress(&payload.zstd, payload.raw_bytes as usize)?;
    let text = std::str::from_utf8(&text)?;
    let mut reader = Reader::new(text);
    let mut builder = BatchBuilder::new(payload.observed);
    while reader.peek().is_some() {
        if let Decoded::Record(record) = decode(&mut reader, payload.observed)? {
            builder.columns(&record);
        }
    }
    if builder.len() != payload.records as usize {
        return Err(ReplayError::Count { found: builder.len(), expected: payload.records });
    }
    Ok(Batch { payload, ..builder.finish() })
}
