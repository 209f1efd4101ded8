//! One record on its way to becoming a line of JSON.

use std::{
    cell::Cell,
    fmt,
    ops::Range,
    sync::{Arc, atomic::AtomicU32},
};

use millpond_record::{
    Level, Severity, TextAttribute, Timestamp,
    json::{write_string, write_u64},
    limits::{ATTRIBUTE_BYTES_MAX, DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, TAGS_MAX},
};

use crate::{
    Value, ValueWriter,
    content::{Counts, Policy},
    json::Json,
    limits::LINE_BYTES_KEPT_MAX,
    value::ObjectWriter,
};

mod edit;
mod finish;

/// Takes what one record says, in any order, and holds it as JSON.
///
/// The first that is said stays: a second value for the same attribute or the same key of the fields is ignored, so
/// that what is closer to the event comes first and wins. What the server would reject a whole record for is cut to
/// its limits here: long attributes, too many tags or fields, nesting.
///
/// What the client withholds (see [`crate::Builder::redaction`]) never gets into it.
#[derive(Debug)]
pub struct LineWriter<'a> {
    policy: &'a Policy,
    buffers: Box<Buffers>,
}

/// What was said so far. Kept by the thread from record to record.
#[derive(Debug)]
struct Buffers {
    time: Timestamp,
    severity: Severity,
    /// Members of the record but time, level, tags and fields, each with a comma in front.
    head: Json,
    /// Elements, separated by commas.
    tags: Json,
    tags_count: usize,
    /// Members, separated by commas.
    fields: Json,
    /// Where in `fields` each key stands, quotes included.
    keys: Vec<(u32, u32)>,
    /// The text attributes that were said, a bit for each.
    texts: u16,
    /// The other attributes that were said.
    step_index: bool,
    exception: bool,
    /// The steps of the record's flow so far, if the record takes the next one.
    steps: Option<Arc<AtomicU32>>,
    /// The record is not for the server.
    local_only: bool,
    /// Where in `head` they stand: message and trace id as strings, the exception as a member with its comma.
    message_at: Range<usize>,
    trace_id_at: Range<usize>,
    exception_at: Range<usize>,
    /// Bytes that were not even written, since the record is far too large without them.
    unwritten: usize,
}

thread_local! {
    /// The buffers that the thread's next record is written into.
    static SPARE: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

impl Buffers {
    fn new() -> Self {
        let json = |capacity| Json { text: String::with_capacity(capacity), ..Json::default() };
        Self {
            time: Timestamp::from_nanos(0),
            severity: Severity::from(Level::Info),
            head: json(512),
            tags: json(0),
            tags_count: 0,
            fields: json(512),
            keys: Vec::with_capacity(16),
            texts: 0,
            step_index: false,
            exception: false,
            steps: None,
            local_only: false,
            message_at: 0..0,
            trace_id_at: 0..0,
            exception_at: 0..0,
            unwritten: 0,
        }
    }

    fn clear(&mut self) {
        for json in [&mut self.head, &mut self.tags, &mut self.fields] {
            json.text.clear();
            json.counts = Counts::default();
        }
        self.tags_count = 0;
        self.keys.clear();
        self.texts = 0;
        self.step_index = false;
        self.exception = false;
        self.steps = None;
        self.local_only = false;
        self.message_at = 0..0;
        self.trace_id_at = 0..0;
        self.exception_at = 0..0;
        self.unwritten = 0;
    }
}

impl<'a> LineWriter<'a> {
    /// An empty line; in the thread's own buffers unless a record is being written into them already, or the thread
    /// is about to end.
    pub(crate) fn begin(policy: &'a Policy, time: Timestamp, severity: Severity) -> Self {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut buffers = spare.unwrap_or_else(|| Box::new(Buffers::new()));
        buffers.time = time;
        buffers.severity = severity;
        Self { policy, buffers }
    }

    /// Gives the buffers back for the thread's next record.
    pub(crate) fn recycle(mut self) {
        let Buffers { head, tags, fields, .. } = &*self.buffers;
        if head.text.capacity() + tags.text.capacity() + fields.text.capacity()
            > LINE_BYTES_KEPT_MAX
        {
            return;
        }
        self.buffers.clear();
        // A thread that is about to end has no use for them.
        let _ = SPARE.try_with(|spare| spare.set(Some(self.buffers)));
    }

    /// The event time, in place of the time of the call.
    pub fn time(&mut self, time: Timestamp) {
        self.buffers.time = time;
    }

    /// The severity, in place of the one that the call began with.
    pub fn severity(&mut self, severity: Severity) {
        self.buffers.severity = severity;
    }

    /// Keeps the record from the server: it is printed, if the client has a console, and counted as filtered.
    pub fn local_only(&mut self) {
        self.buffers.local_only = true;
    }

    /// The message.
    pub fn message(&mut self, message: &str) {
        self.text(TextAttribute::Message, message);
    }

    /// The message, as it is printed: `line.message_fmt(format_args!("{n} orders"))`.
    pub fn message_fmt(&mut self, message: fmt::Arguments<'_>) {
        if self.say(TextAttribute::Message) {
            let head = &mut self.buffers.head;
            head.text.push_str(",\"message\":");
            let start = head.text.len();
            head.display(message, self.policy);
            self.buffers.message_at = start..self.buffers.head.text.len();
        }
    }

    /// A text attribute. One that is longer than [`ATTRIBUTE_BYTES_MAX`] is cut, and a message that is longer than
    /// [`RECORD_BYTES_MAX`].
    pub fn text(&mut self, attribute: TextAttribute, text: &str) {
        if !self.say(attribute) {
            return;
        }
        let buffers = &mut *self.buffers;
        let bytes_max = match attribute {
            TextAttribute::Message => RECORD_BYTES_MAX,
            _ => ATTRIBUTE_BYTES_MAX,
        };
        let kept = start_of(text, bytes_max);
        if attribute == TextAttribute::Message {
            buffers.unwritten += text.len() - kept.len();
        }
        buffers.head.text.push_str(member(attribute));
        let start = buffers.head.text.len();
        buffers.head.string(kept, self.policy);
        self.stands_at(attribute, start..self.buffers.head.text.len());
    }

    /// Remembers where the string of an attribute stands in the head.
    fn stands_at(&mut self, attribute: TextAttribute, place: Range<usize>) {
        match attribute {
            TextAttribute::Message => self.buffers.message_at = place,
            TextAttribute::TraceId => self.buffers.trace_id_at = place,
            _ => {}
        }
    }

    /// A text attribute, as it is printed.
    pub fn text_fmt(&mut self, attribute: TextAttribute, text: fmt::Arguments<'_>) {
        match (attribute, text.as_str()) {
            (TextAttribute::Message, _) => self.message_fmt(text),
            (_, Some(text)) => self.text(attribute, text),
            (_, None) => self.text(attribute, &text.to_string()),
        }
    }

    /// Whether the attribute was said already.
    #[must_use]
    pub fn has_text(&self, attribute: TextAttribute) -> bool {
        self.buffers.texts & bit(attribute) != 0
    }

    /// Whether the attribute is new.
    fn say(&mut self, attribute: TextAttribute) -> bool {
        let new = !self.has_text(attribute);
        self.buffers.texts |= bit(attribute);
        new
    }

    /// Place of the record in its flow, from 0.
    pub fn step_index(&mut self, index: u32) {
        if !std::mem::replace(&mut self.buffers.step_index, true) {
            self.buffers.head.text.push_str(",\"step_index\":");
            write_u64(&mut self.buffers.head.text, u64::from(index));
        }
    }

    /// Place of the record in its flow: the next one, taken when nothing can keep the record from being queued any
    /// more, so that a record that is filtered leaves no gap.
    pub(crate) fn step_of(&mut self, steps: &Arc<AtomicU32>) {
        if !std::mem::replace(&mut self.buffers.step_index, true) {
            self.buffers.steps = Some(Arc::clone(steps));
        }
    }

    /// One more tag. Those beyond [`TAGS_MAX`] are left out.
    pub fn tag(&mut self, tag: &str) {
        let buffers = &mut *self.buffers;
        if buffers.tags_count >= TAGS_MAX {
            return;
        }
        if buffers.tags_count > 0 {
            buffers.tags.text.push(',');
        }
        buffers.tags_count += 1;
        buffers.tags.string(start_of(tag, ATTRIBUTE_BYTES_MAX), self.policy);
    }

    /// Whether the exception was said already.
    #[must_use]
    pub fn has_exception(&self) -> bool {
        self.buffers.exception
    }

    /// The exception, as the object that `write` puts together: `type`, `message`, `stacktrace` (an array of
    /// anything), `cause` (an object like this one).
    pub fn exception_with(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        if !std::mem::replace(&mut self.buffers.exception, true) {
            let head = &mut self.buffers.head;
            let start = head.text.len();
            head.text.push_str(",\"exception\":");
            // Its shape is ours: the depth that the client allows is for what the application nests.
            ValueWriter::new(head, self.policy, DEPTH_MAX).object(write);
            self.buffers.exception_at = start..self.buffers.head.text.len();
        }
    }

    /// A field. Those beyond [`FIELDS_MAX`] are left out. One that has the name of a
    /// [context attribute](TextAttribute::is_context), such as `user_id`, is that attribute if its value is a text or a
    /// number.
    pub fn field(&mut self, key: &str, value: &(impl Value + ?Sized)) {
        match TextAttribute::named(key).filter(|attribute| attribute.is_context()) {
            Some(attribute) => self.context_field(attribute, key, value),
            None => self.field_with(key, |out| value.write(out)),
        }
    }

    #[cold]
    fn context_field(
        &mut self,
        attribute: TextAttribute,
        key: &str,
        value: &(impl Value + ?Sized),
    ) {
        let mut json = Json::default();
        json.value(self.policy, self.policy.depth_max, |out| value.write(out));
        let fits = json.text.len() <= ATTRIBUTE_BYTES_MAX;
        match json.text.as_bytes().first() {
            Some(b'"') if fits => self.rendered_text(attribute, &json.text),
            Some(b'-' | b'0'..=b'9') => self.text(attribute, &json.text),
            _ => self.field_with(key, |out| value.write(out)),
        }
    }

    /// The field whose value `write` writes; not called if there is no need for it.
    pub fn field_with(&mut self, key: &str, write: impl FnOnce(ValueWriter<'_>)) {
        if self.begin_field(|out| write_string(out, key)) {
            let fields = &mut self.buffers.fields;
            fields.member(key, self.policy, self.policy.depth_max, write);
        }
    }

    /// The place in the source that the record comes from, in the fields `code.file.path` and `code.line.number` (the
    /// names are OpenTelemetry's).
    pub fn code(&mut self, file: Option<&str>, line: Option<u32>) {
        // Keys that are known need not be looked at: a third of what two fields cost.
        if let Some(file) = file
            && self.begin_field(|out| out.push_str("\"code.file.path\""))
        {
            self.buffers.fields.string(file, self.policy);
        }
        if let Some(line) = line
            && self.begin_field(|out| out.push_str("\"code.line.number\""))
        {
            write_u64(&mut self.buffers.fields.text, u64::from(line));
        }
    }

    /// Writes the key of a field and the colon behind it, unless the key is taken or there is no room for the field.
    fn begin_field(&mut self, write_key: impl FnOnce(&mut String)) -> bool {
        let buffers = &mut *self.buffers;
        let fields = &mut buffers.fields.text;
        // Far too large already: what else is said would only be thrown away.
        if buffers.keys.len() >= FIELDS_MAX || fields.len() > RECORD_BYTES_MAX {
            return false;
        }
        let before = fields.len();
        if before > 0 {
            fields.push(',');
        }
        let start = fields.len();
        write_key(fields);
        let end = fields.len();
        if is_taken(fields, &buffers.keys, start..end) {
            fields.truncate(before);
            return false;
        }
        // Both fit: what is beyond the largest record was sent back above.
        buffers.keys.push((start as u32, end as u32));
        fields.push(':');
        true
    }

    /// The severity.
    pub(crate) fn current_severity(&self) -> Severity {
        self.buffers.severity
    }

    /// About how many bytes the record may still grow by.
    pub(crate) fn room_bytes(&self) -> usize {
        let Buffers { head, tags, fields, .. } = &*self.buffers;
        RECORD_BYTES_MAX.saturating_sub(head.text.len() + tags.text.len() + fields.text.len())
    }

    /// The event time.
    pub(crate) fn current_time(&self) -> Timestamp {
        self.buffers.time
    }

    /// Whether the record is not for the server.
    pub(crate) fn is_local_only(&self) -> bool {
        self.buffers.local_only
    }

    /// The trace id as it stands between the quotes of the JSON, if there is one.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        let string = self.buffers.head.text.get(self.buffers.trace_id_at.clone())?;
        string.strip_prefix('"')?.strip_suffix('"').filter(|id| !id.is_empty())
    }

    /// What was withheld from the record so far.
    pub(crate) fn counts(&self) -> Counts {
        let Buffers { head, tags, fields, .. } = &*self.buffers;
        let each = [head.counts, tags.counts, fields.counts];
        Counts {
            redacted: each.iter().map(|counts| counts.redacted).sum(),
            truncated: each.iter().map(|counts| counts.truncated).sum(),
        }
    }

    /// Adds what every record says: `prefix` is the static part. To be called once, behind everything else that is
    /// said about the event.
    pub(crate) fn complete(&mut self, prefix: &Prefix) {
        if !self.has_text(TextAttribute::Message) {
            self.message("");
        }
        prefix.complete(self.buffers.texts, &mut self.buffers.head.text);
        self.buffers.texts |= prefix.texts;
    }
}

/// Whether the key that stands there in the fields is one of those before it.
#[inline]
fn is_taken(fields: &str, keys: &[(u32, u32)], key: Range<usize>) -> bool {
    let fields = fields.as_bytes();
    let Some(key) = fields.get(key) else { return true };
    keys.iter().any(|&(start, end)| fields.get(start as usize..end as usize) == Some(key))
}

/// The text, cut where a character ends to at most so many bytes.
fn start_of(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// What every record of a client says, rendered once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefix {
    /// All of it.
    whole: String,
    /// One by one.
    members: Vec<(TextAttribute, String)>,
    /// The attributes in it, a bit for each.
    texts: u16,
}

impl Prefix {
    pub(crate) fn new<'a>(attributes: impl IntoIterator<Item = (TextAttribute, &'a str)>) -> Self {
        let mut prefix = Self::default();
        for (attribute, text) in attributes {
            let mut text_member = member(attribute).to_owned();
            write_string(&mut text_member, start_of(text, ATTRIBUTE_BYTES_MAX));
            prefix.whole.push_str(&text_member);
            prefix.members.push((attribute, text_member));
            prefix.texts |= bit(attribute);
        }
        prefix
    }

    /// Appends what the record has not said itself.
    fn complete(&self, said: u16, head: &mut String) {
        if said & self.texts == 0 {
            head.push_str(&self.whole);
            return;
        }
        for (attribute, member) in &self.members {
            if said & bit(*attribute) == 0 {
                head.push_str(member);
            }
        }
    }
}

fn bit(attribute: TextAttribute) -> u16 {
    1 << attribute as u16
}

fn member(attribute: TextAttribute) -> &'static str {
    match attribute {
        TextAttribute::Service => ",\"service\":",
        TextAttribute::Message => ",\"message\":",
        TextAttribute::Environment => ",\"environment\":",
        TextAttribute::Host => ",\"host\":",
        TextAttribute::Version => ",\"version\":",
        TextAttribute::Logger => ",\"logger\":",
        TextAttribute::TraceId => ",\"trace_id\":",
        TextAttribute::SpanId => ",\"span_id\":",
        TextAttribute::RequestId => ",\"request_id\":",
        TextAttribute::SessionId => ",\"session_id\":",
        TextAttribute::UserId => ",\"user_id\":",
        TextAttribute::FlowId => ",\"flow_id\":",
        TextAttribute::Dataset => ",\"dataset\":",
    }
}

#[cfg(test)]
mod tests;
