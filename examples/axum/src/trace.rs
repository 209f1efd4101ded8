//! The `traceparent` header of W3C Trace Context.

use axum::http::HeaderMap;

/// Where in which trace a request comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace_id: String,
    /// The caller's span, if there is a caller.
    pub(crate) span_id: Option<String>,
}

impl TraceParent {
    /// What the headers say, or a new trace.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .and_then(Self::parse)
            .unwrap_or_else(|| Self { trace_id: random_hex::<16>(), span_id: None })
    }

    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = version == "00" && parts.next().is_none();
        let well_formed = is_id(trace_id, 32) && is_id(span_id, 16) && flags.len() == 2;
        (known && well_formed)
            .then(|| Self { trace_id: trace_id.to_owned(), span_id: Some(span_id.to_owned()) })
    }
}

/// A random span id.
pub(crate) fn new_span_id() -> String {
    random_hex::<8>()
}

fn is_id(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}

fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [1; BYTES];
    // Without randomness the id says nothing, and the request is served nevertheless.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_or_begins() {
        let mut headers = HeaderMap::new();
        let begun = TraceParent::of(&headers);
        assert!(is_id(&begun.trace_id, 32) && begun.span_id.is_none());
        for wrong in ["x", "00-0-0-0", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"] {
            assert_eq!(TraceParent::parse(wrong), None);
        }
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", header.parse().unwrap());
        let continued = TraceParent::of(&headers);
        assert_eq!(continued.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(continued.span_id.as_deref(), Some("00f067aa0ba902b7"));
    }
}
