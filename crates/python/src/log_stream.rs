//! The engine's live stream as a Python class. A thread of its own reads it, a few logs ahead, so that who waits for
//! the next log can hear signals and can be stopped by any other thread.

use std::{
    sync::{Arc, Mutex, Once, PoisonError},
    thread,
    time::Duration,
};

use millpond::read::{self, ReadError};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::{
    failure::Failure,
    handover::{Handover, Taken},
    limits::SIGNAL_INTERVAL,
};

/// Logs as they are stored, as JSON, or the data of other events. Made by `Reader.stream` and `Shipper.events`; connects
/// when it is first asked.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct LogStream {
    /// Until it is first asked.
    stream: Mutex<Option<Follow>>,
    handover: Arc<Handover>,
    started: Once,
    process: u32,
}

/// Reads to the end.
type Follow = Box<dyn FnOnce(&Handover) + Send>;

impl LogStream {
    pub(crate) fn of(stream: read::LogStream) -> Self {
        let position = stream.position().map(str::to_owned);
        let handover = Arc::new(Handover::new(stream.stopper(), position));
        let (outage, progress) = (Arc::clone(&handover), Arc::clone(&handover));
        let mut stream = stream
            .on_outage(move |error| outage.interrupt(Failure::from(error)))
            .on_progress(move |position| progress.advance(position));
        let follow = move |handover: &Handover| {
            while let Some(log) = stream.next() {
                let text = log.and_then(|log| {
                    serde_json::to_string(&log)
                        .map_err(|error| ReadError::Malformed { what: error.to_string() })
                });
                let text = text.map_err(|error| Failure::from(&error));
                if !handover.push(text, stream.position()) {
                    break;
                }
            }
        };
        Self::following(Box::new(follow), handover)
    }

    pub(crate) fn of_events(stream: read::EventStream) -> Self {
        let handover = Arc::new(Handover::new(stream.stopper(), None));
        let outage = Arc::clone(&handover);
        let mut stream = stream.on_outage(move |error| outage.interrupt(Failure::from(error)));
        let follow = move |handover: &Handover| {
            while let Some(data) = stream.next() {
                let data = data.map_err(|error| Failure::from(&error));
                if !handover.push(data, stream.position()) {
                    break;
                }
            }
        };
        Self::following(Box::new(follow), handover)
    }

    fn following(follow: Follow, handover: Arc<Handover>) -> Self {
        Self {
            stream: Mutex::new(Some(follow)),
            handover,
            started: Once::new(),
            process: std::process::id(),
        }
    }
}

#[pymethods]
impl LogStream {
    /// The next log, as JSON; waits for it for as long as it takes. `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let handover = self.running()?;
        loop {
            match py.detach(|| handover.take(SIGNAL_INTERVAL)) {
                Taken::Log(text) => return Ok(Some(text)),
                Taken::Failure(failure) => return Err(failure.raised(py)),
                Taken::NotYet => py.check_signals()?,
                Taken::End => return Ok(None),
            }
        }
    }

    /// Whether `next` would return at once.
    fn is_ready(&self) -> PyResult<bool> {
        Ok(self.running()?.is_ready(Duration::ZERO))
    }

    /// Waits until `next` would return at once.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        let handover = self.running()?;
        while !py.detach(|| handover.is_ready(SIGNAL_INTERVAL)) {
            py.check_signals()?;
        }
        Ok(())
    }

    /// Ends the stream and every wait for it, now and from now on.
    fn stop(&self) {
        // The locks of another process are as its threads left them.
        if self.is_ours() {
            self.handover.stop();
        }
    }

    /// What to resume behind: the last log that `next` gave, or how far the server has looked since.
    #[getter]
    fn position(&self) -> Option<String> {
        self.is_ours().then(|| self.handover.position()).flatten()
    }

    /// Why there is no connection; `None` while there is one.
    #[getter]
    fn outage<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outage = self.is_ours().then(|| self.handover.outage()).flatten();
        outage.map(|failure| failure.exception(py)).transpose()
    }
}

impl LogStream {
    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// What the thread fills, which is started if need be.
    fn running(&self) -> PyResult<&Handover> {
        if !self.is_ours() {
            return Err(PyRuntimeError::new_err(format!(
                "the stream was opened by process {} and this is process {}: open another one",
                self.process,
                std::process::id()
            )));
        }
        self.started.call_once(|| self.start());
        Ok(&self.handover)
    }

    fn start(&self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(follow) = stream else { return };
        let handover = Arc::clone(&self.handover);
        let reader = thread::Builder::new().name("millpond-stream".to_owned());
        let work = move || {
            follow(&handover);
            handover.end();
        };
        if let Err(error) = reader.spawn(work) {
            self.handover.push(Err(Failure::from(&ReadError::Thread(error))), None);
            self.handover.end();
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.stop();
    }
}
