//! A Python exception -> `{"type", "message", "stacktrace": [{"file", "line", "function"}], "cause", …}`.
//!
//! `cause` is what Python would print above the exception: `__cause__`, or `__context__` unless it is suppressed.
//! Members of a group are in `exceptions`, notes in `notes`, what a `SyntaxError` points at in `syntax`; frames have
//! `locals` only where that is asked for. A chain that comes back to itself ends there.

use std::collections::HashSet;

use millpond_record::{json::write_u64, limits::DEPTH_MAX};
use pyo3::{
    exceptions::{PyBaseException, PySyntaxError},
    intern,
    prelude::*,
    types::{PyDict, PyList, PyString, PyTraceback, PyTuple},
};

use crate::{
    kind,
    limits::{
        EXCEPTION_MESSAGE_BYTES_MAX, EXCEPTIONS_MAX, FRAMES_MAX, LOCAL_BYTES_MAX, LOCAL_DEPTH_MAX,
        LOCALS_FRAMES_MAX, LOCALS_MAX, NOTE_BYTES_MAX, NOTES_MAX,
    },
    value::{Writer, guard, text, utf8},
};

/// Frames and their array, and one level to spare.
const DEPTH_OF_FRAMES: usize = 3;

/// An exception that is logged.
pub(crate) struct Found<'py> {
    exception: Bound<'py, PyAny>,
    /// What the caller gave with it, if it has none itself.
    traceback: Option<Bound<'py, PyAny>>,
}

/// Writes the exception with all that belongs to it, and with the local variables of its innermost frames if they are
/// wanted.
pub(crate) fn write(writer: &mut Writer<'_>, found: &Found<'_>, with_locals: bool) -> PyResult<()> {
    let depth = writer.depth();
    let mut walk = Walk { writer, seen: HashSet::new(), with_locals };
    walk.exception(&found.exception, found.traceback.as_ref(), depth)
}

/// Writes an exception that is the value of a field.
pub(crate) fn write_value(writer: &mut Writer<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
    write(writer, &Found { exception: exception.clone(), traceback: None }, false)
}

struct Walk<'w, 'a> {
    writer: &'w mut Writer<'a>,
    seen: HashSet<usize>,
    with_locals: bool,
}

impl Walk<'_, '_> {
    fn exception(
        &mut self,
        exception: &Bound<'_, PyAny>,
        given: Option<&Bound<'_, PyAny>>,
        depth: usize,
    ) -> PyResult<()> {
        let py = exception.py();
        self.seen.insert(exception.as_ptr() as usize);
        self.writer.out.push_str("{\"type\":");
        self.writer.text(&type_name(exception));
        self.writer.out.push_str(",\"message\":");
        self.message(exception)?;
        self.writer.out.push_str(",\"stacktrace\":[");
        let traceback = attribute(exception, intern!(py, "__traceback__"))?;
        let omitted = self.stacktrace(traceback.as_ref().or(given))?;
        self.writer.out.push(']');
        if omitted > 0 {
            self.writer.out.push_str(",\"frames_omitted\":");
            write_u64(self.writer.out, omitted as u64);
        }
        self.syntax(exception)?;
        self.notes(exception)?;
        self.members(exception, depth)?;
        if let Some(cause) = cause(exception)?
            && self.may_follow(&cause, depth)
        {
            self.writer.out.push_str(",\"cause\":");
            self.exception(&cause, None, depth + 1)?;
        }
        self.writer.out.push('}');
        Ok(())
    }

    fn may_follow(&self, next: &Bound<'_, PyAny>, depth: usize) -> bool {
        depth + 1 + DEPTH_OF_FRAMES < DEPTH_MAX
            && self.seen.len() < EXCEPTIONS_MAX
            && !self.writer.full()
            && !self.seen.contains(&(next.as_ptr() as usize))
    }

    fn message(&mut self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let message = text(exception)?;
        self.writer.limited(EXCEPTION_MESSAGE_BYTES_MAX, 0, |writer| writer.text(&message));
        Ok(())
    }

    /// Writes the frames, outermost first; returns how many of the middle were left out.
    fn stacktrace(&mut self, traceback: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let mut frames = Vec::new();
        let mut next = traceback.cloned();
        while let Some(Ok(traceback)) = next.map(Bound::cast_into::<PyTraceback>) {
            next = traceback.getattr(intern!(traceback.py(), "tb_next")).ok();
            frames.push(traceback);
        }
        let outermost = FRAMES_MAX / 4;
        let omitted = frames.len().saturating_sub(FRAMES_MAX);
        let without_locals = frames.len().saturating_sub(LOCALS_FRAMES_MAX);
        let shown = frames
            .iter()
            .enumerate()
            .filter(|(place, _)| *place < outermost || *place >= outermost + omitted);
        for (number, (place, frame)) in shown.enumerate() {
            if number > 0 {
                self.writer.out.push(',');
            }
            let start = self.writer.out.len();
            let with_locals = self.with_locals && place >= without_locals;
            if let Err(error) = self.frame(frame, with_locals) {
                guard(frame.py(), error)?;
                self.writer.out.truncate(start);
                self.writer.out.push_str("{}");
            }
        }
        Ok(omitted)
    }

    fn frame(&mut self, traceback: &Bound<'_, PyTraceback>, with_locals: bool) -> PyResult<()> {
        let py = traceback.py();
        let frame = traceback.getattr(intern!(py, "tb_frame"))?;
        let code = frame.getattr(intern!(py, "f_code"))?;
        // `co_qualname` is new in 3.11.
        let function = match code.getattr_opt(intern!(py, "co_qualname"))? {
            Some(function) => function,
            None => code.getattr(intern!(py, "co_name"))?,
        };
        self.writer.out.push_str("{\"file\":");
        self.writer.string(code.getattr(intern!(py, "co_filename"))?.cast::<PyString>()?)?;
        // None for code without a position.
        if let Ok(line) = traceback.getattr(intern!(py, "tb_lineno"))?.extract::<u64>() {
            self.writer.out.push_str(",\"line\":");
            write_u64(self.writer.out, line);
        }
        self.writer.out.push_str(",\"function\":");
        self.writer.string(function.cast::<PyString>()?)?;
        if with_locals {
            self.locals(&frame)?;
        }
        self.writer.out.push('}');
        Ok(())
    }

    /// The variables of a function or class body, each cut short. Those of a module are not local.
    fn locals(&mut self, frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = frame.py();
        let locals = frame.getattr(intern!(py, "f_locals"))?;
        if locals.is(&frame.getattr(intern!(py, "f_globals"))?) {
            return Ok(());
        }
        // A copy; and from 3.13 on it is no dict at all.
        let locals = py.get_type::<PyDict>().call1((locals,))?.cast_into::<PyDict>()?;
        self.writer.out.push_str(",\"locals\":{");
        let mut written = 0;
        for (name, value) in locals.iter() {
            if written == LOCALS_MAX || self.writer.full() {
                break;
            }
            // What the interpreter keeps for itself, such as the iterator of a comprehension.
            if name.extract::<String>().is_ok_and(|name| name.starts_with('.')) {
                continue;
            }
            if written > 0 {
                self.writer.out.push(',');
            }
            written += 1;
            self.writer.key(&name)?;
            self.writer.limited(LOCAL_BYTES_MAX, LOCAL_DEPTH_MAX, |writer| writer.value(&value))?;
        }
        self.writer.out.push('}');
        if locals.len() > LOCALS_MAX {
            self.writer.out.push_str(",\"locals_omitted\":");
            write_u64(self.writer.out, (locals.len() - written) as u64);
        }
        Ok(())
    }

    /// Where the text is that is no Python.
    fn syntax(&mut self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = exception.py();
        if !exception.is_instance_of::<PySyntaxError>() {
            return Ok(());
        }
        let mut separator = ",\"syntax\":{";
        for (name, attribute_name) in [
            ("\"file\":", intern!(py, "filename")),
            ("\"line\":", intern!(py, "lineno")),
            ("\"column\":", intern!(py, "offset")),
            ("\"text\":", intern!(py, "text")),
        ] {
            if let Some(value) = attribute(exception, attribute_name)? {
                self.writer.out.push_str(separator);
                self.writer.out.push_str(name);
                self.writer.limited(NOTE_BYTES_MAX, 1, |writer| writer.value(&value))?;
                separator = ",";
            }
        }
        if separator == "," {
            self.writer.out.push('}');
        }
        Ok(())
    }

    /// As texts, whatever they are.
    fn notes(&mut self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(notes) = attribute(exception, intern!(exception.py(), "__notes__"))? else {
            return Ok(());
        };
        let notes = match (notes.cast::<PyList>(), notes.cast::<PyTuple>()) {
            (Ok(notes), _) => notes.iter().take(NOTES_MAX).collect(),
            (_, Ok(notes)) => notes.iter().take(NOTES_MAX).collect(),
            _ => vec![notes],
        };
        self.writer.out.push_str(",\"notes\":[");
        for (place, note) in notes.iter().enumerate() {
            if place > 0 {
                self.writer.out.push(',');
            }
            let note = text(note)?;
            self.writer.limited(NOTE_BYTES_MAX, 0, |writer| writer.text(&note));
        }
        self.writer.out.push(']');
        Ok(())
    }

    /// The members of an `ExceptionGroup`, be it Python's or that of the package `exceptiongroup`.
    fn members(&mut self, exception: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        let py = exception.py();
        if !kind::has_ancestor(exception, "BaseExceptionGroup") {
            return Ok(());
        }
        let members = attribute(exception, intern!(py, "exceptions"))?;
        let Some(Ok(members)) = members.map(Bound::cast_into::<PyTuple>) else { return Ok(()) };
        self.writer.out.push_str(",\"exceptions\":[");
        let mut written = 0;
        for member in members.iter() {
            // An array and an object.
            if !self.may_follow(&member, depth + 1) {
                continue;
            }
            if written > 0 {
                self.writer.out.push(',');
            }
            written += 1;
            self.exception(&member, None, depth + 2)?;
        }
        self.writer.out.push(']');
        if written < members.len() {
            self.writer.out.push_str(",\"exceptions_omitted\":");
            write_u64(self.writer.out, (members.len() - written) as u64);
        }
        Ok(())
    }
}

/// An attribute that is there and not `None`.
fn attribute<'py>(
    exception: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match exception.getattr_opt(name) {
        Ok(value) => Ok(value.filter(|value| !value.is_none())),
        Err(error) => guard(exception.py(), error).map(|()| None),
    }
}

/// What Python prints as the cause of `exception`.
fn cause<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = exception.py();
    let is_exception = |value: &Bound<'py, PyAny>| value.is_instance_of::<PyBaseException>();
    let cause = attribute(exception, intern!(py, "__cause__"))?.filter(is_exception);
    if cause.is_some() {
        return Ok(cause);
    }
    let suppressed = attribute(exception, intern!(py, "__suppress_context__"))?;
    if suppressed.is_some_and(|value| value.extract().unwrap_or(false)) {
        return Ok(None);
    }
    Ok(attribute(exception, intern!(py, "__context__"))?.filter(is_exception))
}

/// `module.Name`, or `Name` for what is built in.
fn type_name(exception: &Bound<'_, PyAny>) -> String {
    let py = exception.py();
    let class = exception.get_type();
    let word = |name| {
        let word = class.getattr(name).ok()?.cast_into::<PyString>().ok()?;
        utf8(&word).ok()
    };
    let name = word(intern!(py, "__qualname__")).unwrap_or_else(|| kind::type_name(exception));
    match word(intern!(py, "__module__")) {
        Some(module) if module != "builtins" && module != "__main__" => format!("{module}.{name}"),
        _ => name,
    }
}

/// What the caller gave as `exc_info`: true, an exception, or the triple of `sys.exc_info()`.
pub(crate) fn resolve<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Found<'py>>> {
    let py = given.py();
    let found = |exception: Bound<'py, PyAny>, traceback| {
        let is_exception = exception.is_instance_of::<PyBaseException>();
        is_exception.then_some(Found { exception, traceback })
    };
    if given.is_none() {
        return Ok(None);
    }
    if given.is_instance_of::<PyBaseException>() {
        return Ok(found(given.clone(), None));
    }
    if let Ok(triple) = given.cast::<PyTuple>() {
        return Ok(triple.get_item(1).ok().and_then(|value| found(value, triple.get_item(2).ok())));
    }
    if !given.is_truthy()? {
        return Ok(None);
    }
    let current = py.import(intern!(py, "sys"))?.call_method0(intern!(py, "exc_info"))?;
    Ok(found(current.get_item(1)?, None))
}
