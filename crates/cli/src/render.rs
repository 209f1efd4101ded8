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
    let level = text("level");
    let style = style(level);
    // Milliseconds are enough to read; `--json` has the rest.
    let time = text("time").replace('T', " ");
    let time = time.get(..23).unwrap_or(&time);
    let mut line = format!(
        "{DIM}{time}{DIM:#} {style}{:<8}{style:#} {DIM}{}{DIM:#} {}",
        level.to_uppercase(),
        text("service"),
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

/// A log may hold anything; only text reaches the terminal, no control sequences.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
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
}
