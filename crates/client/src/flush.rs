//! How waiting for delivery ended, and waiting at the end of a block.

use std::time::Duration;

use crate::{Client, engine::Engine};

/// How a flush ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what is left may be lost if the process ends now"]
#[non_exhaustive]
pub struct FlushOutcome {
    /// Records that were logged before and are still not delivered; for [`Client::persist`], not synced to the disk
    /// either.
    pub left: u64,
    /// How many of them are in the spool: the next start delivers them.
    pub spooled: u64,
    /// Whether nothing can come of more waiting for now, or something was given up: see
    /// [`Shipper::flush`](crate::Shipper::flush). Never for a [`Client`].
    pub in_vain: bool,
}

impl FlushOutcome {
    pub(crate) fn new(left: u64, engine: &Engine) -> Self {
        let spooled = engine.queue.counters().spooled.min(left);
        Self { left, spooled, in_vain: false }
    }

    /// Whether nothing is left, and nothing of it was given up while this waited.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.left == 0 && !self.in_vain
    }

    /// How many records are lost if the process ends now.
    #[must_use]
    pub fn at_risk(self) -> u64 {
        self.left.saturating_sub(self.spooled)
    }

    /// Whether nothing is lost if the process ends now.
    #[must_use]
    pub fn is_safe(self) -> bool {
        self.at_risk() == 0
    }
}

/// Flushes the client when it is dropped. Made by [`Client::flush_on_drop`].
#[derive(Debug)]
#[must_use = "it flushes when it is dropped: bind it to a name"]
pub struct FlushGuard<'c> {
    client: &'c Client,
    timeout: Duration,
}

impl<'c> FlushGuard<'c> {
    pub(crate) fn new(client: &'c Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }
}

impl Drop for FlushGuard<'_> {
    fn drop(&mut self) {
        // Whoever wants to know asks the metrics.
        let _ = self.client.flush(self.timeout);
    }
}
