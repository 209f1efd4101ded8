//! The live stream: logs as they are stored, over as many connections as it takes.
//!
//! Each event has an id, and the server resumes behind the id that it is given.

use std::{fmt, sync::Arc, time::Duration};

use millpond_wire::header;
use ureq::http::{HeaderMap, HeaderValue};

use super::{Filter, Log, ReadError, Stopper, events::Events, exchange::Exchange, sse::Event};
use crate::limits::STREAM_SILENCE_MAX;

const STREAM_PATH: &str = "/api/v1/logs/stream";

/// Logs as they are stored, in the order in which they are stored. Made by [`Reader::stream`](super::Reader::stream).
///
/// Waits for the next log for as long as it takes. When the connection breaks, or the server is silent for ten seconds,
/// it connects again and goes on behind the last log that it gave: nothing is lost and nothing comes twice. It ends when
/// it is stopped, or after an error that time won't heal, such as a key that is not valid.
///
/// ```no_run
/// # use millpond::Client;
/// # let reader = Client::builder().build_reader()?;
/// let stream = reader.stream("service:api");
/// let stopper = stream.stopper();
/// std::thread::spawn(move || {
///     std::io::stdin().read_line(&mut String::new()).ok();
///     stopper.stop();
/// });
/// for log in stream {
///     println!("{}", log?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream does nothing until it is asked"]
pub struct LogStream {
    events: Events,
    on_progress: Box<dyn FnMut(&str) + Send>,
}

impl LogStream {
    pub(super) fn new(exchange: Arc<Exchange>, filter: Filter) -> Self {
        let target = move |exchange: &Exchange| {
            let mut headers = HeaderMap::new();
            let key = exchange.settings.address.api_key.as_deref();
            if let Some(key) = key.and_then(|key| HeaderValue::from_str(key).ok()) {
                headers.insert(header::API_KEY, key);
            }
            Ok((exchange.url(STREAM_PATH, &filter.parameters)?, headers))
        };
        let mut events = Events::new(exchange, Box::new(target));
        events.silence_max = Some(STREAM_SILENCE_MAX);
        Self { events, on_progress: Box::new(|_| ()) }
    }

    /// Begins behind the event with this id, such as [`Self::position`] gave it to an earlier run of the program,
    /// instead of now.
    pub fn resume_after(mut self, id: impl Into<String>) -> Self {
        self.events.position = Some(id.into());
        self
    }

    /// Calls `report` with the reason whenever there is no connection, before it is tried again.
    pub fn on_outage(mut self, report: impl FnMut(&ReadError) + Send + 'static) -> Self {
        self.events.on_outage = Box::new(report);
        self
    }

    /// Calls `report` with the new [`Self::position`] whenever the server has looked further and found no log: once a
    /// second, for one who has to know how far that is while this waits for the next log.
    pub fn on_progress(mut self, report: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_progress = Box::new(report);
        self
    }

    /// How long the server may be silent before it is connected again; 10 seconds unless told otherwise. It says
    /// something every second.
    pub fn silence_max(mut self, time: Duration) -> Self {
        self.events.silence_max = Some(time);
        self
    }

    /// Stops this stream from another thread, also while it waits.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.events.stopper()
    }

    /// The id of the last event that was handed over, or how far the server has looked since; `None` before the first.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.events.position.as_deref()
    }

    /// The log of an event. One without a log says how far the server has looked.
    fn log(&mut self, event: Event) -> Option<Result<Log, ReadError>> {
        let Some(data) = event.data else {
            if event.id.is_some()
                && let Some(position) = &self.events.position
            {
                (self.on_progress)(position);
            }
            return None;
        };
        let log = serde_json::from_str(&data).map_err(|error| {
            let what = format!("an event of the stream is no log: {error}");
            ReadError::Malformed { what }
        });
        if log.is_err() {
            self.events.end();
        }
        Some(log)
    }
}

impl Iterator for LogStream {
    type Item = Result<Log, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.events.next()? {
                Ok(event) => {
                    if let Some(log) = self.log(event) {
                        return Some(log);
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream").field("events", &self.events).finish_non_exhaustive()
    }
}
