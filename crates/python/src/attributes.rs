//! Attributes that are said once and carried by many records: those bound to a logger, and those of a context.

use millpond::TextAttribute;
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyString},
};

use crate::{
    limits::VALUES_BYTES_MAX,
    value::{Writer, text},
};

/// The attribute of the record that a keyword of this name sets; `None` means a field.
pub(crate) fn attribute_named(name: &str) -> Option<TextAttribute> {
    use TextAttribute::{Environment, Host, Version};
    TextAttribute::named(name).filter(|attribute| {
        attribute.is_context() || matches!(attribute, Environment | Host | Version)
    })
}

/// A mapping that never changes. Its values are converted when it is made, not for each record.
#[pyclass(frozen, mapping, module = "millpond._native")]
pub(crate) struct Attributes {
    values: Py<PyDict>,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) attribute: Option<TextAttribute>,
    pub(crate) json: String,
}

#[pymethods]
impl Attributes {
    #[new]
    fn new(values: &Bound<'_, PyDict>) -> PyResult<Self> {
        Self::capture(values.copy()?)
    }

    /// These and others; the others go first.
    fn merged(&self, values: &Bound<'_, PyDict>) -> PyResult<Self> {
        let all = self.values.bind(values.py()).copy()?;
        all.update(values.as_mapping())?;
        Self::capture(all)
    }

    /// These but for some.
    fn without(&self, names: Vec<Bound<'_, PyString>>, py: Python<'_>) -> PyResult<Self> {
        let all = self.values.bind(py).copy()?;
        for name in names {
            if all.contains(&name)? {
                all.del_item(&name)?;
            }
        }
        Self::capture(all)
    }

    /// The value of that name, or `None`.
    fn get<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.values.bind(name.py()).get_item(name)
    }

    /// A value may hold the logger that it is bound to.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.values)
    }

    /// A copy.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.values.bind(py).copy()
    }
}

impl Attributes {
    /// `values` must be nobody else's.
    fn capture(values: Bound<'_, PyDict>) -> PyResult<Self> {
        let mut entries = Vec::with_capacity(values.len());
        for (key, value) in values.copy()?.iter() {
            let key = text(&key)?;
            let mut json = String::new();
            Writer::new(&mut json, VALUES_BYTES_MAX).value(&value)?;
            entries.push(Entry { attribute: attribute_named(&key), key, json });
        }
        Ok(Self { values: values.unbind(), entries })
    }
}
