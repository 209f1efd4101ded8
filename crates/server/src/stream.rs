//! `GET /api/v1/logs/stream`: records as they are stored, as server-sent events or over a WebSocket.
//!
//! Here is the way in: who asks, for what, from where on. A [`Hub`](hub::Hub) reads the new records of a project once
//! for all who follow it, a [`Tail`] is one of these and says what passes its filter, in the [`Form`] of its connection.

mod batch;
mod form;
mod hub;
mod ring;
mod tail;
#[cfg(test)]
mod tests;
mod websocket;

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State, ws::WebSocketUpgrade},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, UPGRADE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures::stream;
use millpond_query::Filter;
use millpond_wire::header::API_KEY;
use serde::Deserialize;

use self::tail::Tail;
pub(crate) use self::{
    form::Form,
    hub::{Bounds, Hubs},
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    keys::Scope,
    limits::{SOCKET_MESSAGE_BYTES_MAX, SOCKET_WRITE_BYTES},
    logs::{Parameters, filter},
};

/// The parameters of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StreamParameters {
    q: Option<String>,
    service: Option<String>,
    level: Option<String>,
    last_event_id: Option<u64>,
    /// Read by [`viewer`].
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// The key of a browser, whose `EventSource` and `WebSocket` send no headers of ours.
#[derive(Debug, Deserialize)]
struct Token {
    token: String,
}

pub(crate) async fn stream(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let caller = viewer(&mut parts, &app).await?;
    let Parameters(asked): Parameters<StreamParameters> =
        Parameters::from_request_parts(&mut parts, &app).await?;
    let filter = filter(asked.q.as_deref(), asked.service.as_deref(), asked.level.as_deref())?;
    if wants_websocket(&parts.headers) {
        return upgraded(&app, &caller, &mut parts, Form::Messages, filter, asked.last_event_id)
            .await;
    }
    followed(&app, &caller, &parts.headers, Form::Events, filter, asked.last_event_id)
}

/// Events of the records that pass, for a caller who may read.
pub(crate) fn followed(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    form: Form,
    filter: Filter,
    resumed: Option<u64>,
) -> Result<Response, ApiError> {
    tail(app, caller, form, headers, filter, resumed).map(events)
}

/// The same over a WebSocket.
pub(crate) async fn upgraded(
    app: &App,
    caller: &Caller,
    parts: &mut Parts,
    form: Form,
    filter: Filter,
    resumed: Option<u64>,
) -> Result<Response, ApiError> {
    let tail = tail(app, caller, form, &parts.headers, filter, resumed)?;
    let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await;
    let upgrade = upgrade.map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_upgrade", error.body_text())
    })?;
    let upgrade = upgrade
        .read_buffer_size(SOCKET_MESSAGE_BYTES_MAX)
        .max_message_size(SOCKET_MESSAGE_BYTES_MAX)
        .write_buffer_size(SOCKET_WRITE_BYTES);
    Ok(upgrade.on_upgrade(|socket| websocket::serve(socket, tail)))
}

/// Who asks; a key in the address counts where there is none in a header.
pub(crate) async fn viewer(parts: &mut Parts, app: &App) -> Result<Caller, ApiError> {
    let named = parts.headers.contains_key(API_KEY) || parts.headers.contains_key(AUTHORIZATION);
    if !named
        && let Ok(Token { token }) =
            serde_html_form::from_str(parts.uri.query().unwrap_or_default())
        && let Ok(mut key) = HeaderValue::try_from(token)
    {
        key.set_sensitive(true);
        parts.headers.insert(API_KEY, key);
    }
    Caller::from_request_parts(parts, app).await
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).and_then(|upgrade| upgrade.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

fn tail(
    app: &App,
    caller: &Caller,
    form: Form,
    headers: &HeaderMap,
    filter: Filter,
    resumed: Option<u64>,
) -> Result<Tail, ApiError> {
    caller.require(Scope::Query)?;
    let resumed = match headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            Some(id.ok_or_else(|| {
                ApiError::parameter("Last-Event-ID: expected the id of an event of this stream")
            })?)
        }
        None => resumed,
    };
    Tail::new(app, caller, filter, form, resumed)
}

fn events(tail: Tail) -> Response {
    let pieces = stream::unfold(tail, |mut tail| async move {
        let piece = tail.next().await.ok()?;
        Some((Ok::<_, Infallible>(piece.bytes()), tail))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        // A proxy that collects events before it passes them on is told not to.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}
