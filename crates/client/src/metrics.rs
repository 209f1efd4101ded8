//! What a client has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

use millpond_queue::{Counters, Dropped};

use crate::content::Counts;

/// The account of a client in this process: `accepted = delivered + queued + dropped.total()` at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Records that were logged at an enabled level.
    pub accepted: u64,
    /// Records that the server has on its disk.
    pub delivered: u64,
    /// Records that wait or are on their way.
    pub queued: u64,
    /// The size of the queued ones in bytes.
    pub queued_bytes: usize,
    /// Records that are gone, by reason.
    pub dropped: Dropped,
    /// Batches that were delivered.
    pub batches: u64,
    /// Requests that repeated one before.
    pub retries: u64,
    /// Requests that did not end in a delivery, whatever the reason.
    pub errors: u64,
    /// Bytes of all bodies that were sent, as they went on the wire.
    pub sent_bytes: u64,
    /// Bytes of the records in these bodies before compression.
    pub encoded_bytes: u64,
    /// Records that were kept from the server on purpose, and are not among the accepted ones: by sampling, by
    /// [`crate::Builder::before_send`], because they are local, or because the client is.
    pub filtered: u64,
    /// Values and parts of texts that were redacted or excluded.
    pub redacted: u64,
    /// Texts and records that were cut, and base64 that was removed.
    pub truncated: u64,
    /// Panics of [`crate::Builder::before_send`].
    pub hook_failures: u64,
}

/// What the sender and the callers count, beside the account of the queue.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) batches: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) encoded_bytes: AtomicU64,
    pub(crate) filtered: AtomicU64,
    pub(crate) redacted: AtomicU64,
    pub(crate) truncated: AtomicU64,
    pub(crate) hook_failures: AtomicU64,
}

impl Tally {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what was withheld from a record; from most there is nothing.
    pub(crate) fn withheld(&self, counts: Counts) {
        if counts != Counts::default() {
            Self::add(&self.redacted, u64::from(counts.redacted));
            Self::add(&self.truncated, u64::from(counts.truncated));
        }
    }

    pub(crate) fn metrics(&self, counters: Counters) -> Metrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            accepted: counters.accepted,
            delivered: counters.delivered,
            queued: counters.queued,
            queued_bytes: counters.queued_bytes,
            dropped: counters.dropped,
            batches: read(&self.batches),
            retries: read(&self.retries),
            errors: read(&self.errors),
            sent_bytes: read(&self.sent_bytes),
            encoded_bytes: read(&self.encoded_bytes),
            filtered: read(&self.filtered),
            redacted: read(&self.redacted),
            truncated: read(&self.truncated),
            hook_failures: read(&self.hook_failures),
        }
    }
}
