//! One record on its way to becoming a line of JSON.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use millpond_record::{
    Level, Severity, TextAttribute, Timestamp,
    json::{write_string, write_u64},
    limits::{ATTRIBUTE_BYTES_MAX, FIELDS_MAX, RECORD_BYTES_MAX, TAGS_MAX},
};

use crate::{
    Value, ValueWriter,
    limits::LINE_BYTES_KEPT_MAX,
    value::{ObjectWriter, write_display, write_value},
};

/// Nanoseconds since the epoch below which a reader of the bare number takes it for a larger unit; 1973-03-03.
const NANOS_TOLD_BY_SIZE_MIN: u64 = 100_000_000_000_000_000;

/// Bytes of the longest step, `,"step_index":4294967295`.
const STEP_BYTES_MAX: usize = 24;

/// Takes what one record says, in any order, and holds it as JSON.
///
/// The first that is said stays: a second value for the same attribute or the same key of the fields is ignored, so
/// that what is closer to the event comes first and wins. What the server would reject a whole record for is cut to
/// its limits here: long attributes, too many tags or fields, nesting.
#[derive(Debug)]
pub struct LineWriter {
    time: Timestamp,
    severity: Severity,
    /// Members of the record but time, level, tags and fields, each with a comma in front.
    head: String,
    /// Elements, separated by commas.
    tags: String,
    tags_count: usize,
    /// Members, separated by commas.
    fields: String,
    /// Where in `fields` each key stands, quotes included.
    keys: Vec<(u32, u32)>,
    /// The text attributes that were said, a bit for each.
    texts: u16,
    /// The other attributes that were said.
    step_index: bool,
    exception: bool,
    /// The steps of the record's flow so far, if the record takes the next one.
    steps: Option<Arc<AtomicU32>>,
    /// Something alone was larger than a record may be, and is not here.
    too_large: bool,
}

thread_local! {
    /// The buffer that the thread's next record is written into.
    static SPARE: Cell<Option<Box<LineWriter>>> = const { Cell::new(None) };
}

impl LineWriter {
    /// An empty line; the thread's own buffer unless a record is being written into it already, or the thread is
    /// about to end.
    pub(crate) fn begin(time: Timestamp, severity: Severity) -> Box<Self> {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut line = spare.unwrap_or_else(|| Box::new(Self::new()));
        line.time = time;
        line.severity = severity;
        line
    }

    fn new() -> Self {
        Self {
            time: Timestamp::from_nanos(0),
            severity: Severity::from(Level::Info),
            head: String::with_capacity(512),
            tags: String::new(),
            tags_count: 0,
            fields: String::with_capacity(512),
            keys: Vec::with_capacity(16),
            texts: 0,
            step_index: false,
            exception: false,
            steps: None,
            too_large: false,
        }
    }

    /// Gives the buffer back for the thread's next record.
    pub(crate) fn recycle(mut self: Box<Self>) {
        if self.head.capacity() + self.tags.capacity() + self.fields.capacity()
            > LINE_BYTES_KEPT_MAX
        {
            return;
        }
        self.head.clear();
        self.tags.clear();
        self.tags_count = 0;
        self.fields.clear();
        self.keys.clear();
        self.texts = 0;
        self.step_index = false;
        self.exception = false;
        self.steps = None;
        self.too_large = false;
        // A thread that is about to end has no use for it.
        let _ = SPARE.try_with(|spare| spare.set(Some(self)));
    }

    /// The event time, in place of the time of the call.
    pub fn time(&mut self, time: Timestamp) {
        self.time = time;
    }

    /// The severity, in place of the one that the call began with.
    pub fn severity(&mut self, severity: Severity) {
        self.severity = severity;
    }

    /// The level.
    pub(crate) fn level(&self) -> Level {
        self.severity.level()
    }

    /// About how many bytes the record may still grow by.
    pub(crate) fn room_bytes(&self) -> usize {
        RECORD_BYTES_MAX.saturating_sub(self.head.len() + self.tags.len() + self.fields.len())
    }

    /// The message.
    pub fn message(&mut self, message: &str) {
        self.text(TextAttribute::Message, message);
    }

    /// The message, as it is printed: `line.message_fmt(format_args!("{n} orders"))`.
    pub fn message_fmt(&mut self, message: fmt::Arguments<'_>) {
        if self.say(TextAttribute::Message) {
            self.head.push_str(",\"message\":");
            write_display(&mut self.head, message);
        }
    }

    /// A text attribute. One that is longer than [`ATTRIBUTE_BYTES_MAX`] is cut, except for the message.
    pub fn text(&mut self, attribute: TextAttribute, text: &str) {
        let text = match attribute {
            TextAttribute::Message if text.len() > RECORD_BYTES_MAX => {
                self.too_large = true;
                return;
            }
            TextAttribute::Message => text,
            _ => text.get(..text.floor_char_boundary(ATTRIBUTE_BYTES_MAX)).unwrap_or(text),
        };
        if self.say(attribute) {
            self.head.push_str(member(attribute));
            write_string(&mut self.head, text);
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
        self.texts & bit(attribute) != 0
    }

    /// Whether the attribute is new.
    fn say(&mut self, attribute: TextAttribute) -> bool {
        let new = !self.has_text(attribute);
        self.texts |= bit(attribute);
        new
    }

    /// Place of the record in its flow, from 0.
    pub fn step_index(&mut self, index: u32) {
        if !std::mem::replace(&mut self.step_index, true) {
            self.head.push_str(",\"step_index\":");
            write_u64(&mut self.head, u64::from(index));
        }
    }

    /// Place of the record in its flow: the next one, taken when nothing can keep the record from being queued any
    /// more, so that a record that is filtered leaves no gap.
    pub(crate) fn step_of(&mut self, steps: &Arc<AtomicU32>) {
        if !std::mem::replace(&mut self.step_index, true) {
            self.steps = Some(Arc::clone(steps));
        }
    }

    /// One more tag. Those beyond [`TAGS_MAX`] are left out.
    pub fn tag(&mut self, tag: &str) {
        if self.tags_count >= TAGS_MAX {
            return;
        }
        if self.tags_count > 0 {
            self.tags.push(',');
        }
        self.tags_count += 1;
        write_string(
            &mut self.tags,
            tag.get(..tag.floor_char_boundary(ATTRIBUTE_BYTES_MAX)).unwrap_or(tag),
        );
    }

    /// Whether the exception was said already.
    #[must_use]
    pub fn has_exception(&self) -> bool {
        self.exception
    }

    /// The exception, as the object that `write` puts together: `type`, `message`, `stacktrace` (an array of
    /// anything), `cause` (an object like this one).
    pub fn exception_with(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        if !std::mem::replace(&mut self.exception, true) {
            self.head.push_str(",\"exception\":");
            ValueWriter::new(&mut self.head).object(write);
        }
    }

    /// A field. Those beyond [`FIELDS_MAX`] are left out.
    pub fn field(&mut self, key: &str, value: &(impl Value + ?Sized)) {
        self.field_with(key, |out| value.write(out));
    }

    /// The field whose value `write` writes; not called if there is no need for it.
    pub fn field_with(&mut self, key: &str, write: impl FnOnce(ValueWriter<'_>)) {
        if self.keys.len() >= FIELDS_MAX || self.fields.len() > RECORD_BYTES_MAX {
            self.too_large |= self.fields.len() > RECORD_BYTES_MAX;
            return;
        }
        let before = self.fields.len();
        if before > 0 {
            self.fields.push(',');
        }
        let start = self.fields.len();
        write_string(&mut self.fields, key);
        let end = self.fields.len();
        if self.is_taken(start, end) {
            self.fields.truncate(before);
            return;
        }
        // Both fit: what is beyond the largest record was sent back above.
        self.keys.push((start as u32, end as u32));
        self.fields.push(':');
        write_value(&mut self.fields, 0, write);
    }

    /// Whether the key that stands there in the fields is one of those before it.
    fn is_taken(&self, start: usize, end: usize) -> bool {
        let fields = self.fields.as_bytes();
        let Some(key) = fields.get(start..end) else { return true };
        let is_same = |start: u32, end: u32| {
            // Most keys differ in length: that is told without looking at them.
            (end - start) as usize == key.len()
                && fields.get(start as usize..end as usize) == Some(key)
        };
        self.keys.iter().any(|&(start, end)| is_same(start, end))
    }

    /// The line's pieces, for `push`; `prefix` is the static part of every record. `None` if it is too large.
    pub(crate) fn finish<R>(
        &mut self,
        prefix: &Prefix,
        push: impl FnOnce(&[&[u8]]) -> R,
    ) -> Option<R> {
        if !self.has_text(TextAttribute::Message) {
            self.message("");
        }
        let level = self.severity.level();
        if self.severity != Severity::from(level) {
            self.head.push_str(",\"severity_number\":");
            write_u64(&mut self.head, u64::from(self.severity.number()));
        }
        prefix.complete(self.texts, &mut self.head);
        let (mut digits, mut text) = (itoa::Buffer::new(), String::new());
        let time = if self.time.nanos().unsigned_abs() < NANOS_TOLD_BY_SIZE_MIN {
            text.push('"');
            self.time.write(&mut text);
            text.push('"');
            &text
        } else {
            digits.format(self.time.nanos())
        };
        let (tags, fields) = (!self.tags.is_empty(), !self.fields.is_empty());
        let when =
            |condition: bool, text: &'static str| if condition { text.as_bytes() } else { &[] };
        let mut step = itoa::Buffer::new();
        let mut pieces: [&[u8]; 13] = [
            b"{\"time\":",
            time.as_bytes(),
            level_member(level).as_bytes(),
            // The step, which is taken below.
            &[],
            &[],
            self.head.as_bytes(),
            when(tags, ",\"tags\":["),
            self.tags.as_bytes(),
            when(tags, "]"),
            when(fields, ",\"fields\":{"),
            self.fields.as_bytes(),
            when(fields, "}"),
            b"}\n",
        ];
        let step_bytes = if self.steps.is_some() { STEP_BYTES_MAX } else { 0 };
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>() + step_bytes;
        // The newline is not part of the record.
        if self.too_large || bytes > RECORD_BYTES_MAX + 1 {
            return None;
        }
        if let Some(steps) = &self.steps {
            let index = step.format(steps.fetch_add(1, Ordering::Relaxed));
            [pieces[3], pieces[4]] = [b",\"step_index\":", index.as_bytes()];
        }
        Some(push(&pieces))
    }
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
            let mut line = LineWriter::new();
            line.text(attribute, text);
            prefix.whole.push_str(&line.head);
            prefix.members.push((attribute, line.head));
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

#[cfg(test)]
mod tests {
    use std::{error::Error, io};

    use millpond_record::{Decoded, LogRecord, decode, json::Reader};

    use super::*;

    fn line(write: impl FnOnce(&mut LineWriter)) -> Option<String> {
        let prefix = Prefix::new([(TextAttribute::Service, "shop"), (TextAttribute::Host, "a1")]);
        let mut line =
            LineWriter::begin(Timestamp::from_nanos(1_763_692_800_000_000_000), Level::Info.into());
        write(&mut line);
        let text = line.finish(&prefix, |pieces| String::from_utf8(pieces.concat()).unwrap());
        line.recycle();
        text
    }

    fn record(text: &str) -> LogRecord<'_> {
        match decode(&mut Reader::new(text), Timestamp::from_nanos(7)).unwrap() {
            Decoded::Record(record) => *record,
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        }
    }

    #[test]
    fn a_record_says_everything_in_one_line() {
        let text = line(|line| {
            line.field("order", &4711);
            line.text(TextAttribute::TraceId, "t1");
            line.tag("a");
            line.message("two\nlines");
            line.tag("b");
            line.step_index(3);
            line.field("total", &19.99);
        });
        assert_eq!(
            text.unwrap(),
            concat!(
                r#"{"time":1763692800000000000,"level":"info","trace_id":"t1","message":"two\nlines","step_index":3,"#,
                r#""service":"shop","host":"a1","tags":["a","b"],"fields":{"order":4711,"total":19.99}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_server_reads_what_was_said() {
        let text = line(|line| {
            line.message_fmt(format_args!("{} orders", 2));
            line.severity(Severity::from_number(10).unwrap());
            line.time(Timestamp::from_nanos(1_700_000_000_000_000_001));
            line.field("level", "of detail");
            line.field("host", &["x"]);
        })
        .unwrap();
        let record = record(&text);
        assert_eq!(record.message(), "2 orders");
        assert_eq!(record.severity.number(), 10);
        assert_eq!(record.time.nanos(), 1_700_000_000_000_000_001);
        assert_eq!(record.fields.as_str(), r#"{"level":"of detail","host":["x"]}"#);
    }

    #[test]
    fn the_server_reads_every_time_as_it_was_said() {
        let now = 1_763_692_800_000_000_000;
        let edge = i64::try_from(NANOS_TOLD_BY_SIZE_MIN).unwrap();
        let early = [0, 90_000_000_000, 1_000_500_000_000, -1, edge - 1, 1 - edge];
        for nanos in early.into_iter().chain([edge, -edge, now, i64::MIN, i64::MAX]) {
            let text = line(|line| line.time(Timestamp::from_nanos(nanos))).unwrap();
            assert_eq!(record(&text).time.nanos(), nanos, "{text}");
            assert_eq!(text.starts_with("{\"time\":\""), early.contains(&nanos), "{text}");
        }
    }

    #[test]
    fn the_first_that_is_said_stays() {
        let text = line(|line| {
            line.text(TextAttribute::Service, "own");
            line.text(TextAttribute::Service, "other");
            line.field("k\"", &1);
            line.field_with("k\"", |_| panic!("not needed"));
            line.field("k", &2);
        })
        .unwrap();
        let record = record(&text);
        assert_eq!(record.service(), "own");
        assert_eq!(record.text(TextAttribute::Host), Some("a1"));
        assert_eq!(record.fields.as_str(), r#"{"k\"":1,"k":2}"#);
        assert_eq!(record.message(), "");
    }

    #[test]
    fn what_the_server_would_reject_a_record_for_is_cut() {
        let text = line(|line| {
            line.message("m");
            line.text(TextAttribute::UserId, &"ü".repeat(ATTRIBUTE_BYTES_MAX));
            for n in 0..2000 {
                line.tag(&n.to_string());
                line.field(&n.to_string(), &n);
            }
        })
        .unwrap();
        let record = record(&text);
        assert_eq!(record.text(TextAttribute::UserId).unwrap().len(), ATTRIBUTE_BYTES_MAX);
        assert_eq!(record.tags.len(), TAGS_MAX);
        assert_eq!(record.fields.members().count(), FIELDS_MAX);
    }

    #[test]
    fn a_record_is_as_large_as_the_limit_and_no_larger() {
        let empty = line(|line| line.message("")).unwrap().len() - 1;
        let fitting = "x".repeat(RECORD_BYTES_MAX - empty);
        assert_eq!(line(|line| line.message(&fitting)).unwrap().len(), RECORD_BYTES_MAX + 1);
        assert_eq!(line(|line| line.message(&format!("{fitting}x"))), None);
        assert_eq!(line(|line| line.message(&"x".repeat(10 * RECORD_BYTES_MAX))), None);
        assert_eq!(
            line(|line| {
                for n in 0..100 {
                    line.field(&n.to_string(), &fitting);
                }
            }),
            None
        );
    }

    #[test]
    fn an_error_comes_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("open the shop")]
        struct Outer(#[source] io::Error);

        let error = Outer(io::Error::new(io::ErrorKind::NotFound, "no key"));
        let typed = line(|line| line.error(&error)).unwrap();
        let exception = record(&typed).exception.unwrap();
        assert!(
            exception.as_str().starts_with(r#"{"type":"millpond::line::tests::"#),
            "{exception:?}"
        );
        assert!(
            exception
                .as_str()
                .ends_with(r#"Outer","message":"open the shop","cause":{"message":"no key"}}"#)
        );
        let untyped = line(|line| line.error(&error as &dyn Error)).unwrap();
        assert!(record(&untyped).exception.unwrap().as_str().starts_with(r#"{"message":"open"#));
    }

    #[test]
    fn a_record_inside_a_record_has_a_buffer_of_its_own() {
        let outer = line(|outer| {
            outer.message("outer");
            let inner = line(|inner| inner.message("inner")).unwrap();
            assert_eq!(record(&inner).message(), "inner");
            outer.field("k", &1);
        })
        .unwrap();
        assert_eq!(record(&outer).message(), "outer");
        assert_eq!(record(&outer).fields.as_str(), r#"{"k":1}"#);
    }
}
