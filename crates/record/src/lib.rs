//! The nouns of Millpond: [`LogRecord`], [`Level`], [`Timestamp`], [`TextAttribute`], the limits, and their JSON.
//!
//! Pure: bytes in, values out. No I/O, no clock, no threads; a time that is needed is a parameter.
//! The names follow the OpenTelemetry log data model and its semantic conventions where one exists.

mod attribute;
mod body;
pub mod content;
mod decode;
mod encode;
mod flow;
pub mod json;
mod level;
pub mod limits;
mod record;
mod time;

pub use attribute::{RecordKey, TextAttribute};
pub use body::{Body, BodyError, BodyFormat};
pub use decode::{Decoded, Rejection, decode};
pub use flow::{FLOW_RANDOM, flow_id, flow_name};
pub use level::{Level, Severity, UnknownLevel};
pub use record::{LogRecord, UNKNOWN_SERVICE};
pub use time::{Timestamp, TimestampError};
