//! The layer.

use std::{
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use millpond::{Client, Level, LineWriter, TextAttribute, Value, ValueWriter};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use crate::{CODE_FILE, CODE_LINE, CODE_MODULE, attribute, is_own};

/// The target of events that the crate `tracing-log` made of records of `log`. Their own is in a field.
const BRIDGED_TARGET: &str = "log";

/// Sends events to Millpond. See the [crate documentation](crate).
#[derive(Clone, Debug)]
pub struct Layer {
    client: Client,
}

/// A layer that sends events to `client`.
#[must_use]
pub fn layer(client: Client) -> Layer {
    Layer { client }
}

impl Layer {
    /// The client: for its metrics, and to close it at the end.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        if !fields.0.is_empty() {
            // Not `insert`, which panics if another layer of ours did the same.
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Before the lock on the span is taken: a value may log when it is printed.
        let mut newer = SpanFields::default();
        values.record(&mut newer);
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanFields>() {
            Some(fields) => fields.merge(newer),
            None => drop(extensions.replace(newer)),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if is_own(metadata.target()) {
            return;
        }
        self.client.submit(level(*metadata.level()), |line| {
            event.record(&mut EventVisitor { line, bridged: metadata.target() == BRIDGED_TARGET });
            line.text(TextAttribute::Logger, metadata.target());
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(fields) = span.extensions().get::<SpanFields>() {
                    fields.write(line);
                }
            }
            line.code(metadata.file(), metadata.line());
        });
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

/// A value as `tracing` knows them, kept until an event wants it.
#[derive(Clone, Debug)]
enum Kept {
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Bool(bool),
    Text(String),
}

impl Value for Kept {
    fn write(&self, out: ValueWriter<'_>) {
        match self {
            Self::I64(value) => out.i64(*value),
            Self::U64(value) => out.u64(*value),
            Self::I128(value) => out.i128(*value),
            Self::U128(value) => out.u128(*value),
            Self::F64(value) => out.f64(*value),
            Self::Bool(value) => out.bool(*value),
            Self::Text(value) => out.string(value),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::I128(value) => value.fmt(f),
            Self::U128(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// The fields of a span, for the events inside of it.
#[derive(Debug, Default)]
struct SpanFields(Vec<(&'static str, Kept)>);

impl SpanFields {
    /// A field that is recorded again has the newer value.
    fn keep(&mut self, field: &Field, value: Kept) {
        self.set(field.name(), value);
    }

    /// Keeps what is printed. A value that panics is left out: no record is there yet that it could cost.
    fn keep_printed(&mut self, field: &Field, print: impl FnOnce() -> String) {
        if let Ok(text) = catch_unwind(AssertUnwindSafe(print)) {
            self.keep(field, Kept::Text(text));
        }
    }

    fn merge(&mut self, newer: Self) {
        for (name, value) in newer.0 {
            self.set(name, value);
        }
    }

    fn set(&mut self, name: &'static str, value: Kept) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, kept)) => *kept = value,
            None => self.0.push((name, value)),
        }
    }

    fn write(&self, line: &mut LineWriter<'_>) {
        for (name, value) in &self.0 {
            match (attribute(name), value) {
                (Some(attribute), Kept::Text(text)) => line.text(attribute, text),
                (Some(attribute), value) => line.text_fmt(attribute, format_args!("{value}")),
                (None, value) => line.field(name, value),
            }
        }
    }
}

impl Visit for SpanFields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Kept::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Kept::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.keep(field, Kept::I128(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.keep(field, Kept::U128(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Kept::F64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Kept::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Kept::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.keep_printed(field, || value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep_printed(field, || format!("{value:?}"));
    }
}

/// Writes the fields of an event straight into its line.
struct EventVisitor<'a, 'l> {
    line: &'a mut LineWriter<'l>,
    /// Whether the event was a record of `log`.
    bridged: bool,
}

impl EventVisitor<'_, '_> {
    /// The name of the field, as it goes into the record.
    fn name(&self, field: &Field) -> &'static str {
        match field.name() {
            "log.module_path" if self.bridged => CODE_MODULE,
            "log.file" if self.bridged => CODE_FILE,
            "log.line" if self.bridged => CODE_LINE,
            name => name,
        }
    }

    fn write(&mut self, field: &Field, value: &(impl Value + fmt::Display)) {
        match (self.name(field), attribute(field.name())) {
            ("message", _) => self.line.message_fmt(format_args!("{value}")),
            (_, Some(attribute)) => self.line.text_fmt(attribute, format_args!("{value}")),
            (name, None) => self.line.field(name, value),
        }
    }
}

impl Visit for EventVisitor<'_, '_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.write(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.write(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match (self.name(field), attribute(field.name())) {
            ("message", _) => self.line.message(value),
            ("log.target", _) if self.bridged => self.line.text(TextAttribute::Logger, value),
            (_, Some(attribute)) => self.line.text(attribute, value),
            (name, None) => self.line.field(name, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.line.has_exception() {
            self.line.field(field.name(), &millpond::display(value));
        } else {
            self.line.error(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match (field.name(), attribute(field.name())) {
            ("message", _) => self.line.message_fmt(format_args!("{value:?}")),
            (_, Some(attribute)) => self.line.text_fmt(attribute, format_args!("{value:?}")),
            (name, None) => self.line.field(name, &millpond::debug(value)),
        }
    }
}
