#![doc = include_str!("docs/front.md")]
#![deny(unsafe_code)]

mod address;
mod backtrace;
mod builder;
mod client;
mod clock;
mod console;
mod content;
mod context;
mod delivery;
mod diagnostics;
mod draft;
mod engine;
mod envelope;
mod event;
mod exception;
mod flush;
mod fork;
pub mod guide;
mod json;
pub mod limits;
mod line;
mod metrics;
mod normalised;
pub mod panics;
mod pipeline;
mod random;
pub mod read;
mod shipper;
#[cfg(unix)]
mod signals;
mod stream;
mod thread;
mod value;

pub use builder::{BuildError, Builder};
pub use client::Client;
pub use console::{Console, ConsoleFormat, ConsoleStreams, Mode};
pub use content::Redaction;
pub use context::TraceSource;
pub use context::breadcrumb::{Breadcrumb, breadcrumb};
pub use context::flow::{Flow, FlowError};
pub use context::scope::{Attached, Entered, Scope};
pub use context::trace::{SpanId, TraceContext, TraceId};
pub use delivery::breaker::BreakerState;
pub use diagnostics::is_own_thread;
pub use draft::{Decision, Draft};
pub use envelope::{Envelope, Failure};
pub use event::Event;
pub use flush::{FlushGuard, FlushOutcome};
pub use line::LineWriter;
pub use metrics::Metrics;
pub use millpond_queue::{DropReason, Dropped, Overflow};
pub use millpond_record::{
    Level, Severity, TextAttribute, Timestamp, TimestampError, UnknownLevel,
};
pub use millpond_wire::{Compression, UnknownCompression};
pub use shipper::Shipper;
#[cfg(unix)]
pub use signals::close_on_termination;
pub use value::{
    ArrayWriter, DebugValue, DisplayValue, ObjectWriter, Value, ValueWriter, debug, display,
};
