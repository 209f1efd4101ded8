//! Widths of time: `30s`, `5m`, `1h`.

use std::{fmt, num::NonZeroI64, str::FromStr};

use millpond_record::Timestamp;

const UNITS: [(&str, i64); 5] = [
    ("d", 86_400 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
];
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Widths that people expect to see on a time axis, in seconds.
const ROUND_SECONDS: [i64; 15] =
    [1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];

/// Widest interval: ten years. Wider ones would meet the ends of 64-bit nanoseconds.
const NANOS_MAX: i64 = 3_653 * 86_400 * NANOS_PER_SECOND;

/// The width of a bucket of time, a positive number of nanoseconds, at most ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(NonZeroI64);

/// The text is no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no interval, expected a whole number and one of ms, s, m, h, d, such as 5m, up to 3653d"
)]
pub struct IntervalError(String);

impl Interval {
    /// Nanoseconds.
    #[must_use]
    pub fn nanos(self) -> i64 {
        self.0.get()
    }

    /// The narrowest round interval that covers `from` to `to` with at most `buckets` buckets.
    #[must_use]
    pub fn round(from: Timestamp, to: Timestamp, buckets: i64) -> Self {
        let needed = to.nanos().saturating_sub(from.nanos()) / buckets.max(1) / NANOS_PER_SECOND;
        let widest = needed.saturating_add(1);
        let seconds = ROUND_SECONDS.into_iter().find(|&seconds| seconds > needed).unwrap_or(widest);
        let nanos = seconds.saturating_mul(NANOS_PER_SECOND).min(NANOS_MAX);
        Self(NonZeroI64::new(nanos).unwrap_or(NonZeroI64::MAX))
    }

    /// The start of the bucket that holds `time`: buckets are counted from the epoch.
    #[must_use]
    pub fn floor(self, time: Timestamp) -> Timestamp {
        let start = time.nanos().checked_sub(time.nanos().rem_euclid(self.nanos()));
        Timestamp::from_nanos(start.unwrap_or(i64::MIN))
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let error = || IntervalError(text.chars().take(32).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at_checked(digits).ok_or_else(error)?;
        let nanos = UNITS
            .into_iter()
            .find(|&(name, _)| name == unit)
            .map(|(_, nanos)| nanos)
            .ok_or_else(error)?;
        let count: i64 = count.parse().map_err(|_| error())?;
        let nanos = count.checked_mul(nanos).filter(|&nanos| nanos <= NANOS_MAX);
        nanos.and_then(NonZeroI64::new).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.into_iter().find(|&(_, nanos)| self.nanos() % nanos == 0);
        let (unit, nanos) = fitting.unwrap_or(("ns", 1));
        write!(f, "{}{unit}", self.nanos() / nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_written() {
        for text in ["250ms", "30s", "5m", "1h", "7d"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<Interval>().unwrap().to_string(), "1m");
        for wrong in ["", "5", "m", "0s", "-1s", "1.5h", "9999999999999d", "3654d", "5 m"] {
            assert!(wrong.parse::<Interval>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_round_interval_covers_the_range_with_few_buckets() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * NANOS_PER_SECOND);
        assert_eq!(Interval::round(at(0), at(3600), 60).to_string(), "5m");
        assert_eq!(Interval::round(at(0), at(86_400), 60).to_string(), "30m");
        assert_eq!(Interval::round(at(0), at(0), 60).to_string(), "1s");
        assert!(Interval::round(Timestamp::MIN, Timestamp::MAX, 60).nanos() > 0);
        assert_eq!("1m".parse::<Interval>().unwrap().floor(at(-1)), at(-60));
        assert_eq!("1m".parse::<Interval>().unwrap().floor(at(61)), at(60));
    }
}
