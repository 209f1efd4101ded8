//! A logger for the crate `log`, for programs that use no `tracing`.
//!
//! ```no_run
//! let client = millpond::Client::builder().service("shop").build()?;
//! millpond_tracing::log::Logger::new(client.clone()).init()?;
//!
//! log::info!(order_id = 4711, total = 19.99; "order placed");
//! // The logger is never dropped, so nothing else would wait for what is queued.
//! let outcome = client.close(std::time::Duration::from_secs(2));
//! # let _ = outcome;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The target is the `logger`, key-values are fields with their types or, by their names, the record's own
//! attributes; the first error among them is the exception. The place in the source is in `code.file.path`,
//! `code.line.number` and, if it is not the target, `code.namespace`.

use std::time::Duration;

use log::{
    Log, Metadata, Record, SetLoggerError,
    kv::{self, Key, VisitSource, VisitValue},
};
use millpond::{Client, Level, LineWriter, TextAttribute, Value, limits::SHUTDOWN_TIMEOUT};

use crate::{CODE_MODULE, attribute, is_own};

/// Sends records of `log` to Millpond. See the [module](self).
#[derive(Clone, Debug)]
#[must_use = "a logger does nothing until `init`"]
pub struct Logger {
    client: Client,
    flush_timeout: Duration,
}

impl Logger {
    /// A logger that sends to `client`, whose least level decides what is recorded.
    pub fn new(client: Client) -> Self {
        Self { client, flush_timeout: SHUTDOWN_TIMEOUT }
    }

    /// How long [`Log::flush`] waits at most; [`SHUTDOWN_TIMEOUT`] by default.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// Makes it the logger of this process, for all levels.
    ///
    /// # Errors
    /// There is one already.
    pub fn init(self) -> Result<(), SetLoggerError> {
        log::set_boxed_logger(Box::new(self))?;
        log::set_max_level(log::LevelFilter::Trace);
        Ok(())
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.client.is_enabled(level(metadata.level())) && !is_own(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if is_own(record.target()) {
            return;
        }
        self.client.submit(level(record.level()), |line| {
            line.message_fmt(*record.args());
            line.text(TextAttribute::Logger, record.target());
            // Nothing of ours fails.
            let _ = record.key_values().visit(&mut Fields(line));
            line.code(record.file(), record.line());
            if let Some(module) = record.module_path().filter(|module| *module != record.target()) {
                line.field(CODE_MODULE, module);
            }
        });
    }

    fn flush(&self) {
        // What is left goes on waiting.
        let _ = self.client.flush(self.flush_timeout);
    }
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Trace => Level::Trace,
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}

/// Writes key-values into a line.
struct Fields<'a, 'l>(&'a mut LineWriter<'l>);

impl<'kvs> VisitSource<'kvs> for Fields<'_, '_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        match attribute(key.as_str()) {
            Some(attribute) => self.0.text_fmt(attribute, format_args!("{value}")),
            None => value.visit(Field { line: self.0, key: key.as_str() })?,
        }
        Ok(())
    }
}

/// Writes one field.
struct Field<'a, 'l> {
    line: &'a mut LineWriter<'l>,
    key: &'a str,
}

impl Field<'_, '_> {
    fn write(&mut self, value: impl Value) -> Result<(), kv::Error> {
        self.line.field(self.key, &value);
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Field<'_, '_> {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.write(millpond::display(value))
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.write(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.write(value)
    }

    fn visit_error(&mut self, error: &(dyn std::error::Error + 'static)) -> Result<(), kv::Error> {
        if self.line.has_exception() {
            return self.write(millpond::display(error));
        }
        self.line.error(error);
        Ok(())
    }

    fn visit_borrowed_error(
        &mut self,
        error: &'v (dyn std::error::Error + 'static),
    ) -> Result<(), kv::Error> {
        self.visit_error(error)
    }
}
