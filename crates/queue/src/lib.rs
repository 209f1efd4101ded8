//! The client's bounded memory queue: encoded records in, batches out, every record accounted for.
//!
//! A record is one line of bytes that ends with a newline; what is in it is none of the queue's business. Callers
//! append lines to chunks under a lock that is held for a copy and nothing else. One sender takes whole chunks as
//! a [`Batch`] when there are enough of them, when the oldest is old enough, or when somebody flushes, and
//! [settles](Queue::settle) the batch when its fate is known. Until then its records count as queued.
//!
//! At every moment `accepted = delivered + queued + dropped`: all of it changes under the same lock.
//!
//! The queue knows no network and no disk. Waiting is the one thing it does besides keeping: the condition
//! variables are here, so that nobody needs to poll.

#![forbid(unsafe_code)]

mod batch;
mod counters;
mod queue;

pub use batch::Batch;
pub use counters::{Counters, DropReason, Dropped};
pub use queue::{
    Asked, CHUNK_BYTES, Due, Limits, Overflow, Pause, Pushed, Queue, SPARE_CHUNKS_MAX, Settlement,
    SpooledRecords, Taken,
};
