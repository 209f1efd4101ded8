//! The account of a queue.

use std::fmt;

/// Why a record was not delivered and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full.
    Overflow,
    /// The record alone is larger than a record may be, or than the server takes.
    TooLarge,
    /// The server read the record and said that it is none.
    Rejected,
    /// The server refused the batch that the record was in.
    Refused,
    /// The client was closed: before the record came, or before it could be delivered.
    Closed,
    /// A value of the record panicked while it was written, or the sender did while it had the record.
    Panicked,
    /// Its batch was tried as often as the settings allow.
    Exhausted,
    /// It waited on disk for longer than the settings allow.
    Expired,
    /// It could not be read back from the disk.
    Damaged,
}

impl DropReason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Overflow,
        Self::TooLarge,
        Self::Rejected,
        Self::Refused,
        Self::Closed,
        Self::Panicked,
        Self::Exhausted,
        Self::Expired,
        Self::Damaged,
    ];

    /// The name under which the reason is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Panicked => "panicked",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
        }
    }
}

/// How many records were dropped, by reason.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// How many for one reason.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().zip(self.0)
    }

    pub(crate) fn add(&mut self, reason: DropReason, records: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += records;
        }
    }
}

impl fmt::Debug for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.iter().filter(|(_, records)| *records > 0);
        f.debug_map().entries(some.map(|(reason, records)| (reason.name(), records))).finish()
    }
}

/// The account at one moment: `accepted = delivered + queued + spooled + dropped.total()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that were handed in, those that an earlier process had left on disk included.
    pub accepted: u64,
    /// How many of them an earlier process had left on disk.
    pub recovered: u64,
    /// Records that the server has on its disk.
    pub delivered: u64,
    /// Records that wait in memory or are on their way from there.
    pub queued: u64,
    /// The size of the queued ones in bytes.
    pub queued_bytes: usize,
    /// Records on disk that are not delivered yet.
    pub spooled: u64,
    /// Records that are gone.
    pub dropped: Dropped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            let mut dropped = Dropped::default();
            dropped.add(reason, 3);
            assert_eq!((dropped.get(reason), dropped.total()), (3, 3));
            assert!(dropped.iter().any(|pair| pair == (reason, 3)));
            assert_eq!(format!("{dropped:?}"), format!("{{{:?}: 3}}", reason.name()));
        }
    }
}
