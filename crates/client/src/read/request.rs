//! Any other request to the system that a shipper delivers to.

use std::{fmt, time::Duration};

use millpond_wire::{Answer, IdempotencyKey, Verdict, header};
use ureq::{
    Agent, AsSendBody, Body,
    http::{self, HeaderMap, HeaderName, HeaderValue, Method, Uri},
};

use super::{ReadError, Stopper, exchange::Exchange};
use crate::{address, clock, delivery::backoff::Backoff, envelope::read_header, random};

/// A request for [`Shipper::request`](crate::Shipper::request) and [`Shipper::events`](crate::Shipper::events).
#[derive(Clone)]
#[must_use = "a request does nothing until it is given to a shipper"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    time_max: Option<Duration>,
    attempts_max: u32,
    stopper: Option<Stopper>,
}

/// What a system answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers that are text, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; what is no UTF-8 in it is replaced.
    pub body: String,
}

impl Request {
    /// A request to an address, `http://` or `https://`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            time_max: None,
            attempts_max: 1,
            stopper: None,
        }
    }

    /// One more header, in place of one of the shipper's that has the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, which is JSON unless a header `Content-Type` says otherwise.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How long connecting may take, sending the request, waiting for the answer, and reading it; the times of the
    /// shipper unless told otherwise.
    pub fn timeout(mut self, time_max: Duration) -> Self {
        self.time_max = Some(time_max);
        self
    }

    /// How often it is tried where there is no answer, or one that asks for another try (408, 425, 429, 5xx), with the
    /// waits of the shipper's batches between, none of which is longer than their bound, whatever the answer asks for; once
    /// unless told otherwise. What comes of the last attempt counts. Each has the same `Idempotency-Key`, so that a Millpond server does what is asked once.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts.max(1);
        self
    }

    /// Ends with `stopper`, from any thread: it fails then as if the connection had broken.
    pub fn stopped_by(mut self, stopper: &Stopper) -> Self {
        self.stopper = Some(stopper.clone());
        self
    }

    /// Where it goes, and all of its headers.
    pub(super) fn head(&self, exchange: &Exchange) -> Result<(Uri, HeaderMap), ReadError> {
        let more = read_headers(&self.headers)?;
        let envelope = exchange.settings.envelope.as_ref();
        let headers = envelope.map(|envelope| envelope.headers(more, self.body.is_some()));
        Ok((read_url(&self.url)?, headers.unwrap_or_default()))
    }

    pub(crate) fn send(&self, exchange: &Exchange) -> Result<Response, ReadError> {
        let delivery = &exchange.settings.delivery;
        let mut backoff = Backoff::new(delivery.retry_delay_first, delivery.retry_delay_max);
        let key = IdempotencyKey { client: random::client_id(), sequence: 1 }.to_string();
        let key = (self.attempts_max > 1).then_some(key.as_str());
        let stopper = self.stopper.clone().unwrap_or_default();
        let mut attempts = 1;
        loop {
            let answered = self.attempt(exchange, key);
            let asked = match &answered {
                Ok(response) => response.asks_for_another_try(),
                Err(error) => error.is_passing().then_some(None),
            };
            let Some(after) = asked.filter(|_| attempts < self.attempts_max) else {
                return answered;
            };
            attempts += 1;
            // Whoever waits for the answer waits no longer than for any other.
            let delay = backoff.next(random::u64() as u32, after).min(delivery.retry_delay_max);
            if !stopper.pause(delay) {
                return answered;
            }
        }
    }

    fn attempt(&self, exchange: &Exchange, key: Option<&str>) -> Result<Response, ReadError> {
        let (url, mut headers) = self.head(exchange)?;
        if let Some(value) = key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.entry(header::IDEMPOTENCY_KEY).or_insert(value);
        }
        let method: Method = self.method.parse().map_err(|_| invalid("the method is none"))?;
        let is_safe = method.is_safe();
        let head = Head { exchange, method, url: &url, headers, time_max: self.time_max };
        let send = |agent: &Agent| match &self.body {
            None => head.send(agent, ()),
            Some(body) => head.send(agent, body.as_slice()),
        };
        let stopper = self.stopper.as_ref();
        // A kept connection may turn out to be closed when the request is on its way, and then it is sent once more.
        let answer = if is_safe {
            exchange.ask(&url, stopper, send)
        } else {
            exchange.ask_once(&url, stopper, send)
        }?;
        let headers = answer.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Response { status: answer.status, headers: headers.collect(), body: answer.text })
    }
}

impl Response {
    /// Whether the same request may be answered otherwise later, and when the system wishes it.
    fn asks_for_another_try(&self) -> Option<Option<Duration>> {
        let retry_after = self.headers.iter().find(|(name, _)| name == header::RETRY_AFTER);
        let answer = Answer {
            status: self.status,
            retry_after: retry_after.map(|(_, value)| value.as_str()),
            body: &self.body,
        };
        match Verdict::of_any(&answer, 0, clock::wall()) {
            Verdict::Retry { after } => Some(after),
            _ => None,
        }
    }
}

impl fmt::Debug for Request {
    /// Without the headers and the parameters, of which one may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

struct Head<'a> {
    exchange: &'a Exchange,
    method: Method,
    url: &'a Uri,
    headers: HeaderMap,
    time_max: Option<Duration>,
}

impl Head<'_> {
    fn send(
        &self,
        agent: &Agent,
        body: impl AsSendBody,
    ) -> Result<http::Response<Body>, ureq::Error> {
        let settings = &self.exchange.settings;
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        let mut config = agent.configure_request(request).allow_non_standard_methods(true);
        if let Some(time_max) = self.time_max {
            config = config
                .timeout_connect(Some(time_max.min(settings.delivery.connect_timeout)))
                .timeout_send_request(Some(time_max))
                .timeout_send_body(Some(time_max))
                .timeout_recv_response(Some(time_max))
                .timeout_recv_body(Some(time_max));
        }
        agent.run(config.build())
    }
}

fn read_url(url: &str) -> Result<Uri, ReadError> {
    address::foreign(url).ok_or_else(|| {
        invalid(&format!(
            "`{}` is no address, expected http:// or https://",
            address::without_key(url)
        ))
    })
}

fn read_headers(headers: &[(String, String)]) -> Result<Vec<(HeaderName, HeaderValue)>, ReadError> {
    let read = headers.iter().map(|(name, value)| {
        read_header(name, value).ok_or_else(|| {
            invalid(&format!("the header `{name}` has a character that no header can carry"))
        })
    });
    read.collect()
}

fn invalid(what: &str) -> ReadError {
    ReadError::Request { source: what.into() }
}
