//! Finds rows in an order: one walk over the units, best first, that stops when no unit can hold a better row than the
//! worst one kept; only then are the columns of the kept rows read.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    buffer::BooleanBuffer,
    compute::{self, interleave_record_batch},
    datatypes::{TimestampNanosecondType, UInt64Type},
};
use millpond_query::{Field, TimeRange};

use crate::{
    Answer, Order, QueryError, Rows,
    bitmap::places,
    cache::Cache,
    columns::Column,
    engine::Snapshot,
    limits::{ANSWER_BYTES_MAX, ANSWER_ROWS_FIRST},
    matches::Node,
    parallel::{self, Cancelled},
    schema::{place, schema},
    select::Selector,
    unit::{Reading, Unit, Units, add},
    values::{RowList, Value, Values},
};

/// A row's place in an order: smaller is earlier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// What an order by a field compares first.
    value: Option<Sorted>,
    place: (i64, u64),
}

/// A value in an order by a field; what is missing comes last either way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sorted {
    value: Option<Value>,
    descending: bool,
}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.value, &other.value) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) if self.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
        }
    }
}

impl Order {
    /// The part of the rank that time and sequence make.
    fn rank(&self, time: i64, sequence: u64) -> (i64, u64) {
        match self {
            // Complements reverse the order of integers without an overflow.
            Self::NewestFirst | Self::Field { .. } => (!time, !sequence),
            Self::OldestFirst => (time, sequence),
            Self::Stored => (0, sequence),
        }
    }

    /// No row of the unit stands before this.
    fn best(&self, unit: &Unit) -> (i64, u64) {
        match self {
            Self::NewestFirst => self.rank(unit.time_max.nanos(), unit.sequence_max),
            Self::OldestFirst => self.rank(unit.time_min.nanos(), unit.sequence_min),
            Self::Stored => (0, unit.sequence_min),
            // Times say nothing.
            Self::Field { .. } => (i64::MIN, 0),
        }
    }

    /// No row of the unit stands behind this.
    fn worst(&self, unit: &Unit) -> (i64, u64) {
        match self {
            Self::NewestFirst => self.rank(unit.time_min.nanos(), unit.sequence_min),
            Self::OldestFirst => self.rank(unit.time_max.nanos(), unit.sequence_max),
            Self::Stored => (0, unit.sequence_max),
            Self::Field { .. } => (i64::MAX, u64::MAX),
        }
    }
}

/// A row that may be in the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: Rank,
    unit: usize,
    row: u32,
}

/// Finds the rows that a request asks for.
pub(crate) fn find(
    snapshot: &Snapshot,
    cache: &Arc<Cache>,
    request: &Rows,
    cancelled: &Cancelled,
) -> Result<Answer, QueryError> {
    let node = Node::new(&request.filter)?;
    let order = &request.order;
    let behind = request.after.filter(|_| *order == Order::Stored).map(|after| after.sequence);
    let mut units = Units::of(snapshot, cache, request.range, behind)?;
    let after = request.after.map(|after| order.rank(after.time.nanos(), after.sequence));
    units.units.retain(|unit| after.is_none_or(|after| order.worst(unit) > after));
    if let Some(sequence) = behind {
        // A live tail asks for the few rows behind the last one, again and again.
        units.units = units.units.into_iter().map(|unit| unit.behind(sequence)).collect();
    }
    units.units.sort_by_key(|unit| order.best(unit));
    let reading = Reading::default();
    let search = Search { node: &node, request, after, reading: &reading };

    let mut kept: Vec<Candidate> = Vec::new();
    let mut start = 0;
    // The first unit alone will often do; the more are needed, the more are read at once.
    let mut wave = 1;
    while let Some(next) = units.units.get(start) {
        let full = kept.len() >= request.limit;
        let best = Rank { value: None, place: order.best(next) };
        let by_time = !matches!(order, Order::Field { .. });
        if full && by_time && kept.last().is_none_or(|worst| best > worst.rank) {
            break;
        }
        let end = (start + wave).min(units.units.len());
        let numbered: Vec<(usize, &Unit)> =
            units.units.iter().enumerate().take(end).skip(start).collect();
        let found =
            parallel::map(cancelled, &numbered, |(index, unit)| search.best_of(*index, unit))?;
        kept.extend(found.into_iter().flatten());
        kept.sort_unstable();
        kept.truncate(request.limit);
        start = end;
        wave *= 2;
    }
    let (rows, cut) = read(&units.units, &kept, cancelled)?;
    Ok(Answer { rows, explain: reading.explain(&units), damaged: units.damaged, cut })
}

struct Search<'a> {
    node: &'a Node,
    request: &'a Rows,
    after: Option<(i64, u64)>,
    reading: &'a Reading,
}

impl Search<'_> {
    /// The best rows of a unit that stand behind `after`.
    fn best_of(&self, index: usize, unit: &Unit) -> Result<Vec<Candidate>, QueryError> {
        add(&self.reading.units, 1);
        let within = within(unit, self.request.range)?;
        let selected = Selector { unit, reading: self.reading }.select(self.node, within)?;
        if selected.count_set_bits() == 0 {
            return Ok(Vec::new());
        }
        let rows = places(&selected);
        let (times, sequences) = (unit.column(place::TIME)?, unit.column(place::SEQUENCE)?);
        let (Column::Other(times), Column::Other(sequences)) = (&*times, &*sequences) else {
            return Ok(Vec::new());
        };
        let times = times.as_primitive::<TimestampNanosecondType>().values();
        let sequences = sequences.as_primitive::<UInt64Type>().values();
        let order = &self.request.order;
        let place_of = |row: u32| {
            let row = row as usize;
            let time = times.get(row).copied().unwrap_or_default();
            order.rank(time, sequences.get(row).copied().unwrap_or_default())
        };
        let candidate = |row: u32, value| Candidate {
            rank: Rank { value, place: place_of(row) },
            unit: index,
            row,
        };
        let is_behind = |row: &u32| self.after.is_none_or(|after| place_of(*row) > after);
        let limit = self.request.limit;
        let mut best: Vec<Candidate> = match order {
            // Sorted by (time, sequence): the order is that of the rows, or its reverse.
            Order::NewestFirst if unit.is_sorted() => rows
                .into_iter()
                .rev()
                .filter(is_behind)
                .take(limit)
                .map(|row| candidate(row, None))
                .collect(),
            Order::OldestFirst if unit.is_sorted() => rows
                .into_iter()
                .filter(is_behind)
                .take(limit)
                .map(|row| candidate(row, None))
                .collect(),
            Order::Field { field, descending } => {
                self.with_values(unit, field, *descending, rows, candidate)?
            }
            _ => rows.into_iter().filter(is_behind).map(|row| candidate(row, None)).collect(),
        };
        best.sort_unstable();
        best.truncate(limit);
        Ok(best)
    }

    fn with_values(
        &self,
        unit: &Unit,
        field: &Field,
        descending: bool,
        rows: Vec<u32>,
        candidate: impl Fn(u32, Option<Sorted>) -> Candidate,
    ) -> Result<Vec<Candidate>, QueryError> {
        let rows = RowList::Some(rows);
        let values = Values::new(unit, field, &rows)?;
        let all = (0..rows.len()).map(|at| {
            let sorted = Sorted { value: values.value(at), descending };
            candidate(u32::try_from(rows.row(at)).unwrap_or(u32::MAX), Some(sorted))
        });
        let mut best: Vec<Candidate> = Vec::new();
        for found in all {
            best.push(found);
            // Keeps memory in bounds without sorting at each row.
            if best.len() >= 2 * self.request.limit.max(1024) {
                best.sort_unstable();
                best.truncate(self.request.limit);
            }
        }
        Ok(best)
    }
}

/// The rows of a unit in a time range.
pub(crate) fn within(unit: &Unit, range: TimeRange) -> Result<BooleanBuffer, QueryError> {
    if range.contains(unit.time_min) && range.contains(unit.time_max) {
        return Ok(BooleanBuffer::new_set(unit.rows));
    }
    let column = unit.column(place::TIME)?;
    let Column::Other(times) = &*column else { return Ok(BooleanBuffer::new_unset(unit.rows)) };
    let times = times.as_primitive::<TimestampNanosecondType>().values();
    let contains = |time: i64| range.contains(millpond_record::Timestamp::from_nanos(time));
    Ok(BooleanBuffer::collect_bool(unit.rows, |row| {
        times.get(row).is_some_and(|&time| contains(time))
    }))
}

/// Reads all columns of the kept rows, in their order, until they are too large; then the rest is cut off.
fn read(
    units: &[Unit],
    kept: &[Candidate],
    cancelled: &Cancelled,
) -> Result<(RecordBatch, bool), QueryError> {
    let mut parts: Vec<RecordBatch> = Vec::new();
    let (mut read, mut bytes, mut next) = (0, 0, ANSWER_ROWS_FIRST);
    while read < kept.len() && bytes < ANSWER_BYTES_MAX {
        let end = (read + next).min(kept.len());
        let rows = materialise(units, kept.get(read..end).unwrap_or_default(), cancelled)?;
        read = end;
        bytes += rows.get_array_memory_size();
        // As many as may be expected to fit, from how large the ones before were.
        next = (ANSWER_BYTES_MAX.saturating_sub(bytes) / (bytes / read.max(1)).max(1)).max(1);
        parts.push(rows);
    }
    let rows = match parts.as_slice() {
        [] => RecordBatch::new_empty(Arc::clone(schema())),
        [only] => only.clone(),
        _ => compute::concat_batches(schema(), &parts)?,
    };
    Ok((rows, read < kept.len()))
}

/// Reads all columns of some rows, in their order.
fn materialise(
    units: &[Unit],
    kept: &[Candidate],
    cancelled: &Cancelled,
) -> Result<RecordBatch, QueryError> {
    let mut by_unit: Vec<(usize, u32, usize)> =
        kept.iter().enumerate().map(|(place, found)| (found.unit, found.row, place)).collect();
    by_unit.sort_unstable();
    let groups: Vec<&[(usize, u32, usize)]> = by_unit.chunk_by(|a, b| a.0 == b.0).collect();
    let mut places = vec![(0, 0); kept.len()];
    for (part, rows) in groups.iter().enumerate() {
        for (at, &(_, _, place)) in rows.iter().enumerate() {
            if let Some(slot) = places.get_mut(place) {
                *slot = (part, at);
            }
        }
    }
    // Mostly the rows are of one unit: what is in `fields` takes as long as all the rest.
    let (rest, fields): (Vec<usize>, Vec<usize>) =
        (0..schema().fields().len()).partition(|&column| column != place::FIELDS);
    let halves: Vec<_> = groups.iter().flat_map(|&rows| [(rows, &rest), (rows, &fields)]).collect();
    let halves = parallel::map(cancelled, &halves, |(rows, columns)| {
        let wanted: Vec<u32> = rows.iter().map(|&(_, row, _)| row).collect();
        let unit = rows.first().and_then(|&(unit, ..)| units.get(unit));
        let unit = unit.ok_or_else(|| QueryError::Read("a unit is missing".into()))?;
        unit.read(columns, Some(&wanted))
    })?;
    let parts = halves.chunks(2).map(|halves| {
        let mut columns: Vec<_> = halves.iter().flat_map(RecordBatch::columns).cloned().collect();
        if let Some(fields) = columns.pop() {
            columns.insert(place::FIELDS, fields);
        }
        RecordBatch::try_new(Arc::clone(schema()), columns)
    });
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema())));
    }
    let parts: Vec<&RecordBatch> = parts.iter().collect();
    Ok(interleave_record_batch(&parts, &places)?)
}
