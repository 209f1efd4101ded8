//! What a client has done so far.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use millpond_queue::{Counters, Dropped};

use crate::{content::Counts, delivery::breaker::BreakerState, limits::LATENCIES_KEPT};

/// The account of a client in this process: `accepted = delivered + queued + spooled + dropped.total()` at every
/// moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Records that were logged at an enabled level, and the [recovered](Self::recovered) ones.
    pub accepted: u64,
    /// Records that an earlier process had left in the spool and that this one took over.
    pub recovered: u64,
    /// Records that the server has on its disk.
    pub delivered: u64,
    /// Records that wait in memory or are on their way from there.
    pub queued: u64,
    /// The size of the queued ones in bytes.
    pub queued_bytes: usize,
    /// Records in the spool that are not delivered yet.
    pub spooled: u64,
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
    /// How often the circuit breaker went from closed to open.
    pub breaker_trips: u64,
    /// Mean time from sending a batch to its answer, over the last [`LATENCIES_KEPT`] answers; zero before the first.
    pub latency_mean: Duration,
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
    pub(crate) breaker_trips: AtomicU64,
    breaker_state: AtomicU8,
    latencies: Mutex<Latencies>,
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
            recovered: counters.recovered,
            delivered: counters.delivered,
            queued: counters.queued,
            queued_bytes: counters.queued_bytes,
            spooled: counters.spooled,
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
            breaker_trips: read(&self.breaker_trips),
            latency_mean: self.latencies().mean(),
        }
    }

    pub(crate) fn answered_after(&self, latency: Duration) {
        self.latencies().add(latency);
    }

    pub(crate) fn set_breaker(&self, state: BreakerState) {
        self.breaker_state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        BreakerState::of(self.breaker_state.load(Ordering::Relaxed))
    }

    /// Begins to count anew. The state of the breaker is no count.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.batches,
            &self.retries,
            &self.errors,
            &self.sent_bytes,
            &self.encoded_bytes,
            &self.breaker_trips,
            &self.filtered,
            &self.redacted,
            &self.truncated,
            &self.hook_failures,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        *self.latencies() = Latencies::default();
    }

    fn latencies(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last few latencies.
#[derive(Debug, Default)]
struct Latencies {
    kept: Vec<Duration>,
    /// Where the next one goes once all places are taken.
    oldest: usize,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        if self.kept.len() < LATENCIES_KEPT {
            self.kept.push(latency);
        } else if let Some(oldest) = self.kept.get_mut(self.oldest) {
            *oldest = latency;
            self.oldest = (self.oldest + 1) % LATENCIES_KEPT;
        }
    }

    fn mean(&self) -> Duration {
        let count = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.iter().sum::<Duration>().checked_div(count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_latency_is_that_of_the_last_hundred() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.mean(), Duration::ZERO);
        latencies.add(Duration::from_secs(4));
        latencies.add(Duration::from_secs(2));
        assert_eq!(latencies.mean(), Duration::from_secs(3));
        for _ in 0..LATENCIES_KEPT {
            latencies.add(Duration::from_secs(7));
        }
        assert_eq!(latencies.mean(), Duration::from_secs(7));
    }
}
