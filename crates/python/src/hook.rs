//! `before_send`: the application's last look at a record, as a dict.

use std::{cell::RefCell, panic::resume_unwind};

use millpond::{Decision, Draft, Level, TextAttribute};
use pyo3::{
    exceptions::{PyException, PyTypeError},
    intern,
    prelude::*,
    types::PyDict,
};
use serde_json::{Map, Value};

use crate::{
    ending::is_plain,
    limits::VALUES_BYTES_MAX,
    value::{Writer, text},
};

thread_local! {
    /// What the hook of this thread raised that is no `Exception`: Ctrl-C belongs to the program.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a hook raised that the log call has to hand on.
pub(crate) fn raised() -> PyResult<()> {
    match RAISED.with(|raised| raised.try_borrow_mut().ok()?.take()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Asks the hook. What fails in it is for the engine a panic: it keeps the record as it was, and counts.
pub(crate) fn ask(hook: &Py<PyAny>, draft: &mut Draft) -> Decision {
    if is_plain() {
        // It may be what keeps a secret in: rather nothing than too much.
        return Decision::Drop;
    }
    let asked = Python::attach(|py| {
        let asked = look(hook.bind(py), draft);
        if let Err(error) = &asked
            && !error.is_instance_of::<PyException>(py)
        {
            let error = error.clone_ref(py);
            RAISED.with(|raised| raised.replace(Some(error)));
        }
        asked
    });
    // Without the message that a panic prints.
    asked.unwrap_or_else(|_| resume_unwind(Box::new("the hook raised")))
}

fn look(hook: &Bound<'_, PyAny>, draft: &mut Draft) -> PyResult<Decision> {
    let py = hook.py();
    let json = py.import(intern!(py, "json"))?;
    let written = Value::Object(members(draft)).to_string();
    let record = json.call_method1(intern!(py, "loads"), (written,))?;
    let answer = hook.call1((record,))?;
    if answer.is_none() {
        return Ok(Decision::Drop);
    }
    let answer = answer.cast_into::<PyDict>().map_err(|_| {
        PyTypeError::new_err("before_send returns the record, a dict, or None to drop it")
    })?;
    apply(&answer, draft)?;
    Ok(Decision::Keep)
}

fn members(draft: &Draft) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("level".to_owned(), draft.level().name().into());
    for attribute in TextAttribute::ALL {
        if let Some(text) = draft.text(attribute) {
            members.insert(attribute.name().to_owned(), text.into());
        }
    }
    if let Some(exception) = draft.exception() {
        members.insert("exception".to_owned(), exception.clone());
    }
    members.insert("fields".to_owned(), Value::Object(draft.fields().clone()));
    members
}

/// Writes what is different into the draft.
fn apply(record: &Bound<'_, PyDict>, draft: &mut Draft) -> PyResult<()> {
    if let Some(level) = record.get_item("level")?
        && let Ok(level) = text(&level)?.parse::<Level>()
        && level != draft.level()
    {
        draft.set_level(level);
    }
    for attribute in TextAttribute::ALL {
        match record.get_item(attribute.name())?.filter(|value| !value.is_none()) {
            Some(value) => {
                let said = text(&value)?;
                if draft.text(attribute) != Some(&*said) {
                    draft.set_text(attribute, said);
                }
            }
            None if draft.text(attribute).is_some() => draft.remove_text(attribute),
            None => {}
        }
    }
    let exception = record.get_item("exception")?.filter(|value| !value.is_none());
    let exception = exception.map(|value| value_of(&value)).transpose()?;
    if exception.as_ref() != draft.exception() {
        draft.set_exception(exception);
    }
    let fields = record.get_item("fields")?.filter(|value| !value.is_none());
    let fields = match fields.map(|value| value_of(&value)).transpose()? {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    if fields != *draft.fields() {
        *draft.fields_mut() = fields;
    }
    Ok(())
}

fn value_of(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let mut json = String::new();
    Writer::new(&mut json, VALUES_BYTES_MAX).value(value)?;
    Ok(serde_json::from_str(&json).unwrap_or(Value::Null))
}
