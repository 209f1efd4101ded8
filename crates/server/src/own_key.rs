//! `GET /api/v1/key`: what the key that asks may do, and what time it is here. For clients that check their set-up.

use axum::Json;
use millpond_record::Timestamp;
use serde::Serialize;

use crate::{
    auth::Caller,
    clock,
    error::ApiError,
    logs::{NoParameters, Parameters},
    time_text,
};

/// A key as its owner may see it.
#[derive(Debug, Serialize)]
pub(crate) struct OwnKey {
    id: String,
    name: String,
    project: String,
    scopes: Vec<&'static str>,
    #[serde(with = "time_text::option")]
    expires: Option<Timestamp>,
    #[serde(with = "time_text")]
    server_time: Timestamp,
    server_version: &'static str,
}

/// Needs a key, and no scope of it.
pub(crate) async fn show(
    caller: Caller,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<OwnKey>, ApiError> {
    let key = &caller.key.entry;
    Ok(Json(OwnKey {
        id: key.id.clone(),
        name: key.name.clone(),
        project: key.project.to_string(),
        scopes: key.scopes.iter().map(|scope| scope.name()).collect(),
        expires: key.expires,
        server_time: clock::now(),
        server_version: env!("CARGO_PKG_VERSION"),
    }))
}
