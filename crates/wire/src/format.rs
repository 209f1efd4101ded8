//! The formats of raw bodies: their names and media types, as both ends know them.

use std::{fmt, str::FromStr};

/// How a body writes its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `{"logs":[…]}`, an array, one object, or objects one after the other.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// One message of RFC 5424 or RFC 3164 a line.
    Syslog,
    /// One message a line, its time and level found in it.
    Text,
    /// RFC 4180 with a header, separated by commas or tabs.
    Csv,
    /// Open Board Logging 0.1: one JSON document of sessions and their events.
    Obl,
}

/// A name that none of the formats has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`, expected json, jsonl, syslog, text, csv or obl")]
pub struct UnknownFormat(pub String);

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Json, Self::Jsonl, Self::Syslog, Self::Text, Self::Csv, Self::Obl];

    /// The name, as in `?format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Syslog => "syslog",
            Self::Text => "text",
            Self::Csv => "csv",
            Self::Obl => "obl",
        }
    }

    /// The format that a `Content-Type` names, whatever its parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Some(match media_type.to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Self::Jsonl,
            "application/x-syslog" => Self::Syslog,
            "text/plain" => Self::Text,
            "text/csv" => Self::Csv,
            "application/x-obl" | "application/obl" => Self::Obl,
            _ => return None,
        })
    }

    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jsonl => "application/x-ndjson",
            Self::Syslog => "application/x-syslog",
            Self::Text => "text/plain",
            Self::Csv => "text/csv",
            Self::Obl => "application/x-obl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name_and_another_name_gets_the_list() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        let error = "xml".parse::<Format>().unwrap_err().to_string();
        assert!(error.starts_with("unknown format `xml`"), "{error}");
        for format in Format::ALL {
            assert!(error.contains(format.name()), "{error}");
        }
    }

    #[test]
    fn a_content_type_is_read_without_its_parameters_and_in_any_case() {
        let csv = Format::of_content_type("Text/CSV; charset=utf-8");
        assert_eq!(csv, Some(Format::Csv));
        assert_eq!(Format::of_content_type("application/obl"), Some(Format::Obl));
        assert_eq!(Format::of_content_type("image/png"), None);
        for format in Format::ALL {
            assert_eq!(Format::of_content_type(format.content_type()), Some(format));
        }
    }
}
