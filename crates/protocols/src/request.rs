//! The names of the fields by which a record tells of the request that it was written for, as the semantic conventions
//! of OpenTelemetry have them, or in their manner where they have none.

/// The method: `GET`.
pub const METHOD: &str = "http.request.method";

/// The path, without the query string.
pub const PATH: &str = "url.path";

/// The status that the request was answered with.
pub const STATUS: &str = "http.response.status_code";

/// When the request began: the same in all records of one request.
pub const START: &str = "request.start_time";

/// When it ended.
pub const END: &str = "request.end_time";

/// How long it took, in milliseconds.
pub const DURATION: &str = "request.duration_ms";
