//! Server-sent events over as many connections as it takes.
//!
//! The id of an event is kept when the event is handed over, and the next connection names it: a server that resumes
//! behind it loses nothing and repeats nothing, wherever the one before broke, in the middle of an event too.

use std::{
    collections::VecDeque,
    fmt,
    io::{ErrorKind, Read as _},
    sync::Arc,
    time::Duration,
};

use ureq::{
    Agent, BodyReader,
    http::{HeaderMap, HeaderValue, Request, Uri, header},
};

use super::{
    ReadError, Stopper,
    error::is_passing,
    exchange::{self, Exchange, guarded},
    sse::{Event, Parser},
};
use crate::{
    delivery::backoff::Backoff,
    limits::{
        STREAM_EVENT_BYTES_MAX, STREAM_ID_BYTES_MAX, STREAM_READ_BYTES, STREAM_REFUSAL_BYTES_MAX,
        STREAM_RETRY_MAX,
    },
    random,
};

const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";

/// Where events come from, and the headers to ask for them with.
pub(super) type Target = Box<dyn Fn(&Exchange) -> Result<(Uri, HeaderMap), ReadError> + Send>;

/// Events as they come. Waits for the next one for as long as it takes.
pub(super) struct Events {
    exchange: Arc<Exchange>,
    target: Target,
    agent: Agent,
    stopper: Stopper,
    connection: Option<Connection>,
    waiting: VecDeque<Event>,
    /// The id of the last event that was handed over.
    pub(super) position: Option<String>,
    backoff: Backoff,
    /// What the server wants us to wait between connections.
    retry: Option<Duration>,
    /// How long it may be silent before it is connected again.
    pub(super) silence_max: Option<Duration>,
    pub(super) on_outage: Box<dyn FnMut(&ReadError) + Send>,
    /// Whether an error that time may heal is one all the same until there was a connection.
    pub(super) fails_first: bool,
    /// Whether the data of events counts that have a type.
    pub(super) takes_all_types: bool,
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

impl Events {
    pub(super) fn new(exchange: Arc<Exchange>, target: Target) -> Self {
        let settings = &exchange.settings;
        let (agent, stopper) = (exchange::agent(settings), Stopper::default());
        stopper.enter(&agent);
        Self {
            target,
            agent,
            stopper,
            connection: None,
            waiting: VecDeque::new(),
            position: None,
            backoff: Backoff::new(
                settings.delivery.retry_delay_first,
                settings.delivery.retry_delay_max,
            ),
            retry: None,
            silence_max: None,
            on_outage: Box::new(|_| ()),
            fails_first: false,
            takes_all_types: false,
            over: false,
            exchange,
        }
    }

    /// Stops these events from another thread, also while this one waits.
    pub(super) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// No more events are wanted.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// Reads on, from a new connection if need be.
    fn read(&mut self) -> Result<(), Trouble> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        self.fails_first = false;
        let bytes = guarded(|| match connection.body.read(&mut connection.buffer)? {
            0 => Err(ureq::Error::Io(ErrorKind::UnexpectedEof.into())),
            bytes => Ok(bytes),
        });
        // Whatever is wrong with the bytes of a stream that had begun, the next connection has others.
        let bytes = bytes.map_err(|error| Trouble::Passing {
            error: ReadError::of_transport(&connection.url, error),
            asked: None,
        })?;
        let known = self.waiting.len();
        let bytes = connection.buffer.get(..bytes).unwrap_or_default();
        connection
            .parser
            .push(bytes, &mut self.waiting)
            .map_err(|error| Trouble::Lasting(ReadError::Malformed { what: error.to_string() }))?;
        connection.events += (self.waiting.len() - known) as u64;
        // The first event says only that there is a connection; one that breaks then is as good as none.
        if connection.events > 1 {
            self.backoff.reset();
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn connect(&mut self) -> Result<Connection, Trouble> {
        let (url, mut headers) = (self.target)(&self.exchange).map_err(Trouble::Lasting)?;
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        if let Some(id) = self.position.as_deref().filter(|id| !id.is_empty()) {
            let id = HeaderValue::from_str(id)
                .map_err(|error| Trouble::Lasting(ReadError::Request { source: error.into() }))?;
            headers.insert(LAST_EVENT_ID, id);
        }
        let mut request = Request::new(());
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        let mut config = self.agent.configure_request(request).timeout_recv_body(None);
        if let Some(silence_max) = self.silence_max {
            config =
                config.timeout_recv_response(Some(silence_max)).timeout_per_read(Some(silence_max));
        }
        let request = config.build();
        let broken = |error| Trouble::of_transport(&url, error);
        let response = guarded(|| self.agent.run(request)).map_err(broken)?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = header("content-type").unwrap_or_default();
        let is_stream = content_type.to_ascii_lowercase().starts_with(EVENT_STREAM);
        let status = response.status().as_u16();
        if status == 200 && is_stream {
            return Ok(Connection {
                url,
                body: response.into_body().into_reader(),
                parser: Parser::new(STREAM_EVENT_BYTES_MAX, self.takes_all_types),
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

    /// Takes down what an event says about the stream.
    fn accept(&mut self, event: &Event) {
        if let Some(retry) = event.retry {
            self.retry = Some(retry.min(STREAM_RETRY_MAX));
        }
        if let Some(id) = event.id.as_deref().filter(|id| is_header(id)) {
            self.position = Some(id.to_owned());
        }
    }

    /// Reports an outage and waits before the next connection.
    fn wait(&mut self, error: &ReadError, asked: Option<Duration>) {
        (self.on_outage)(error);
        self.stopper.pause(self.backoff.next(random::u64() as u32, asked.max(self.retry)));
    }
}

/// Whether an id can be given back.
pub(super) fn is_header(id: &str) -> bool {
    id.len() <= STREAM_ID_BYTES_MAX && HeaderValue::from_str(id).is_ok()
}

impl Iterator for Events {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over && !self.stopper.is_stopped() {
            if let Some(event) = self.waiting.pop_front() {
                self.accept(&event);
                return Some(Ok(event));
            }
            match self.read() {
                Ok(()) => {}
                // What a connection that we closed ourselves complains about is of no interest.
                Err(_) if self.stopper.is_stopped() => {}
                Err(Trouble::Passing { error, asked }) if !self.fails_first => {
                    self.wait(&error, asked);
                }
                Err(Trouble::Passing { error, .. } | Trouble::Lasting(error)) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        self.connection = None;
        None
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // A stopper may live longer; it has nothing to hold on to.
        self.stopper.leave();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("position", &self.position).finish_non_exhaustive()
    }
}

/// The data of the server-sent events of a system that a shipper delivers to. Made by
/// [`Shipper::events`](crate::Shipper::events).
///
/// Waits for the next event for as long as it takes, and gives its data, whatever its type is. Fails if there is no first
/// connection, or if the server refuses; a connection that breaks later is made again, behind the last event if the
/// server gives ids. Ends when it is stopped, and after an error.
#[derive(Debug)]
#[must_use = "a stream does nothing until it is asked"]
pub struct EventStream {
    events: Events,
}

impl EventStream {
    pub(crate) fn new(exchange: Arc<Exchange>, request: super::Request) -> Self {
        let mut events = Events::new(exchange, Box::new(move |exchange| request.head(exchange)));
        (events.fails_first, events.takes_all_types) = (true, true);
        Self { events }
    }

    /// Calls `report` with the reason whenever a connection broke or can't be made again, before it is tried again.
    pub fn on_outage(mut self, report: impl FnMut(&ReadError) + Send + 'static) -> Self {
        self.events.on_outage = Box::new(report);
        self
    }

    /// Stops this stream from another thread, also while it waits.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.events.stopper()
    }

    /// The id of the last event that was handed over; `None` if none had one.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.events.position.as_deref()
    }
}

impl Iterator for EventStream {
    type Item = Result<String, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.events.next()? {
                Ok(event) => {
                    if let Some(data) = event.data {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    fn events() -> Events {
        let exchange = Exchange::new(Client::builder().build().unwrap().settings());
        Events::new(Arc::new(exchange), Box::new(|_| panic!("not connected")))
    }

    #[test]
    fn the_wait_that_a_server_asks_for_is_bounded() {
        let mut events = events();
        for (asked, waited) in [(250, 250), (86_400_000, 30_000)] {
            let retry = Some(Duration::from_millis(asked));
            events.accept(&Event { retry, ..Event::default() });
            assert_eq!(events.retry, Some(Duration::from_millis(waited)));
        }
    }

    #[test]
    fn an_id_that_no_header_can_carry_is_not_kept() {
        let mut events = events();
        for id in ["7", "a\u{1}b", "ü\u{7f}", &"9".repeat(STREAM_ID_BYTES_MAX + 1)] {
            events.accept(&Event { id: Some(id.to_owned()), ..Event::default() });
            assert_eq!(events.position.as_deref(), Some("7"), "{id:?}");
        }
    }
}
