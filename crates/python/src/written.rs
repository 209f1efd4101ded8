//! A value that is kept for later as the JSON that it is now: what happens to it meanwhile changes nothing.

use pyo3::prelude::*;

use crate::{
    limits::VALUES_BYTES_MAX,
    value::{Writer, guard},
};

/// Stands for the value wherever values are written, and says how long it is.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Written {
    pub(crate) json: String,
}

#[pymethods]
impl Written {
    /// Raises only what is no `Exception`. What goes beyond `bytes_max` is cut.
    #[new]
    #[pyo3(signature = (value, bytes_max=None))]
    fn new(value: &Bound<'_, PyAny>, bytes_max: Option<usize>) -> PyResult<Self> {
        let mut json = String::new();
        let bytes_max = bytes_max.unwrap_or(VALUES_BYTES_MAX);
        if let Err(error) = Writer::new(&mut json, bytes_max).value(value) {
            guard(value.py(), error)?;
        }
        json.shrink_to_fit();
        Ok(Self { json })
    }

    /// Bytes of JSON.
    fn __len__(&self) -> usize {
        self.json.len()
    }

    /// The JSON.
    fn __str__(&self) -> &str {
        &self.json
    }
}
