//! A Python exception -> `{"type", "message", "stacktrace": [{"file", "line", "function"}], "cause", …}`.
//!
//! `cause` is what Python would print above the exception: `__cause__`, or `__context__` unless it is suppressed.
//! Members of a group are in `exceptions`, notes in `notes`. A chain that comes back to itself ends there.

use std::collections::HashSet;

use millpond_record::{json::write_u64, limits::DEPTH_MAX};
use pyo3::{
    intern,
    prelude::*,
    types::{PyList, PyString, PyTraceback, PyTuple},
};

use crate::{
    kind,
    limits::{EXCEPTIONS_MAX, FRAMES_MAX},
    value::{Writer, guard, text, utf8},
};

/// Frames and their array, and one level to spare.
const DEPTH_OF_FRAMES: usize = 3;

/// Writes the exception with all that belongs to it.
pub(crate) fn write(writer: &mut Writer<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut walk = Walk { writer, seen: HashSet::new() };
    let depth = walk.writer.depth();
    walk.exception(exception, depth)
}

struct Walk<'w, 'a> {
    writer: &'w mut Writer<'a>,
    seen: HashSet<usize>,
}

impl Walk<'_, '_> {
    fn exception(&mut self, exception: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        let py = exception.py();
        self.seen.insert(exception.as_ptr() as usize);
        self.writer.out.push_str("{\"type\":");
        self.writer.text(&type_name(exception));
        self.writer.out.push_str(",\"message\":");
        self.message(exception)?;
        self.writer.out.push_str(",\"stacktrace\":[");
        let traceback = exception.getattr(intern!(py, "__traceback__"));
        let omitted = self.stacktrace(traceback.ok().as_ref())?;
        self.writer.out.push(']');
        if omitted > 0 {
            self.writer.out.push_str(",\"frames_omitted\":");
            write_u64(self.writer.out, omitted as u64);
        }
        self.notes(exception)?;
        self.members(exception, depth)?;
        if let Some(cause) = cause(exception)
            && self.may_follow(&cause, depth)
        {
            self.writer.out.push_str(",\"cause\":");
            self.exception(&cause, depth + 1)?;
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
        match exception.str() {
            Ok(message) => self.writer.string(&message),
            Err(error) => {
                guard(exception.py(), error)?;
                let message = text(exception)?;
                self.writer.text(&message);
                Ok(())
            }
        }
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
        let shown = frames
            .iter()
            .enumerate()
            .filter(|(place, _)| *place < outermost || *place >= outermost + omitted);
        for (place, (_, frame)) in shown.enumerate() {
            if place > 0 {
                self.writer.out.push(',');
            }
            let start = self.writer.out.len();
            if let Err(error) = self.frame(frame) {
                guard(frame.py(), error)?;
                self.writer.out.truncate(start);
                self.writer.out.push_str("{}");
            }
        }
        Ok(omitted)
    }

    fn frame(&mut self, traceback: &Bound<'_, PyTraceback>) -> PyResult<()> {
        let py = traceback.py();
        let code = traceback.getattr(intern!(py, "tb_frame"))?.getattr(intern!(py, "f_code"))?;
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
        self.writer.out.push('}');
        Ok(())
    }

    fn notes(&mut self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let notes = exception.getattr_opt(intern!(exception.py(), "__notes__"));
        if let Ok(Some(notes)) = notes
            && let Ok(notes) = notes.cast_into::<PyList>()
        {
            self.writer.out.push_str(",\"notes\":");
            self.writer.value(&notes)?;
        }
        Ok(())
    }

    /// The members of an `ExceptionGroup`.
    fn members(&mut self, exception: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        let py = exception.py();
        let is_group = exception.hasattr(intern!(py, "derive")).unwrap_or(false);
        let Ok(members) = exception.getattr(intern!(py, "exceptions")) else { return Ok(()) };
        let Ok(members) = members.cast_into::<PyTuple>() else { return Ok(()) };
        if !is_group {
            return Ok(());
        }
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
            self.exception(&member, depth + 2)?;
        }
        self.writer.out.push(']');
        Ok(())
    }
}

/// What Python prints as the cause of `exception`.
fn cause<'py>(exception: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let py = exception.py();
    let some = |name| exception.getattr(name).ok().filter(|value| !value.is_none());
    some(intern!(py, "__cause__")).or_else(|| {
        let suppressed = exception.getattr(intern!(py, "__suppress_context__"));
        let suppressed = suppressed.and_then(|value| value.extract()).unwrap_or(false);
        if suppressed { None } else { some(intern!(py, "__context__")) }
    })
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
pub(crate) fn resolve<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = given.py();
    if given.is_none() {
        return Ok(None);
    }
    if given.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        return Ok(Some(given.clone()));
    }
    if let Ok(triple) = given.cast::<PyTuple>() {
        return Ok(triple
            .get_item(1)
            .ok()
            .filter(|value| value.is_instance_of::<pyo3::exceptions::PyBaseException>()));
    }
    if !given.is_truthy()? {
        return Ok(None);
    }
    let current = py.import(intern!(py, "sys"))?.call_method0(intern!(py, "exc_info"))?;
    Ok(Some(current.get_item(1)?).filter(|value| !value.is_none()))
}
