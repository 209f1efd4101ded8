//! `POST /api/v1/flows`: an id for a new flow. Nothing is stored: a flow is what its records say it is.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use millpond_record::{FLOW_RANDOM, flow_id, limits::FLOW_NAME_CHARACTERS_MAX};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    auth::Caller,
    body,
    error::ApiError,
    keys::Scope,
    limits::FLOW_BODY_BYTES_MAX,
    logs::{NoParameters, Parameters},
};

#[derive(Debug, Deserialize)]
struct NewFlow {
    name: String,
}

/// A flow, ready to be named by records.
#[derive(Debug, Serialize)]
pub(crate) struct Flow {
    pub(crate) flow_id: String,
    pub(crate) name: String,
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Flow>, ApiError> {
    make(&app, &caller, &headers, request, FLOW_NAME_CHARACTERS_MAX).await.map(Json)
}

/// Makes the flow that a body asks for, with at most so many characters of its name in its id.
pub(crate) async fn make(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    request: Body,
    characters_max: usize,
) -> Result<Flow, ApiError> {
    caller.require(Scope::Ingest)?;
    let body = body::read(request, headers, &app.budget, FLOW_BODY_BYTES_MAX).await?;
    let NewFlow { name } = serde_json::from_slice(&body.bytes)
        .map_err(|error| ApiError::body(format!("{error}, expected {{\"name\":\"checkout\"}}")))?;
    let characters = name.chars().count();
    if !(1..=FLOW_NAME_CHARACTERS_MAX).contains(&characters) {
        return Err(ApiError::body(format!(
            "`name` has {characters} characters, expected 1 to {FLOW_NAME_CHARACTERS_MAX}"
        )));
    }
    let mut random = [0; FLOW_RANDOM];
    getrandom::fill(&mut random)
        .map_err(|error| ApiError::internal(format!("make a flow id: {error}")))?;
    let of_name: String = name.chars().take(characters_max).collect();
    Ok(Flow { flow_id: flow_id(&of_name, random), name })
}
