//! Reading: queries, statistics, traces, the live stream, and handing over whole bodies of logs.
#![doc = include_str!("docs/reading.md")]

mod answer;
#[cfg(feature = "async")]
mod asynchronous;
mod error;
mod events;
pub(crate) mod exchange;
mod log;
mod pages;
mod query;
mod raw;
mod request;
mod sse;
mod stopper;
mod stream;
mod tail;

use std::{sync::Arc, time::Duration};

pub use answer::{Bucket, Count, OwnKey, Page, Receipt, Rejected, Statistics};
#[cfg(feature = "async")]
pub use asynchronous::{AsyncLogs, AsyncReader};
pub use error::ReadError;
pub use events::EventStream;
pub use log::Log;
pub use pages::Logs;
pub use query::{Aggregation, Filter, Query};
pub use raw::{RawFormat, RawOptions};
pub use request::{Request, Response};
pub use stopper::Stopper;
pub use stream::LogStream;
pub use tail::{StopHandle, Tail};

use millpond_wire::KEY_PATH;

use self::exchange::{Exchange, Parameters, encoded};
use crate::{engine::Settings, limits};

const LOGS_PATH: &str = "/api/v1/logs";
const TRACE_PATH: &str = "/api/v1/logs/trace/";
const AGGREGATED_PATH: &str = "/api/v1/logs/aggregated";

/// Reads from a Millpond server. Cheap to clone; clones share their connections, and may be used from any number of
/// threads at once. Made by [`Client::reader`](crate::Client::reader) and
/// [`Builder::build_reader`](crate::Builder::build_reader).
#[derive(Clone, Debug)]
pub struct Reader {
    exchange: Arc<Exchange>,
    time_max: Duration,
    /// Ends the request that this handle is in the middle of.
    stopper: Option<Stopper>,
}

impl Reader {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            exchange: Arc::new(Exchange::new(settings)),
            time_max: limits::READ_TIME_MAX,
            stopper: None,
        }
    }

    /// How long the server may take to begin its answer, and again to finish it; 90 seconds unless told otherwise.
    #[must_use]
    pub fn timeout(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// The same reader, whose requests `stopper` ends from any thread: they fail as if the connection had broken, and
    /// none is made any more. One stopper can end one request at a time.
    ///
    /// ```no_run
    /// # use millpond::{Client, read::{Query, Stopper}};
    /// # let reader = Client::builder().build_reader()?;
    /// let stopper = Stopper::default();
    /// let stoppable = reader.clone().stopped_by(&stopper);
    /// let asked = std::thread::spawn(move || stoppable.query(&Query::new("/slow.*regex/")));
    /// stopper.stop();
    /// # drop(asked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stopped_by(mut self, stopper: &Stopper) -> Self {
        self.stopper = Some(stopper.clone());
        self
    }

    /// One page of the logs that `query` describes, newest first.
    ///
    /// ```no_run
    /// # use millpond::{Client, read::Query};
    /// # let reader = Client::builder().build_reader()?;
    /// let page = reader.query(&Query::new("level:error service:api").limit(100))?;
    /// println!("{} logs, {}", page.logs.len(), if page.next_cursor.is_some() { "and more" } else { "no more" });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The server can't be reached, is too slow, or refuses: its message says what is wrong with the query, and where.
    pub fn query(&self, query: &Query) -> Result<Page, ReadError> {
        answer::read("a page of logs", &self.get(LOGS_PATH, &query.parameters)?)
    }

    /// All logs that `query` describes, newest first, page after page: [`Query::limit`] says how many are fetched at
    /// once, 1000 unless told otherwise. Logs that arrive meanwhile neither shift nor repeat what is seen.
    pub fn logs(&self, query: impl Into<Query>) -> Logs {
        Logs::new(self.clone(), query.into())
    }

    /// What the key may do, and what time it is at the server: to check a set-up.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn key(&self) -> Result<OwnKey, ReadError> {
        answer::read("what a key may do", &self.get(KEY_PATH, &Parameters::new())?)
    }

    /// The logs of one trace, oldest first, at most 1000.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn by_trace_id(&self, trace_id: &str) -> Result<Page, ReadError> {
        let path = format!("{TRACE_PATH}{}", encoded(trace_id));
        answer::read("the logs of a trace", &self.get(&path, &Parameters::new())?)
    }

    /// Counts logs over time, by level, by service and by message.
    ///
    /// ```no_run
    /// # use millpond::{Client, Level, read::Aggregation};
    /// # let reader = Client::builder().build_reader()?;
    /// for bucket in reader.aggregated(&Aggregation::new().interval("1h"))?.timeseries {
    ///     println!("{} {} errors", bucket.start, bucket.by_level.get(&Level::Error).unwrap_or(&0));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn aggregated(&self, aggregation: &Aggregation) -> Result<Statistics, ReadError> {
        answer::read("statistics", &self.get(AGGREGATED_PATH, &aggregation.parameters)?)
    }

    /// The logs that `filter` describes, from now on, as they are stored. See [`LogStream`].
    pub fn stream(&self, filter: impl Into<Filter>) -> LogStream {
        LogStream::new(Arc::clone(&self.exchange), filter.into())
    }

    /// Calls a function of yours for each log that `filter` describes, from now on, on a thread of its own.
    pub fn tail(&self, filter: impl Into<Filter>) -> Tail {
        Tail::new(self.stream(filter))
    }

    /// Hands over a whole body of logs in one of the formats that the server reads, and waits until they are on its
    /// disk. It is sent again, under one idempotency key, when the server is away, overloaded or in trouble; however
    /// often it arrives, it is stored once.
    ///
    /// ```no_run
    /// # use millpond::{Client, read::{RawFormat, RawOptions}};
    /// # let reader = Client::builder().build_reader()?;
    /// let body = std::fs::read("/var/log/syslog")?;
    /// let receipt = reader.ingest_raw(RawFormat::Syslog, body, &RawOptions::new().service("gateway").tag("imported"))?;
    /// println!("{} accepted, {} rejected", receipt.accepted, receipt.rejected_count);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The server refuses, or is still in trouble when [`RawOptions::retry_for`] is over: then the logs may have been
    /// stored or not.
    pub fn ingest_raw(
        &self,
        format: RawFormat,
        body: impl AsRef<[u8]>,
        options: &RawOptions,
    ) -> Result<Receipt, ReadError> {
        raw::ingest(self, format, body.as_ref(), options)
    }

    fn get(&self, path: &str, parameters: &Parameters) -> Result<String, ReadError> {
        self.exchange.get(path, parameters, self.time_max, self.stopper.as_ref())
    }
}
