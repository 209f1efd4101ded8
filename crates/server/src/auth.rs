//! Who is asking: every handler that takes a [`Caller`] needs a key, and the key decides the project.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts},
};
use millpond_store::Project;
use millpond_wire::header::API_KEY;

use crate::{
    App, clock,
    error::ApiError,
    keys::{Found, Key, Scope},
};

/// Someone with a good key.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) project: Project,
    pub(crate) key: Key,
}

impl Caller {
    pub(crate) fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.key.entry.scopes.contains(&scope) {
            return Ok(());
        }
        let message =
            format!("the key may not do this, expected one with the scope `{}`", scope.name());
        Err(ApiError::new(StatusCode::FORBIDDEN, "missing_scope", message))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let unauthorized =
            |code, message| Err(ApiError::new(StatusCode::UNAUTHORIZED, code, message));
        let Some(sent) = sent_key(&parts.headers) else {
            return unauthorized(
                "missing_key",
                "no key, expected a header `X-API-Key: KEY` or `Authorization: Bearer KEY`",
            );
        };
        match app.keys.find(sent, clock::now()) {
            Ok(Found::Good(key)) => {
                app.usage.request(&key)?;
                Ok(Self { project: key.entry.project.clone(), key })
            }
            Ok(Found::Expired) => {
                unauthorized("expired_key", "the key has expired or was replaced by a newer one")
            }
            Ok(Found::Unknown) => unauthorized("invalid_key", "the key is unknown or was revoked"),
            Err(error) => Err(ApiError::internal(error.to_string())),
        }
    }
}

fn sent_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(API_KEY) {
        return key.to_str().ok();
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
