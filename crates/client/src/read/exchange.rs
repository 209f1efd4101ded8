//! One request and its answer, over a connection that is kept for the next one.
//!
//! What the HTTP and TLS libraries log shows whole requests, the key included, and often this thread is the program's:
//! they run only in [`guarded`] and [`agent`], where the client takes no records.

use std::{
    fmt::{self, Write as _},
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use millpond_wire::{INGEST_PATH, header};
use ureq::{
    Agent, Body, RequestBuilder,
    http::{HeaderMap, Response, Uri},
};

use super::{ReadError, Stopper};
use crate::{
    delivery::transport,
    diagnostics::as_own_thread,
    engine::Settings,
    fork,
    limits::{READ_ANSWER_BYTES_MAX, READ_CONNECTIONS_KEPT},
};

/// The names and values of a URL's query, each name once.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// A header, if it is a text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The way to a server. Each request has an agent of its own, so that it can be stopped alone.
pub(crate) struct Exchange {
    pub(super) settings: Arc<Settings>,
    process: u32,
    idle: Mutex<Vec<Agent>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("url", &self.settings.address.url).finish_non_exhaustive()
    }
}

type Sent = Result<Response<Body>, ureq::Error>;

impl Exchange {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, process: fork::process(), idle: Mutex::default() }
    }

    /// The address of a path below the server's, with these parameters.
    pub(super) fn url(&self, path: &str, parameters: &Parameters) -> Result<Uri, ReadError> {
        let ingest = &self.settings.address.url;
        let mut url = format!("{}{path}", ingest.strip_suffix(INGEST_PATH).unwrap_or(ingest));
        for (place, (name, value)) in parameters.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoded(value));
        }
        // ureq would panic.
        url.parse().map_err(|error: ureq::http::uri::InvalidUri| ReadError::Request {
            source: error.into(),
        })
    }

    /// Gets an answer that is a success; its text.
    pub(super) fn get(
        &self,
        path: &str,
        parameters: &Parameters,
        time_max: Duration,
        stopper: Option<&Stopper>,
    ) -> Result<String, ReadError> {
        let url = self.url(path, parameters)?;
        let answer = self.ask(&url, stopper, |agent| {
            self.signed(agent.get(url.clone()))
                .config()
                .timeout_recv_response(Some(time_max))
                .timeout_recv_body(Some(time_max))
                .build()
                .call()
        })?;
        if !(200..300).contains(&answer.status) {
            return Err(ReadError::refused(&answer));
        }
        Ok(answer.text)
    }

    /// The request with the key.
    pub(super) fn signed<Kind>(&self, request: RequestBuilder<Kind>) -> RequestBuilder<Kind> {
        match &self.settings.address.api_key {
            Some(key) => request.header(header::API_KEY, key),
            None => request,
        }
    }

    /// Sends a request that does no harm when it is sent twice, and reads the whole answer.
    pub(super) fn ask(
        &self,
        url: &Uri,
        stopper: Option<&Stopper>,
        send: impl Fn(&Agent) -> Sent,
    ) -> Result<Answer, ReadError> {
        let kept = self.take();
        let was_kept = kept.is_some();
        let mut used = kept.unwrap_or_else(|| agent(&self.settings));
        let mut answer = attempt(&used, stopper, &send);
        // The server may have closed a kept connection at the moment at which it was used again.
        if was_kept && matches!(answer, Err(ureq::Error::Io(_))) {
            used = agent(&self.settings);
            answer = attempt(&used, stopper, &send);
        }
        let answer = answer.map_err(|error| ReadError::of_transport(url, error))?;
        if stopper.is_none_or(Stopper::leave) {
            self.keep(used);
        }
        Ok(answer)
    }

    /// Sends a request over a connection of its own, once.
    pub(super) fn ask_once(
        &self,
        url: &Uri,
        stopper: Option<&Stopper>,
        send: impl Fn(&Agent) -> Sent,
    ) -> Result<Answer, ReadError> {
        let answer = attempt(&agent(&self.settings), stopper, send);
        stopper.map(Stopper::leave);
        answer.map_err(|error| ReadError::of_transport(url, error))
    }

    /// A child must neither use its parent's connections nor wait for a lock that was held at the moment of the fork.
    fn is_parents(&self) -> bool {
        self.process != fork::process()
    }

    fn take(&self) -> Option<Agent> {
        if self.is_parents() {
            return None;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, agent: Agent) {
        if self.is_parents() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READ_CONNECTIONS_KEPT {
            idle.push(agent);
        }
    }
}

fn attempt(
    agent: &Agent,
    stopper: Option<&Stopper>,
    send: impl Fn(&Agent) -> Sent,
) -> Result<Answer, ureq::Error> {
    if stopper.is_some_and(|stopper| !stopper.enter(agent)) {
        return Err(ureq::Error::Io(ErrorKind::NotConnected.into()));
    }
    guarded(|| answer(send(agent)?, READ_ANSWER_BYTES_MAX))
}

/// What connects to the server as the settings say.
pub(super) fn agent(settings: &Settings) -> Agent {
    as_own_thread(|| transport::agent(settings))
}

/// Neither a bug in what is below nor what it logs must reach the program.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ureq::Error>) -> Result<T, ureq::Error> {
    catch_unwind(AssertUnwindSafe(|| as_own_thread(work)))
        .unwrap_or_else(|_| Err(ureq::Error::Other("the HTTP library panicked".into())))
}

/// Any text as a segment of a path or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Reads an answer to its end, or its connection can't be used again.
pub(super) fn answer(mut response: Response<Body>, bytes_max: u64) -> Result<Answer, ureq::Error> {
    let text = transport::text_of(response.body_mut(), bytes_max);
    let (parts, _) = response.into_parts();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, text: text? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::is_own_thread;

    #[test]
    fn any_text_is_a_value() {
        assert_eq!(encoded("4bf92f35-A_z.~"), "4bf92f35-A_z.~");
        assert_eq!(encoded("a/b?c#d é%+&="), "a%2Fb%3Fc%23d%20%C3%A9%25%2B%26%3D");
    }

    #[test]
    fn a_bug_below_is_an_error() {
        let result: Result<(), _> = guarded(|| panic!("a bug"));
        assert!(result.unwrap_err().to_string().contains("panicked"));
    }

    #[test]
    fn the_thread_is_the_clients_own_for_as_long_as_the_work_lasts() {
        guarded(|| {
            guarded(|| Ok(()))?;
            assert!(is_own_thread());
            let _: Result<(), _> = guarded(|| panic!("a bug"));
            assert!(is_own_thread());
            Ok(())
        })
        .unwrap();
        assert!(!is_own_thread());
        let _: Result<(), _> = guarded(|| panic!("a bug"));
        assert!(!is_own_thread());
    }
}
