#![doc = include_str!("docs/front.md")]
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
pub mod guide;
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
pub use millpond_record::{
    Level, Severity, TextAttribute, Timestamp, TimestampError, UnknownLevel,
};
pub use millpond_wire::{Compression, UnknownCompression};
pub use scope::{Attached, Entered, Scope};
#[cfg(unix)]
pub use signals::close_on_termination;
pub use trace::{SpanId, TraceContext, TraceId};
pub use value::{
    ArrayWriter, DebugValue, DisplayValue, ObjectWriter, Value, ValueWriter, debug, display,
};
