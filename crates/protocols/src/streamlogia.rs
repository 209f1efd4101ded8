//! Streamlogia: what its clients and its collectors send, and records as it shows them.
//!
//! A client's entry must have a project, a level, a message and a source; keys are read in any case. A collector's
//! record needs a message. Project ids and what kind of source it was are fields of the record.

mod bulk;
mod output;

use std::borrow::Cow;

use millpond_record::{Level, TextAttribute};

pub(crate) use self::bulk::read as read_bulk;
pub use self::output::{
    CSV_HEADER, attribute_in_meta, csv_row, entry, id_of_project, level, record_id, timestamp, uuid,
};
use crate::{
    document::{said, shown, text_of, time_of, whole},
    draft::Draft,
    output::{BodyError, ENTRIES_MAX, Output},
    walk::{elements, members},
};

/// The field for the project id that was sent.
pub const PROJECT_ID: &str = "streamlogia.project_id";

/// The field for the kind of source, which only what collectors sent has.
pub const SOURCE_TYPE: &str = "streamlogia.source_type";

/// The kind of a source that is no application.
pub const INFRA: &str = "infra";

/// The levels that there are, by their names.
const LEVELS: [(&str, Level); 4] = [
    ("DEBUG", Level::Debug),
    ("INFO", Level::Info),
    ("WARN", Level::Warn),
    ("ERROR", Level::Error),
];

/// The level of this name, in any case.
#[must_use]
pub fn level_named(name: &str) -> Option<Level> {
    LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
}

/// What is wrong with an entry: the member at fault, and why.
type Fault = (&'static str, String);

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    let text = whole(text)?;
    match text.bytes().next() {
        Some(b'[') => elements(text).try_for_each(|entry| match output.index() < ENTRIES_MAX {
            true => read_entry(entry, output),
            false => Err(BodyError::TooMany),
        })?,
        Some(b'{') => read_entry(text, output)?,
        _ if text == "null" => {}
        _ => {
            let found = shown(text);
            return Err(BodyError::Head(format!(
                "the body is `{found}`, expected an array of entries or one"
            )));
        }
    }
    if output.is_empty() { Err(BodyError::Empty("at least one entry")) } else { Ok(()) }
}

fn read_entry(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    if !text.starts_with('{') {
        let found = shown(text);
        return output.rejected(None, format!("the entry is `{found}`, expected an object"));
    }
    if !output.fits(None, text.len())? {
        return Ok(());
    }
    match Entry::read(text).record() {
        Ok(json) => output.record(None, &json),
        Err((field, reason)) => output.rejected_for(None, field, reason),
    }
}

/// The members of an entry, each as its JSON; of those that come twice the last.
#[derive(Default)]
struct Entry<'a> {
    project: Option<&'a str>,
    level: Option<&'a str>,
    message: Option<&'a str>,
    source: Option<&'a str>,
    timestamp: Option<&'a str>,
    tags: Option<&'a str>,
    host: Option<&'a str>,
    /// Objects whose members are fields.
    objects: Vec<&'a str>,
    fields: Vec<(String, &'a str)>,
}

impl<'a> Entry<'a> {
    fn read(text: &'a str) -> Self {
        let mut entry = Self::default();
        for (key, value) in members(text) {
            let place = match key.to_ascii_lowercase().as_str() {
                "projectid" | "pid" => &mut entry.project,
                "level" => &mut entry.level,
                "message" => &mut entry.message,
                "source" => &mut entry.source,
                "timestamp" | "ts" => &mut entry.timestamp,
                "tags" => &mut entry.tags,
                "host" => &mut entry.host,
                "meta" | "attributes" if value.starts_with('{') => {
                    entry.objects.push(value);
                    continue;
                }
                _ if value == "null" => continue,
                _ => {
                    entry.fields.push((key.into_owned(), value));
                    continue;
                }
            };
            *place = said(value);
        }
        entry
    }

    /// The record, or the first thing that is wrong.
    fn record(&self) -> Result<String, Fault> {
        let project = required("projectId", self.project, "the id of a project")?;
        let name = required("level", self.level, "DEBUG, INFO, WARN or ERROR")?;
        let level = level_named(&name).ok_or_else(|| {
            let name = shown(&name);
            ("level", format!("`level` is `{name}`, expected DEBUG, INFO, WARN or ERROR"))
        })?;
        required("message", self.message, "a text")?;
        required("source", self.source, "the name of a source")?;
        let mut draft = Draft::default();
        if let Some(timestamp) = self.timestamp {
            let time =
                time_of(timestamp).map_err(|error| ("ts", format!("`timestamp`: {error}")))?;
            draft.time(time);
        }
        draft.level(level.name());
        let members = [
            (TextAttribute::Service.name(), self.source),
            (TextAttribute::Host.name(), self.host),
            ("tags", self.tags),
            (TextAttribute::Message.name(), self.message),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                draft.member(name).push_str(value);
            }
        }
        write_fields(&mut draft, &self.fields, &self.objects);
        draft.text_field(PROJECT_ID, &project);
        Ok(draft.finish())
    }
}

/// The text of a member that an entry must have.
fn required<'a>(
    field: &'static str,
    value: Option<&'a str>,
    expected: &str,
) -> Result<Cow<'a, str>, Fault> {
    let text = value.map(text_of).filter(|text| !text.is_empty());
    text.ok_or_else(|| (field, format!("`{field}` is missing or empty, expected {expected}")))
}

/// Members that stand beside, and those of the objects, which count where both have one.
fn write_fields(draft: &mut Draft, beside: &[(String, &str)], objects: &[&str]) {
    for (key, value) in beside {
        draft.field(key).push_str(value);
    }
    for (key, value) in objects.iter().flat_map(|object| members(object)) {
        draft.field(&key).push_str(value);
    }
}
