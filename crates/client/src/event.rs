//! A record that is being put together.

use std::{
    backtrace::Backtrace,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicU32},
};

use crate::{Client, LineWriter, TextAttribute, Timestamp, TraceContext, Value};

/// One record, from [`Client::log`] and its kin to [`Event::send`]. Below the client's least level it is nothing, and
/// all of its methods cost nothing.
#[must_use = "an event is recorded by `send`"]
pub struct Event<'c> {
    client: &'c Client,
    line: Option<LineWriter<'c>>,
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("line", &self.line).finish_non_exhaustive()
    }
}

impl<'c> Event<'c> {
    pub(crate) fn new(client: &'c Client, line: Option<LineWriter<'c>>) -> Self {
        Self { client, line }
    }

    pub(crate) fn with(mut self, write: impl FnOnce(&mut LineWriter<'c>)) -> Self {
        if let Some(line) = &mut self.line {
            write(line);
        }
        self
    }

    /// Lets `write` say more. A panic in it costs the record, not the caller.
    pub fn written_by(mut self, write: impl FnOnce(&mut LineWriter<'c>)) -> Self {
        if let Some(line) = &mut self.line
            && catch_unwind(AssertUnwindSafe(|| write(line))).is_err()
            && let Some(line) = self.line.take()
        {
            self.client.panicked(line);
        }
        self
    }

    /// Whether the event will be recorded: ask before you compute what only it needs.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.line.is_some()
    }

    /// A field. The first value of a key stays.
    pub fn field(self, key: &str, value: impl Value) -> Self {
        self.written_by(|line| line.field(key, &value))
    }

    /// The exception: an error and its causes. One that wraps others and is no [`Error`] itself, such as
    /// `anyhow::Error`, is given as the one inside: `event.error(&*error)`.
    pub fn error(self, error: &(impl Error + ?Sized)) -> Self {
        self.written_by(|line| line.error(error))
    }

    /// The exception: an error, its causes, and the stack on which it came up, if it was captured.
    ///
    /// ```
    /// # let client = millpond::Client::builder().mode(millpond::Mode::Silent).build()?;
    /// use std::backtrace::Backtrace;
    ///
    /// if let Err(error) = "x".parse::<u8>() {
    ///     client.error("no number").error_with_backtrace(&error, &Backtrace::capture()).send();
    /// }
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    pub fn error_with_backtrace(
        self,
        error: &(impl Error + ?Sized),
        backtrace: &Backtrace,
    ) -> Self {
        self.written_by(|line| line.error_with_backtrace(error, backtrace))
    }

    /// The name of the logger inside the service.
    pub fn logger(self, name: &str) -> Self {
        self.text(TextAttribute::Logger, name)
    }

    /// The trace and the span.
    pub fn trace(self, trace: TraceContext) -> Self {
        self.with(|line| {
            line.text_fmt(TextAttribute::TraceId, format_args!("{}", trace.trace_id));
            line.text_fmt(TextAttribute::SpanId, format_args!("{}", trace.span_id));
        })
    }

    /// The W3C trace id.
    pub fn trace_id(self, id: &str) -> Self {
        self.text(TextAttribute::TraceId, id)
    }

    /// The W3C span id.
    pub fn span_id(self, id: &str) -> Self {
        self.text(TextAttribute::SpanId, id)
    }

    /// The correlation id of the request.
    pub fn request_id(self, id: &str) -> Self {
        self.text(TextAttribute::RequestId, id)
    }

    /// The user's session.
    pub fn session_id(self, id: &str) -> Self {
        self.text(TextAttribute::SessionId, id)
    }

    /// The user.
    pub fn user_id(self, id: &str) -> Self {
        self.text(TextAttribute::UserId, id)
    }

    /// The flow that the record is a step of, and which one, from 0.
    pub fn flow(self, id: &str, step_index: u32) -> Self {
        self.text(TextAttribute::FlowId, id).with(|line| line.step_index(step_index))
    }

    /// The next step of a flow; which one is decided when the record is kept.
    pub(crate) fn step_of(self, id: &str, steps: &Arc<AtomicU32>) -> Self {
        self.text(TextAttribute::FlowId, id).with(|line| line.step_of(steps))
    }

    /// The dataset that the record belongs to.
    pub fn dataset(self, name: &str) -> Self {
        self.text(TextAttribute::Dataset, name)
    }

    /// Any text attribute.
    pub fn text(self, attribute: TextAttribute, text: &str) -> Self {
        self.with(|line| line.text(attribute, text))
    }

    /// One more tag.
    pub fn tag(self, tag: &str) -> Self {
        self.with(|line| line.tag(tag))
    }

    /// The event time, in place of the time at which the event was begun.
    pub fn time(self, time: Timestamp) -> Self {
        self.with(|line| line.time(time))
    }

    /// Keeps the event from the server: it is printed if the client has a [`crate::Console`], and counted as filtered.
    pub fn local_only(self) -> Self {
        self.with(LineWriter::local_only)
    }

    /// Records the event. Waits for room if the queue is full and [`crate::Overflow::Block`] says so.
    pub fn send(mut self) {
        if let Some(line) = self.line.take() {
            self.client.finish(line);
        }
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        // Not sent, for example because a value panicked.
        if let Some(line) = self.line.take() {
            line.recycle();
        }
    }
}
