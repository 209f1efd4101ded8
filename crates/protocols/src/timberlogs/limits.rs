//! What Timberlogs asks of a log: which members must be there and how long each may be, in characters (code points,
//! which is the most that any of its clients lets through). How many logs a body has is not limited.

use std::ops::RangeInclusive;

use millpond_record::{LogRecord, TextAttribute, json::Scalar};
use millpond_wire::Format;

use crate::{defaults::Said, output::Fault};

pub(super) const STEP_INDEX_MAX: u32 = 1000;

const TAGS_MAX: usize = 20;
const TAG_CHARACTERS_MAX: usize = 50;

/// Attributes with their lengths. One that may not be empty must be there.
const TEXTS: [(TextAttribute, &str, RangeInclusive<usize>); 9] = [
    (TextAttribute::Message, "message", 1..=10_000),
    (TextAttribute::Service, "source", 1..=100),
    (TextAttribute::Environment, "environment", 1..=50),
    (TextAttribute::Dataset, "dataset", 0..=50),
    (TextAttribute::Version, "version", 0..=50),
    (TextAttribute::UserId, "userId", 0..=100),
    (TextAttribute::SessionId, "sessionId", 0..=100),
    (TextAttribute::RequestId, "requestId", 0..=100),
    (TextAttribute::FlowId, "flowId", 0..=50),
];

/// Members of an exception.
const OF_EXCEPTION: [(&str, &str, RangeInclusive<usize>); 2] =
    [("type", "errorName", 0..=200), ("raw", "errorStack", 0..=10_000)];

/// Holds a record of this format, and its text, to the limits.
pub(super) fn check(format: Format, record: &LogRecord<'_>, json: &str) -> Result<(), Fault> {
    let said = Said::by(json);
    for (attribute, field, characters) in TEXTS {
        // A message of syslog that is empty is one: what it has to say stands in its header and structured data.
        let least = match (attribute, format) {
            (TextAttribute::Message, Format::Syslog) => 0,
            _ => *characters.start(),
        };
        match record.text(attribute).filter(|_| said.text(attribute)) {
            Some(text) => length(field, text, least..=*characters.end())?,
            None if least == 0 => {}
            None => {
                let reason =
                    format!("`{field}` is missing, expected it in the entry or as a parameter");
                return Err(Fault { field, reason });
            }
        }
    }
    let has_level = said.level || matches!(format, Format::Syslog | Format::Text | Format::Obl);
    if !has_level {
        let reason = "`level` is missing, expected debug, info, warn or error in the entry or as a parameter";
        return Err(Fault { field: "level", reason: reason.to_owned() });
    }
    for (path, field, characters) in OF_EXCEPTION {
        let found = record.exception.as_ref().and_then(|exception| exception.get(path));
        if let Some(Scalar::String(text)) = found {
            length(field, &text, characters)?;
        }
    }
    check_steps_and_tags(record)
}

fn check_steps_and_tags(record: &LogRecord<'_>) -> Result<(), Fault> {
    if let Some(step) = record.step_index.filter(|step| *step > STEP_INDEX_MAX) {
        let reason = format!("`stepIndex` is {step}, expected 0 to {STEP_INDEX_MAX}");
        return Err(Fault { field: "stepIndex", reason });
    }
    if record.tags.len() > TAGS_MAX {
        let count = record.tags.len();
        let reason = format!("`tags` has {count} tags, expected at most {TAGS_MAX}");
        return Err(Fault { field: "tags", reason });
    }
    record.tags.iter().try_for_each(|tag| length("tags", tag, 0..=TAG_CHARACTERS_MAX))
}

fn length(field: &'static str, text: &str, expected: RangeInclusive<usize>) -> Result<(), Fault> {
    // Most texts are so short that their bytes need not be counted as characters.
    if text.len() <= *expected.end() && !(text.is_empty() && *expected.start() > 0) {
        return Ok(());
    }
    let characters = text.chars().count();
    if expected.contains(&characters) {
        return Ok(());
    }
    let (least, most) = expected.into_inner();
    let reason = format!("`{field}` has {characters} characters, expected {least} to {most}");
    Err(Fault { field, reason })
}
