//! What a query reads or skips as a whole: a hot chunk or a row group of a segment, behind one face.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arrow::{
    array::{ArrayRef, RecordBatch, UInt32Array},
    compute,
};
use millpond_query::TimeRange;
use millpond_record::Timestamp;

use crate::{
    Explain, QueryError,
    cache::Cache,
    columns::{Column, Shared},
    engine::Snapshot,
    filters::PageFilters,
    hot::Chunk,
    segment::{Footer, Layout, RowGroup, Segment, SegmentError},
};

/// Counts what a query reads.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) units: AtomicU64,
    pub(crate) pages_skipped: AtomicU64,
    pub(crate) rows: AtomicU64,
}

impl Reading {
    pub(crate) fn explain(&self, units: &Units) -> Explain {
        let total = units.units.len() as u64;
        let read = self.units.load(Ordering::Relaxed);
        Explain {
            segments: units.segments,
            segments_skipped: units.segments_skipped,
            units: read,
            units_skipped: total.saturating_sub(read),
            pages_skipped: self.pages_skipped.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// Something that is read or skipped as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    source: Source,
    pub(crate) rows: usize,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    /// No row has a lower sequence.
    pub(crate) sequence_min: u64,
    /// No row has a higher sequence.
    pub(crate) sequence_max: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Hot(Arc<Chunk>),
    RowGroup { segment: Arc<Segment>, footer: Arc<Footer>, index: usize, cache: Arc<Cache> },
}

/// The units of a snapshot that may have rows in a range, and what could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    pub(crate) units: Vec<Unit>,
    pub(crate) damaged: Vec<String>,
    pub(crate) segments: u64,
    pub(crate) segments_skipped: u64,
}

impl Units {
    /// `behind`: only what may have rows with a higher sequence.
    pub(crate) fn of(
        snapshot: &Snapshot,
        cache: &Arc<Cache>,
        range: TimeRange,
        behind: Option<u64>,
    ) -> Result<Self, QueryError> {
        let wanted = |sequence_max| behind.is_none_or(|behind| sequence_max > behind);
        let mut found = Self::default();
        for chunk in snapshot.hot.iter().filter(|chunk| wanted(chunk.sequence_max)) {
            found.units.push(Unit {
                rows: chunk.rows.num_rows(),
                time_min: chunk.time_min,
                time_max: chunk.time_max,
                sequence_min: chunk.sequence_min,
                sequence_max: chunk.sequence_max,
                source: Source::Hot(Arc::clone(chunk)),
            });
        }
        for segment in &snapshot.segments {
            if !range.overlaps(segment.time_min(), segment.time_max())
                || !wanted(segment.entry.sequence_max)
            {
                found.segments_skipped += 1;
                continue;
            }
            match segment.footer().and_then(|footer| Ok((footer, segment.row_groups()?))) {
                Ok((footer, groups)) => {
                    found.segments += 1;
                    found.add_groups(segment, &footer, &groups, cache);
                }
                Err(SegmentError::Damaged(reason)) => {
                    found.damaged.push(format!("{}: {reason}", segment.entry.file));
                }
                Err(error) => return Err(error.into()),
            }
        }
        found.units.retain(|unit| range.overlaps(unit.time_min, unit.time_max));
        Ok(found)
    }

    fn add_groups(
        &mut self,
        segment: &Arc<Segment>,
        footer: &Arc<Footer>,
        groups: &[RowGroup],
        cache: &Arc<Cache>,
    ) {
        self.units.extend(groups.iter().enumerate().map(|(index, group)| Unit {
            source: Source::RowGroup {
                segment: Arc::clone(segment),
                footer: Arc::clone(footer),
                index,
                cache: Arc::clone(cache),
            },
            rows: group.rows,
            time_min: group.time_min,
            time_max: group.time_max,
            sequence_min: segment.entry.sequence_min,
            sequence_max: segment.entry.sequence_max,
        }));
    }
}

impl From<SegmentError> for QueryError {
    fn from(error: SegmentError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl Unit {
    /// Whether the rows are sorted by (time, sequence).
    pub(crate) fn is_sorted(&self) -> bool {
        matches!(self.source, Source::RowGroup { .. })
    }

    /// Where to find the members of `fields`.
    pub(crate) fn layout(&self) -> &Layout {
        match &self.source {
            Source::Hot(chunk) => chunk.layout(),
            Source::RowGroup { footer, .. } => &footer.layout,
        }
    }

    /// A whole column, by its place in the layout.
    pub(crate) fn column(&self, place: usize) -> Result<Shared, QueryError> {
        match &self.source {
            Source::Hot(chunk) => Ok(chunk.column(place)),
            Source::RowGroup { segment, index, cache, .. } => {
                let key = (segment.id, small(*index), small(place));
                if let Some(column) = cache.column(key) {
                    return Ok(column);
                }
                let mut arrays = segment.arrays(*index, &[place], None)?;
                let array =
                    arrays.pop().ok_or_else(|| QueryError::Read("a column is missing".into()))?;
                let column = Arc::new(Column::new(array));
                cache.keep(key, &column);
                Ok(column)
            }
        }
    }

    /// A column that is in memory already.
    pub(crate) fn cached(&self, place: usize) -> Option<Shared> {
        match &self.source {
            Source::Hot(chunk) => Some(chunk.column(place)),
            Source::RowGroup { segment, index, cache, .. } => {
                cache.column((segment.id, small(*index), small(place)))
            }
        }
    }

    /// Some rows of a column, by their ascending places.
    pub(crate) fn column_at(&self, place: usize, rows: &[u32]) -> Result<Column, QueryError> {
        let array: ArrayRef = match &self.source {
            Source::Hot(chunk) => {
                compute::take(&chunk.array(place), &UInt32Array::from(rows.to_vec()), None)?
            }
            Source::RowGroup { segment, index, .. } => {
                let mut arrays = segment.arrays(*index, &[place], Some(rows))?;
                arrays.pop().ok_or_else(|| QueryError::Read("a column is missing".into()))?
            }
        };
        Ok(Column::new(array))
    }

    /// Whether a column is known to have no value.
    pub(crate) fn is_empty(&self, place: usize) -> bool {
        match &self.source {
            Source::Hot(chunk) => chunk.null_count(place) == self.rows,
            Source::RowGroup { footer, index, .. } => footer.is_empty(*index, place),
        }
    }

    /// Whether a column is known to have a value in each row.
    pub(crate) fn is_full(&self, place: usize) -> bool {
        match &self.source {
            Source::Hot(chunk) => chunk.null_count(place) == 0,
            Source::RowGroup { footer, index, .. } => footer.is_full(*index, place),
        }
    }

    /// The filters of the pages, if there are any.
    pub(crate) fn filters(&self) -> Result<Option<Arc<PageFilters>>, QueryError> {
        match &self.source {
            Source::Hot(_) => Ok(None),
            Source::RowGroup { segment, index, cache, .. } => {
                Ok(cache.filters(segment.id, small(*index), || segment.filters(*index))?)
            }
        }
    }

    /// Columns of [`crate::schema`]: all rows, or those at the given ascending places.
    pub(crate) fn read(
        &self,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<RecordBatch, QueryError> {
        match &self.source {
            Source::Hot(chunk) => {
                let projected = chunk.rows.project(columns)?;
                match rows {
                    Some(rows) => {
                        let rows = UInt32Array::from(rows.to_vec());
                        Ok(compute::take_record_batch(&projected, &rows)?)
                    }
                    None => Ok(projected),
                }
            }
            Source::RowGroup { segment, index, .. } => Ok(segment.read(*index, columns, rows)?),
        }
    }

    /// The unit without the hot rows that have this sequence or a lower one.
    pub(crate) fn behind(self, sequence: u64) -> Self {
        match &self.source {
            Source::Hot(chunk) => match chunk.behind(sequence) {
                Some(rest) => {
                    Self { rows: rest.rows.num_rows(), source: Source::Hot(Arc::new(rest)), ..self }
                }
                None => self,
            },
            Source::RowGroup { .. } => self,
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
