//! What can go wrong when reading, in words for the person who asked.

use std::{error::Error, io};

use serde_json::Value;
use ureq::http::{StatusCode, Uri};

use super::exchange::Answer;
use crate::limits::ANSWER_EXCERPT_CHARS;

/// Something could not be read from the server, or not be handed to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No answer, or a part of one: the connection could not be made, or broke.
    #[error("can't reach {url}: {source}")]
    Unreachable {
        /// What was asked for, without its parameters.
        url: String,
        /// What the network said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server was too slow.
    #[error("can't reach {url} in time: {source}")]
    Timeout {
        /// What was asked for, without its parameters.
        url: String,
        /// Which of the limits was reached.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server answered that it won't.
    #[error("the server refused ({status}{}{code}): {message}", if code.is_empty() { "" } else { " " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server calls the error, such as `invalid_query`; empty if it was no server of ours.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The answer is none of a Millpond server.
    #[error("the answer of the server is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The request can't be put into a URL or a header, for example because the query is larger than 64 KiB.
    #[error("can't write the request: {source}")]
    Request {
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The callback of a tail panicked.
    #[error("the callback panicked: {message}")]
    Panicked {
        /// What it panicked with.
        message: String,
    },
    /// No thread could be started, or it ended before its time.
    #[error("can't run a thread: {0}")]
    Thread(#[source] io::Error),
}

impl ReadError {
    /// Whether the same may work later: the server is away, overloaded or slow, rather than of another opinion.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Thread(_) => true,
            Self::Refused { status, .. } => is_passing(*status),
            Self::Malformed { .. } | Self::Request { .. } | Self::Panicked { .. } => false,
        }
    }

    /// The HTTP status, if the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(super) fn of_transport(url: &Uri, error: ureq::Error) -> Self {
        use ureq::Error as E;
        let url = || shown(url);
        match error {
            E::Timeout(_) => Self::Timeout { url: url(), source: error.into() },
            E::Http(_) | E::BadUri(_) => Self::Request { source: error.into() },
            E::Protocol(_) | E::LargeResponseHeader(..) | E::BodyExceedsLimit(_) => {
                Self::Malformed { what: error.to_string() }
            }
            _ => Self::Unreachable { url: url(), source: error.into() },
        }
    }

    /// What an answer says that is no success.
    pub(super) fn refused(answer: &Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or_default();
        if status.is_redirection() {
            let place = answer.header("location").unwrap_or("nowhere");
            let message = format!("redirected to {place}, expected the server at its own address");
            return Self::Refused { status: answer.status, code: String::new(), message };
        }
        let body: Option<Value> = serde_json::from_str(&answer.text).ok();
        let text = |name| body.as_ref()?.get(name)?.as_str();
        let message = text("message").map_or_else(|| excerpt(&answer.text), str::to_owned);
        Self::Refused {
            status: answer.status,
            code: text("code").unwrap_or_default().to_owned(),
            message: if message.is_empty() {
                status.canonical_reason().unwrap_or("no reason given").to_owned()
            } else {
                message
            },
        }
    }

    /// A success that is none.
    pub(super) fn unexpected(expected: &str, text: &str) -> Self {
        let what = match excerpt(text) {
            found if found.is_empty() => format!("it is empty, expected {expected}"),
            found => format!("it begins with `{found}`, expected {expected}"),
        };
        Self::Malformed { what }
    }
}

/// Whether this is the status of a server in trouble.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// An address without what may be secret in it: a password, and what is looked for.
fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

/// The beginning of a text that may be a page of HTML.
fn excerpt(text: &str) -> String {
    text.trim().chars().take(ANSWER_EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_no_secret() {
        let url = "https://user:secret@logs.example:4480/api/v1/logs?q=secret".parse().unwrap();
        let error = ReadError::of_transport(&url, ureq::Error::HostNotFound);
        let shown = "can't reach https://logs.example:4480/api/v1/logs: host not found";
        assert_eq!(error.to_string(), shown);
    }
}
