//! What Streamlogia's collectors send: an array, one object, or one object a line. Only a message is needed; an unknown
//! level or a time that is none is kept as a field.

use millpond_record::{Severity, TextAttribute};

use super::{INFRA, SOURCE_TYPE, write_fields};
use crate::{
    document::{said, shown, text_of, time_of, whole},
    draft::Draft,
    lines::lines,
    output::{BodyError, Output},
    walk::{elements, members},
};

/// Members that are fields under the names of OpenTelemetry.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("container", "container.name"),
    ("pod", "k8s.pod.name"),
    ("namespace", "k8s.namespace.name"),
    ("cluster", "k8s.cluster.name"),
    ("unit", "unit"),
    ("facility", "facility"),
    ("region", "cloud.region"),
    ("cloudResourceId", "cloud.resource_id"),
];

/// The fields for a level, and for a time, that are none.
const UNKNOWN_LEVEL: &str = "_severity";
const UNKNOWN_TIME: &str = "_ts";

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    if text.trim_start().starts_with('[') {
        elements(whole(text)?).try_for_each(|record| read_record(None, record, output))?;
    } else if let Ok(one) = whole(text) {
        read_record(None, one, output)?;
    } else {
        for (number, line) in lines(text) {
            match whole(line) {
                Ok(record) => read_record(Some(number), record, output)?,
                Err(error) => output.rejected(Some(number), error.to_string())?,
            }
        }
    }
    if output.is_empty() { Err(BodyError::Empty("at least one record")) } else { Ok(()) }
}

fn read_record(line: Option<usize>, text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    if !text.starts_with('{') {
        let found = shown(text);
        return output.rejected(line, format!("the record is `{found}`, expected an object"));
    }
    if !output.fits(line, text.len())? {
        return Ok(());
    }
    let record = Record::read(text);
    match record.message.map(text_of) {
        Some(message) if !message.is_empty() => output.record(line, &record.json()),
        _ => output.rejected_for(line, "message", "`message` is missing or empty, expected a text"),
    }
}

/// The members of a record, each as its JSON.
#[derive(Default)]
struct Record<'a> {
    message: Option<&'a str>,
    level: Option<&'a str>,
    timestamp: Option<&'a str>,
    source: Option<&'a str>,
    host: Option<&'a str>,
    tags: Option<&'a str>,
    objects: Vec<&'a str>,
    fields: Vec<(String, &'a str)>,
}

impl<'a> Record<'a> {
    fn read(text: &'a str) -> Self {
        let mut record = Self::default();
        for (key, value) in members(text).filter(|(_, value)| said(value).is_some()) {
            let column = COLUMNS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key));
            match key.to_ascii_lowercase().as_str() {
                "message" => record.message = Some(value),
                "level" => record.level = Some(value),
                "ts" | "timestamp" => record.timestamp = Some(value),
                "source" => record.source = Some(value),
                "host" => record.host = Some(value),
                "tags" => record.tags = Some(value),
                "attributes" | "meta" if value.starts_with('{') => record.objects.push(value),
                _ if column.is_some() && value == "\"\"" => {}
                _ => {
                    let name = column.map_or(&*key, |(_, field)| field).to_owned();
                    record.fields.push((name, value));
                }
            }
        }
        record
    }

    fn json(&self) -> String {
        let mut draft = Draft::default();
        match self.timestamp.map(|timestamp| (time_of(timestamp), timestamp)) {
            Some((Ok(time), _)) => draft.time(time),
            Some((Err(_), sent)) => draft.field(UNKNOWN_TIME).push_str(sent),
            None => {}
        }
        if let Some(level) = self.level {
            let name = text_of(level);
            match Severity::from_name(name.trim()) {
                Ok(_) => draft.level(name.trim()),
                Err(_) => draft.field(UNKNOWN_LEVEL).push_str(level),
            }
        }
        let members = [
            (TextAttribute::Service.name(), self.source),
            (TextAttribute::Host.name(), self.host),
            ("tags", self.tags),
            (TextAttribute::Message.name(), self.message),
        ];
        for (name, value) in members {
            if let Some(value) = value.filter(|value| *value != "\"\"") {
                draft.member(name).push_str(value);
            }
        }
        write_fields(&mut draft, &self.fields, &self.objects);
        draft.text_field(SOURCE_TYPE, INFRA);
        draft.finish()
    }
}
