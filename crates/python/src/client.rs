//! The engine's client as a Python class.

use std::{
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use millpond::{Compression, Level, Severity};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use crate::{
    attributes::Attributes,
    limits::{NESTED_CALLS_MAX, SIGNAL_INTERVAL},
    read::Reader,
    record::Call,
    value::guard,
};

/// Sends records. See `millpond.init` for the settings; `None` is the engine's default.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Client {
    client: millpond::Client,
    /// Records left out because they were logged while others of the same thread were written, too many deep.
    nested: AtomicU64,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (
        *, endpoint=None, api_key=None, service=None, environment=None, version=None, host=None, min_level=1,
        compression=None, queue_bytes_max=None, batch_records_max=None, batch_age_s=None, request_timeout_s=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        endpoint: Option<String>,
        api_key: Option<String>,
        service: Option<String>,
        environment: Option<String>,
        version: Option<String>,
        host: Option<String>,
        min_level: u8,
        compression: Option<&str>,
        queue_bytes_max: Option<usize>,
        batch_records_max: Option<u64>,
        batch_age_s: Option<f64>,
        request_timeout_s: Option<f64>,
    ) -> PyResult<Self> {
        use millpond::limits::QUEUE_ENTRIES_MAX;

        let mut builder = millpond::Client::builder()
            .min_level(severity(min_level).level())
            // Dropped by the garbage collector, with the interpreter stopped: nothing may wait there. The package
            // flushes at exit.
            .shutdown_timeout(Duration::ZERO);
        macro_rules! set {
            ($($name:ident),*) => { $(if let Some(value) = $name { builder = builder.$name(value); })* };
        }
        set!(endpoint, api_key, service, environment, version, host);
        if let Some(name) = compression {
            builder = builder.compression(compression_named(name)?);
        }
        if let Some(bytes_max) = queue_bytes_max {
            builder = builder.queue_limits(bytes_max, QUEUE_ENTRIES_MAX);
        }
        if let Some(records_max) = batch_records_max {
            builder = builder.batch_entries(records_max);
        }
        if let Some(age) = batch_age_s {
            builder = builder.batch_age(seconds(age)?);
        }
        if let Some(timeout) = request_timeout_s {
            builder = builder.request_timeout(seconds(timeout)?);
        }
        let client = builder.build().map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { client, nested: AtomicU64::new(0) })
    }

    /// Takes one record. Raises only what is no `Exception`.
    #[pyo3(signature = (level, message, args, logger, context, bound, fields, exc_info, time_ns=None, /))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each record, as few hops as can be"
    )]
    fn log<'py>(
        &self,
        level: u8,
        message: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        logger: Option<&Bound<'py, PyString>>,
        context: Option<&Bound<'py, Attributes>>,
        bound: Option<&Bound<'py, Attributes>>,
        fields: &Bound<'py, PyDict>,
        exc_info: &Bound<'py, PyAny>,
        time_ns: Option<i64>,
    ) -> PyResult<()> {
        let Some(_nested) = Nested::enter() else {
            self.nested.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let call = Call {
            message,
            args,
            logger,
            context: context.map(Bound::get),
            bound: bound.map(Bound::get),
            fields,
            exc_info,
            time_ns,
        };
        let mut result = Ok(());
        // What was said before something was raised is a record still.
        self.client.submit(severity(level), |line| result = call.write(line));
        result.or_else(|error| guard(message.py(), error))
    }

    /// Whether a record of this level is kept.
    fn enabled(&self, level: u8) -> bool {
        self.client.is_enabled(severity(level).level())
    }

    /// Waits until everything logged so far is delivered; whether it was.
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds(timeout_s)?;
        let slice = timeout.min(SIGNAL_INTERVAL);
        let complete = py.detach(|| self.client.flush(slice)).is_complete();
        if complete || slice == timeout {
            return Ok(complete);
        }
        self.flush_patiently(py, timeout - slice)
    }

    /// Flushes, then stops; whether everything was delivered.
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.client.close(timeout)).is_complete())
    }

    /// Reads from the same server with the same key.
    fn reader(&self) -> Reader {
        Reader::of(self.client.reader())
    }

    /// The account: `accepted = delivered + queued + sum(dropped)`.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = self.client.metrics();
        let dropped = PyDict::new(py);
        for (reason, count) in metrics.dropped.iter() {
            dropped.set_item(reason.name(), count)?;
        }
        let nested = self.nested.load(Ordering::Relaxed);
        dropped.set_item("nested", nested)?;
        let account = PyDict::new(py);
        account.set_item("accepted", metrics.accepted + nested)?;
        account.set_item("delivered", metrics.delivered)?;
        account.set_item("queued", metrics.queued)?;
        account.set_item("queued_bytes", metrics.queued_bytes)?;
        account.set_item("dropped", dropped)?;
        account.set_item("batches", metrics.batches)?;
        account.set_item("retries", metrics.retries)?;
        account.set_item("errors", metrics.errors)?;
        account.set_item("sent_bytes", metrics.sent_bytes)?;
        account.set_item("encoded_bytes", metrics.encoded_bytes)?;
        Ok(account)
    }
}

impl Client {
    /// Another thread waits, for one and the same records all the time, so that this one can hear signals: in
    /// slices, each would wait for what was logged during the one before.
    fn flush_patiently(&self, py: Python<'_>, timeout: Duration) -> PyResult<bool> {
        let (done, waiting) = sync_channel(1);
        let client = self.client.clone();
        let waiter = thread::Builder::new().name("millpond-flush".to_owned()).spawn(move || {
            // Nobody may wait any more.
            let _ = done.send(client.flush(timeout).is_complete());
        });
        if waiter.is_err() {
            return Ok(py.detach(|| self.client.flush(timeout)).is_complete());
        }
        // `Receiver` is not `Sync`, and must not leave this thread while it waits.
        let waiting = Mutex::new(waiting);
        loop {
            let answer = py.detach(|| {
                let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.recv_timeout(SIGNAL_INTERVAL)
            });
            match answer {
                Ok(complete) => return Ok(complete),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }
}

fn severity(number: u8) -> Severity {
    Severity::from_number(number).unwrap_or_else(|| Severity::from(Level::Info))
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|error| {
        PyValueError::new_err(format!("{seconds} is no number of seconds: {error}"))
    })
}

fn compression_named(name: &str) -> PyResult<Compression> {
    match name {
        "zstd" => Ok(Compression::Zstd),
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::None),
        _ => Err(PyValueError::new_err(format!(
            "unknown compression `{name}`, expected zstd, gzip or none"
        ))),
    }
}

thread_local! {
    static CALLS: Cell<u8> = const { Cell::new(0) };
}

/// A log call of this thread that has not returned. A value that logs from its `__str__` what again holds such a
/// value would never end; the innermost call is left out.
struct Nested;

impl Nested {
    fn enter() -> Option<Self> {
        CALLS.with(|calls| {
            let open = calls.get();
            (open < NESTED_CALLS_MAX).then(|| {
                calls.set(open + 1);
                Self
            })
        })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        CALLS.with(|calls| calls.set(calls.get().saturating_sub(1)));
    }
}
