//! The wires of other systems: their routes, in their words.
//!
//! What a body or a record means is decided in `millpond_protocols`; here are the routes that carry it. Where a path is
//! also one of ours, [`address`] tells the two apart before anything is routed.

pub(crate) mod address;
pub(crate) mod filters;
mod logiscout;
mod logtide;
mod otlp;
mod streamlogia;
mod timberlogs;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;

pub(crate) use self::streamlogia::Tickets;
use crate::{error::ApiError, routes::Route};

/// A system whose clients are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    LogTide,
    Timberlogs,
    LogiScout,
    Streamlogia,
    /// OpenTelemetry's protocol.
    Otlp,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LogTide => "LogTide",
            Self::Timberlogs => "Timberlogs",
            Self::LogiScout => "LogiScout",
            Self::Streamlogia => "Streamlogia",
            Self::Otlp => "OTLP",
        }
    }

    /// The status of an error. Streamlogia's clients are told apart from a wrong key that theirs has expired.
    fn status(self, error: &ApiError) -> StatusCode {
        match (self, error.code()) {
            (Self::Streamlogia, "expired_key") => StatusCode::FORBIDDEN,
            _ => error.status(),
        }
    }

    /// An error as its clients know errors.
    fn error(self, error: &ApiError) -> Value {
        match self {
            Self::LogTide => logtide::error(error),
            Self::Timberlogs => timberlogs::error(error),
            Self::LogiScout => logiscout::error(error),
            Self::Streamlogia => streamlogia::error(error),
            Self::Otlp => otlp::error(error),
        }
    }
}

/// Says an error in the words of a system. Headers stay, and the status but for one.
pub(crate) fn in_words_of(peer: Peer, response: Response) -> Response {
    let Some(error) = response.extensions().get::<ApiError>() else { return response };
    let mut said = (peer.status(error), Json(peer.error(error))).into_response();
    if let Some(seconds) = error.retry_after_seconds() {
        said.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
    }
    said
}

/// All of their routes.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    [logtide::ROUTES, timberlogs::ROUTES, logiscout::ROUTES, streamlogia::ROUTES, otlp::ROUTES]
        .into_iter()
        .flatten()
}
