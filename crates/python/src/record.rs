//! One call from Python -> one line of the engine.
//!
//! The engine keeps what is said first, so the order here is the precedence: the call, then what is bound to the
//! logger, then the context.

use std::cell::Cell;

use millpond::{LineWriter, TextAttribute, Timestamp};
use millpond_record::limits::ATTRIBUTE_BYTES_MAX;
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple},
};

use crate::{
    attributes::{Attributes, Entry, TAGS, attribute_named, tags},
    ending::is_plain,
    exception,
    json::Json,
    kind::type_name,
    limits::VALUES_BYTES_MAX,
    names::with_name,
    options::Own,
    value::{Writer, escaped_len, guard, text, with_text},
};

/// What Python says about one record.
pub(crate) struct Call<'a, 'py> {
    pub(crate) message: &'a Bound<'py, PyAny>,
    pub(crate) args: &'a Bound<'py, PyTuple>,
    pub(crate) logger: Option<&'a Bound<'py, PyString>>,
    pub(crate) context: Option<&'a Attributes>,
    pub(crate) bound: Option<&'a Attributes>,
    pub(crate) fields: &'a Bound<'py, PyDict>,
    pub(crate) exc_info: &'a Bound<'py, PyAny>,
    pub(crate) time_ns: Option<i64>,
}

impl Call<'_, '_> {
    /// Writes all of it. Fails only with an exception that is no `Exception`.
    pub(crate) fn write(&self, line: &mut LineWriter<'_>, own: &Own) -> PyResult<()> {
        let mut record = Record { line, room: VALUES_BYTES_MAX, hidden: 0 };
        if let Some(time) = self.time_ns {
            record.line.time(Timestamp::from_nanos(time));
        }
        let args_fit = record.message(self.message, self.args)?;
        if let Some(logger) = self.logger {
            with_name(logger, |logger| {
                record.line.text(TextAttribute::Logger, logger);
                Ok(())
            })?;
        }
        record.exception(self.exc_info, own.exception_locals)?;
        for (key, value) in self.fields.iter() {
            match key.cast_exact::<PyString>() {
                Ok(key) => with_name(key, |key| record.keyword(key, &value))?,
                Err(_) => record.keyword(&text(&key)?, &value)?,
            }
        }
        if !args_fit {
            record.field("args", self.args)?;
        }
        record.trace(self.message.py(), own)?;
        for attributes in [self.bound, self.context].into_iter().flatten() {
            record.captured(attributes);
        }
        Ok(())
    }
}

struct Record<'l, 'w> {
    line: &'l mut LineWriter<'w>,
    /// Bytes of JSON that may still be written.
    room: usize,
    /// Attributes that were said to be `None`, a bit for each: what comes later is not used.
    hidden: u16,
}

impl Record<'_, '_> {
    /// Whether the arguments found their places in the message.
    fn message(&mut self, message: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<bool> {
        let mut args_fit = true;
        let formatted = if args.is_empty() {
            None
        } else if is_plain() {
            args_fit = false;
            None
        } else {
            match format(message, args) {
                Ok(formatted) => Some(formatted),
                Err(error) => {
                    guard(message.py(), error)?;
                    args_fit = false;
                    None
                }
            }
        };
        match formatted.as_ref().unwrap_or(message).cast::<PyString>() {
            Ok(message) => with_text(message, |message| {
                self.message_text(message);
                Ok(())
            })?,
            Err(_) => self.message_text(&text(message)?),
        }
        Ok(args_fit)
    }

    /// Cut at half of the record, so that there is room for what it says besides.
    fn message_text(&mut self, message: &str) {
        if self.spend(escaped_len(message), VALUES_BYTES_MAX / 2) {
            return self.line.message(message);
        }
        with_scratch(|scratch| {
            Writer::new(scratch, VALUES_BYTES_MAX / 2).text(message);
            self.room = self.room.saturating_sub(scratch.len());
            if let Ok(Some(message)) = Json(scratch).scalar() {
                self.line.message(&message);
            }
        });
    }

    fn spend(&mut self, bytes: usize, bytes_max: usize) -> bool {
        let fits = bytes <= self.room.min(bytes_max);
        if fits {
            self.room -= bytes;
        }
        fits
    }

    fn exception(&mut self, exc_info: &Bound<'_, PyAny>, with_locals: bool) -> PyResult<()> {
        if exc_info.is_none() {
            return Ok(());
        }
        if is_plain() {
            let name = type_name(exc_info);
            self.line.exception_with(|exception| exception.member("type", &name));
            return Ok(());
        }
        let found = match exception::resolve(exc_info) {
            Ok(found) => found,
            Err(error) => return guard(exc_info.py(), error),
        };
        let Some(found) = found else { return Ok(()) };
        with_scratch(|scratch| {
            exception::write(&mut Writer::new(scratch, self.room), &found, with_locals)?;
            self.room = self.room.saturating_sub(scratch.len());
            self.line.exception_with(|object| Json(scratch).members_into(object));
            Ok(())
        })
    }

    /// A keyword of the call: an attribute if there is one of that name and the value fits it.
    fn keyword(&mut self, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(attribute) = attribute_named(key) else {
            if key == TAGS
                && let Some(tags) = tags(value)
            {
                tags.iter().for_each(|tag| self.line.tag(tag));
                return Ok(());
            }
            return self.field(key, value);
        };
        if let Ok(text) = value.cast_exact::<PyString>() {
            return with_text(text, |text| {
                if text.len() <= ATTRIBUTE_BYTES_MAX {
                    self.line.text(attribute, text);
                } else {
                    self.line.field(key, text);
                }
                Ok(())
            });
        }
        with_scratch(|scratch| {
            Writer::new(scratch, self.room).value(value)?;
            self.json_attribute(attribute, key, scratch);
            Ok(())
        })
    }

    fn json_attribute(&mut self, attribute: TextAttribute, key: &str, json: &str) {
        if self.hidden & (1 << attribute as u16) != 0 {
            return;
        }
        match Json(json).scalar() {
            Ok(Some(text)) if text.len() <= ATTRIBUTE_BYTES_MAX => self.line.text(attribute, &text),
            Ok(None) => self.hidden |= 1 << attribute as u16,
            Ok(Some(_)) | Err(_) => self.json_field(key, json),
        }
    }

    /// The values that nearly every field has go straight into the line.
    fn field(&mut self, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        /// A number, word or separator at its longest.
        const SMALL: usize = 32;
        if self.spend(escaped_len(key) + SMALL, VALUES_BYTES_MAX) {
            if let Ok(text) = value.cast_exact::<PyString>() {
                let written = with_text(text, |text| {
                    let fits = self.spend(escaped_len(text), VALUES_BYTES_MAX);
                    if fits {
                        self.line.field(key, text);
                    }
                    Ok(fits)
                })?;
                if written {
                    return Ok(());
                }
            } else if let Ok(integer) = value.cast_exact::<PyInt>() {
                if let Ok(integer) = integer.extract::<i64>() {
                    self.line.field(key, &integer);
                    return Ok(());
                }
            } else if value.is_none() {
                self.line.field(key, &None::<bool>);
                return Ok(());
            } else if let Ok(boolean) = value.cast_exact::<PyBool>() {
                self.line.field(key, &boolean.is_true());
                return Ok(());
            } else if let Ok(float) = value.cast_exact::<PyFloat>() {
                self.line.field(key, &float.value());
                return Ok(());
            }
        }
        with_scratch(|scratch| {
            Writer::new(scratch, self.room).value(value)?;
            self.json_field(key, scratch);
            Ok(())
        })
    }

    fn json_field(&mut self, key: &str, json: &str) {
        self.room = self.room.saturating_sub(json.len());
        self.line.field(key, &Json(json));
    }

    /// What is attached to the logger or the context. A span is not taken from there if the trace is another one's.
    fn captured(&mut self, attributes: &Attributes) {
        let has_trace = self.line.has_text(TextAttribute::TraceId);
        for entry in &attributes.entries {
            match entry {
                Entry::Text(TextAttribute::SpanId, _) if has_trace => {}
                Entry::Text(attribute, text) => {
                    if self.hidden & (1 << *attribute as u16) == 0 {
                        self.line.text(*attribute, text);
                    }
                }
                Entry::Hidden(attribute) => self.hidden |= 1 << *attribute as u16,
                Entry::Tags(tags) => tags.iter().for_each(|tag| self.line.tag(tag)),
                Entry::Field { key, json } if json.len() <= self.room => self.json_field(key, json),
                Entry::Field { key, .. } => self.line.field(key, "<record too large>"),
            }
        }
        if let Some(flow) = &attributes.flow
            && self.hidden & (1 << TextAttribute::FlowId as u16) == 0
        {
            flow.write(self.line);
        }
    }

    /// Asks for the active span, unless the record says itself to which trace it belongs.
    fn trace(&mut self, py: Python<'_>, own: &Own) -> PyResult<()> {
        let Some(source) = own.trace_source.as_ref().filter(|_| !is_plain()) else {
            return Ok(());
        };
        if let Some((modules, module)) = &own.trace_module
            && !modules.bind(py).contains(module)?
        {
            return Ok(());
        }
        if self.line.has_text(TextAttribute::TraceId)
            || self.hidden & (1 << TextAttribute::TraceId as u16) != 0
        {
            return Ok(());
        }
        let ids = source.bind(py).call0();
        match ids.and_then(|ids| ids.extract::<Option<(String, String)>>()) {
            Ok(Some((trace_id, span_id))) => {
                self.line.text(TextAttribute::TraceId, &trace_id);
                self.line.text(TextAttribute::SpanId, &span_id);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => guard(py, error),
        }
    }
}

/// `message % args`, as the `logging` module does it: a single mapping stands for itself.
fn format<'py>(
    message: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let message = match message.cast::<PyString>() {
        Ok(message) => message.clone(),
        Err(_) => message.str()?,
    };
    match args.get_item(0)?.cast_into::<PyDict>() {
        Ok(mapping) if args.len() == 1 && !mapping.is_empty() => message.rem(mapping),
        _ => message.rem(args),
    }
}

thread_local! {
    static SCRATCH: Cell<Option<String>> = const { Cell::new(None) };
}

/// Lends the thread's scratch text; a call inside of another one gets its own.
fn with_scratch<R>(work: impl FnOnce(&mut String) -> R) -> R {
    let mut scratch = SCRATCH.with(Cell::take).unwrap_or_default();
    scratch.clear();
    let result = work(&mut scratch);
    if scratch.capacity() <= millpond::limits::LINE_BYTES_KEPT_MAX {
        SCRATCH.with(|kept| kept.set(Some(scratch)));
    }
    result
}
