//! Structured logging that never gets in the way and loses nothing on it.
//!
//! ```no_run
//! use millpond::Client;
//!
//! let client = Client::builder()
//!     .endpoint("http://127.0.0.1:4480")
//!     .api_key("mp_…")
//!     .service("shop")
//!     .build()?;
//! client.info("order placed").field("order_id", 4711).field("total", 19.99).trace_id("4bf92f35").send();
//! # Ok::<(), millpond::BuildError>(())
//! ```
//!
//! A call encodes the record once, into the bytes that go on the wire, takes one short lock and returns: it never
//! waits for the network, never panics, and what can't be kept is counted with its reason in [`Metrics`]. One
//! plain thread, started by the first record, sends batches over blocking sockets; there is no async runtime, so
//! that the client lives in every process and survives a fork.
//!
//! Each batch carries an idempotency key and is sent again, the same bytes under the same key, until the server
//! says that it is on its disk.
//!
//! [`read`] is the other direction: queries, statistics, and logs as they are stored.

#![deny(unsafe_code)]

mod address;
mod backoff;
mod backtrace;
mod breadcrumb;
mod breaker;
mod builder;
mod client;
mod clock;
mod console;
mod content;
mod context;
mod delivery;
mod diagnostics;
mod draft;
mod dsn;
mod engine;
mod event;
mod exception;
mod flow;
mod fork;
mod json;
mod keeper;
mod kept;
pub mod limits;
mod line;
mod loss;
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
pub mod panics;
mod parcel;
mod pipeline;
mod proxy;
mod random;
pub mod read;
mod scope;
mod sender;
#[cfg(unix)]
mod signals;
mod supply;
mod trace;
mod transport;
mod value;

pub use breadcrumb::{Breadcrumb, breadcrumb};
pub use breaker::BreakerState;
pub use builder::{BuildError, Builder};
pub use client::{Client, FlushGuard, FlushOutcome};
pub use console::{Console, ConsoleFormat, ConsoleStreams, Mode};
pub use content::Redaction;
pub use context::TraceSource;
pub use diagnostics::is_own_thread;
pub use draft::{Decision, Draft};
pub use event::Event;
pub use flow::{Flow, FlowError};
pub use line::LineWriter;
pub use metrics::Metrics;
pub use millpond_queue::{DropReason, Dropped, Overflow};
pub use millpond_record::{Level, Severity, TextAttribute, Timestamp};
pub use millpond_wire::Compression;
pub use scope::{Attached, Entered, Scope};
#[cfg(unix)]
pub use signals::close_on_termination;
pub use trace::{SpanId, TraceContext, TraceId};
pub use value::{
    ArrayWriter, DebugValue, DisplayValue, ObjectWriter, Value, ValueWriter, debug, display,
};
