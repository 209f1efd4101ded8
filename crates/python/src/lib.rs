//! The native half of the Python package `millpond`: Python values become the engine's lines, in the thread that
//! logs; the engine's errors become exceptions. What is logged, with which settings, and when it is flushed, is decided
//! in Python. Forks are the engine's own business.

mod array;
mod attributes;
mod client;
mod ending;
mod exception;
mod failure;
mod flow;
mod handover;
mod hook;
mod json;
mod kind;
mod limits;
mod log_stream;
mod names;
mod object;
mod options;
mod read;
mod record;
mod shipper;
mod sigterm;
mod value;
mod written;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::{prelude::*, types::PyModule};

    #[pymodule_export]
    use crate::{
        attributes::Attributes,
        client::Client,
        flow::Flow,
        log_stream::LogStream,
        read::{Reader, Stopper},
        shipper::Shipper,
        written::Written,
    };

    /// The interpreter is about to end: log calls of other threads run no code of the application any more.
    #[pyfunction]
    fn begin_ending(py: Python<'_>) {
        py.detach(crate::ending::begin);
    }

    /// This is a forked child.
    #[pyfunction]
    fn after_fork() {
        crate::ending::after_fork();
    }

    /// The handler of SIGTERM was set by this thread, the main one: has it called wherever that thread waits.
    #[pyfunction]
    fn insist_on_sigterm() {
        crate::sigterm::insist();
    }

    /// The handler of SIGTERM was called.
    #[pyfunction]
    fn sigterm_is_heard() {
        crate::sigterm::heard();
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEFAULTS", crate::options::defaults(module.py())?)
    }
}
