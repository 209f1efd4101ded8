//! The engine's shipper as a Python class.

use std::{cell::Cell, thread};

use millpond::{Envelope, Failure, FlushOutcome, read};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};

use crate::{
    client::{Nested, account, wait},
    ending::{LogCall, is_plain},
    failure,
    limits::{SCRATCH_BYTES_KEPT_MAX, SIGNAL_INTERVAL, VALUES_BYTES_MAX},
    log_stream::LogStream,
    options::{self, duration},
    read::{Stopper, patiently},
    value::{Writer, guard},
};

/// Delivers JSON of any form to any server. `options` are those of `millpond.Shipper`, checked.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Shipper {
    shipper: millpond::Shipper,
    may_block: bool,
}

#[pymethods]
impl Shipper {
    #[new]
    #[pyo3(signature = (url, headers, around, drop_refused, on_failure, options, /))]
    fn new(
        url: &str,
        headers: Vec<(String, String)>,
        around: (String, String),
        drop_refused: bool,
        on_failure: Option<Py<PyAny>>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let (builder, own) = options::read(options)?;
        let mut envelope = Envelope::new(url).around(around.0, around.1);
        for (name, value) in headers {
            envelope = envelope.header(name, value);
        }
        if drop_refused {
            envelope = envelope.drop_refused();
        }
        if let Some(hook) = on_failure {
            envelope = envelope.on_failure(move |failure| report(&hook, failure));
        }
        // The spool is opened, certificates are read: other threads need not wait.
        let shipper = options.py().detach(|| builder.build_shipper(envelope));
        let shipper = shipper.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { shipper, may_block: own.may_block })
    }

    /// Takes one entry. Raises only what is no `Exception`.
    fn ship(&self, entry: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(_nested) = Nested::enter() else { return Ok(false) };
        let mut json = SCRATCH.take();
        json.clear();
        let written = Writer::new(&mut json, VALUES_BYTES_MAX).value(entry);
        let shipped = match written {
            Ok(()) if self.may_block => Ok(entry.py().detach(|| self.shipper.ship(&json))),
            Ok(()) => Ok(self.shipper.ship(&json)),
            Err(error) => guard(entry.py(), error).map(|()| false),
        };
        if json.capacity() <= SCRATCH_BYTES_KEPT_MAX {
            SCRATCH.set(json);
        }
        shipped
    }

    /// Waits until everything shipped so far is delivered: how many entries are left, and how many of these are on
    /// disk. Signals are heard meanwhile.
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        wait(py, timeout_s, |timeout, hear| {
            self.shipper.flush_patiently(timeout, SIGNAL_INTERVAL, hear)
        })
        .map(|outcome| (outcome.left, outcome.spooled))
    }

    /// As `flush`, but no longer than something may come of it: whether everything was delivered.
    fn flush_hopefully(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        wait(py, timeout_s, |timeout, hear| {
            self.shipper.flush_while(timeout, SIGNAL_INTERVAL, hear)
        })
        .map(FlushOutcome::is_complete)
    }

    /// Waits until everything shipped so far is on disk or delivered: how many entries are neither, and how many are
    /// in the spool.
    fn persist(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        wait(py, timeout_s, |timeout, hear| {
            self.shipper.persist_while(timeout, SIGNAL_INTERVAL, hear)
        })
        .map(|outcome| (outcome.left, outcome.spooled))
    }

    /// Stops, after a flush: as `flush`.
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        wait(py, timeout_s, |timeout, hear| {
            self.shipper.close_while(timeout, SIGNAL_INTERVAL, hear)
        })
        .map(|outcome| (outcome.left, outcome.spooled))
    }

    /// The account: `accepted = delivered + queued + spooled + sum(dropped)`.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        account(py, &self.shipper.metrics(), self.shipper.breaker_state(), 0)
    }

    /// Has what waits sent at once, and waits for nothing.
    fn hasten(&self) {
        self.shipper.hasten();
    }

    /// Counts anew from now on.
    fn reset_metrics(&self) {
        self.shipper.reset_metrics();
    }

    /// The data of the server-sent events of the same system.
    fn events(&self, url: String, headers: Vec<(String, String)>) -> LogStream {
        let request =
            headers.into_iter().fold(read::Request::new("GET", url), |request, (name, value)| {
                request.header(name, value)
            });
        LogStream::of_events(self.shipper.events(request))
    }

    /// Asks the same system something else: status, body, and headers. Works in this thread if there is a stopper.
    #[pyo3(signature = (method, url, body, headers, attempts_max=1, timeout_s=None, stopper=None, /))]
    #[expect(clippy::too_many_arguments, reason = "positions of Python")]
    fn request(
        &self,
        py: Python<'_>,
        method: String,
        url: String,
        body: Option<Vec<u8>>,
        headers: Vec<(String, String)>,
        attempts_max: u32,
        timeout_s: Option<f64>,
        stopper: Option<&Bound<'_, Stopper>>,
    ) -> PyResult<Reply> {
        let own = read::Stopper::default();
        let mut request = read::Request::new(method, url)
            .attempts_max(attempts_max)
            .stopped_by(stopper.map_or(&own, |stopper| stopper.get().of_engine()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(seconds) = timeout_s {
            request = request.timeout(duration(seconds)?);
        }
        let shipper = self.shipper.clone();
        let work =
            move || shipper.request(&request).map_err(|error| failure::Failure::from(&error));
        let answer = match stopper {
            Some(_) => py.detach(work),
            None => patiently(py, work).inspect_err(|_| own.stop())?,
        };
        let answer = answer.map_err(|failure| failure.raised(py))?;
        Ok((answer.status, answer.body, answer.headers))
    }
}

/// Status, body and headers.
type Reply = (u16, String, Vec<(String, String)>);

thread_local! {
    /// The text of the entry before, for its memory.
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// Calls the application from the thread that sends. Not once the interpreter is about to end; see [`crate::ending`].
fn report(hook: &Py<PyAny>, failure: &Failure<'_>) {
    let _call = LogCall::enter();
    if is_plain() {
        return;
    }
    let Failure { status, message, body, records, attempt, dropped, .. } = *failure;
    let facts = (status, message, body, records, attempt, dropped);
    // What it raises was said by the Python side, which guards it.
    Python::try_attach(|py| hook.bind(py).call1(facts).is_ok());
}

impl Drop for Shipper {
    /// As that of a client.
    fn drop(&mut self) {
        if self.shipper.metrics().queued > 0 {
            let shipper = self.shipper.clone();
            // Without a thread it waits here after all.
            let _ = thread::Builder::new()
                .name("millpond-close".to_owned())
                .spawn(move || drop(shipper));
        }
    }
}
