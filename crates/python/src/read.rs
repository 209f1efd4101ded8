//! The engine's reader as a Python class. Answers go over as JSON: Python's own reader makes integers of any size and
//! floats of it exactly as they were sent, and faster than they could be made one by one from here.
//!
//! A call that is given a [`Stopper`] works in the thread that made it, for another thread to stop. One without works
//! in a thread of its own, so that the caller's can hear signals.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use millpond::{
    Level, Timestamp,
    limits::TIMEOUT_MAX,
    read::{Aggregation, Filter, Query, RawFormat, RawOptions, ReadError},
};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
};
use serde::Serialize;

use crate::{failure::Failure, limits::SIGNAL_INTERVAL, log_stream::LogStream};

/// Calls the setters of those arguments that were given.
macro_rules! set {
    ($asked:ident: $($name:ident),*) => {
        $(if let Some(value) = $name { $asked = $asked.$name(value); })*
    };
}

/// Ends one request, from any thread.
#[pyclass(frozen, module = "millpond._native")]
#[derive(Default)]
pub(crate) struct Stopper {
    stopper: millpond::read::Stopper,
}

#[pymethods]
impl Stopper {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Closes its connection.
    fn stop(&self) {
        self.stopper.stop();
    }
}

impl Stopper {
    pub(crate) fn of_engine(&self) -> &millpond::read::Stopper {
        &self.stopper
    }
}

type Stopping<'a, 'py> = Option<&'a Bound<'py, Stopper>>;

/// Reads. Made by `Client.reader`.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Reader {
    reader: millpond::read::Reader,
}

impl Reader {
    pub(crate) fn of(reader: millpond::read::Reader) -> Self {
        Self { reader }
    }
}

#[pymethods]
impl Reader {
    /// One page of logs.
    #[pyo3(signature = (
        q, *, level=None, service=None, trace_id=None, from_=None, to=None, limit=None, cursor=None, timeout_s=None,
        stopper=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn query(
        &self,
        py: Python<'_>,
        q: String,
        level: Option<&str>,
        service: Option<String>,
        trace_id: Option<String>,
        from_: Option<&str>,
        to: Option<&str>,
        limit: Option<usize>,
        cursor: Option<String>,
        timeout_s: Option<f64>,
        stopper: Stopping<'_, '_>,
    ) -> PyResult<String> {
        let level = level.map(level_named).transpose()?;
        let from = from_.map(|text| time("from_", text)).transpose()?;
        let to = to.map(|text| time("to", text)).transpose()?;
        let mut query = Query::new(q);
        set!(query: level, service, trace_id, from, to, limit, cursor);
        self.ask(py, timeout_s, stopper, move |reader| reader.query(&query))
    }

    /// What the key may do.
    #[pyo3(signature = (*, timeout_s=None, stopper=None))]
    fn key(
        &self,
        py: Python<'_>,
        timeout_s: Option<f64>,
        stopper: Stopping<'_, '_>,
    ) -> PyResult<String> {
        self.ask(py, timeout_s, stopper, |reader| reader.key())
    }

    /// The logs of a trace.
    #[pyo3(signature = (trace_id, *, timeout_s=None, stopper=None))]
    fn by_trace_id(
        &self,
        py: Python<'_>,
        trace_id: String,
        timeout_s: Option<f64>,
        stopper: Stopping<'_, '_>,
    ) -> PyResult<String> {
        self.ask(py, timeout_s, stopper, move |reader| reader.by_trace_id(&trace_id))
    }

    /// Counts over time.
    #[pyo3(signature = (
        q, *, level=None, service=None, from_=None, to=None, interval=None, timeout_s=None, stopper=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn aggregated(
        &self,
        py: Python<'_>,
        q: String,
        level: Option<&str>,
        service: Option<String>,
        from_: Option<&str>,
        to: Option<&str>,
        interval: Option<String>,
        timeout_s: Option<f64>,
        stopper: Stopping<'_, '_>,
    ) -> PyResult<String> {
        let level = level.map(level_named).transpose()?;
        let from = from_.map(|text| time("from_", text)).transpose()?;
        let to = to.map(|text| time("to", text)).transpose()?;
        let mut asked = Aggregation::new().query(q);
        set!(asked: level, service, from, to, interval);
        self.ask(py, timeout_s, stopper, move |reader| reader.aggregated(&asked))
    }

    /// What is stored from now on, or behind an event.
    #[pyo3(signature = (q, *, level=None, service=None, resume_after=None, silence_max_s=None))]
    fn stream(
        &self,
        q: String,
        level: Option<&str>,
        service: Option<String>,
        resume_after: Option<String>,
        silence_max_s: Option<f64>,
    ) -> PyResult<LogStream> {
        let level = level.map(level_named).transpose()?;
        let silence_max = silence_max_s.map(|s| seconds("silence_max_s", s)).transpose()?;
        let mut filter = Filter::new(q);
        set!(filter: level, service);
        let mut stream = self.reader.stream(filter);
        set!(stream: resume_after, silence_max);
        Ok(LogStream::of(stream))
    }

    /// Hands over a whole body of logs.
    #[pyo3(signature = (
        format, body, *, level=None, service=None, environment=None, dataset=None, user_id=None, session_id=None,
        request_id=None, flow_id=None, tags=Vec::new(), retry_for_s=None, stopper=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn ingest_raw(
        &self,
        py: Python<'_>,
        format: &str,
        body: &[u8],
        level: Option<&str>,
        service: Option<String>,
        environment: Option<String>,
        dataset: Option<String>,
        user_id: Option<String>,
        session_id: Option<String>,
        request_id: Option<String>,
        flow_id: Option<String>,
        tags: Vec<String>,
        retry_for_s: Option<f64>,
        stopper: Stopping<'_, '_>,
    ) -> PyResult<String> {
        let (format, body): (RawFormat, _) = (format.parse().map_err(invalid)?, body.to_vec());
        let level = level.map(level_named).transpose()?;
        let retry_for = retry_for_s.map(|s| seconds("retry_for_s", s)).transpose()?;
        let mut options = RawOptions::new().tags(tags);
        set!(options: level, service, environment, dataset, user_id, session_id, request_id, flow_id, retry_for);
        self.ask(py, None, stopper, move |reader| reader.ingest_raw(format, body, &options))
    }
}

impl Reader {
    fn ask<T: Serialize>(
        &self,
        py: Python<'_>,
        timeout_s: Option<f64>,
        stopper: Stopping<'_, '_>,
        work: impl FnOnce(&millpond::read::Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> PyResult<String> {
        let mut reader = self.reader.clone();
        let timeout = timeout_s.map(|s| seconds("timeout_s", s)).transpose()?;
        set!(reader: timeout);
        let own = millpond::read::Stopper::default();
        let stopper_of_request = stopper.map_or(&own, |stopper| &stopper.get().stopper);
        let reader = reader.stopped_by(stopper_of_request);
        let work = move || written(work(&reader));
        let answer = match stopper {
            Some(_) => py.detach(work),
            None => patiently(py, work).inspect_err(|_| own.stop())?,
        };
        answer.map_err(|failure| failure.raised(py))
    }
}

type Answer = Result<String, Failure>;

fn written<T: Serialize>(answer: Result<T, ReadError>) -> Answer {
    let answer = answer.map_err(|error| Failure::from(&error))?;
    serde_json::to_string(&answer)
        .map_err(|error| Failure::from(&ReadError::Malformed { what: error.to_string() }))
}

/// Another thread works, so that this one can hear signals; an error is what their handlers raise.
pub(crate) fn patiently<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<Result<T, Failure>> {
    let (done, waiting) = sync_channel(1);
    let worker = thread::Builder::new().name("millpond-read".to_owned()).spawn(move || {
        // Nobody may wait any more.
        let _ = done.send(work());
    });
    if let Err(error) = worker {
        return Ok(Err(Failure::from(&ReadError::Thread(error))));
    }
    // `Receiver` is not `Sync`, and must not leave this thread while it waits.
    let waiting = Mutex::new(waiting);
    loop {
        let answer = py.detach(|| {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.recv_timeout(SIGNAL_INTERVAL)
        });
        match answer {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the thread of a request ended early"));
            }
        }
    }
}

fn level_named(name: &str) -> PyResult<Level> {
    name.parse().map_err(invalid)
}

fn time(name: &str, text: &str) -> PyResult<Timestamp> {
    Timestamp::parse(text).map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

fn seconds(name: &str, seconds: f64) -> PyResult<Duration> {
    let time = Duration::try_from_secs_f64(seconds);
    let time = time.map_err(|error| {
        PyValueError::new_err(format!("{name} is {seconds}, expected a number of seconds: {error}"))
    });
    Ok(time?.min(TIMEOUT_MAX))
}

fn invalid(error: impl std::error::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}
