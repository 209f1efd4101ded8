//! The live tail: a WebSocket that shows records as they are stored, for a key or for a ticket.

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::asked::{Asked, Pairs, of_project};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    keys::Scope,
    limits::TICKET_TIME,
    logs::{Parameters, Piece},
    stream::{self, Form},
};

pub(super) async fn ticket(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
) -> Result<Json<Value>, ApiError> {
    caller.require(Scope::Query)?;
    let ticket = app.tickets.make(caller, id)?;
    Ok(Json(json!({ "ticket": ticket, "expiresInSeconds": TICKET_TIME.as_secs() })))
}

pub(super) async fn stream(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let Piece(id) = Piece::from_request_parts(&mut parts, &app).await?;
    let Parameters(pairs) = Pairs::from_request_parts(&mut parts, &app).await?;
    let asked = Asked(pairs);
    let caller = match asked.one("ticket") {
        Some(ticket) => app.tickets.take(ticket, &id).ok_or_else(|| {
            let message = "the ticket is unknown, used or too old, expected a new one";
            ApiError::new(StatusCode::UNAUTHORIZED, "invalid_ticket", message)
        })?,
        None => stream::viewer(&mut parts, &app).await?,
    };
    let filter = of_project(&id, &caller).and(asked.filter()?);
    stream::upgraded(&app, &caller, &mut parts, Form::Streamlogia, filter, None).await
}
