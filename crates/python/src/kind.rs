//! What a Python object is, told from the names of its classes: no module is imported for it, and an object of a
//! library that nobody imported can't come.

use std::{cell::RefCell, collections::HashMap};

use pyo3::{
    intern,
    prelude::*,
    types::{PyString, PyTuple, PyType},
};

use crate::limits::TYPES_REMEMBERED_MAX;

/// How values of a type are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Integer,
    Float,
    Dict,
    List,
    Tuple,
    NamedTuple,
    /// A set, deque, or view of a dict: its elements, in its own order.
    Iterable,
    /// Has `items()`.
    Mapping,
    /// Has `isoformat()`.
    Time,
    Bytes,
    Enum,
    Exception,
    Dataclass,
    /// `str()` is how a person would write it.
    Text,
}

thread_local! {
    /// By address; the type is kept so that its address stays its own.
    static KINDS: RefCell<HashMap<usize, (Py<PyType>, Kind)>> = RefCell::default();
}

/// The kind of `value`'s type.
pub(crate) fn of(value: &Bound<'_, PyAny>) -> Kind {
    let class = value.get_type();
    let address = class.as_ptr() as usize;
    let known = KINDS.with(|kinds| kinds.try_borrow().ok()?.get(&address).map(|(_, kind)| *kind));
    if let Some(kind) = known {
        return kind;
    }
    let kind = classify(&class).unwrap_or(Kind::Text);
    KINDS.with(|kinds| {
        if let Ok(mut kinds) = kinds.try_borrow_mut()
            && kinds.len() < TYPES_REMEMBERED_MAX
        {
            kinds.insert(address, (class.unbind(), kind));
        }
    });
    kind
}

/// The nearest ancestor with a name that says enough decides; an Enum is one whatever else it is.
fn classify(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let py = class.py();
    let mut kind = None;
    for ancestor in class.mro().iter() {
        let name = text_attribute(&ancestor, intern!(py, "__qualname__"));
        let module = text_attribute(&ancestor, intern!(py, "__module__"));
        let found = named(&module, &name);
        if found == Some(Kind::Enum) {
            return Ok(Kind::Enum);
        }
        kind = kind.or(found);
    }
    Ok(match kind {
        Some(Kind::Tuple) if class.hasattr(intern!(py, "_fields"))? => Kind::NamedTuple,
        None if class.hasattr(intern!(py, "__dataclass_fields__"))? => Kind::Dataclass,
        Some(kind) => kind,
        None => Kind::Text,
    })
}

fn text_attribute(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> String {
    object.getattr(name).and_then(|value| value.extract()).unwrap_or_default()
}

fn named(module: &str, name: &str) -> Option<Kind> {
    Some(match (module, name) {
        ("builtins", "str") => Kind::String,
        ("builtins", "int") => Kind::Integer,
        ("builtins", "float") => Kind::Float,
        ("builtins", "dict") => Kind::Dict,
        ("builtins", "list") => Kind::List,
        ("builtins", "tuple") => Kind::Tuple,
        ("builtins", "set" | "frozenset" | "dict_keys" | "dict_values")
        | ("collections", "deque") => Kind::Iterable,
        ("builtins", "mappingproxy") | ("collections.abc", "Mapping") => Kind::Mapping,
        ("builtins", "bytes" | "bytearray" | "memoryview") => Kind::Bytes,
        ("builtins", "BaseException") => Kind::Exception,
        ("datetime", "datetime" | "date" | "time") => Kind::Time,
        ("enum", "Enum") => Kind::Enum,
        _ => return None,
    })
}

/// The name of the type of `value`, never failing.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// The field names of a named tuple.
pub(crate) fn field_names<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    Ok(value.get_type().getattr(intern!(value.py(), "_fields"))?.cast_into::<PyTuple>()?)
}
