//! Every limit on a record, each with its reason. Nothing else in the workspace repeats these numbers.

/// Largest record as JSON, in bytes. A stack trace of 100 frames with source lines takes about 20 KiB;
/// fifty times that is a document, not a log line.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of objects and arrays in one record. The decoder's stack use is bounded by it.
pub const DEPTH_MAX: usize = 64;

/// Most keys in `fields` at its top level.
pub const FIELDS_MAX: usize = 1024;

/// Most tags on one record.
pub const TAGS_MAX: usize = 128;

/// Longest value of a text attribute (service, trace id, user id, ...) or tag, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 4096;

/// Largest request body after decompression, in bytes: 64 records of the largest size.
pub const BODY_BYTES_MAX: usize = 64 * RECORD_BYTES_MAX;

/// Most rejections that are reported one by one for a body; the rest are counted.
pub const REJECTIONS_REPORTED_MAX: usize = 100;

/// Longest name of a flow, in characters. The id, eight characters and a dash longer, is typed into searches.
pub const FLOW_NAME_CHARACTERS_MAX: usize = 100;
