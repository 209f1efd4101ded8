//! What is read from a request before it goes on.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, HeaderMap, HeaderName, Request, header::USER_AGENT};
use millpond::{Scope, SpanId, TraceContext, TraceId};

use crate::{layer::Settings, network::client_address};

/// The header that carries the request id, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest request id that is taken from a header, in bytes. Longer ones are no ids.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Bytes of a path, user agent or header that are recorded; the rest is cut off.
const TEXT_BYTES_MAX: usize = 2048;

/// What the record of a request says about the request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) route: Option<String>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    pub(crate) parent_span_id: Option<SpanId>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) request_id: String,
}

impl Asked {
    /// What the request says, and the scope that it is worked on in.
    pub(crate) fn read<B>(request: &Request<B>, settings: &Settings) -> (Self, Scope) {
        let headers = request.headers();
        let parent = text(headers, &TRACEPARENT).and_then(TraceContext::parse);
        let request_id = request_id(headers);
        let peer = (settings.peer_address)(request.extensions());
        let scope = Scope::current()
            .trace(parent.map_or_else(TraceContext::generate, |parent| parent.child()))
            .request_id(request_id.as_str());
        let asked = Self {
            method: request.method().clone(),
            path: cut(request.uri().path()),
            route: route(request.extensions()),
            ip: peer.map(|peer| {
                let trusted = &settings.trusted_proxies;
                client_address(peer, headers, settings.forwarded_header, trusted)
            }),
            user_agent: headers.get(USER_AGENT).map(|value| lossy(value.as_bytes())),
            parent_span_id: parent.map(|parent| parent.span_id),
            headers: recorded_headers(headers, &settings.request_headers),
            request_id,
        };
        (asked, scope)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The id that the request came with, if it is one: printable, without spaces, not too long. Else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let said = [&REQUEST_ID, &CORRELATION_ID].into_iter().find_map(|name| {
        let id = text(headers, name)?.trim();
        let printable = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        (printable && id.len() <= REQUEST_ID_BYTES_MAX).then(|| id.to_owned())
    });
    said.unwrap_or_else(|| TraceId::generate().to_string())
}

fn recorded_headers(headers: &HeaderMap, names: &[HeaderName]) -> Vec<(String, String)> {
    let recorded = names.iter().filter_map(|name| {
        let mut values = headers.get_all(name).iter().filter(|value| !value.is_sensitive());
        let first = lossy(values.next()?.as_bytes());
        let all = values.fold(first, |all, value| all + ", " + &lossy(value.as_bytes()));
        Some((name.as_str().to_owned(), cut(&all)))
    });
    recorded.collect()
}

fn lossy(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(bytes))
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text).to_owned()
}

#[cfg(feature = "axum")]
fn route(extensions: &Extensions) -> Option<String> {
    Some(extensions.get::<axum::extract::MatchedPath>()?.as_str().to_owned())
}

#[cfg(not(feature = "axum"))]
fn route(_: &Extensions) -> Option<String> {
    None
}

/// The address of the peer, as far as the server put it among the extensions.
pub(crate) fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(peer) = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() {
        return Some(peer.0.ip());
    }
    extensions.get::<SocketAddr>().map(SocketAddr::ip)
}
