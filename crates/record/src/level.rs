//! Levels: six names, the 24 OpenTelemetry severity numbers behind them, and every synonym of the field.

use std::{fmt, num::NonZeroU8, str::FromStr};

/// How serious a record is. Ordered: `Trace < Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Finest detail (severity 1 to 4).
    Trace,
    /// For the developer (severity 5 to 8).
    Debug,
    /// Normal operation (severity 9 to 12).
    Info,
    /// Might be a problem (severity 13 to 16).
    Warn,
    /// A failure (severity 17 to 20).
    Error,
    /// The service can't go on (severity 21 to 24).
    Critical,
}

impl Level {
    /// All levels, least serious first.
    pub const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical];

    /// The name that is written: `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        Severity::from_name(name).map(Severity::level)
    }
}

/// A text or number that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown level `{0}`, expected trace, debug, info, warn, error, critical or a synonym (warning, fatal, notice, \
     ...), or a number of syslog (0 to 7), pino (10 to 60) or OpenTelemetry (`severity_number`, 1 to 24)"
)]
pub struct UnknownLevel(pub String);

/// An OpenTelemetry severity number, 1 to 24. Finer than [`Level`]: a syslog `notice` is an `info` of severity 10.
///
/// Source: OpenTelemetry Logs Data Model, "Severity Fields" and its appendix B (syslog and other mappings).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(NonZeroU8);

impl Severity {
    /// The severity with this number, if it is one of 1 to 24.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) if number.get() <= 24 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number, 1 to 24.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// The level that this severity belongs to.
    #[must_use]
    pub const fn level(self) -> Level {
        match self.0.get() {
            0..=4 => Level::Trace,
            5..=8 => Level::Debug,
            9..=12 => Level::Info,
            13..=16 => Level::Warn,
            17..=20 => Level::Error,
            _ => Level::Critical,
        }
    }

    /// The severity of a level name or one of its synonyms, in any case; digits are read as [`Self::from_level_number`].
    ///
    /// # Errors
    /// The name is none that a logging library uses.
    pub fn from_name(name: &str) -> Result<Self, UnknownLevel> {
        // Longest known name: "informational".
        let mut folded = [0_u8; 16];
        let unknown = || UnknownLevel(name.chars().take(40).collect());
        let folded = folded.get_mut(..name.len()).ok_or_else(unknown)?;
        folded.copy_from_slice(name.as_bytes());
        folded.make_ascii_lowercase();
        let number = match &*folded {
            b"trace" | b"verbose" | b"finest" => 1,
            b"debug" | b"fine" => 5,
            b"info" | b"information" | b"informational" | b"default" => 9,
            b"notice" => 10,
            b"warn" | b"warning" => 13,
            b"error" | b"err" | b"severe" => 17,
            b"critical" | b"crit" | b"fatal" | b"panic" | b"dpanic" => 21,
            b"alert" => 22,
            b"emergency" | b"emerg" => 24,
            _ => return name.parse().ok().and_then(Self::from_level_number).ok_or_else(unknown),
        };
        Self::from_number(number).ok_or_else(unknown)
    }

    /// The severity of a number that stands in a `level` key: syslog's 0 to 7 (RFC 5424, 6.2.1; 0 is the most
    /// serious) or pino's and bunyan's 10 to 60. OpenTelemetry's numbers have a key of their own,
    /// `severity_number`, because the ranges overlap.
    #[must_use]
    pub const fn from_level_number(number: i64) -> Option<Self> {
        let severity = match number {
            0 => 24,
            1 => 22,
            2 | 60 => 21,
            3 | 50 => 17,
            4 | 40 => 13,
            5 => 10,
            6 | 30 => 9,
            7 | 20 => 5,
            10 => 1,
            _ => return None,
        };
        Self::from_number(severity)
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        // Each level owns four numbers, the first of which is its default.
        Self(NonZeroU8::MIN.saturating_add(level as u8 * 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_from_names_synonyms_and_numbers_of_the_field() {
        for (name, level) in [
            ("TRACE", Level::Trace),
            ("Debug", Level::Debug),
            ("notice", Level::Info),
            ("WARNING", Level::Warn),
            ("err", Level::Error),
            ("fatal", Level::Critical),
            ("30", Level::Info),
            ("3", Level::Error),
        ] {
            assert_eq!(name.parse::<Level>(), Ok(level), "{name}");
        }
        assert!(
            "loud"
                .parse::<Level>()
                .unwrap_err()
                .to_string()
                .contains("unknown level `loud`, expected trace")
        );
        assert!("a-name-longer-than-sixteen-bytes".parse::<Level>().is_err());
        assert_eq!(Severity::from_level_number(8), None);
    }

    #[test]
    fn a_level_and_its_default_severity_round_trip() {
        for level in Level::ALL {
            assert_eq!(Severity::from(level).level(), level);
        }
        assert_eq!(Severity::from(Level::Info).number(), 9);
        assert_eq!(Severity::from_number(0), None);
        assert_eq!(Severity::from_number(25), None);
    }
}
