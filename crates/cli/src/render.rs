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
    // Milliseconds are enough to read; `--json` has the rest.
    let time = text("time").replace('T', " ");
    let time = time.get(..23).unwrap_or(&time).to_owned();
    let level = match text("level") {
        "" => String::new(),
        level => format!("{:<8}", level.to_uppercase()),
    };
    let placed = [
        (DIM, time.as_str()),
        (style(text("level")), level.as_str()),
        (DIM, text("service")),
        (Style::new(), text("message")),
    ];
    // A query may have asked for some of them only.
    let there = placed.into_iter().filter(|(_, text)| !text.is_empty());
    let shown = there.map(|(style, text)| format!("{style}{}{style:#}", plain(text)));
    let mut line = shown.collect::<Vec<_>>().join(" ");
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
        let space = if line.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(line, "{space}{DIM}{}={DIM:#}{shown}", plain(name));
    }
    line
}

/// A row of statistics as JSON in one line, by the names of its columns.
pub(crate) fn json_row(columns: &[Value], row: &Value) -> String {
    let names = columns.iter().map(|column| column.get("name").and_then(Value::as_str));
    let values = row.as_array().into_iter().flatten().cloned();
    let members = names.zip(values).filter_map(|(name, value)| Some((name?.to_owned(), value)));
    json(&Value::Object(members.collect()))
}

/// Statistics as lines: the names of the columns, then the rows; numbers end below each other, texts begin so.
pub(crate) fn table(columns: &[Value], rows: &[Value]) -> Vec<String> {
    let text = |column: &Value, member: &str| {
        plain(column.get(member).and_then(Value::as_str).unwrap_or_default())
    };
    let cell = |row: &Value, place: usize| match row.get(place) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => plain(&other.to_string()),
    };
    let mut lines = vec![String::new(); rows.len() + 1];
    for (place, column) in columns.iter().enumerate() {
        let head = text(column, "name");
        let cells: Vec<_> =
            std::iter::once(head).chain(rows.iter().map(|row| cell(row, place))).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
        let number = matches!(text(column, "type").as_str(), "integer" | "number");
        let last = place + 1 == columns.len();
        for (line, cell) in lines.iter_mut().zip(cells) {
            let space = if place > 0 { "  " } else { "" };
            // Writing to a String cannot fail.
            let _ = match (number, last) {
                (true, _) => write!(line, "{space}{cell:>width$}"),
                (false, false) => write!(line, "{space}{cell:<width$}"),
                (false, true) => write!(line, "{space}{cell}"),
            };
        }
    }
    lines
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
    fn a_record_of_which_some_members_were_asked_for_shows_these() {
        let shown = |record: Value| anstream::adapter::strip_str(&line(&record)).to_string();
        assert_eq!(
            shown(json!({ "id": "1", "user_id": "u", "http.status": 503 })),
            "user_id=u http.status=503"
        );
        assert_eq!(shown(json!({ "id": "1", "service": "api", "n": 1 })), "api n=1");
    }

    #[test]
    fn statistics_are_a_table() {
        let columns = [
            json!({ "name": "service", "type": "string" }),
            json!({ "name": "count", "type": "integer" }),
            json!({ "name": "last", "type": "time" }),
        ];
        let rows = [json!(["api\u{1b}", 1200, "2026"]), json!([null, 7, null])];
        let expected =
            [r"service    count  last", r"api\u{1b}   1200  2026", r"-              7  -"];
        assert_eq!(table(&columns, &rows), expected);
        assert_eq!(json_row(&columns, &rows[1]), r#"{"service":null,"count":7,"last":null}"#);
        assert_eq!(table(&columns, &[]).len(), 1);
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
