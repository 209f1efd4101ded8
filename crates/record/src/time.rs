//! Points in time, exact to the nanosecond, and the forms in which logs write them.

use std::{fmt, time::SystemTime};

use jiff::{civil, fmt::temporal::DateTimePrinter, tz::TimeZone};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Nanoseconds since 1970-01-01T00:00:00Z, from 1677-09-21 to 2262-04-11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text or number that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Not in a known form.
    #[error(
        "`{0}` is no time, expected RFC 3339 such as 2026-01-31T12:00:00.123456789Z or a number since the epoch"
    )]
    Form(String),
    /// Well formed, but it does not fit 64-bit nanoseconds.
    #[error("time `{0}` is out of range, expected 1677-09-21 to 2262-04-11")]
    Range(String),
}

impl Timestamp {
    /// The earliest time.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset, with `T` or a space between date and time; without an offset it is UTC.
    /// Digits alone are read as [`Self::parse_number`].
    ///
    /// # Errors
    /// The text is no time, or out of range.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let shown = || text.chars().take(64).collect::<String>();
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return i64::try_from(time.as_nanosecond())
                .map(Self)
                .map_err(|_| TimestampError::Range(shown()));
        }
        if let Ok(time) = Self::parse_number(text) {
            return Ok(time);
        }
        let civil = text.parse::<civil::DateTime>().map_err(|_| TimestampError::Form(shown()))?;
        let time = civil.to_zoned(TimeZone::UTC).map_err(|_| TimestampError::Range(shown()))?;
        i64::try_from(time.timestamp().as_nanosecond())
            .map(Self)
            .map_err(|_| TimestampError::Range(shown()))
    }

    /// Reads a number since the epoch, its unit told by its size: below 10^11 seconds (to the year 5138), below
    /// 10^14 milliseconds, below 10^17 microseconds, else nanoseconds. A fraction is kept to the nanosecond; the
    /// decimal digits are used as they stand, never as a float.
    ///
    /// # Errors
    /// The text is no plain decimal number, or out of range.
    pub fn parse_number(text: &str) -> Result<Self, TimestampError> {
        let shown = || text.chars().take(64).collect::<String>();
        let form = || TimestampError::Form(shown());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(form());
        }
        let count: i64 = whole.parse().map_err(|_| form())?;
        let unit = match count.unsigned_abs() {
            0..100_000_000_000 => NANOS_PER_SECOND,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        let mut nanos_fraction = 0;
        let mut place = unit / 10;
        for digit in fraction.bytes() {
            nanos_fraction += i64::from(digit - b'0') * place;
            place /= 10;
        }
        if whole.starts_with('-') {
            nanos_fraction = -nanos_fraction;
        }
        count
            .checked_mul(unit)
            .and_then(|nanos| nanos.checked_add(nanos_fraction))
            .map(Self)
            .ok_or_else(|| TimestampError::Range(shown()))
    }

    /// Appends RFC 3339 in UTC with nine fractional digits: `2026-01-31T12:00:00.123456789Z`.
    pub fn write(self, out: &mut String) {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = PRINTER.print_timestamp(&time, out);
    }
}

impl From<SystemTime> for Timestamp {
    /// What is outside its range becomes the earliest or the latest time.
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Self(nanos)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(30);
        self.write(&mut text);
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_logs_write() {
        let nanos = 1_769_860_800_123_456_789;
        for text in [
            "2026-01-31T12:00:00.123456789Z",
            "2026-01-31T14:00:00.123456789+02:00",
            "2026-01-31 12:00:00.123456789",
            "1769860800123456789",
            "1769860800.123456789",
            "1769860800123.456789",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(Timestamp(nanos)), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-01-31"), Timestamp::parse("2026-01-31T00:00:00Z"));
        assert_eq!(Timestamp::parse_number("-1.5"), Ok(Timestamp(-1_500_000_000)));
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_expected_form() {
        for text in ["", "yesterday", "1.2.3", "12e3", "--1", "2026-13-01T00:00:00Z"] {
            assert!(matches!(Timestamp::parse(text), Err(TimestampError::Form(_))), "{text}");
        }
        assert!(matches!(Timestamp::parse("3000-01-01T00:00:00Z"), Err(TimestampError::Range(_))));
        assert!(matches!(Timestamp::parse("0001-01-01T00:00:00Z"), Err(TimestampError::Range(_))));
    }

    #[test]
    fn a_time_of_the_system_is_the_same_time() {
        let epoch = SystemTime::UNIX_EPOCH;
        let day = Duration::from_secs(86_400);
        assert_eq!(Timestamp::from(epoch + Duration::from_nanos(7)), Timestamp(7));
        assert_eq!(Timestamp::from(epoch - Duration::from_nanos(7)), Timestamp(-7));
        assert_eq!(Timestamp::from(epoch + 130_000 * day), Timestamp::MAX);
        assert_eq!(Timestamp::from(epoch - 130_000 * day), Timestamp::MIN);
    }

    proptest! {
        #[test]
        fn every_time_survives_writing_and_reading(nanos in any::<i64>()) {
            let written = Timestamp(nanos).to_string();
            prop_assert_eq!(Timestamp::parse(&written), Ok(Timestamp(nanos)));
        }
    }
}
