//! Objects that declare their members: dataclasses, attrs, pydantic, named tuples.
//!
//! What is read is what the object holds, in its `__dict__` or its slots: no property is called, no validator, and
//! nothing is loaded that is not there. A member whose class says that it does not belong into a `repr` or a dump is
//! left out: that is how a class keeps a secret.

use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyIterator, PyList, PyMapping, PyString, PyTuple},
};

use crate::{
    kind::Kind,
    value::{Writer, text},
};

/// Writes such an object.
pub(crate) fn write(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
    let members = match kind {
        Kind::Attrs => attrs(value)?,
        Kind::Pydantic => pydantic(value)?,
        _ => dataclass(value)?,
    };
    writer.members(value.py(), members.into_iter().map(Ok))
}

type Members<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

fn dataclass<'py>(value: &Bound<'py, PyAny>) -> PyResult<Members<'py>> {
    let py = value.py();
    // Whoever made the class imported it.
    let dataclasses = py.import(intern!(py, "dataclasses"))?;
    let fields = dataclasses.call_method1(intern!(py, "fields"), (value.get_type(),))?;
    let held = Held::of(value);
    let mut members = Vec::new();
    for field in PyIterator::from_object(&fields)? {
        let field = field?;
        let name = field.getattr(intern!(py, "name"))?;
        if field.getattr(intern!(py, "repr"))?.is_truthy()?
            && let Some(member) = held.get(name.cast::<PyString>()?)?
        {
            members.push((name, member));
        }
    }
    Ok(members)
}

/// `repr` of an attribute may be a function, which then masks the value.
fn attrs<'py>(value: &Bound<'py, PyAny>) -> PyResult<Members<'py>> {
    let py = value.py();
    let attributes = value.get_type().getattr(intern!(py, "__attrs_attrs__"))?;
    let held = Held::of(value);
    let mut members = Vec::new();
    for attribute in attributes.cast::<PyTuple>()?.iter() {
        let name = attribute.getattr(intern!(py, "name"))?;
        let shown = attribute.getattr(intern!(py, "repr"))?;
        if !shown.is_truthy()? {
            continue;
        }
        if let Some(member) = held.get(name.cast::<PyString>()?)? {
            let member = if shown.is_callable() { shown.call1((member,))? } else { member };
            members.push((name, member));
        }
    }
    Ok(members)
}

/// Both major versions of pydantic keep the fields in `__dict__`, and private attributes elsewhere.
fn pydantic<'py>(value: &Bound<'py, PyAny>) -> PyResult<Members<'py>> {
    let py = value.py();
    let class = value.get_type();
    let mut fields = None;
    // The last one is that of version 1; version 2 warns of it.
    for name in ["__pydantic_fields__", "model_fields", "__fields__"] {
        fields = class.getattr_opt(name)?;
        if fields.is_some() {
            break;
        }
    }
    let held = Held::of(value);
    let mut members = Vec::new();
    if let Some(fields) = fields {
        for (name, field) in items(&fields)? {
            let declared = field.getattr_opt(intern!(py, "field_info"))?.unwrap_or(field);
            let is_shown = !declared
                .getattr_opt(intern!(py, "repr"))?
                .is_some_and(|it| is(&it, false))
                && !declared.getattr_opt(intern!(py, "exclude"))?.is_some_and(|it| is(&it, true));
            if is_shown && let Some(member) = held.get(name.cast::<PyString>()?)? {
                members.push((name, member));
            }
        }
    }
    if let Some(extra) = held.get(intern!(py, "__pydantic_extra__"))?
        && let Ok(extra) = extra.cast::<PyDict>()
    {
        members.extend(extra.copy()?.iter());
    }
    Ok(members)
}

fn items<'py>(fields: &Bound<'py, PyAny>) -> PyResult<Members<'py>> {
    let items = fields.cast::<PyMapping>()?.items()?;
    items.iter().map(|item| item.extract()).collect()
}

/// Whether a value is this very bool.
fn is(value: &Bound<'_, PyAny>, wanted: bool) -> bool {
    value.extract::<bool>().is_ok_and(|value| value == wanted)
}

/// The members of a named tuple.
pub(crate) fn named_tuple(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let names = value.get_type().getattr(intern!(value.py(), "_fields"))?;
    let names = names.cast::<PyTuple>()?;
    writer.members(value.py(), names.iter().zip(value.cast::<PyTuple>()?.iter()).map(Ok))
}

/// A row of SQLAlchemy, which is in memory as a whole.
pub(crate) fn row(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let members = value.call_method0(intern!(value.py(), "_asdict"))?;
    writer.dict(members.cast::<PyDict>()?)
}

/// What is written of an object whose text would ask a database: its type, and what it is of if that is known.
pub(crate) fn lazy(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let name = crate::kind::type_name(value);
    let model = Held::of(value).get(intern!(value.py(), "model"))?;
    let model = model.and_then(|model| model.getattr(intern!(value.py(), "__name__")).ok());
    Ok(match model {
        Some(model) => format!("<{name} of {}>", text(&model)?),
        None => format!("<{name}>"),
    })
}

/// What an object holds itself.
pub(crate) struct Held<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    dict: Option<Bound<'py, PyDict>>,
}

impl<'a, 'py> Held<'a, 'py> {
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> Self {
        let py = object.py();
        // Not by `getattr`, which calls what the class makes of it.
        let dict = py
            .get_type::<PyAny>()
            .call_method1(intern!(py, "__getattribute__"), (object, intern!(py, "__dict__")));
        Self { object, dict: dict.ok().and_then(|dict| dict.cast_into::<PyDict>().ok()) }
    }

    /// A member: of the `__dict__`, a slot, or the default that the class keeps for it.
    pub(crate) fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = name.py();
        if let Some(dict) = &self.dict
            && let Some(member) = dict.get_item(name)?
        {
            return Ok(Some(member));
        }
        let class = self.object.get_type();
        for ancestor in class.mro().iter() {
            let names = ancestor.getattr(intern!(py, "__dict__"))?;
            let Ok(found) = names.get_item(name) else { continue };
            if crate::kind::type_name(&found) == "member_descriptor" {
                // An error says that the slot is empty.
                return Ok(found.call_method1(intern!(py, "__get__"), (self.object, &class)).ok());
            }
            let computes = found.get_type().hasattr(intern!(py, "__get__"))?;
            return Ok((!computes).then_some(found));
        }
        Ok(None)
    }
}

/// A list of what an iterator of the library's own gives.
pub(crate) fn list<'py>(elements: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    Ok(elements.py().get_type::<PyList>().call1((elements,))?.cast_into::<PyList>()?)
}
