//! Rows that are in the log but not yet in a segment: immutable chunks of columns, searchable at once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute,
    datatypes::{DataType, TimestampNanosecondType, UInt64Type},
    error::ArrowError,
};
use hashbrown::HashMap;
use millpond_record::Timestamp;

use crate::{
    columns::{Column, Shared},
    limits::{CHUNK_BYTES, CHUNK_ROWS},
    schema::{place, schema},
    segment::{Layout, templates},
    shred::shred,
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
    /// Made by the first query that needs it.
    shredded: OnceLock<Arc<HotFields>>,
    /// Columns in the form in which queries read them; the same.
    columns: Mutex<HashMap<usize, Shared>>,
}

/// `fields` of a chunk, taken apart as it will be in a segment.
#[derive(Debug)]
struct HotFields {
    layout: Layout,
    /// What is in no column, and then the columns.
    arrays: Vec<ArrayRef>,
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
            shredded: OnceLock::new(),
            columns: Mutex::default(),
        }
    }

    fn shredded(&self) -> &HotFields {
        self.shredded.get_or_init(|| {
            let shredded = shred(self.rows.column(place::FIELDS).as_string::<i32>());
            let (columns, arrays): (Vec<_>, Vec<_>) = shredded.columns.into_iter().unzip();
            let rest: ArrayRef = Arc::new(shredded.rest);
            Arc::new(HotFields {
                layout: Layout::new(columns, shredded.rest_keys),
                arrays: std::iter::once(rest).chain(arrays).collect(),
            })
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.shredded().layout
    }

    /// A column by its place in the layout, as it is.
    pub(crate) fn array(&self, place: usize) -> ArrayRef {
        match place {
            place::FIELDS => self.shredded().arrays.first().cloned(),
            place::TEMPLATE => {
                Some(templates(self.rows.column(place::MESSAGE).as_string::<i32>()).0)
            }
            place if place > place::TEMPLATE => {
                self.shredded().arrays.get(place - place::TEMPLATE).cloned()
            }
            place => self.rows.columns().get(place).cloned(),
        }
        .unwrap_or_else(|| arrow::array::new_null_array(&DataType::Utf8, self.rows.num_rows()))
    }

    pub(crate) fn null_count(&self, place: usize) -> usize {
        match place {
            // Asked for before it is made; whoever needs it will see.
            place::TEMPLATE => 0,
            _ => self.array(place).null_count(),
        }
    }

    /// A column by its place in the layout, in the form in which queries read it.
    pub(crate) fn column(&self, place: usize) -> Shared {
        let known =
            self.columns.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(column) = known {
            return column;
        }
        let array = self.array(place);
        let strings = array.as_string_opt::<i32>().filter(|_| place != place::MESSAGE);
        let column =
            Arc::new(strings.map_or_else(|| Column::new(Arc::clone(&array)), Column::of_strings));
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        columns.insert(place, Arc::clone(&column));
        column
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
    let (mut rows, mut bytes) =
        chunks.last().map_or((0, 0), |last| (last.rows.num_rows(), last.bytes));
    while let Some(before) = start.checked_sub(1).and_then(|before| chunks.get(before)) {
        let count = before.rows.num_rows();
        let too_many = rows + count > CHUNK_ROWS || bytes + before.bytes > CHUNK_BYTES;
        if count > 2 * rows || too_many || before.sequence_min < joinable_sequence {
            break;
        }
        rows += count;
        bytes += before.bytes;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_up_to_a_size_that_no_column_overflows_with() {
        let mut chunks = Vec::new();
        for bytes in [CHUNK_BYTES / 2, CHUNK_BYTES / 2 + 1] {
            let mut chunk = Chunk::new(RecordBatch::new_empty(Arc::clone(schema())));
            chunk.bytes = bytes;
            push(&mut chunks, chunk, 0).unwrap();
        }
        assert_eq!(chunks.len(), 2);
        push(&mut chunks, Chunk::new(RecordBatch::new_empty(Arc::clone(schema()))), 0).unwrap();
        assert_eq!(chunks.len(), 2);
    }
}
