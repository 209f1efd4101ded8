//! A [`tracing_subscriber::Layer`] that sends events to Millpond.
//!
//! ```no_run
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! let client = millpond::Client::builder().service("shop").build()?;
//! let subscriber = tracing_subscriber::registry().with(millpond_tracing::layer(client));
//! # Ok::<(), millpond::BuildError>(())
//! ```
//!
//! An event becomes a record: its target is the `logger`, its fields are fields with their types, its place in the
//! source is `code.file.path` and `code.line.number`. It inherits the fields of the spans around it; what is closer
//! to the event wins. Fields named `trace_id`, `span_id`, `request_id`, `user_id`, `session_id` and `flow_id` are
//! the record's own attributes.

//! The record's trace is that of the active OpenTelemetry span or of the [`Scope`](millpond::Scope) around it, unless
//! the event or a span says another.
//!
//! With the feature `log` there is a logger for the crate of that name in `millpond_tracing::log`.

#![forbid(unsafe_code)]

mod layer;
#[cfg(feature = "log")]
pub mod log;

pub use layer::{Layer, layer};
use millpond::TextAttribute;

/// The fields that say where in the source a record was made, by OpenTelemetry's names.
const CODE_FILE: &str = "code.file.path";
const CODE_LINE: &str = "code.line.number";
const CODE_MODULE: &str = "code.namespace";

/// Whether what has this target is about our own work. What our sender's HTTP and TLS libraries log comes from its
/// thread, where the client takes nothing.
fn is_own(target: &str) -> bool {
    // Nearly every target is told by one comparison.
    let Some(rest) = target.strip_prefix("millpond") else { return false };
    let rest = rest.strip_prefix("_tracing").unwrap_or(rest);
    rest.is_empty() || rest.starts_with("::")
}

/// The attribute that a field of this name is.
fn attribute(name: &str) -> Option<TextAttribute> {
    TextAttribute::named(name).filter(|attribute| attribute.is_context())
}
