//! The live stream: logs as they are stored, over as many connections as it takes.
//!
//! Each event has an id, and the server resumes behind the id that it is given. The id of an event is kept when the
//! event is handed over, so that a connection that breaks anywhere, in the middle of an event too, loses no log and
//! repeats none.

use std::{
    collections::VecDeque,
    fmt,
    io::{ErrorKind, Read as _},
    sync::Arc,
    time::Duration,
};

use ureq::{
    Agent, BodyReader,
    http::{HeaderValue, Uri},
};

use super::{
    Filter, Log, ReadError, Stopper,
    error::is_passing,
    exchange::{self, Exchange, guarded},
    sse::{Event, Parser},
};
use crate::{
    delivery::backoff::Backoff,
    limits::{
        STREAM_EVENT_BYTES_MAX, STREAM_ID_BYTES_MAX, STREAM_READ_BYTES, STREAM_REFUSAL_BYTES_MAX,
        STREAM_RETRY_MAX, STREAM_SILENCE_MAX,
    },
    random,
};

const STREAM_PATH: &str = "/api/v1/logs/stream";
const EVENT_STREAM: &str = "text/event-stream";

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
    exchange: Arc<Exchange>,
    filter: Filter,
    agent: Agent,
    stopper: Stopper,
    connection: Option<Connection>,
    events: VecDeque<Event>,
    position: Option<String>,
    backoff: Backoff,
    /// What the server wants us to wait between connections.
    retry: Option<Duration>,
    silence_max: Duration,
    on_outage: Box<dyn FnMut(&ReadError) + Send>,
    on_progress: Box<dyn FnMut(&str) + Send>,
    over: bool,
}

struct Connection {
    url: Uri,
    body: BodyReader<'static>,
    parser: Parser,
    buffer: Vec<u8>,
    /// Events that came over it.
    events: u64,
}

/// Why there is no connection, or none any more.
enum Trouble {
    Passing { error: ReadError, asked: Option<Duration> },
    Lasting(ReadError),
}

impl Trouble {
    fn of_transport(url: &Uri, error: ureq::Error) -> Self {
        match ReadError::of_transport(url, error) {
            error if error.is_passing() => Self::Passing { error, asked: None },
            error => Self::Lasting(error),
        }
    }
}

impl LogStream {
    pub(super) fn new(exchange: Arc<Exchange>, filter: Filter) -> Self {
        let settings = &exchange.settings;
        let (agent, stopper) = (exchange::agent(settings), Stopper::default());
        stopper.enter(&agent);
        Self {
            filter,
            agent,
            stopper,
            connection: None,
            events: VecDeque::new(),
            position: None,
            backoff: Backoff::new(
                settings.delivery.retry_delay_first,
                settings.delivery.retry_delay_max,
            ),
            retry: None,
            silence_max: STREAM_SILENCE_MAX,
            on_outage: Box::new(|_| ()),
            on_progress: Box::new(|_| ()),
            over: false,
            exchange,
        }
    }

    /// Begins behind the event with this id, such as [`Self::position`] gave it to an earlier run of the program,
    /// instead of now.
    pub fn resume_after(mut self, id: impl Into<String>) -> Self {
        self.position = Some(id.into());
        self
    }

    /// Calls `report` with the reason whenever there is no connection, before it is tried again.
    pub fn on_outage(mut self, report: impl FnMut(&ReadError) + Send + 'static) -> Self {
        self.on_outage = Box::new(report);
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
        self.silence_max = time;
        self
    }

    /// Stops this stream from another thread, also while it waits.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The id of the last event that was handed over, or how far the server has looked since; `None` before the first.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// Reads on, from a new connection if need be.
    fn read(&mut self) -> Result<(), Trouble> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let bytes = guarded(|| match connection.body.read(&mut connection.buffer)? {
            0 => Err(ureq::Error::Io(ErrorKind::UnexpectedEof.into())),
            bytes => Ok(bytes),
        });
        // Whatever is wrong with the bytes of a stream that had begun, the next connection has others.
        let bytes = bytes.map_err(|error| Trouble::Passing {
            error: ReadError::of_transport(&connection.url, error),
            asked: None,
        })?;
        let known = self.events.len();
        let bytes = connection.buffer.get(..bytes).unwrap_or_default();
        connection
            .parser
            .push(bytes, &mut self.events)
            .map_err(|error| Trouble::Lasting(ReadError::Malformed { what: error.to_string() }))?;
        connection.events += (self.events.len() - known) as u64;
        // The first event says only that there is a connection; one that breaks then is as good as none.
        if connection.events > 1 {
            self.backoff.reset();
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn connect(&mut self) -> Result<Connection, Trouble> {
        let url =
            self.exchange.url(STREAM_PATH, &self.filter.parameters).map_err(Trouble::Lasting)?;
        let request = self.exchange.signed(self.agent.get(url.clone()));
        let mut request = request.header("accept", EVENT_STREAM);
        if let Some(id) = self.position.as_deref().filter(|id| !id.is_empty()) {
            request = request.header("last-event-id", id);
        }
        let request = request
            .config()
            .timeout_recv_response(Some(self.silence_max))
            .timeout_recv_body(None)
            .timeout_per_read(Some(self.silence_max))
            .build();
        let broken = |error| Trouble::of_transport(&url, error);
        let response = guarded(|| request.call()).map_err(broken)?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = header("content-type").unwrap_or_default();
        let is_stream = content_type.to_ascii_lowercase().starts_with(EVENT_STREAM);
        let status = response.status().as_u16();
        if status == 200 && is_stream {
            return Ok(Connection {
                url,
                body: response.into_body().into_reader(),
                parser: Parser::new(STREAM_EVENT_BYTES_MAX),
                buffer: vec![0; STREAM_READ_BYTES],
                events: 0,
            });
        }
        let answer = guarded(|| exchange::answer(response, STREAM_REFUSAL_BYTES_MAX));
        let answer = answer.map_err(broken)?;
        if (200..300).contains(&status) {
            return Err(Trouble::Lasting(ReadError::unexpected("a stream", &answer.text)));
        }
        let error = ReadError::refused(&answer);
        if !is_passing(status) {
            return Err(Trouble::Lasting(error));
        }
        let seconds = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        Err(Trouble::Passing { error, asked: seconds.map(Duration::from_secs) })
    }

    /// The log of an event, if it has one.
    fn accept(&mut self, event: Event) -> Option<Result<Log, ReadError>> {
        if let Some(retry) = event.retry {
            self.retry = Some(retry.min(STREAM_RETRY_MAX));
        }
        let log = event.data.map(|data| {
            serde_json::from_str(&data).map_err(|error| {
                let what = format!("an event of the stream is no log: {error}");
                ReadError::Malformed { what }
            })
        });
        if let Some(id) = event.id.filter(|id| is_header(id)) {
            if log.is_none() {
                (self.on_progress)(&id);
            }
            self.position = Some(id);
        }
        log
    }

    /// Reports an outage and waits before the next connection.
    fn wait(&mut self, error: &ReadError, asked: Option<Duration>) {
        (self.on_outage)(error);
        self.stopper.pause(self.backoff.next(random::u64() as u32, asked.max(self.retry)));
    }
}

/// Whether an id can be given back.
fn is_header(id: &str) -> bool {
    id.len() <= STREAM_ID_BYTES_MAX && HeaderValue::from_str(id).is_ok()
}

impl Iterator for LogStream {
    type Item = Result<Log, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over && !self.stopper.is_stopped() {
            if let Some(event) = self.events.pop_front() {
                let Some(log) = self.accept(event) else { continue };
                self.over = log.is_err();
                return Some(log);
            }
            match self.read() {
                Ok(()) => {}
                // What a connection that we closed ourselves complains about is of no interest.
                Err(_) if self.stopper.is_stopped() => {}
                Err(Trouble::Passing { error, asked }) => self.wait(&error, asked),
                Err(Trouble::Lasting(error)) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        self.connection = None;
        None
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        // A stopper may live longer; it has nothing to hold on to.
        self.stopper.leave();
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream")
            .field("filter", &self.filter)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn the_wait_that_a_server_asks_for_is_bounded() {
        let mut stream = Client::builder().build_reader().unwrap().stream("");
        for (asked, waited) in [(250, 250), (86_400_000, 30_000)] {
            let retry = Some(Duration::from_millis(asked));
            assert!(stream.accept(Event { retry, ..Event::default() }).is_none());
            assert_eq!(stream.retry, Some(Duration::from_millis(waited)));
        }
    }

    #[test]
    fn an_id_that_no_header_can_carry_is_not_kept() {
        let mut stream = Client::builder().build_reader().unwrap().stream("");
        for id in ["7", "a\u{1}b", "ü\u{7f}", &"9".repeat(STREAM_ID_BYTES_MAX + 1)] {
            stream.accept(Event { id: Some(id.to_owned()), ..Event::default() });
            assert_eq!(stream.position(), Some("7"), "{id:?}");
        }
    }
}
