//! A record that is complete, for the application to look at once more.

use std::{collections::HashMap, fmt};

use millpond_record::{
    Level, Severity, TextAttribute,
    json::{Object, write_string},
};
use serde_json::{Map, Value};

use crate::LineWriter;

const EXCEPTION: &str = "exception";
const STEP_INDEX: &str = "step_index";

/// Whether a record goes on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It does.
    Keep,
    /// It does not, and is counted as filtered.
    Drop,
}

/// A record as [`crate::Builder::before_send`] sees it: with what the context and the client add, without what is
/// withheld. What is changed is subject to the same policy as before, so that nothing that is withheld can come back.
///
/// What is not changed stays, byte for byte: numbers beyond 64 bits are exact in the record, although they are floats
/// here.
pub struct Draft {
    severity: Severity,
    /// The attributes, the exception, the step index.
    head: Part,
    fields: Part,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("severity", &self.severity)
            .field("head", &self.head.members)
            .field("fields", &self.fields.members)
            .finish()
    }
}

impl Draft {
    pub(crate) fn of(line: &LineWriter<'_>) -> Self {
        Self {
            severity: line.current_severity(),
            head: Part::new(line.head_object()),
            fields: Part::new(line.fields_object()),
        }
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.severity.level()
    }

    /// The level's finer number.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Changes the level.
    pub fn set_level(&mut self, level: impl Into<Severity>) {
        self.severity = level.into();
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text(TextAttribute::Message).unwrap_or_default()
    }

    /// Changes the message.
    pub fn set_message(&mut self, message: impl Into<String>) {
        self.set_text(TextAttribute::Message, message);
    }

    /// A text attribute.
    #[must_use]
    pub fn text(&self, attribute: TextAttribute) -> Option<&str> {
        self.head.members.get(attribute.name()).and_then(Value::as_str)
    }

    /// Sets a text attribute.
    pub fn set_text(&mut self, attribute: TextAttribute, text: impl Into<String>) {
        self.head.members_mut().insert(attribute.name().to_owned(), Value::String(text.into()));
    }

    /// Removes a text attribute; the message becomes empty.
    pub fn remove_text(&mut self, attribute: TextAttribute) {
        self.head.members_mut().shift_remove(attribute.name());
    }

    /// The exception: an object of `type`, `message`, `stacktrace` and `cause`.
    #[must_use]
    pub fn exception(&self) -> Option<&Value> {
        self.head.members.get(EXCEPTION)
    }

    /// Changes the exception, or removes it; one that is no object is left out.
    pub fn set_exception(&mut self, exception: Option<Value>) {
        match exception {
            Some(exception) => {
                self.head.members_mut().insert(EXCEPTION.to_owned(), exception);
            }
            None => {
                self.head.members_mut().shift_remove(EXCEPTION);
            }
        }
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields.members
    }

    /// The fields, to be changed.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        self.fields.members_mut()
    }

    /// Writes what was changed into the line that the draft was made of.
    pub(crate) fn apply(&self, line: &mut LineWriter<'_>) {
        line.severity(self.severity);
        if self.fields.changed {
            line.clear_fields();
            self.fields.each(|key, value, written| match written {
                Some((key, value)) => line.rendered_field(key, value),
                None => line.field(key, value),
            });
        }
        if self.head.changed {
            line.clear_head();
            self.head.each(|key, value, written| {
                write_attribute(line, key, value, written.map(|(_, value)| value));
            });
            if !line.has_text(TextAttribute::Message) {
                line.message("");
            }
        }
    }
}

fn write_attribute(line: &mut LineWriter<'_>, key: &str, value: &Value, written: Option<&str>) {
    match (key, value, written) {
        (EXCEPTION, _, Some(written)) => line.rendered_exception(written),
        (EXCEPTION, Value::Object(members), None) => line.exception_with(|object| {
            for (key, value) in members {
                object.member(key, value);
            }
        }),
        (STEP_INDEX, value, _) => {
            if let Some(index) = value.as_u64().and_then(|index| u32::try_from(index).ok()) {
                line.step_index(index);
            }
        }
        (key, value, written) => match (TextAttribute::named(key), value, written) {
            (Some(attribute), _, Some(written)) => line.rendered_text(attribute, written),
            (Some(attribute), Value::String(text), None) => line.text(attribute, text),
            _ => {}
        },
    }
}

/// An object of the record.
struct Part {
    written: String,
    members: Map<String, Value>,
    changed: bool,
}

impl Part {
    fn new(written: String) -> Self {
        // It is our own, and reads.
        let members = serde_json::from_str(&written).unwrap_or_default();
        Self { written, members, changed: false }
    }

    fn members_mut(&mut self) -> &mut Map<String, Value> {
        self.changed = true;
        &mut self.members
    }

    /// Calls `write` with every member, and with its key and value as they were written if the value is still the
    /// same.
    fn each(&self, mut write: impl FnMut(&str, &Value, Option<(&str, &str)>)) {
        let written = Object::from_normalised(self.written.as_str());
        let known: HashMap<_, _> = written.members().collect();
        let mut json_key = String::new();
        for (key, value) in &self.members {
            let same = known.get(key.as_str()).copied().filter(|written| {
                serde_json::from_str::<Value>(written).is_ok_and(|before| before == *value)
            });
            json_key.clear();
            write_string(&mut json_key, key);
            write(key, value, same.map(|value| (json_key.as_str(), value)));
        }
    }
}
