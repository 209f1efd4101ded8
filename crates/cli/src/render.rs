//! One record as one line that people like to read.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use millpond_record::Level;
use serde_json::{Map, Value};

const DIM: Style = Style::new().dimmed();

/// Attributes that have their own place in the line.
const PLACED: [&str; 7] = ["id", "time", "level", "service", "message", "fields", "observed_time"];

/// The line: local to the record, without its line feed.
pub(crate) fn line(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let style = style(text("level"));
    // Milliseconds are enough to read; `--json` has the rest.
    let time = text("time").replace('T', " ");
    let time = time.get(..23).unwrap_or(&time);
    let mut line = format!(
        "{DIM}{}{DIM:#} {style}{:<8}{style:#} {DIM}{}{DIM:#} {}",
        plain(time),
        plain(&text("level").to_uppercase()),
        plain(text("service")),
        plain(text("message"))
    );
    let attributes = record
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !PLACED.contains(&name.as_str()));
    let none = Map::new();
    let fields = record.get("fields").and_then(Value::as_object).unwrap_or(&none);
    for (name, value) in attributes.chain(fields) {
        let shown = match value {
            Value::Object(_) if name == "exception" => plain(&exception(value)),
            Value::String(text) if !text.contains([' ', '"', '=']) && !text.is_empty() => {
                plain(text)
            }
            other => plain(&other.to_string()),
        };
        // Writing to a String cannot fail.
        let _ = write!(line, " {DIM}{}={DIM:#}{shown}", plain(name));
    }
    line
}

/// What was raised and where; the whole of it is for `--json`.
fn exception(exception: &Value) -> String {
    let text = |of: &Value, name: &str| {
        of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut shown = format!("{}: {}", text(exception, "type"), text(exception, "message"));
    let frames = exception.get("stacktrace").and_then(Value::as_array);
    if let Some(frame) = frames.and_then(|frames| frames.last()).filter(|frame| frame.is_object()) {
        let line = frame.get("line").map(ToString::to_string).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(shown, " ({}:{line} {})", text(frame, "file"), text(frame, "function"));
    }
    format!("\"{shown}\"")
}

fn style(level: &str) -> Style {
    let color = match level.parse() {
        Ok(Level::Critical | Level::Error) => AnsiColor::Red,
        Ok(Level::Warn) => AnsiColor::Yellow,
        Ok(Level::Info) => AnsiColor::Green,
        _ => AnsiColor::Blue,
    };
    let style = color.on_default();
    if level == Level::Critical.name() { style.bold() } else { style }
}

/// The record as JSON in one line. Inside JSON only the lower control characters must be escaped; a terminal obeys
/// the upper ones too.
pub(crate) fn json(record: &Value) -> String {
    let mut json = String::new();
    for character in record.to_string().chars() {
        match character {
            // They stand in strings only, where JSON allows the escape.
            '\u{7f}'..='\u{9f}' => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json
}

/// A log may hold anything; only text reaches the terminal, no control sequences and nothing that turns the reading
/// direction around.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_directional(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Whether the character is invisible and changes the order in which those around it are shown.
fn is_directional(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exception_is_told_by_its_type_message_and_place() {
        let frames = json!([{ "file": "a.py", "line": 1, "function": "main" }, { "file": "b.py", "line": 7, "function": "f" }]);
        let raised = json!({ "type": "KeyError", "message": "'x'", "stacktrace": frames });
        let line = line(&json!({ "level": "error", "message": "m", "exception": raised }));
        let line = anstream::adapter::strip_str(&line).to_string();
        assert!(line.ends_with(r#"exception="KeyError: 'x' (b.py:7 f)""#), "{line}");
    }

    #[test]
    fn a_record_is_one_line_and_its_content_can_not_move_the_cursor() {
        let record = json!({
            "id": "1", "time": "2026-01-31T12:00:00.123456789Z", "level": "error", "service": "api",
            "message": "a\nb\u{1b}[2J", "trace_id": "t", "fields": { "n": 1, "s": "x y" },
        });
        let line = anstream::adapter::strip_str(&line(&record)).to_string();
        assert_eq!(
            line,
            r#"2026-01-31 12:00:00.123 ERROR    api a\nb\u{1b}[2J trace_id=t n=1 s="x y""#
        );
    }

    #[test]
    fn no_value_of_a_record_reaches_the_terminal_as_it_is() {
        let hostile =
            "\u{1b}]0;x\u{7}\u{7f}\u{9b}2J\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
        let record = json!({
            "time": hostile, "level": hostile, "service": hostile, "message": hostile, "trace_id": hostile,
            "tags": [hostile], "fields": { hostile: hostile },
            "exception": { "type": hostile, "message": hostile, "stacktrace": [{ "file": hostile, "line": 1 }] },
        });
        let line = line(&record);
        // Every escape that is left is a style of the line itself.
        assert_eq!(line.matches('\u{1b}').count(), line.matches("\u{1b}[").count(), "{line:?}");
        let text = anstream::adapter::strip_str(&line).to_string();
        assert!(!text.chars().any(|c| c.is_control() || is_directional(c)), "{line:?}");
        let shown =
            r"\u{1b}]0;x\u{7}\u{7f}\u{9b}2J\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(plain(hostile), shown);
        // The message, the service, the trace id, the tag, the field and its key.
        assert!(line.matches(shown).count() >= 6, "{line:?}");
        let text = "\u{fc} \u{5d0} \u{1f469}\u{200d}\u{1f680}";
        assert_eq!(plain(text), text);
    }

    #[test]
    fn json_has_no_control_characters_and_says_the_same() {
        let record = json!({ "service": "a\u{9b}2J", "\u{7f}": "\u{80}\u{9f}\u{a0}\u{1b}\n" });
        let text = json(&record);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains(r"a\u009b2J") && text.contains(r"\u0080\u009f"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
    }
}
