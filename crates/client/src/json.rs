//! JSON that is being written under the client's policy.

use std::fmt;

use millpond_record::json::write_string;

use crate::{
    Value, ValueWriter,
    content::{Counts, Policy},
};

/// JSON that is being written, and what was withheld from it.
#[derive(Debug, Default)]
pub(crate) struct Json {
    pub(crate) text: String,
    pub(crate) counts: Counts,
}

impl Json {
    /// A value as JSON, nothing withheld.
    pub(crate) fn of(value: &(impl Value + ?Sized)) -> String {
        let (policy, mut json) = (Policy::open(), Self::default());
        json.value(&policy, policy.depth_max, |out| value.write(out));
        json.text
    }

    /// Writes exactly one value, whatever `write` does.
    pub(crate) fn value(
        &mut self,
        policy: &Policy,
        levels_left: usize,
        write: impl FnOnce(ValueWriter<'_>),
    ) {
        let before = self.text.len();
        write(ValueWriter::new(self, policy, levels_left));
        if self.text.len() == before {
            self.text.push_str("null");
        }
    }

    /// Writes the value of a key, or what stands in its place.
    #[inline]
    pub(crate) fn member(
        &mut self,
        key: &str,
        policy: &Policy,
        levels_left: usize,
        write: impl FnOnce(ValueWriter<'_>),
    ) {
        match policy.hides(key) {
            None => self.value(policy, levels_left, write),
            Some(mark) => {
                self.counts.redacted += 1;
                write_string(&mut self.text, mark);
            }
        }
    }

    /// Writes a string, or what may be written of it.
    #[inline]
    pub(crate) fn string(&mut self, text: &str, policy: &Policy) {
        if policy.checks_texts
            && let Some(left) = policy.text(text, &mut self.counts)
        {
            return write_string(&mut self.text, &left);
        }
        write_string(&mut self.text, text);
    }

    /// Writes what is printed as a string. It is printed in place, and copied only if something in it must be
    /// escaped or may not be written.
    pub(crate) fn display(&mut self, printed: fmt::Arguments<'_>, policy: &Policy) {
        let before = self.text.len();
        self.text.push('"');
        // A `Display` that fails leaves what it has printed so far.
        let _ = fmt::Write::write_fmt(&mut self.text, printed);
        let text = self.text.get(before + 1..).unwrap_or_default();
        let left = if policy.checks_texts { policy.text(text, &mut self.counts) } else { None };
        let is_plain = || text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        if left.is_none() && is_plain() {
            self.text.push('"');
        } else {
            let text = left.unwrap_or_else(|| text.to_owned());
            self.text.truncate(before);
            write_string(&mut self.text, &text);
        }
    }
}
