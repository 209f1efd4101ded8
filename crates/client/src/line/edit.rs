//! Changes to a line that is complete: what [`crate::Draft`] and the fields of every record need.

use millpond_record::TextAttribute;

use super::{LineWriter, member};

impl LineWriter<'_> {
    /// A field whose key and value are JSON already.
    pub(crate) fn rendered_field(&mut self, key: &str, value: &str) {
        if self.begin_field(|out| out.push_str(key)) {
            self.buffers.fields.text.push_str(value);
        }
    }

    /// A text attribute that is JSON already.
    pub(crate) fn rendered_text(&mut self, attribute: TextAttribute, value: &str) {
        if self.say(attribute) {
            let head = &mut self.buffers.head.text;
            head.push_str(member(attribute));
            let start = head.len();
            head.push_str(value);
            let place = start..head.len();
            self.stands_at(attribute, place);
        }
    }

    /// The exception, if it is JSON already.
    pub(crate) fn rendered_exception(&mut self, value: &str) {
        if !std::mem::replace(&mut self.buffers.exception, true) {
            let head = &mut self.buffers.head.text;
            let start = head.len();
            head.push_str(",\"exception\":");
            head.push_str(value);
            self.buffers.exception_at = start..head.len();
        }
    }

    /// The attributes, the exception and the step index as one JSON object.
    pub(crate) fn head_object(&self) -> String {
        let head = self.buffers.head.text.as_str();
        format!("{{{}}}", head.strip_prefix(',').unwrap_or(head))
    }

    /// The fields as one JSON object.
    pub(crate) fn fields_object(&self) -> String {
        format!("{{{}}}", self.buffers.fields.text)
    }

    /// Forgets the attributes, the exception and the step index.
    pub(crate) fn clear_head(&mut self) {
        let buffers = &mut *self.buffers;
        buffers.head.text.clear();
        buffers.texts = 0;
        buffers.step_index = false;
        buffers.exception = false;
        buffers.message_at = 0..0;
        buffers.trace_id_at = 0..0;
        buffers.exception_at = 0..0;
    }

    /// Forgets the fields.
    pub(crate) fn clear_fields(&mut self) {
        self.buffers.fields.text.clear();
        self.buffers.keys.clear();
    }
}
