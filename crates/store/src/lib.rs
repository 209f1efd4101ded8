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
//! wal/{number:020}.wal.damaged             a log file that had unreadable parts, kept when its rows were in segments;
//!                                          with `~` behind it if there is one of that name
//! segments/{project}/{day}/{number:012}.parquet
//!                                          day: `2026-01-31`; of rows of very many days that were written at once, the
//!                                          start of their days, `2026-01`, `2026`, `202` or `20`
//! damaged/…                                what `repair` put aside
//! ```
//!
//! A file that ends in `.tmp` is one that is being written.
//!
//! # What a crash leaves
//! - a frame cut off at the end of the newest log file: it was acknowledged to nobody, and is dropped;
//! - segment files that do not count: of a flush or merge that the manifest does not name yet, or of one that it names
//!   no more because they were merged, deleted, or too old. The manifest tells them from riddles (see the module
//!   `manifest`); they are removed at the next start;
//! - log files whose rows are all in segments, or deleted: read over, removed after the next flush.
//!
//! [`check`] says whether a directory is whole, [`repair`] makes it so, [`backup`] copies it while it is in use.

mod aggregate;
mod asked;
mod backup;
mod batch;
mod bitmap;
mod cache;
mod check;
mod clock;
mod columns;
mod days;
mod engine;
#[doc(hidden)]
pub mod faults;
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
mod repair;
mod rows;
mod schema;
mod search;
mod segment;
mod select;
mod sequences;
mod shred;
mod store;
mod template;
mod unit;
mod values;
mod wal;

pub use backup::{BackedUp, backup};
pub use batch::{Batch, BatchBuilder};
pub use check::{Checked, check};
pub use engine::{EmbeddedStore, OpenError, Options, Recovery};
pub use files::replace as replace_file;
pub use manifest::ManifestError;
pub use matches::Matcher;
pub use project::{Project, ProjectError};
pub use records::records;
pub use repair::{RepairError, repair};
pub use schema::{column, schema};
pub use store::{
    Aggregate, Answer, AppendError, Appended, Explain, Order, ProjectInfo, QueryError, Retention,
    Rows, Scan, Scanned, Store,
};
pub use template::template;
pub use wal::Damage;
