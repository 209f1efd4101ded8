//! Which rows go into a segment together: those of a day (UTC), as long as a flush has rows of few days.
//!
//! Records with senseless times may be of 200 000 days, of each a few. A file for each would cost two syncs and a place
//! in the manifest. So beyond [`FLUSH_DAYS_MAX`] days, the days with few rows go together by month, year, decade or
//! century, the finest of which there are not too many. What the rows have in common is the name: the start of their
//! days, such as `2026-01`, `2026`, `202` or `20`. A segment is merged with those of the same name.

use std::{collections::BTreeMap, ops::Range};

use arrow::{
    array::{AsArray, RecordBatch},
    compute,
    datatypes::TimestampNanosecondType,
    error::ArrowError,
};
use millpond_record::Timestamp;

use crate::{limits::FLUSH_DAYS_MAX, schema::place};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// How much of `2026-01-31` a day, month, year, decade and century have in common.
const NAME_BYTES: [usize; 5] = [10, 7, 4, 3, 2];

/// The days of rows that are sorted by time, with the places of their rows.
pub(crate) fn days(rows: &RecordBatch) -> Vec<(String, Range<usize>)> {
    let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>().values();
    let mut start = 0;
    let same_day =
        times.chunk_by(|a, b| a.div_euclid(NANOS_PER_DAY) == b.div_euclid(NANOS_PER_DAY));
    let days = same_day.map(|times| {
        let first = Timestamp::from_nanos(times.first().copied().unwrap_or_default());
        let name = first.to_string().chars().take_while(|&c| c != 'T').collect();
        let places = start..start + times.len();
        start = places.end;
        (name, places)
    });
    days.collect()
}

/// Cuts rows that are sorted by time into what goes into a segment each; gives each part's name and rows, also sorted.
pub(crate) fn by_day(rows: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    let days = days(rows);
    let least =
        if days.len() > FLUSH_DAYS_MAX { rows.num_rows().div_ceil(FLUSH_DAYS_MAX) } else { 0 };
    let is_small = |places: &Range<usize>| places.len() < least;
    let small: Vec<&str> =
        days.iter().filter(|(_, places)| is_small(places)).map(|(day, _)| day.as_str()).collect();
    let few = |&bytes: &usize| {
        small.chunk_by(|a, b| start(a, bytes) == start(b, bytes)).count() <= FLUSH_DAYS_MAX
    };
    let bytes = NAME_BYTES.into_iter().find(few).unwrap_or_default();
    let mut parts: BTreeMap<&str, Vec<Range<usize>>> = BTreeMap::new();
    for (day, places) in &days {
        let name = if is_small(places) { start(day, bytes) } else { day };
        let part = parts.entry(name).or_default();
        match part.last_mut() {
            Some(last) if last.end == places.start => last.end = places.end,
            _ => part.push(places.clone()),
        }
    }
    let parts = parts.into_iter().map(|(name, part)| {
        let slices: Vec<_> =
            part.iter().map(|places| rows.slice(places.start, places.len())).collect();
        let rows = match slices.as_slice() {
            [only] => only.clone(),
            _ => compute::concat_batches(rows.schema_ref(), &slices)?,
        };
        Ok((name.to_owned(), rows))
    });
    parts.collect()
}

fn start(day: &str, bytes: usize) -> &str {
    day.get(..bytes).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, TimestampNanosecondArray, new_null_array},
        datatypes::{Field, Schema},
    };

    use super::*;
    use crate::schema::schema;

    /// The names and numbers of rows of the parts of rows on these days, counted from 1970.
    fn parts(of: impl IntoIterator<Item = i64>) -> Vec<(String, usize)> {
        let mut times: Vec<i64> = of.into_iter().map(|day| day * NANOS_PER_DAY).collect();
        times.sort_unstable();
        let null = |field: &Arc<Field>| new_null_array(field.data_type(), times.len());
        let mut columns: Vec<ArrayRef> = schema().fields().iter().map(null).collect();
        columns[place::TIME] = Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"));
        let fields =
            schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let nullable = Schema::new(fields.collect::<Vec<_>>());
        let rows = RecordBatch::try_new(Arc::new(nullable), columns).unwrap();
        let parts = by_day(&rows).unwrap();
        for (name, rows) in &parts {
            assert!(days(rows).iter().all(|(day, _)| day.starts_with(name.as_str())));
            let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>();
            assert!(times.values().is_sorted());
        }
        parts.into_iter().map(|(name, rows)| (name, rows.num_rows())).collect()
    }

    #[test]
    fn rows_of_few_days_are_cut_where_the_day_changes() {
        let names = [("1969-12-31", 1), ("1970-01-01", 2), ("1970-01-03", 1)];
        assert_eq!(parts([0, 2, -1, 0]), names.map(|(name, rows)| (name.to_owned(), rows)));
        assert_eq!(parts(0..FLUSH_DAYS_MAX as i64).len(), FLUSH_DAYS_MAX);
    }

    #[test]
    fn days_with_few_rows_go_together_and_those_with_many_stay_alone() {
        let month = (0..40).chain([5; 100]);
        let names = [("1970-01", 30), ("1970-01-06", 101), ("1970-02", 9)];
        assert_eq!(parts(month), names.map(|(name, rows)| (name.to_owned(), rows)));
    }

    #[test]
    fn rows_of_any_days_make_a_bounded_number_of_parts() {
        for step in [1, 30, 365, 3650] {
            let all = (-106_000..106_000).step_by(step);
            let rows = all.clone().count();
            let parts = parts(all.chain((0..1000).flat_map(|day| [day % 8; 8])));
            assert!(parts.len() <= 2 * FLUSH_DAYS_MAX, "{parts:?}");
            assert_eq!(parts.iter().map(|(_, rows)| rows).sum::<usize>(), rows + 8000);
        }
    }
}
