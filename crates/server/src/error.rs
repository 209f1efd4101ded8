//! The one shape of every error that the API gives.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use millpond_protocols::BodyError;
use millpond_store::{AppendError, QueryError};
use serde::Serialize;

use crate::limits::{RETRY_OVERLOADED_SECONDS, RETRY_STORAGE_SECONDS};

/// An error as the client gets it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_seconds: Option<u64>,
}

/// Its body; see docs/http-api.md.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'a str,
    message: &'a str,
    details: [(); 0],
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_seconds: None }
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
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
        let body = Body { error, code: self.code, message: &self.message, details: [] };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(error.to_string()),
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
            QueryError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_query", message),
            _ => Self::internal(message),
        }
    }
}

impl From<millpond_query::ParseError> for ApiError {
    fn from(error: millpond_query::ParseError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", error.to_string())
    }
}
