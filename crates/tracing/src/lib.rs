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

#![forbid(unsafe_code)]

mod layer;

pub use layer::{Layer, layer};
