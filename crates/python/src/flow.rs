//! Flows: processes of several steps.

use pyo3::prelude::*;

/// A process of several steps: records of it get its id and count up its steps.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Flow {
    pub(crate) flow: millpond::Flow,
}

#[pymethods]
impl Flow {
    /// The id.
    #[getter]
    fn id(&self) -> &str {
        self.flow.id()
    }

    /// The name, without the random part of the id.
    #[getter]
    fn name(&self) -> &str {
        self.flow.name()
    }

    /// The step that the next record will be.
    #[getter]
    fn next_step(&self) -> u32 {
        self.flow.next_step()
    }
}
