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
use millpond_wire::header::API_KEY;
use serde::Deserialize;

pub(crate) use self::hub::{Bounds, Hubs};
use self::{form::Form, tail::Tail};
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
    caller.require(Scope::Query)?;
    let Parameters(parameters) = Parameters::from_request_parts(&mut parts, &app).await?;
    if !wants_websocket(&parts.headers) {
        let tail = tail(&app, &caller, Form::Events, &parts.headers, &parameters)?;
        return Ok(events(tail));
    }
    let tail = tail(&app, &caller, Form::Messages, &parts.headers, &parameters)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app).await;
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
async fn viewer(parts: &mut Parts, app: &App) -> Result<Caller, ApiError> {
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
    parameters: &StreamParameters,
) -> Result<Tail, ApiError> {
    let filter = filter(
        parameters.q.as_deref(),
        parameters.service.as_deref(),
        parameters.level.as_deref(),
    )?;
    let resumed = match headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            Some(id.ok_or_else(|| {
                ApiError::parameter("Last-Event-ID: expected the id of an event of this stream")
            })?)
        }
        None => parameters.last_event_id,
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
