//! The names that Timberlogs has for a record's attributes, where they differ from ours.

/// Our name for a field of a Timberlogs log entry; any other name stands for itself.
pub(crate) fn ours(name: &str) -> &str {
    match name {
        "source" => "service",
        "userId" => "user_id",
        "sessionId" => "session_id",
        "requestId" => "request_id",
        "flowId" => "flow_id",
        "stepIndex" => "step_index",
        "traceId" => "trace_id",
        "spanId" => "span_id",
        "data" => "fields",
        other => other,
    }
}
