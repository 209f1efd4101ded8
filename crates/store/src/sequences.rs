//! Sets of sequences: which records are in a segment or a log. Ranges, since batches are stored in one piece.

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute,
    datatypes::UInt64Type,
    error::ArrowError,
};

use crate::schema::place;

/// A set of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequences {
    /// Both ends included, ascending, not touching.
    ranges: Vec<(u64, u64)>,
}

impl Sequences {
    /// Those of rows that have the columns of the schema.
    pub(crate) fn of(rows: &RecordBatch) -> Self {
        let mut all = column(rows).to_vec();
        all.sort_unstable();
        Self { ranges: joined(all.into_iter().map(|sequence| (sequence, sequence))) }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut all = std::mem::take(&mut self.ranges);
        all.extend_from_slice(&other.ranges);
        all.sort_unstable();
        self.ranges = joined(all.into_iter());
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        let place = self.ranges.partition_point(|&(_, last)| last < sequence);
        self.ranges.get(place).is_some_and(|&(first, _)| first <= sequence)
    }

    /// One that is in both.
    pub(crate) fn common(&self, other: &Self) -> Option<u64> {
        // Of two ranges that overlap, one begins in the other.
        let begins = |a: &Self, b: &Self| {
            a.ranges.iter().map(|&(first, _)| first).find(|&first| b.contains(first))
        };
        begins(self, other).or_else(|| begins(other, self))
    }

    /// The rows whose sequences are not in the set.
    pub(crate) fn others(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let kept = column(rows).iter().map(|&sequence| Some(!self.contains(sequence)));
        compute::filter_record_batch(rows, &kept.collect::<BooleanArray>())
    }
}

fn column(rows: &RecordBatch) -> &[u64] {
    rows.column(place::SEQUENCE).as_primitive::<UInt64Type>().values()
}

/// Ranges in ascending order, those that touch joined.
fn joined(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(of: &BTreeSet<u64>) -> Sequences {
        Sequences { ranges: joined(of.iter().map(|&sequence| (sequence, sequence))) }
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set(a in prop::collection::btree_set(0_u64..40, 0..20), b in prop::collection::btree_set(0_u64..40, 0..20)) {
            let (first, second) = (set(&a), set(&b));
            prop_assert!((0..40).all(|sequence| first.contains(sequence) == a.contains(&sequence)));
            prop_assert_eq!(first.common(&second).is_some(), !a.is_disjoint(&b));
            if let Some(common) = first.common(&second) {
                prop_assert!(a.contains(&common) && b.contains(&common));
            }
            let mut both = first;
            both.add(&second);
            prop_assert_eq!(both, set(&a.union(&b).copied().collect()));
        }
    }
}
