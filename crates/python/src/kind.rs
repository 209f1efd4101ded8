//! What a Python object is, told from the names of its classes: no module is imported for it, and an object of a
//! library that nobody imported can't come. An object is never asked what it is: some answer with a query.

use std::{cell::RefCell, collections::HashMap};

use pyo3::{
    exceptions::PyRuntimeError,
    intern,
    prelude::*,
    types::{PyDict, PyList, PyString, PyTuple, PyType},
};

use crate::limits::{COPY_ATTEMPTS_MAX, TYPES_REMEMBERED_MAX};

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
    /// A set, deque, `array`, or view of a dict: its elements, in its own order.
    Elements,
    /// Has `items()`.
    Mapping,
    /// Has `isoformat()`.
    Time,
    Bytes,
    MemoryView,
    Enum,
    Exception,
    Dataclass,
    Attrs,
    Pydantic,
    /// A row of SQLAlchemy: has `_asdict()`.
    Row,
    /// A number of numpy: has `item()`.
    Scalar,
    /// An array of numpy.
    Array,
    /// A column: has a length, `[:n]` and `tolist()` (pandas) or `to_list()` (polars).
    Column,
    /// A table of pandas or polars.
    Table,
    /// Elements are on a disk or another device: the shape only.
    Remote,
    /// A value that is missing.
    Missing,
    /// Its text would ask a database: the name of the type only.
    Lazy,
    /// `repr()` leaves alone what `str()` would ask.
    Proxy,
    Generator,
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
    let kind = classify(&class);
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
fn classify(class: &Bound<'_, PyType>) -> Kind {
    let py = class.py();
    let mut kind = None;
    for ancestor in class.mro().iter() {
        let (module, name) = full_name(&ancestor);
        let found = builtin(&module, &name).or_else(|| of_library(&module, &name));
        if found == Some(Kind::Enum) {
            return Kind::Enum;
        }
        kind = kind.or(found);
    }
    let attribute = |name| class.getattr(name).ok();
    let has_names =
        || attribute(intern!(py, "_fields")).is_some_and(|names| names.is_instance_of::<PyTuple>());
    match kind {
        Some(Kind::Tuple) if has_names() => Kind::NamedTuple,
        Some(kind) => kind,
        None if attribute(intern!(py, "__attrs_attrs__"))
            .is_some_and(|attributes| attributes.is_instance_of::<PyTuple>()) =>
        {
            Kind::Attrs
        }
        None if attribute(intern!(py, "__dataclass_fields__"))
            .is_some_and(|fields| fields.is_instance_of::<PyDict>()) =>
        {
            Kind::Dataclass
        }
        None => Kind::Text,
    }
}

/// Module and qualified name of a class.
fn full_name(class: &Bound<'_, PyAny>) -> (String, String) {
    let py = class.py();
    let text = |name: &Bound<'_, PyString>| {
        class.getattr(name).and_then(|value| value.extract()).unwrap_or_default()
    };
    (text(intern!(py, "__module__")), text(intern!(py, "__qualname__")))
}

fn builtin(module: &str, name: &str) -> Option<Kind> {
    Some(match (module, name) {
        ("builtins", "str") => Kind::String,
        ("builtins", "int") => Kind::Integer,
        ("builtins", "float") => Kind::Float,
        ("builtins", "dict") => Kind::Dict,
        ("builtins", "list") => Kind::List,
        ("builtins", "tuple") => Kind::Tuple,
        (
            "builtins",
            "set" | "frozenset" | "dict_keys" | "dict_values" | "dict_items" | "odict_keys"
            | "odict_values" | "odict_items",
        )
        | ("collections", "deque")
        | ("array", "array") => Kind::Elements,
        ("builtins", "mappingproxy") | ("collections.abc", "Mapping") => Kind::Mapping,
        // A mapping that is a file.
        ("shelve", "Shelf") => Kind::Lazy,
        ("builtins", "bytes" | "bytearray") => Kind::Bytes,
        ("builtins", "memoryview") => Kind::MemoryView,
        ("builtins", "BaseException") => Kind::Exception,
        ("builtins", "generator" | "coroutine" | "async_generator") => Kind::Generator,
        ("datetime", "datetime" | "date" | "time") => Kind::Time,
        ("enum", "Enum") => Kind::Enum,
        _ => return None,
    })
}

/// Libraries move their classes between their modules: the package and the name are what stays.
fn of_library(module: &str, name: &str) -> Option<Kind> {
    let package = module.split('.').next().unwrap_or_default();
    Some(match (package, name) {
        // Text says more of these: `item()` of a `datetime64[ns]` is a number.
        ("numpy", "datetime64" | "timedelta64") => Kind::Text,
        ("numpy", "generic") => Kind::Scalar,
        ("numpy", "memmap") | ("torch", "Tensor") => Kind::Remote,
        ("numpy", "ndarray") => Kind::Array,
        ("pandas", "NaTType" | "NAType") => Kind::Missing,
        ("pandas", "Series" | "Index" | "ExtensionArray") | ("polars", "Series") => Kind::Column,
        ("pandas" | "polars", "DataFrame") => Kind::Table,
        ("pydantic", "BaseModel") => Kind::Pydantic,
        ("sqlalchemy", "Row") => Kind::Row,
        ("django", "QuerySet" | "RawQuerySet" | "Page")
        | ("mongoengine", "BaseQuerySet")
        | ("polars", "LazyFrame") => Kind::Lazy,
        ("django", "LazyObject") => Kind::Proxy,
        _ => return None,
    })
}

/// Whether a class of this name is among the ancestors of `value`'s.
pub(crate) fn has_ancestor(value: &Bound<'_, PyAny>, name: &str) -> bool {
    value.get_type().mro().iter().any(|ancestor| full_name(&ancestor).1 == name)
}

/// The name of the type of `value`, never failing.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// What a builtin container holds, by the builtin's own method: one of a subclass is never called.
///
/// Without the global lock another thread may change the container while it is copied. Python then raises, and it is
/// copied anew.
pub(crate) fn snapshot<'py>(
    value: &Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyList>> {
    let py = value.py();
    for ancestor in value.get_type().mro().iter() {
        let (module, _) = full_name(&ancestor);
        if matches!(module.as_str(), "builtins" | "collections" | "array")
            && ancestor.hasattr(method)?
        {
            let copy = || {
                let elements = ancestor.call_method1(method, (value,))?;
                Ok(py.get_type::<PyList>().call1((elements,))?.cast_into::<PyList>()?)
            };
            return again(py, copy);
        }
    }
    Ok(PyList::empty(py))
}

/// Does again what failed because another thread changed something meanwhile.
fn again<T>(py: Python<'_>, work: impl Fn() -> PyResult<T>) -> PyResult<T> {
    let mut result = work();
    for _ in 1..COPY_ATTEMPTS_MAX {
        match &result {
            Err(error) if error.is_instance_of::<PyRuntimeError>(py) => result = work(),
            _ => break,
        }
    }
    result
}
