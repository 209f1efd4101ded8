//! The native half of the Python package `millpond`: Python values become the engine's lines, in the thread that
//! logs; the engine's errors become exceptions. What is logged, with which settings, and when it is flushed, is decided
//! in Python. Forks are the engine's own business.

mod array;
mod attributes;
mod client;
mod exception;
mod failure;
mod handover;
mod json;
mod kind;
mod limits;
mod log_stream;
mod names;
mod object;
mod read;
mod record;
mod value;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::{prelude::*, types::PyModule};

    #[pymodule_export]
    use crate::{
        attributes::Attributes,
        client::Client,
        log_stream::LogStream,
        read::{Reader, Stopper},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
