//! Numbers as people write them on the command line.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use millpond_query::Interval;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A value to set, or `none` to have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T>(pub(crate) Option<T>);

/// Reads a setting with the function for its value.
pub(crate) fn setting<T>(text: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Setting<T>> {
    if matches!(text, "none" | "never") {
        return Ok(Setting(None));
    }
    read(text).map(|value| Setting(Some(value)))
}

/// Reads a number that is not zero, such as a `NonZeroU32`.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| anyhow!("`{text}` is no number that fits, expected 1 or more"))
}

/// Reads a number of bytes, such as `10GB` or `512MiB`.
pub(crate) fn bytes<T: TryFrom<u64>>(text: &str) -> Result<T> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let bytes = unit.and_then(|(_, bytes)| count.parse::<u64>().ok()?.checked_mul(bytes));
    match bytes.map(T::try_from) {
        Some(Ok(bytes)) => Ok(bytes),
        _ => {
            bail!("`{text}` is no size, expected a whole number and a unit, such as 10GB or 512MiB")
        }
    }
}

/// Reads a span of time of whole seconds, such as `30d`.
pub(crate) fn seconds(text: &str) -> Result<u64> {
    match u64::try_from(text.parse::<Interval>()?.nanos() / 1_000_000_000) {
        Ok(seconds @ 1..) => Ok(seconds),
        _ => bail!("`{text}` is less than a second"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, expected) in
            [("5", 5), ("10GB", 10_000_000_000), ("2 mib", 2 << 20), ("1TiB", 1 << 40), ("0", 0)]
        {
            assert_eq!(bytes::<u64>(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "GB", "-1", "1.5GB", "1XB", "99999999999TB"] {
            assert!(bytes::<u64>(wrong).is_err(), "{wrong}");
        }
        assert!(bytes::<NonZeroU64>("0").is_err());
    }

    #[test]
    fn a_setting_may_be_none() {
        assert_eq!(setting("30d", seconds).unwrap(), Setting(Some(30 * 86_400)));
        assert_eq!(setting("none", seconds).unwrap(), Setting(None));
        assert!(setting("soon", seconds).is_err() && setting("5ms", seconds).is_err());
    }
}
