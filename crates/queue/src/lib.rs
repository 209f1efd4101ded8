//! What the client holds until it is delivered: a bounded memory queue of encoded records, and a spool on disk that
//! outlives the process. Every record is accounted for.
//!
//! A record is one line of bytes that ends with a newline; what is in it is none of our business. Callers append lines
//! to chunks of the [`Queue`] under a lock that is held for a copy and nothing else. One thread takes whole chunks as a
//! [`Batch`] when there are enough of them, when the oldest is old enough, or when somebody flushes, and
//! [settles](Queue::settle) the batch when its fate is known. Until then its records count as queued.
//!
//! At every moment `accepted = delivered + queued + spooled + dropped`: all of it changes under the same lock.
//!
//! The [`Spool`] comes behind the queue where it is wanted: batches are appended to it, sealed under a name that they
//! keep, and handed out until they are acknowledged, by this process or by one that comes after it. Its format is in
//! the documentation of [`spool`].
//!
//! Neither knows the network, and only the spool the disk. Waiting is the one thing they do besides keeping: the
//! condition variables are here, so that nobody needs to poll. No thread is started here.

#![forbid(unsafe_code)]

mod batch;
mod counters;
mod queue;
pub mod spool;

pub use batch::Batch;
pub use counters::{Counters, DropReason, Dropped};
pub use queue::{
    Asked, CHUNK_BYTES, Due, Flushed, Limits, Overflow, Pause, Pushed, Queue, SPARE_CHUNKS_MAX,
    Settlement, SpooledRecords, Taken,
};
pub use spool::{Recovery, Spool, SpoolError, SpoolLimits, Spooled, Ticket, Unsealed, Usage};
