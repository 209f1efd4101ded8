//! The text of a record, written piece by piece. What is not written is open to the defaults.

use millpond_record::{TextAttribute, Timestamp, json::ObjectBuilder};

#[derive(Default)]
pub(crate) struct Draft {
    record: ObjectBuilder,
    fields: ObjectBuilder,
}

impl Draft {
    pub(crate) fn text(&mut self, attribute: TextAttribute, text: &str) {
        self.record.string(attribute.name(), text);
    }

    pub(crate) fn time(&mut self, time: Timestamp) {
        self.record.string("time", &time.to_string());
    }

    /// A name that `millpond_record::Severity::from_name` knows.
    pub(crate) fn level(&mut self, name: &str) {
        self.record.string("level", name);
    }

    /// A member of the record itself; the caller writes its value.
    pub(crate) fn member(&mut self, key: &str) -> &mut String {
        self.record.key(key)
    }

    /// A member of `fields`; the caller writes its value.
    pub(crate) fn field(&mut self, key: &str) -> &mut String {
        self.fields.key(key)
    }

    pub(crate) fn text_field(&mut self, key: &str, text: &str) {
        self.fields.string(key, text);
    }

    pub(crate) fn finish(mut self) -> String {
        if !self.fields.is_empty() {
            self.record.key("fields").push_str(self.fields.finish().as_str());
        }
        self.record.finish().as_str().to_owned()
    }
}
