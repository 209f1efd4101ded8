//! Attributes that are said once and carried by many records: those bound to a logger, and those of a context.

use millpond::{Scope, TextAttribute, breadcrumb};
use millpond_record::limits::ATTRIBUTE_BYTES_MAX;
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple},
};

use crate::{
    client::severity,
    flow::Flow,
    json::Json,
    limits::VALUES_BYTES_MAX,
    value::{Writer, guard, text},
};

/// The attribute of the record that a keyword of this name sets; `None` means a field, or [`TAGS`].
pub(crate) fn attribute_named(name: &str) -> Option<TextAttribute> {
    use TextAttribute::{Dataset, Environment, Host, Version};
    TextAttribute::named(name).filter(|attribute| {
        attribute.is_context() || matches!(attribute, Dataset | Environment | Host | Version)
    })
}

/// The keyword whose strings are the record's tags.
pub(crate) const TAGS: &str = "tags";

/// The tags that a value stands for: a string, or what is in a collection.
pub(crate) fn tags(value: &Bound<'_, PyAny>) -> Option<Vec<String>> {
    if value.is_instance_of::<PyString>() {
        return text(value).ok().map(|tag| vec![tag]);
    }
    let is_collection = value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>()
        || value.is_instance_of::<PyFrozenSet>();
    if !is_collection {
        return None;
    }
    value.try_iter().ok()?.map(|tag| text(&tag.ok()?).ok()).collect()
}

/// A mapping that never changes. Its values are converted when it is made, not for each record.
#[pyclass(frozen, mapping, module = "millpond._native")]
pub(crate) struct Attributes {
    values: Py<PyDict>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) flow: Option<millpond::Flow>,
    /// Keeps the breadcrumbs, and nothing else.
    pub(crate) trail: Scope,
}

/// What one of them adds to a record.
pub(crate) enum Entry {
    Text(TextAttribute, String),
    /// Hides what comes after it.
    Hidden(TextAttribute),
    Tags(Vec<String>),
    Field {
        key: String,
        json: String,
    },
}

#[pymethods]
impl Attributes {
    #[new]
    #[pyo3(signature = (values, flow=None))]
    fn new(values: &Bound<'_, PyDict>, flow: Option<&Bound<'_, Flow>>) -> PyResult<Self> {
        let flow = flow.map(|flow| flow.get().flow.clone());
        Self::capture(values.copy()?, flow, Scope::new())
    }

    /// These and others; the others go first. `fork`: with breadcrumbs of their own, which begin with the ones so
    /// far.
    #[pyo3(signature = (values, fork=false, flow=None))]
    fn merged(
        &self,
        values: &Bound<'_, PyDict>,
        fork: bool,
        flow: Option<&Bound<'_, Flow>>,
    ) -> PyResult<Self> {
        let all = self.values.bind(values.py()).copy()?;
        all.update(values.as_mapping())?;
        let flow = match flow {
            Some(flow) => Some(flow.get().flow.clone()),
            None => self.flow.clone(),
        };
        let trail = if fork { self.trail.fork() } else { self.trail.clone() };
        Self::capture(all, flow, trail)
    }

    /// These but for some.
    fn without(&self, names: Vec<Bound<'_, PyString>>, py: Python<'_>) -> PyResult<Self> {
        let all = self.values.bind(py).copy()?;
        for name in names {
            if all.contains(&name)? {
                all.del_item(&name)?;
            }
        }
        Self::capture(all, self.flow.clone(), self.trail.clone())
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

    /// Leaves a breadcrumb. Raises only what is no `Exception`.
    fn leave(
        &self,
        level: u8,
        message: &Bound<'_, PyAny>,
        category: Option<&Bound<'_, PyAny>>,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let mut crumb = breadcrumb(text(message)?).level(severity(level).level());
        if let Some(category) = category {
            crumb = crumb.category(text(category)?);
        }
        for (key, value) in fields.iter() {
            let mut json = String::new();
            Writer::new(&mut json, VALUES_BYTES_MAX).value(&value)?;
            crumb = crumb.field(&text(&key)?, Json(&json));
        }
        self.trail.run(|| crumb.leave());
        Ok(())
    }
}

impl Attributes {
    /// `values` must be nobody else's.
    fn capture(
        values: Bound<'_, PyDict>,
        flow: Option<millpond::Flow>,
        trail: Scope,
    ) -> PyResult<Self> {
        let mut entries = Vec::with_capacity(values.len());
        for (key, value) in values.copy()?.iter() {
            entries.push(Entry::new(text(&key)?, &value)?);
        }
        Ok(Self { values: values.unbind(), entries, flow, trail })
    }
}

impl Entry {
    fn new(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if key == TAGS
            && let Some(tags) = tags(value)
        {
            return Ok(Self::Tags(tags));
        }
        let mut json = String::new();
        if let Err(error) = Writer::new(&mut json, VALUES_BYTES_MAX).value(value) {
            guard(value.py(), error)?;
        }
        let Some(attribute) = attribute_named(&key) else { return Ok(Self::Field { key, json }) };
        Ok(match Json(&json).scalar() {
            Ok(None) => Self::Hidden(attribute),
            Ok(Some(text)) if text.len() <= ATTRIBUTE_BYTES_MAX => {
                Self::Text(attribute, text.into_owned())
            }
            Ok(Some(_)) | Err(_) => Self::Field { key, json },
        })
    }
}
