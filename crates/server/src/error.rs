//! The one shape of every error that the API gives.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use millpond_protocols::BodyError;
use millpond_store::{AppendError, QueryError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    administration::AdministrationError,
    keys::KeysError,
    limits::{RETRY_OVERLOADED_SECONDS, RETRY_STORAGE_SECONDS},
};

/// An error as the client gets it. Its answer carries it along, so that the clients of another system may be told in
/// their own words.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Value>,
    retry_after_seconds: Option<u64>,
}

/// Its body; see docs/http-api.md.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'a str,
    message: &'a str,
    details: &'a [Value],
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn details(&self) -> &[Value] {
        &self.details
    }

    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    pub(crate) fn with_details(self, details: Vec<Value>) -> Self {
        Self { details, ..self }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same may do later.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.code == "overloaded"
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }

    /// The query can't be answered; `message` says where it is wrong and what was expected.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message)
            .retry_after(RETRY_OVERLOADED_SECONDS)
    }

    /// A key does more than it may; `seconds` from now it may go on.
    pub(crate) fn limited(code: &'static str, message: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_after(seconds)
    }

    pub(crate) fn storage_full(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_full", message)
            .retry_after(RETRY_STORAGE_SECONDS)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(
                status = self.status.as_u16(),
                code = self.code,
                message = self.message,
                "request failed"
            );
        }
        let error = self.status.canonical_reason().unwrap_or_default();
        let body = Body { error, code: self.code, message: &self.message, details: &self.details };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge | BodyError::TooMany => Self::too_large(error.to_string()),
            _ => Self::body(error.to_string()),
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let message = error.to_string();
        match error {
            AppendError::Overloaded => Self::overloaded(message),
            AppendError::NoRoom(_) => Self::storage_full(message),
            AppendError::Closed => {
                Self::new(unavailable, "closing", message).retry_after(RETRY_OVERLOADED_SECONDS)
            }
            _ => {
                Self::new(unavailable, "storage_failed", message).retry_after(RETRY_STORAGE_SECONDS)
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::OutOfMemory { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                    .retry_after(RETRY_OVERLOADED_SECONDS)
            }
            QueryError::Invalid(_) => Self::query(message),
            _ => Self::internal(message),
        }
    }
}

impl From<millpond_query::ParseError> for ApiError {
    fn from(error: millpond_query::ParseError) -> Self {
        let place =
            json!({ "position": error.position, "expected": error.expected, "found": error.found });
        Self { details: vec![place], ..Self::query(error.to_string()) }
    }
}

impl From<AdministrationError> for ApiError {
    fn from(error: AdministrationError) -> Self {
        use AdministrationError::{Keys, Store};
        let message = error.to_string();
        match error {
            Keys(KeysError::Unknown(_)) => Self::new(StatusCode::NOT_FOUND, "not_found", message),
            Keys(KeysError::Invalid(_)) => Self::body(message),
            Keys(KeysError::Revoked(_)) => Self::new(StatusCode::CONFLICT, "key_revoked", message),
            Keys(KeysError::TooMany(_)) => {
                Self::new(StatusCode::CONFLICT, "too_many_keys", message)
            }
            Keys(KeysError::ProjectExists(_)) => {
                Self::new(StatusCode::CONFLICT, "project_exists", message)
            }
            Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", message)
                .retry_after(RETRY_STORAGE_SECONDS),
            _ => Self::internal(message),
        }
    }
}
