//! Which system a request means, where the path alone does not tell. Pure.
//!
//! LogTide's routes for reading have the paths of ours. An address with [`LOGTIDE`] in front always means LogTide; one
//! without does if the request has what only LogTide's clients send.

use axum::http::{
    Method, Request, Uri,
    header::{CONTENT_TYPE, UPGRADE},
    uri::PathAndQuery,
};

/// What stands in front of LogTide's paths.
pub(super) const LOGTIDE: &str = "/logtide";

/// What LogTide's paths that may also be ours begin with, and how they go on. Below it there are paths of ours that it has
/// not, those of one record.
const SHARED: &str = "/api/v1/logs";
const BELOW: [&str; 5] = ["", "/aggregated", "/stream", "/top-services", "/top-errors"];
const TRACE: &str = "/trace/";

/// Parameters that LogTide has and we have not.
const LOGTIDE_PARAMETERS: [&str; 9] = [
    "projectId",
    "traceId",
    "sessionId",
    "hostname",
    "searchMode",
    "metadata_filters",
    "service[]",
    "level[]",
    "hostname[]",
];

/// Parameters of LogTide that we have too.
const SHARED_PARAMETERS: [&str; 10] =
    ["service", "level", "q", "from", "to", "limit", "offset", "cursor", "interval", "token"];

/// What its SDKs send with every search.
const PAGE: [&str; 2] = ["limit", "offset"];

/// Gives a request for LogTide's routes the address that only they have.
pub(crate) fn told_apart<B>(mut request: Request<B>) -> Request<B> {
    if is_logtides(&request)
        && let Ok(path_and_query) = format!("{LOGTIDE}{}", request.uri()).parse::<PathAndQuery>()
    {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Whether it is a LogTide client that asks, on a path that is ours as well. Its SDKs declare a JSON body on every
/// request, also where there is none; so do others, but these may ask for what LogTide has not: a parameter, or a
/// WebSocket.
fn is_logtides<B>(request: &Request<B>) -> bool {
    let below = request.uri().path().strip_prefix(SHARED);
    let is_shared = below.is_some_and(|below| BELOW.contains(&below) || below.starts_with(TRACE));
    if request.method() != Method::GET || !is_shared || request.headers().contains_key(UPGRADE) {
        return false;
    }
    let declares_json = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value.to_str().is_ok_and(|value| value.trim().starts_with("application/json"))
    });
    let query = request.uri().query().unwrap_or_default();
    let parameters: Vec<(String, String)> = serde_html_form::from_str(query).unwrap_or_default();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let only_logtide_has = |name: &&str| LOGTIDE_PARAMETERS.contains(name);
    if !declares_json {
        return names.iter().any(only_logtide_has);
    }
    let may_be = |name: &&str| only_logtide_has(name) || SHARED_PARAMETERS.contains(name);
    let is_search = below == Some("");
    let has_page = PAGE.iter().all(|name| names.contains(name));
    names.iter().all(may_be) && (!is_search || has_page || names.iter().any(only_logtide_has))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, uri: &str, content_type: Option<&str>) -> String {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        told_apart(request.body(()).unwrap()).uri().to_string()
    }

    #[test]
    fn what_only_logtide_sends_leads_to_logtides_routes() {
        let json = Some("application/json");
        assert_eq!(
            routed("GET", "/api/v1/logs?limit=5&offset=0", json),
            "/logtide/api/v1/logs?limit=5&offset=0"
        );
        assert_eq!(
            routed("GET", "/api/v1/logs/trace/a%2Fb", json),
            "/logtide/api/v1/logs/trace/a%2Fb"
        );
        assert_eq!(
            routed("GET", "/api/v1/logs?q=a&traceId=t", None),
            "/logtide/api/v1/logs?q=a&traceId=t"
        );
        assert_eq!(
            routed("GET", "/api/v1/logs?service%5B%5D=a", None),
            "/logtide/api/v1/logs?service%5B%5D=a"
        );
    }

    #[test]
    fn everything_else_stays_where_it_is() {
        let json = Some("application/json");
        for (method, uri, content_type) in [
            ("GET", "/api/v1/logs?limit=5&q=traceId%3D7", None),
            ("GET", "/api/v1/logs", json),
            ("GET", "/api/v1/logs?q=a&cursor=c", json),
            ("GET", "/api/v1/logsmore", json),
            ("GET", "/api/v1/logs/98ea267aa87418330000000000000001", json),
            ("GET", "/api/v1/logs/98ea267aa87418330000000000000001/context", json),
            ("POST", "/api/v1/query", json),
            ("POST", "/api/v1/ingest", json),
            ("GET", "/logtide/api/v1/logs", json),
            ("GET", "/api/v1/logs", Some("text/plain")),
            ("GET", "/api/v1/logs?q=a&order=asc", json),
            ("GET", "/api/v1/logs?trace_id=t", json),
        ] {
            assert_eq!(routed(method, uri, content_type), uri);
        }
    }
}
