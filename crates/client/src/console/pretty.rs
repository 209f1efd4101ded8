//! A record as a person wants to see it on a terminal.
//!
//! What a record says comes from anywhere: no character of it that a terminal would obey, or that changes the order
//! of what is shown, is passed on; and no line of it begins where a record begins.

use std::fmt::Write as _;

use millpond_record::{
    Level, LogRecord, TextAttribute, Timestamp,
    json::{Object, Scalar},
};

use crate::limits::CAUSES_MAX;

/// In front of every line of a record but its first.
const INDENT: &str = "    ";

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// The record, its last line ended.
pub(super) fn render(record: &LogRecord<'_>, has_colours: bool) -> String {
    let mut out = Pretty { text: String::with_capacity(256), has_colours };
    out.painted(DIM, |out| write_time(&mut out.text, record.time));
    out.text.push(' ');
    let level = record.severity.level();
    // As wide as the widest, so that what follows stands in a column.
    out.painted(colour(level), |out| {
        let _ = write!(out.text, "{:<8}", level.name().to_uppercase());
    });
    out.text.push(' ');
    out.painted(DIM, |out| {
        out.inline(record.service());
        if let Some(logger) = record.text(TextAttribute::Logger) {
            out.text.push('/');
            out.inline(logger);
        }
    });
    out.text.push(' ');
    out.painted(BOLD, |out| out.lines(record.message()));
    out.pairs(record);
    out.text.push('\n');
    if let Some(exception) = &record.exception {
        out.exception(exception);
    }
    out.text
}

struct Pretty {
    text: String,
    has_colours: bool,
}

impl Pretty {
    fn painted(&mut self, colour: &str, write: impl FnOnce(&mut Self)) {
        if self.has_colours {
            self.text.push_str(colour);
        }
        write(self);
        if self.has_colours {
            self.text.push_str(RESET);
        }
    }

    /// The fields, the attributes of the context, the tags.
    fn pairs(&mut self, record: &LogRecord<'_>) {
        for (key, value) in record.fields.members() {
            match Scalar::read(value) {
                Some(Scalar::String(text)) => self.pair(&key, &quoted(&text)),
                _ => self.pair(&key, value),
            }
        }
        for attribute in TextAttribute::ALL.into_iter().filter(|attribute| attribute.is_context()) {
            if let Some(text) = record.text(attribute) {
                self.pair(attribute.name(), &quoted(text));
            }
        }
        if !record.tags.is_empty() {
            self.pair("tags", &record.tags.join(","));
        }
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.text.push(' ');
        self.painted(DIM, |out| {
            out.inline(key);
            out.text.push('=');
        });
        self.inline(value);
    }

    /// An exception and its causes, each with its frames.
    fn exception(&mut self, exception: &Object<'_>) {
        let mut next = Some(exception.as_str().to_owned());
        for place in 0..=CAUSES_MAX {
            let Some(object) = next.take().map(Object::from_normalised) else { return };
            self.text.push_str(INDENT);
            if place > 0 {
                self.text.push_str("caused by: ");
            }
            let part = |name: &str| object.members().find(|(key, _)| key == name);
            let text = |name: &str| match Scalar::read(part(name)?.1)? {
                Scalar::Null => None,
                scalar => Some(scalar.text().to_owned()),
            };
            match (text("type"), text("message")) {
                (Some(kind), Some(message)) => self.lines(&format!("{kind}: {message}")),
                (Some(text), None) | (None, Some(text)) => self.lines(&text),
                (None, None) => self.text.push_str("exception"),
            }
            self.text.push('\n');
            for frame in elements(part("stacktrace").map_or("[]", |(_, value)| value)) {
                self.text.push_str(INDENT);
                self.text.push_str("  ");
                self.lines(&frame_text(&frame));
                self.text.push('\n');
            }
            next = part("cause").map(|(_, cause)| cause.to_owned()).filter(|c| c.starts_with('{'));
        }
    }

    /// Text that may have lines; those behind the first are indented.
    fn lines(&mut self, text: &str) {
        for (place, line) in text.trim_end_matches('\n').split('\n').enumerate() {
            if place > 0 {
                self.text.push('\n');
                self.text.push_str(INDENT);
            }
            self.inline(line.strip_suffix('\r').unwrap_or(line));
        }
    }

    /// Text on one line.
    fn inline(&mut self, text: &str) {
        for character in text.chars() {
            if is_obeyed(character) {
                self.text.extend(character.escape_debug());
            } else {
                self.text.push(character);
            }
        }
    }
}

/// Whether a terminal would do something instead of showing it: control characters, line and paragraph separators,
/// and those that change the direction of text.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The text, in quotes if it would not end where it ends.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '"', '=']) {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

/// `12:34:56.789Z`.
fn write_time(out: &mut String, time: Timestamp) {
    const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
    let millis = time.nanos().div_euclid(1_000_000).rem_euclid(MILLIS_PER_DAY);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z");
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Trace => "\x1b[90m",
        Level::Debug => "\x1b[34m",
        Level::Info => "\x1b[32m",
        Level::Warn => "\x1b[33m",
        Level::Error => "\x1b[31m",
        Level::Critical => "\x1b[1;97;41m",
    }
}

/// The elements of an array as JSON.
fn elements(array: &str) -> Vec<String> {
    let values: Vec<serde_json::Value> = serde_json::from_str(array).unwrap_or_default();
    values.iter().map(ToString::to_string).collect()
}

/// A frame as `file:line in function`; one of another shape as it is.
fn frame_text(frame: &str) -> String {
    let object = match Scalar::read(frame) {
        Some(Scalar::String(text)) => return text.into_owned(),
        Some(Scalar::Nested(text)) if text.starts_with('{') => Object::from_normalised(text),
        _ => return frame.to_owned(),
    };
    let part = |name: &str| object.get(name).map(|scalar| scalar.text().to_owned());
    match (part("file"), part("line"), part("function")) {
        (Some(file), Some(line), Some(function)) => format!("{file}:{line} in {function}"),
        (Some(file), None, Some(function)) => format!("{file} in {function}"),
        _ => frame.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::{Decoded, decode, json::Reader};

    use super::*;

    fn pretty(json: &str, has_colours: bool) -> String {
        match decode(&mut Reader::new(json), Timestamp::from_nanos(0)).unwrap() {
            Decoded::Record(record) => render(&record, has_colours),
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        }
    }

    #[test]
    fn a_record_is_one_line() {
        let json = r#"{"time":1763692800123456789,"level":"info","service":"shop","logger":"cart","message":"order placed",
            "trace_id":"t1","tags":["a","b"],"fields":{"order":4711,"who":"Ann B.","empty":"","list":[1,{"k":"v"}]}}"#;
        assert_eq!(
            pretty(json, false),
            "02:40:00.123Z INFO     shop/cart order placed order=4711 who=\"Ann B.\" empty=\"\" list=[1,{\"k\":\"v\"}] \
             trace_id=t1 tags=a,b\n"
        );
    }

    #[test]
    fn an_exception_stands_below_with_its_causes() {
        let json = r#"{"time":"1969-12-31T23:59:59.9999Z","level":"error","message":"failed","exception":{"type":"Outer","message":"no\nluck",
            "stacktrace":[{"file":"a.py","line":7,"function":"f"},"at g"],"cause":{"message":"inner","cause":{"type":"Root"}}}}"#;
        assert_eq!(
            pretty(json, false),
            concat!(
                "23:59:59.999Z ERROR    unknown_service failed\n",
                "    Outer: no\n",
                "    luck\n",
                "      a.py:7 in f\n",
                "      at g\n",
                "    caused by: inner\n",
                "    caused by: Root\n",
            )
        );
    }

    #[test]
    fn nothing_in_a_record_reaches_the_terminal_as_a_command() {
        let json = r#"{"time":0,"message":"a\u001b[2Jb\r\n12:00:00.000Z INFO forged\u0007","logger":"x\u009b1m\n",
            "fields":{"k\u001b":"v\u001b]0;t\u0007\n\u202e","n":["\u001b[1m"]},"exception":{"message":"\u001bc"}}"#;
        for has_colours in [false, true] {
            let text = pretty(json, has_colours);
            let ours = [RESET, DIM, BOLD, colour(Level::Info)];
            let text = ours.iter().fold(text, |text, code| text.replace(code, ""));
            assert!(text.chars().all(|c| c == '\n' || !is_obeyed(c)), "{text:?}");
            // The forged line is not at the start of one.
            assert!(text.lines().skip(1).all(|line| line.starts_with(INDENT)), "{text}");
        }
    }

    #[test]
    fn colours_are_there_if_they_are_wanted() {
        let json = r#"{"time":0,"level":"warn","message":"m"}"#;
        assert!(pretty(json, true).contains("\x1b[33mWARN    \x1b[0m"));
        assert!(!pretty(json, false).contains('\x1b'));
    }
}
