//! The options of a client: a dict whose values the Python side has checked -> the engine's builder.
//!
//! Names and units are Python's. What the engine itself refuses it refuses in its own words.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use millpond::{Builder, Console, ConsoleFormat, Level, Mode, Overflow, Redaction, limits};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString},
};

use crate::{hook, json::Json, value::Writer};

/// What the binding itself has to know.
pub(crate) struct Own {
    /// A log call may wait for room: the interpreter must not wait with it.
    pub(crate) may_block: bool,
    pub(crate) exception_locals: bool,
    pub(crate) has_hook: bool,
    pub(crate) breadcrumbs_min_level: Level,
    pub(crate) shutdown_timeout: Duration,
    /// Called for a record that names no trace; returns trace id and span id, or `None`.
    pub(crate) trace_source: Option<Py<PyAny>>,
    /// The loaded modules and the one without which the source has nothing to say.
    pub(crate) trace_module: Option<(Py<PyDict>, Py<PyString>)>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            may_block: false,
            exception_locals: false,
            has_hook: false,
            breadcrumbs_min_level: Level::Error,
            shutdown_timeout: limits::SHUTDOWN_TIMEOUT,
            trace_source: None,
            trace_module: None,
        }
    }
}

/// Options that the engine takes in pairs.
struct Pairs {
    queue: (usize, u64),
    retry_delay: (Duration, Duration),
    breaker: (u32, Duration),
    spool: (u64, Duration),
    sample: (Level, Option<f64>),
    overflow: Overflow,
    block_timeout: Duration,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            queue: (limits::QUEUE_BYTES_MAX, limits::QUEUE_ENTRIES_MAX),
            retry_delay: (limits::RETRY_DELAY_FIRST, limits::RETRY_DELAY_MAX),
            breaker: (limits::BREAKER_THRESHOLD, limits::BREAKER_RESET),
            spool: (limits::SPOOL_BYTES_MAX, limits::SPOOL_AGE_MAX),
            sample: (Level::Info, None),
            overflow: Overflow::default(),
            block_timeout: crate::limits::BLOCK_TIMEOUT,
        }
    }
}

/// Reads the options.
pub(crate) fn read(options: &Bound<'_, PyDict>) -> PyResult<(Builder, Own)> {
    let mut builder = Builder::new();
    let mut own = Own::default();
    let mut pairs = Pairs::default();
    // A DSN takes the place of what was said before it.
    if let Some(dsn) = options.get_item("dsn")?.filter(|dsn| !dsn.is_none()) {
        builder = builder.dsn(dsn.extract::<String>()?);
    }
    for (name, value) in options.iter() {
        if value.is_none() {
            continue;
        }
        let name = name.cast_into::<PyString>()?;
        builder = option(builder, &mut own, &mut pairs, &name.to_cow()?, &value)?;
    }
    own.may_block = matches!(pairs.overflow, Overflow::Block(_));
    builder = builder
        .queue_limits(pairs.queue.0, pairs.queue.1)
        .retry_delay(pairs.retry_delay.0, pairs.retry_delay.1)
        .breaker(pairs.breaker.0, pairs.breaker.1)
        .spool_limits(pairs.spool.0, pairs.spool.1)
        .overflow(match pairs.overflow {
            Overflow::Block(_) => Overflow::Block(pairs.block_timeout),
            overflow => overflow,
        })
        // The last handle is dropped by a thread that does nothing else.
        .shutdown_timeout(own.shutdown_timeout);
    if let (level_max, Some(rate)) = pairs.sample {
        builder = builder.sample(level_max, rate);
    }
    Ok((builder, own))
}

fn option(
    builder: Builder,
    own: &mut Own,
    pairs: &mut Pairs,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<Builder> {
    let text = || value.extract::<String>();
    let names = || value.extract::<Vec<String>>();
    let on = || value.extract::<bool>();
    Ok(match name {
        "dsn" => builder,
        "endpoint" => builder.endpoint(text()?),
        "api_key" => builder.api_key(text()?),
        "service" => builder.service(text()?),
        "environment" => builder.environment(text()?),
        "version" => builder.version(text()?),
        "host" => builder.host(text()?),
        "proxy" if text()?.is_empty() => builder.no_proxy(),
        "proxy" => builder.proxy(text()?),
        "ca_file" => builder.ca_file(value.extract::<PathBuf>()?),
        "min_level" => builder.min_level(level(value)?),
        "mode" => builder.mode(named::<Mode>(name, &text()?)?),
        "console" => match &*text()? {
            "off" => builder.no_console(),
            "json" => builder.console(Console::new().format(ConsoleFormat::Json)),
            _ => builder.console(Console::new()),
        },
        "compression" => builder.compression(named(name, &text()?)?),
        "batch_records_max" => builder.batch_entries(value.extract()?),
        "batch_records_due" => builder.batch_entries_due(value.extract()?),
        "batch_bytes_max" => builder.batch_bytes(value.extract()?),
        "batch_age_s" => builder.batch_age(seconds(value)?),
        "attempts_max" => builder.attempts_max(value.extract()?),
        "loss_reports" => builder.loss_reports(on()?),
        "spool_dir" => builder.spool(value.extract::<PathBuf>()?),
        "connect_timeout_s" => builder.connect_timeout(seconds(value)?),
        "request_timeout_s" => builder.request_timeout(seconds(value)?),
        "redaction" => builder.redaction(named::<Redaction>(name, &text()?)?),
        "redact_keys" => builder.redact_keys(names()?),
        "exclude_fields" => builder.exclude_fields(names()?),
        "text_chars_max" => builder.max_field_size(value.extract()?),
        "record_bytes_max" => builder.max_log_size(value.extract()?),
        "depth_max" => builder.max_depth(value.extract()?),
        "remove_base64" => builder.remove_base64(on()?),
        "auto_trace_id" => builder.auto_trace_id(on()?),
        "breadcrumbs_min_level" => {
            own.breadcrumbs_min_level = level(value)?;
            builder.breadcrumbs_min_level(own.breadcrumbs_min_level)
        }
        "fields" => fields(builder, value.cast::<PyDict>()?)?,
        "before_send" => {
            own.has_hook = true;
            let hook = Arc::new(value.clone().unbind());
            builder.before_send(move |draft| hook::ask(&hook, draft))
        }
        _ => {
            of_the_binding(own, pairs, name, value)?;
            builder
        }
    })
}

/// Options of the binding, and those that are halves of one of the engine's.
fn of_the_binding(
    own: &mut Own,
    pairs: &mut Pairs,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    match name {
        "queue_bytes_max" => pairs.queue.0 = value.extract()?,
        "queue_records_max" => pairs.queue.1 = value.extract()?,
        "retry_delay_s" => pairs.retry_delay.0 = seconds(value)?,
        "retry_delay_s_max" => pairs.retry_delay.1 = seconds(value)?,
        "breaker_failures" => pairs.breaker.0 = value.extract()?,
        "breaker_reset_s" => pairs.breaker.1 = seconds(value)?,
        "spool_bytes_max" => pairs.spool.0 = value.extract()?,
        "spool_age_s_max" => pairs.spool.1 = seconds(value)?,
        "sample_rate" => pairs.sample.1 = Some(value.extract()?),
        "sample_level_max" => pairs.sample.0 = level(value)?,
        "overflow" => {
            pairs.overflow = match &*value.extract::<String>()? {
                "drop_newest" => Overflow::DropNewest,
                "drop_oldest" => Overflow::DropOldest,
                _ => Overflow::Block(Duration::ZERO),
            }
        }
        "block_timeout_s" => pairs.block_timeout = seconds(value)?,
        "shutdown_timeout_s" => own.shutdown_timeout = seconds(value)?,
        "exception_locals" => own.exception_locals = value.extract()?,
        "trace_source" => own.trace_source = Some(value.clone().unbind()),
        "trace_module" => own.trace_module = Some(value.extract()?),
        _ => return Err(PyTypeError::new_err(format!("there is no option `{name}`"))),
    }
    Ok(())
}

/// A field of every record, converted here and now.
fn fields(mut builder: Builder, fields: &Bound<'_, PyDict>) -> PyResult<Builder> {
    struct Captured(String);
    impl millpond::Value for Captured {
        fn write(&self, out: millpond::ValueWriter<'_>) {
            Json(&self.0).write(out);
        }
    }
    for (key, value) in fields.copy()?.iter() {
        let mut json = String::new();
        Writer::new(&mut json, crate::limits::VALUES_BYTES_MAX).value(&value)?;
        builder = builder.field(crate::value::text(&key)?, Captured(json));
    }
    Ok(builder)
}

/// A severity number of OpenTelemetry.
pub(crate) fn level(value: &Bound<'_, PyAny>) -> PyResult<Level> {
    Ok(crate::client::severity(value.extract()?).level())
}

pub(crate) fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    duration(value.extract()?)
}

pub(crate) fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|error| {
        PyValueError::new_err(format!("{seconds} is no number of seconds: {error}"))
    })
}

fn named<T: FromStr>(name: &str, text: &str) -> PyResult<T> {
    text.parse().map_err(|_| PyValueError::new_err(format!("`{name}` can't be `{text}`")))
}

/// The engine's defaults, by the names of the options.
pub(crate) fn defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for (name, count) in [
        ("queue_bytes_max", limits::QUEUE_BYTES_MAX as u64),
        ("queue_records_max", limits::QUEUE_ENTRIES_MAX),
        ("batch_records_max", limits::BATCH_ENTRIES_MAX),
        ("batch_bytes_max", limits::BATCH_BYTES_MAX as u64),
        ("breaker_failures", u64::from(limits::BREAKER_THRESHOLD)),
        ("spool_bytes_max", limits::SPOOL_BYTES_MAX),
        ("record_bytes_max", limits::RECORD_BYTES_MAX as u64),
        ("depth_max", limits::DEPTH_MAX as u64),
    ] {
        all.set_item(name, count)?;
    }
    for (name, time) in [
        ("batch_age_s", limits::BATCH_AGE_MAX),
        ("retry_delay_s", limits::RETRY_DELAY_FIRST),
        ("retry_delay_s_max", limits::RETRY_DELAY_MAX),
        ("breaker_reset_s", limits::BREAKER_RESET),
        ("spool_age_s_max", limits::SPOOL_AGE_MAX),
        ("connect_timeout_s", limits::CONNECT_TIMEOUT),
        ("request_timeout_s", limits::REQUEST_TIMEOUT),
        ("shutdown_timeout_s", limits::SHUTDOWN_TIMEOUT),
        ("block_timeout_s", crate::limits::BLOCK_TIMEOUT),
    ] {
        all.set_item(name, time.as_secs_f64())?;
    }
    Ok(all)
}
