//! What an engine is asked: a filter and the shape of the answer.

use std::{fmt, str::FromStr};

use millpond_record::Timestamp;

/// Event times, `from` included, `to` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded; [`Timestamp::MAX`] excludes nothing.
    pub to: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// Whether a record of this time is inside.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        time >= self.from && (time < self.to || self.to == Timestamp::MAX)
    }

    /// Whether some time from `min` to `max`, both included, may be inside.
    #[must_use]
    pub fn overlaps(self, min: Timestamp, max: Timestamp) -> bool {
        max >= self.from && (min < self.to || self.to == Timestamp::MAX)
    }
}

/// The place of a record in the order (time, sequence), and its id.
///
/// The sequence is the number that the store gave the record when it was stored; no two records of one store share
/// it. Written as 32 hex digits, sorting as the records do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Event time.
    pub time: Timestamp,
    /// Place in the order of storing.
    pub sequence: u64,
}

/// The text is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no cursor, expected the `next_cursor` of an earlier answer")]
pub struct CursorError(String);

const SIGN: u64 = 1 << 63;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.time.nanos().cast_unsigned() ^ SIGN, self.sequence)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let error = || CursorError(text.chars().take(64).collect());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error());
        }
        let both = u128::from_str_radix(text, 16).map_err(|_| error())?;
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).map_err(|_| error());
        Ok(Self {
            time: Timestamp::from_nanos((half(both >> 64)? ^ SIGN).cast_signed()),
            sequence: half(both)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_written_in_the_order_of_the_records_and_read_back() {
        let cursors = [(-5, 9), (0, 0), (0, 1), (7, 0)]
            .map(|(nanos, sequence)| Cursor { time: Timestamp::from_nanos(nanos), sequence });
        assert!(cursors.is_sorted());
        assert!(cursors.map(|cursor| cursor.to_string()).is_sorted());
        for cursor in cursors {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in
            ["", "12", "+2345678901234567890123456789012", "xyz45678901234567890123456789012"]
        {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_end_of_time_is_included_in_all() {
        assert!(TimeRange::ALL.contains(Timestamp::MAX));
        let range = TimeRange { from: Timestamp::from_nanos(1), to: Timestamp::from_nanos(2) };
        assert!(
            range.contains(Timestamp::from_nanos(1)) && !range.contains(Timestamp::from_nanos(2))
        );
        assert!(!range.overlaps(Timestamp::from_nanos(2), Timestamp::from_nanos(3)));
    }
}
