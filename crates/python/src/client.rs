//! The engine's client as a Python class.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use millpond::{BreakerState, FlushOutcome, Level, LineWriter, Metrics, Severity};
use pyo3::{
    exceptions::{PyConnectionError, PyValueError},
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use crate::{
    attributes::Attributes,
    ending::LogCall,
    flow::Flow,
    hook,
    limits::{NESTED_CALLS_MAX, SIGNAL_INTERVAL},
    options::{self, Own, duration},
    read::Reader,
    record::Call,
    value::guard,
};

/// Sends records. `options` are those of `millpond.Client`, checked; what is missing or `None` is the engine's default.
#[pyclass(frozen, module = "millpond._native")]
pub(crate) struct Client {
    client: millpond::Client,
    own: Own,
    /// Records left out because they were logged while others of the same thread were written, too many deep.
    nested: AtomicU64,
}

#[pymethods]
impl Client {
    #[new]
    fn new(options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let (builder, own) = options::read(options)?;
        // The spool is opened, certificates are read: other threads need not wait.
        let client = options.py().detach(|| builder.build());
        let client = client.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { client, own, nested: AtomicU64::new(0) })
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
        let severity = severity(level);
        if !self.client.is_enabled(severity.level()) {
            return Ok(());
        }
        let Some(_nested) = Nested::enter() else {
            self.nested.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let context = context.map(Bound::get);
        let bound = bound.map(Bound::get);
        let call = Call { message, args, logger, context, bound, fields, exc_info, time_ns };
        self.submit(severity, &call)
    }

    /// What would be sent for a record, as JSON; `None` if nothing would be.
    #[pyo3(signature = (level, message, args, logger, context, bound, fields, exc_info, /))]
    #[expect(clippy::too_many_arguments, reason = "as `log`")]
    fn preview<'py>(
        &self,
        level: u8,
        message: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        logger: Option<&Bound<'py, PyString>>,
        context: Option<&Bound<'py, Attributes>>,
        bound: Option<&Bound<'py, Attributes>>,
        fields: &Bound<'py, PyDict>,
        exc_info: &Bound<'py, PyAny>,
    ) -> PyResult<Option<String>> {
        let severity = severity(level);
        let context = context.map(Bound::get);
        let bound = bound.map(Bound::get);
        let call = Call { message, args, logger, context, bound, fields, exc_info, time_ns: None };
        let mut written = Ok(());
        let _trail = self.enter_trail(severity, &call);
        let preview =
            self.client.preview_event(severity, |line| written = call.write(line, &self.own));
        hook::raised().and(written.or_else(|error| guard(message.py(), error)))?;
        Ok(preview)
    }

    /// Whether a record of this level is kept.
    fn enabled(&self, level: u8) -> bool {
        self.client.is_enabled(severity(level).level())
    }

    /// Changes the least level.
    fn set_min_level(&self, level: u8) {
        self.client.set_min_level(severity(level).level());
    }

    /// Waits until everything logged so far is delivered: how many records are left, and how many of these are on
    /// disk. Signals are heard meanwhile.
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        counts(wait(py, timeout_s, |timeout, hear| {
            self.client.flush_while(timeout, SIGNAL_INTERVAL, hear)
        }))
    }

    /// Reads from the same server with the same key.
    fn reader(&self) -> Reader {
        Reader::of(self.client.reader())
    }

    /// Waits until everything logged so far is on disk or delivered: how many records are neither, and how many are
    /// in the spool.
    fn persist(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        counts(wait(py, timeout_s, |timeout, hear| {
            self.client.persist_while(timeout, SIGNAL_INTERVAL, hear)
        }))
    }

    /// Stops, after a flush: as `flush`.
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<(u64, u64)> {
        counts(wait(py, timeout_s, |timeout, hear| {
            self.client.close_while(timeout, SIGNAL_INTERVAL, hear)
        }))
    }

    /// The account: `accepted = delivered + queued + spooled + sum(dropped)`.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let nested = self.nested.load(Ordering::Relaxed);
        account(py, &self.client.metrics(), self.client.breaker_state(), nested)
    }

    /// Counts anew from now on.
    fn reset_metrics(&self) {
        self.nested.store(0, Ordering::Relaxed);
        self.client.reset_metrics();
    }

    /// Begins a flow.
    fn flow(&self, name: &str) -> Flow {
        Flow { flow: self.client.flow(name) }
    }

    /// Begins a flow whose id the server makes.
    fn flow_from_server(&self, py: Python<'_>, name: &str) -> PyResult<Flow> {
        let flow = py.detach(|| self.client.flow_from_server(name));
        flow.map(|flow| Flow { flow })
            .map_err(|error| PyConnectionError::new_err(error.to_string()))
    }

    /// Goes on with a flow.
    fn resume_flow(&self, id: &str, next_step: u32) -> Flow {
        Flow { flow: self.client.resume_flow(id, next_step) }
    }
}

impl Client {
    fn submit(&self, severity: Severity, call: &Call<'_, '_>) -> PyResult<()> {
        let py = call.message.py();
        let _trail = self.enter_trail(severity, call);
        let mut written = Ok(());
        let write = |line: &mut LineWriter<'_>| written = call.write(line, &self.own);
        if self.own.may_block {
            let event = self.client.event(severity).written_by(write);
            py.detach(|| event.send());
        } else {
            self.client.submit(severity, write);
        }
        if self.own.has_hook {
            hook::raised()?;
        }
        // What was said before something was raised is a record still.
        written.or_else(|error| guard(py, error))
    }

    /// The breadcrumbs that go with the record are those of the context.
    fn enter_trail(&self, severity: Severity, call: &Call<'_, '_>) -> Option<millpond::Entered> {
        let wanted = severity.level() >= self.own.breadcrumbs_min_level;
        call.context.filter(|_| wanted).map(|context| context.trail.enter())
    }
}

impl Drop for Client {
    /// Nobody holds it any more, and it may hold records still. The interpreter is stopped here, and must not wait.
    fn drop(&mut self) {
        if self.client.metrics().queued > 0 {
            let client = self.client.clone();
            // Without a thread it waits here after all.
            let _ = thread::Builder::new()
                .name("millpond-close".to_owned())
                .spawn(move || drop(client));
        }
    }
}

/// An account as a dict; so many records were left out besides because they were nested too deep.
pub(crate) fn account<'py>(
    py: Python<'py>,
    metrics: &Metrics,
    breaker: BreakerState,
    nested: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let dropped = PyDict::new(py);
    for (reason, count) in metrics.dropped.iter() {
        dropped.set_item(reason.name(), count)?;
    }
    dropped.set_item("nested", nested)?;
    let account = PyDict::new(py);
    for (name, count) in [
        ("accepted", metrics.accepted + nested),
        ("recovered", metrics.recovered),
        ("delivered", metrics.delivered),
        ("queued", metrics.queued),
        ("queued_bytes", metrics.queued_bytes as u64),
        ("spooled", metrics.spooled),
        ("filtered", metrics.filtered),
        ("redacted", metrics.redacted),
        ("truncated", metrics.truncated),
        ("hook_failures", metrics.hook_failures),
        ("batches", metrics.batches),
        ("retries", metrics.retries),
        ("errors", metrics.errors),
        ("sent_bytes", metrics.sent_bytes),
        ("encoded_bytes", metrics.encoded_bytes),
        ("breaker_trips", metrics.breaker_trips),
    ] {
        account.set_item(name, count)?;
    }
    account.set_item("latency_ms_mean", metrics.latency_mean.as_secs_f64() * 1e3)?;
    account.set_item("breaker", breaker.name())?;
    account.set_item("dropped", dropped)?;
    Ok(account)
}

/// How many records are left, and how many of these are on disk.
fn counts(outcome: PyResult<FlushOutcome>) -> PyResult<(u64, u64)> {
    outcome.map(|outcome| (outcome.left, outcome.spooled))
}

/// Waits without the interpreter, and hears signals meanwhile.
pub(crate) fn wait(
    py: Python<'_>,
    timeout_s: f64,
    wait: impl FnOnce(Duration, &mut dyn FnMut() -> bool) -> FlushOutcome + Send,
) -> PyResult<FlushOutcome> {
    let timeout = duration(timeout_s)?;
    let mut interrupted = Ok(());
    let outcome = py.detach(|| {
        wait(timeout, &mut || {
            interrupted = Python::attach(|py| py.check_signals());
            interrupted.is_ok()
        })
    });
    interrupted.map(|()| outcome)
}

/// The severity of this number; that of `info` for what is none.
pub(crate) fn severity(number: u8) -> Severity {
    Severity::from_number(number).unwrap_or_else(|| Severity::from(Level::Info))
}

thread_local! {
    static CALLS: Cell<u8> = const { Cell::new(0) };
}

/// A log call of this thread that has not returned. A value that logs from its `__str__` what again holds such a
/// value would never end; the innermost call is left out.
pub(crate) struct Nested {
    /// For the outermost one.
    _call: Option<LogCall>,
}

impl Nested {
    pub(crate) fn enter() -> Option<Self> {
        CALLS.with(|calls| {
            let open = calls.get();
            (open < NESTED_CALLS_MAX).then(|| {
                calls.set(open + 1);
                Self { _call: (open == 0).then(LogCall::enter) }
            })
        })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        CALLS.with(|calls| calls.set(calls.get().saturating_sub(1)));
    }
}
