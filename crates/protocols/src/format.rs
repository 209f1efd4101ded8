//! The six formats: their names, their content types, and how to tell one from a body that says nothing.

use std::{fmt, str::FromStr};

use millpond_record::json::Reader;

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

/// Every Open Board Logging file says this near its beginning.
const OBL_MARK: &str = "open-board-log-";

/// How much of a body is looked at to tell its format, in bytes. A privacy notice may precede the mark.
const SNIFFED_BYTES: usize = 16 << 10;

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

    /// The format that a body looks like.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        let head = String::from_utf8_lossy(body.get(..SNIFFED_BYTES).unwrap_or(body));
        let head = head.trim_start_matches('\u{feff}').trim_start();
        let first_line = head.lines().next().unwrap_or_default();
        match head.as_bytes().first() {
            Some(b'{' | b'/') if head.contains(OBL_MARK) => Self::Obl,
            Some(b'{') if is_object_in_front_of_another(head, first_line) => Self::Jsonl,
            Some(b'{' | b'[') => Self::Json,
            Some(b'<') if crate::syslog::has_priority(first_line) => Self::Syslog,
            _ if crate::csv::is_header(first_line) => Self::Csv,
            _ => Self::Text,
        }
    }

    /// The format of a body: the one that is named, else that of its content type, else what it looks like.
    ///
    /// # Errors
    /// The name is none that a format has.
    pub fn detect(
        name: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, UnknownFormat> {
        match name {
            Some(name) => name.parse(),
            None => Ok(content_type
                .and_then(Self::of_content_type)
                .unwrap_or_else(|| Self::of_body(body))),
        }
    }
}

fn is_object_in_front_of_another(head: &str, first_line: &str) -> bool {
    let mut reader = Reader::new(first_line);
    let whole = reader.skip_value().is_ok() && reader.peek().is_none();
    let rest = head.get(first_line.len()..).unwrap_or_default();
    whole && rest.trim_start().starts_with('{')
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
    fn a_name_goes_before_the_content_type_and_that_before_the_look_of_the_body() {
        let body = b"{\"message\":\"m\"}";
        assert_eq!(Format::detect(Some("text"), Some("text/csv"), body), Ok(Format::Text));
        assert_eq!(Format::detect(None, Some("text/csv"), body), Ok(Format::Csv));
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(Format::detect(None, form, body), Ok(Format::Json));
        assert_eq!(Format::detect(None, None, body), Ok(Format::Json));
    }

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
    }

    #[test]
    fn a_body_is_told_by_its_look() {
        for (body, format) in [
            ("[{\"message\":\"m\"}]", Format::Json),
            ("{\"logs\":[\n{\"message\":\"m\"}]}", Format::Json),
            ("\u{feff}{\"message\":\"a\"}\n{\"message\":\"b\"}\n", Format::Jsonl),
            ("<34>1 2026-01-31T12:00:00Z host app - - - m", Format::Syslog),
            ("<html>", Format::Text),
            ("level,message\ninfo,m\n", Format::Csv),
            ("time\tlevel\tmessage\n", Format::Csv),
            ("hello, message\n", Format::Text),
            ("/* private */ {\"format\":\"open-board-log-0.1\"}", Format::Obl),
            ("2026-01-31 12:00:00 INFO started", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(Format::of_body(body.as_bytes()), format, "{body}");
        }
    }
}
