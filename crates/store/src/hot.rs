//! Rows that are in the log but not yet in a segment: immutable chunks of columns, searchable at once.

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch},
    compute,
    datatypes::{TimestampNanosecondType, UInt64Type},
    error::ArrowError,
};
use millpond_record::Timestamp;

use crate::{
    limits::CHUNK_ROWS,
    schema::{place, schema},
};

/// Hot rows, in the order in which they were stored.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) rows: RecordBatch,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    pub(crate) sequence_min: u64,
    pub(crate) sequence_max: u64,
    /// Arrow memory.
    pub(crate) bytes: usize,
}

impl Chunk {
    /// A chunk; `rows` is not empty.
    pub(crate) fn new(rows: RecordBatch) -> Self {
        let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>();
        let sequences = rows.column(place::SEQUENCE).as_primitive::<UInt64Type>().values();
        Self {
            time_min: Timestamp::from_nanos(compute::min(times).unwrap_or_default()),
            time_max: Timestamp::from_nanos(compute::max(times).unwrap_or_default()),
            sequence_min: sequences.first().copied().unwrap_or_default(),
            sequence_max: sequences.last().copied().unwrap_or_default(),
            bytes: rows.get_array_memory_size(),
            rows,
        }
    }
}

impl Chunk {
    /// The rows with a higher sequence, without a copy; `None` if there are none.
    pub(crate) fn behind(&self, sequence: u64) -> Option<Self> {
        let sequences = self.rows.column(place::SEQUENCE).as_primitive::<UInt64Type>().values();
        let start = sequences.partition_point(|&of_row| of_row <= sequence);
        let count = self.rows.num_rows() - start;
        (count > 0).then(|| Self::new(self.rows.slice(start, count)))
    }
}

/// Adds a chunk behind the others and joins the last ones while they are of similar size, so that a million small
/// batches become a few large chunks and each row is copied a logarithmic number of times. Chunks below
/// `joinable_sequence` are being written to a segment and stay as they are.
pub(crate) fn push(
    chunks: &mut Vec<Arc<Chunk>>,
    chunk: Chunk,
    joinable_sequence: u64,
) -> Result<(), ArrowError> {
    chunks.push(Arc::new(chunk));
    let mut start = chunks.len() - 1;
    let mut rows = chunks.last().map_or(0, |last| last.rows.num_rows());
    while let Some(before) = start.checked_sub(1).and_then(|before| chunks.get(before)) {
        let count = before.rows.num_rows();
        if count > 2 * rows || rows + count > CHUNK_ROWS || before.sequence_min < joinable_sequence
        {
            break;
        }
        rows += count;
        start -= 1;
    }
    if start + 1 < chunks.len() {
        let parts = chunks.iter().skip(start).map(|part| &part.rows);
        let joined = compute::concat_batches(schema(), parts)?;
        chunks.truncate(start);
        chunks.push(Arc::new(Chunk::new(joined)));
    }
    Ok(())
}
