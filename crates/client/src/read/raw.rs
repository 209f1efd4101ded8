//! Whole bodies of logs in the formats of others, for the server to take apart.

use std::time::{Duration, Instant};

use millpond_record::Level;
use millpond_wire::{Answer as WireAnswer, INGEST_PATH, IdempotencyKey, Verdict, header};

pub use millpond_wire::Format as RawFormat;

use super::{
    ReadError, Reader, Receipt, answer,
    exchange::{Answer, Parameters},
};
use crate::{clock, delivery::backoff::Backoff, limits::RAW_TIME_MAX, random};

/// What the server is told about all logs of a raw body; what a log says itself goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing by themselves"]
pub struct RawOptions {
    parameters: Parameters,
    tags: Vec<String>,
    retry_for: Duration,
}

impl Default for RawOptions {
    fn default() -> Self {
        Self { parameters: Parameters::new(), tags: Vec::new(), retry_for: RAW_TIME_MAX }
    }
}

macro_rules! texts {
    ($($(#[$documentation:meta])* $name:ident;)*) => {
        $($(#[$documentation])*
        pub fn $name(self, text: impl Into<String>) -> Self {
            self.with(stringify!($name), text.into())
        })*
    };
}

impl RawOptions {
    /// Nothing is told.
    pub fn new() -> Self {
        Self::default()
    }

    texts! {
        /// The service that wrote them.
        service;
        /// The deployment environment, such as `production`.
        environment;
        /// The dataset that they belong to.
        dataset;
        /// The user.
        user_id;
        /// The user's session.
        session_id;
        /// The correlation id of the request.
        request_id;
        /// The flow that they are steps of.
        flow_id;
    }

    /// The level of those that have none; `info` unless told otherwise.
    pub fn level(self, level: Level) -> Self {
        self.with("level", level.name().to_owned())
    }

    /// One more tag for those that have none. A comma in it makes two of it.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// More tags for those that have none.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// For how long a server in trouble is tried again; 60 seconds unless told otherwise, and never if it is zero. Then
    /// no attempt begins any more, but one that has begun goes on.
    pub fn retry_for(mut self, time_max: Duration) -> Self {
        self.retry_for = time_max;
        self
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.parameters.retain(|(known, _)| *known != name);
        self.parameters.push((name, value));
        self
    }

    fn parameters(&self, format: RawFormat) -> Parameters {
        let mut parameters = vec![("format", format.name().to_owned())];
        parameters.extend_from_slice(&self.parameters);
        if !self.tags.is_empty() {
            parameters.push(("tags", self.tags.join(",")));
        }
        parameters
    }
}

/// Posts a body until its fate is known or the time is over.
pub(super) fn ingest(
    reader: &Reader,
    format: RawFormat,
    body: &[u8],
    options: &RawOptions,
) -> Result<Receipt, ReadError> {
    let settings = &reader.exchange.settings;
    let key = IdempotencyKey { client: random::client_id(), sequence: 1 };
    let parameters = options.parameters(format);
    let deadline = Instant::now().checked_add(options.retry_for);
    let mut backoff =
        Backoff::new(settings.delivery.retry_delay_first, settings.delivery.retry_delay_max);
    let stopper = reader.stopper.clone().unwrap_or_default();
    loop {
        let posted = post(reader, format, &parameters, &key, body);
        let (trouble, asked) = match posted {
            Ok(answer) => match verdict(&answer) {
                Verdict::Delivered { .. } => return answer::read("a receipt", &answer.text),
                Verdict::Refused(_) => return Err(ReadError::refused(&answer)),
                Verdict::Retry { after } if (200..300).contains(&answer.status) => {
                    (ReadError::unexpected("a receipt", &answer.text), after)
                }
                Verdict::Retry { after } => (ReadError::refused(&answer), after),
            },
            Err(error) if error.is_passing() => (error, None),
            Err(error) => return Err(error),
        };
        let delay = backoff.next(random::u64() as u32, asked);
        let next = Instant::now().checked_add(delay);
        let is_late = deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline));
        if is_late || !stopper.pause(delay) {
            return Err(trouble);
        }
    }
}

fn verdict(answer: &Answer) -> Verdict {
    let wire = WireAnswer {
        status: answer.status,
        retry_after: answer.header(header::RETRY_AFTER),
        body: &answer.text,
    };
    Verdict::of(&wire, clock::wall())
}

/// One attempt, which may take as long as the sender gives a batch.
fn post(
    reader: &Reader,
    format: RawFormat,
    parameters: &Parameters,
    key: &IdempotencyKey,
    body: &[u8],
) -> Result<Answer, ReadError> {
    let exchange = &reader.exchange;
    let url = exchange.url(INGEST_PATH, parameters)?;
    exchange.ask(&url, reader.stopper.as_ref(), |agent| {
        exchange
            .signed(agent.post(url.clone()))
            .header(header::CONTENT_TYPE, format.content_type())
            .header(header::IDEMPOTENCY_KEY, key.to_string())
            .send(body)
    })
}
