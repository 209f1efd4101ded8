//! The line as it goes on the wire. One that is too large is made to fit: what it can do best without goes first.

use std::sync::atomic::Ordering;

use millpond_record::{
    Level, Severity,
    content::{TRUNCATED, json_head},
    json::write_u64,
};

use super::{Buffers, LineWriter};

/// Nanoseconds since the epoch below which a reader of the bare number takes it for a larger unit; 1973-03-03.
pub(super) const NANOS_TOLD_BY_SIZE_MIN: u64 = 100_000_000_000_000_000;

/// Bytes of the longest step, `,"step_index":4294967295`.
const STEP_BYTES_MAX: usize = 24;

impl LineWriter<'_> {
    /// The pieces of the completed line, for `push`. `None` if it is too large, whatever is left out of it.
    pub(crate) fn finish<R>(&mut self, push: impl FnOnce(Level, &[&[u8]]) -> R) -> Option<R> {
        let level = self.buffers.severity.level();
        let (mut digits, mut text) = (itoa::Buffer::new(), String::new());
        let time = if self.buffers.time.nanos().unsigned_abs() < NANOS_TOLD_BY_SIZE_MIN {
            text.push('"');
            self.buffers.time.write(&mut text);
            text.push('"');
            &text
        } else {
            digits.format(self.buffers.time.nanos())
        };
        let mut members = self.severity_member();
        let pieces = self.pieces(time, &members);
        // A record that stays here is no step.
        let steps = self.buffers.steps.clone().filter(|_| !self.buffers.local_only);
        let step_bytes = if steps.is_some() { STEP_BYTES_MAX } else { 0 };
        // The newline is not part of the record.
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>() - 1 + step_bytes;
        if bytes <= self.policy.log_bytes_max && step_bytes == 0 {
            return Some(push(level, &pieces));
        }
        let fits = bytes <= self.policy.log_bytes_max
            || self.buffers.shrink(bytes, self.policy.log_bytes_max);
        if !fits {
            return None;
        }
        if let Some(steps) = steps {
            members.push_str(",\"step_index\":");
            write_u64(&mut members, u64::from(steps.fetch_add(1, Ordering::Relaxed)));
        }
        Some(push(level, &self.pieces(time, &members)))
    }

    /// The severity where it says more than the level.
    fn severity_member(&self) -> String {
        let severity = self.buffers.severity;
        let mut member = String::new();
        if severity != Severity::from(severity.level()) {
            member.push_str(",\"severity_number\":");
            write_u64(&mut member, u64::from(severity.number()));
        }
        member
    }

    /// `members` stand before the head.
    fn pieces<'p>(&'p self, time: &'p str, members: &'p str) -> [&'p [u8]; 12] {
        let Buffers { head, tags, fields, .. } = &*self.buffers;
        let (has_tags, has_fields) = (!tags.text.is_empty(), !fields.text.is_empty());
        let when = |condition: bool, text: &'static [u8]| if condition { text } else { b"" };
        [
            b"{\"time\":",
            time.as_bytes(),
            level_member(self.buffers.severity.level()).as_bytes(),
            members.as_bytes(),
            head.text.as_bytes(),
            when(has_tags, b",\"tags\":["),
            tags.text.as_bytes(),
            when(has_tags, b"]"),
            when(has_fields, b",\"fields\":{"),
            fields.text.as_bytes(),
            when(has_fields, b"}"),
            b"}\n",
        ]
    }
}

impl Buffers {
    /// Leaves out of a record of so many bytes what must be left out. Whether it fits then.
    #[cold]
    pub(super) fn shrink(&mut self, mut bytes: usize, bytes_max: usize) -> bool {
        const FIELDS_AROUND: usize = ",\"fields\":{}".len();
        const TAGS_AROUND: usize = ",\"tags\":[]".len();

        self.fields.counts.truncated += 1;
        let note = format!(
            "\"_truncated\":true,\"_original_size\":{}",
            bytes.saturating_add(self.unwritten)
        );
        if !self.fields.text.is_empty() {
            bytes -= self.fields.text.len() + FIELDS_AROUND;
        }
        bytes += note.len() + FIELDS_AROUND;
        self.fields.text = note;
        self.keys.clear();
        if bytes <= bytes_max || self.cut_message(bytes - bytes_max) {
            return true;
        }
        if !self.tags.text.is_empty() {
            bytes -= self.tags.text.len() + TAGS_AROUND;
            self.tags.text.clear();
        }
        let exception = std::mem::take(&mut self.exception_at);
        bytes -= exception.len();
        if self.message_at.start >= exception.end {
            self.message_at.start -= exception.len();
            self.message_at.end -= exception.len();
        }
        self.head.text.drain(exception);
        bytes <= bytes_max || self.cut_message(bytes - bytes_max)
    }

    /// Cuts the message so that the head is shorter by at least so many bytes, if it can be.
    fn cut_message(&mut self, excess: usize) -> bool {
        let inside = self.message_at.start + 1..self.message_at.end.saturating_sub(1);
        let left = inside.len().checked_sub(excess + TRUNCATED.len());
        let (Some(left), Some(message)) = (left, self.head.text.get(inside.clone())) else {
            return false;
        };
        let cut = inside.start + json_head(message, left).len()..inside.end;
        self.head.text.replace_range(cut, TRUNCATED);
        true
    }
}

fn level_member(level: Level) -> &'static str {
    match level {
        Level::Trace => ",\"level\":\"trace\"",
        Level::Debug => ",\"level\":\"debug\"",
        Level::Info => ",\"level\":\"info\"",
        Level::Warn => ",\"level\":\"warn\"",
        Level::Error => ",\"level\":\"error\"",
        Level::Critical => ",\"level\":\"critical\"",
    }
}
