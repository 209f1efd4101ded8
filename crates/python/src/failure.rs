//! The engine's errors of reading as exceptions. Which class one is of is decided in Python.

use millpond::read::ReadError;
use pyo3::{intern, prelude::*};

/// What went wrong, in a form that can wait until somebody asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
    status: Option<u16>,
    code: String,
    is_passing: bool,
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        let (kind, code) = match error {
            ReadError::Unreachable { .. } => ("unreachable", ""),
            ReadError::Timeout { .. } => ("timeout", ""),
            ReadError::Refused { code, .. } => ("refused", code.as_str()),
            ReadError::Malformed { .. } => ("malformed", ""),
            _ => ("other", ""),
        };
        Self {
            kind,
            message: error.to_string(),
            status: error.status(),
            code: code.to_owned(),
            is_passing: error.is_passing(),
        }
    }
}

impl Failure {
    /// The exception.
    pub(crate) fn exception<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let errors = py.import(intern!(py, "millpond._read_errors"))?;
        let arguments =
            (self.kind, self.message.as_str(), self.status, self.code.as_str(), self.is_passing);
        errors.call_method1(intern!(py, "failure"), arguments)
    }

    /// Raises it.
    pub(crate) fn raised(&self, py: Python<'_>) -> PyErr {
        self.exception(py).map_or_else(|error| error, PyErr::from_value)
    }
}
