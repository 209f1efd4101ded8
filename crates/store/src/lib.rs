//! Millpond's log store.
//!
//! [`Store`] is what the server asks for; [`EmbeddedStore`] is the engine behind it: a write-ahead log whose sync is
//! the point of acknowledgement ([`wal`](self)), hot rows in Arrow that are searchable at once, and Parquet segments
//! that any tool opens.
//!
//! # Data directory
//!
//! ```text
//! lock                                     locked by the process that has the store open
//! manifest.json                            the segments that count; replaced as a whole
//! wal/{number:020}.wal                     write-ahead log, see the module `wal` for its bytes
//! segments/{project}/{day}/{number}.parquet
//! ```
//!
//! # What a crash leaves
//! - a frame cut off at the end of the newest log file: it was acknowledged to nobody, and is dropped;
//! - segment files that the manifest does not name yet: removed at the next start, their rows are in the log;
//! - log files whose rows are all in segments: read over, removed after the next flush.

mod aggregate;
mod batch;
mod cache;
mod columns;
mod engine;
mod files;
mod filters;
mod hot;
mod idempotency;
mod limits;
mod manifest;
mod matches;
mod members;
mod parallel;
mod project;
mod records;
mod rows;
mod schema;
mod search;
mod segment;
mod select;
mod shred;
mod store;
mod template;
mod unit;
mod values;
mod wal;

pub use batch::{Batch, BatchBuilder};
pub use engine::{EmbeddedStore, OpenError, Options, Recovery};
pub use files::replace as replace_file;
pub use manifest::ManifestError;
pub use matches::Matcher;
pub use project::{Project, ProjectError};
pub use records::records;
pub use schema::{column, schema};
pub use store::{
    Aggregate, Answer, AppendError, Appended, Explain, Order, ProjectInfo, QueryError, Retention,
    Rows, Scan, Scanned, Store,
};
pub use wal::Damage;
