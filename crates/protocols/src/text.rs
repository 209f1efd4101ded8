//! `text`: one message a line.
//!
//! The time of a line stands at its start, or behind a level that does; brackets around it are its own. It is cut out
//! of the message, because lines that differ in nothing else should be one message; the rest of the line is the message
//! as it stands. The level is the first of the words [`LEVELS`] among the first [`LEVEL_WORDS`].

use millpond_record::{TextAttribute, Timestamp};

use crate::{
    draft::Draft,
    lines::lines,
    output::{BodyError, Output},
    time::leading_time,
};

/// Words that are a level, in any case.
const LEVELS: [&str; 8] =
    ["trace", "debug", "info", "warn", "warning", "error", "critical", "fatal"];

/// How many words may stand in front of the level, and itself: `host app[17] thread ERROR`.
const LEVEL_WORDS: usize = 4;

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    for (number, line) in lines(text) {
        if output.fits(Some(number), line.len())? {
            output.record(Some(number), &record(line))?;
        }
    }
    if output.is_empty() { Err(BodyError::Empty("one message a line")) } else { Ok(()) }
}

fn record(line: &str) -> String {
    let mut draft = Draft::default();
    let (time, message) = without_time(line);
    if let Some(time) = time {
        draft.time(time);
    }
    if let Some(level) = words(&message).take(LEVEL_WORDS).find(|word| is_level(word)) {
        draft.level(level);
    }
    draft.text(TextAttribute::Message, &message);
    draft.finish()
}

/// The time of a line, and the line without it. A line that is nothing but a time keeps it.
fn without_time(line: &str) -> (Option<Timestamp>, String) {
    let start = line.trim_start();
    let level = words(line).next().filter(|word| is_level(word));
    let behind_level = level.and_then(|level| start.get(start.find(level)? + level.len()..));
    for candidate in std::iter::once(start).chain(behind_level) {
        // What stands between the level and the time belongs to the level: `INFO: `, `[INFO] [`.
        let opened = candidate.trim_start_matches(|c: char| c.is_ascii_punctuation() || c == ' ');
        let Some((time, rest)) = leading_time(opened) else { continue };
        let mut front = line.get(..line.len() - opened.len()).unwrap_or_default().trim_end();
        let mut rest = rest;
        if let (Some(without), Some(behind)) = (front.strip_suffix('['), rest.strip_prefix(']')) {
            (front, rest) = (without.trim_end(), behind);
        }
        let rest = rest.trim_start();
        let joined = front.is_empty() || front.ends_with('[') || rest.is_empty();
        let space = if joined { "" } else { " " };
        let message = format!("{front}{space}{rest}");
        return (Some(time), if message.is_empty() { line.to_owned() } else { message });
    }
    (None, line.to_owned())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}
