//! How to tell a format: by its name, by the content type, or from a body that says nothing.

use millpond_record::json::Reader;
use millpond_wire::{Format, UnknownFormat};

use crate::walk::members;

/// Every Open Board Logging file says this near its beginning.
const OBL_MARK: &str = "open-board-log-";

/// How much of a body is looked at to tell its format, in bytes. A privacy notice may precede the mark.
const SNIFFED_BYTES: usize = 16 << 10;

/// The format that a body looks like.
#[must_use]
pub fn of_body(body: &[u8]) -> Format {
    let head = String::from_utf8_lossy(body.get(..SNIFFED_BYTES).unwrap_or(body));
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let first_line = head.lines().next().unwrap_or_default();
    match head.as_bytes().first() {
        Some(b'{' | b'/') if head.contains(OBL_MARK) => Format::Obl,
        Some(b'{') if is_object_in_front_of_another(head, first_line) => Format::Jsonl,
        Some(b'{' | b'[') => Format::Json,
        Some(b'<') if crate::syslog::has_priority(first_line) => Format::Syslog,
        _ if crate::csv::is_header(first_line) => Format::Csv,
        _ => Format::Text,
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
) -> Result<Format, UnknownFormat> {
    match name {
        Some(name) => name.parse(),
        None => Ok(content_type.and_then(Format::of_content_type).unwrap_or_else(|| of_body(body))),
    }
}

/// Whether a body is a request of OTLP with logs, in JSON. Its only member says so. Spans and metrics are none: whoever
/// sends them here must not be told that they are kept.
#[must_use]
pub fn is_otlp(body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).unwrap_or_default();
    members(text).any(|(key, _)| key == "resourceLogs")
}

fn is_object_in_front_of_another(head: &str, first_line: &str) -> bool {
    let mut reader = Reader::new(first_line);
    let whole = reader.skip_value().is_ok() && reader.peek().is_none();
    let rest = head.get(first_line.len()..).unwrap_or_default();
    whole && rest.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_the_content_type_and_that_before_the_look_of_the_body() {
        let body = b"{\"message\":\"m\"}";
        assert_eq!(detect(Some("text"), Some("text/csv"), body), Ok(Format::Text));
        assert_eq!(detect(None, Some("text/csv"), body), Ok(Format::Csv));
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(detect(None, form, body), Ok(Format::Json));
        assert_eq!(detect(None, None, body), Ok(Format::Json));
    }

    #[test]
    fn a_request_of_otlp_is_no_log() {
        assert!(is_otlp(br#" {"resourceLogs":[{"scopeLogs":[]}]}"#));
        assert!(!is_otlp(br#"{"logs":[{"resourceLogs":[]}]}"#));
        assert!(!is_otlp(br#"[{"resourceLogs":[]}]"#));
        assert!(!is_otlp(b"\xff") && !is_otlp(br#"{"resourceSpans":[]}"#));
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
            assert_eq!(of_body(body.as_bytes()), format, "{body}");
        }
    }
}
