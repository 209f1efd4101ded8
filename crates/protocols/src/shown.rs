//! What of a record another system has no member for, as members of the object that it has for anything.

use millpond_record::{
    LogRecord, TextAttribute,
    json::{ObjectBuilder, write_string, write_u64},
};

/// What goes there.
pub(crate) struct Rest<'a> {
    /// Attributes, and their names there.
    pub(crate) attributes: &'a [(TextAttribute, &'a str)],
    /// Whether tags are shown there.
    pub(crate) tags: bool,
    /// Whether the exception is shown there.
    pub(crate) exception: bool,
    /// Fields that are not shown there.
    pub(crate) hidden: &'a [&'a str],
}

impl Rest<'_> {
    /// The object. What was sent under one of these names counts.
    pub(crate) fn of(&self, record: &LogRecord<'_>) -> String {
        let mut rest = ObjectBuilder::default();
        let sent = record.fields.members().filter(|(key, _)| !self.hidden.contains(&&**key));
        let sent: Vec<_> = sent.collect();
        let is_free = |name: &str| sent.iter().all(|(key, _)| key != name);
        for (attribute, name) in self.attributes {
            if let Some(text) = record.text(*attribute).filter(|_| is_free(name)) {
                rest.string(name, text);
            }
        }
        if let Some(step) = record.step_index.filter(|_| is_free("step_index")) {
            write_u64(rest.key("step_index"), step.into());
        }
        if self.tags && !record.tags.is_empty() && is_free("tags") {
            write_tags(rest.key("tags"), record);
        }
        let exception =
            record.exception.as_ref().filter(|_| self.exception && is_free("exception"));
        if let Some(exception) = exception {
            rest.key("exception").push_str(exception.as_str());
        }
        for (key, value) in &sent {
            rest.key(key).push_str(value);
        }
        rest.finish().as_str().to_owned()
    }
}

/// Writes the tags as an array.
pub(crate) fn write_tags(out: &mut String, record: &LogRecord<'_>) {
    out.push('[');
    for (place, tag) in record.tags.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(out, tag);
    }
    out.push(']');
}
