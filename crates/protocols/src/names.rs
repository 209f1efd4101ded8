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

/// What [`ours`] does not tell, because a record has no attribute for it: fields by their names in OpenTelemetry's
/// conventions.
pub(crate) const CLIENT_ADDRESS: (&str, &str) = ("ipAddress", "client.address");
pub(crate) const CLIENT_COUNTRY: (&str, &str) = ("country", "geo.country.iso_code");

/// Our name for a member of a Timberlogs log entry, its fields included.
pub(crate) fn of_timberlogs(name: &str) -> &str {
    let field = [CLIENT_ADDRESS, CLIENT_COUNTRY].into_iter().find(|(theirs, _)| *theirs == name);
    field.map_or_else(|| ours(name), |(_, ours)| ours)
}
