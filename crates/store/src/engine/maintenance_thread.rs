//! The thread that merges segments, applies the retention, and removes files that no query holds any more.

use std::{io, sync::PoisonError, time::Instant};

use super::{Shared, lock, merge::When};
use crate::{
    clock,
    limits::{CLEAN_UP_EVERY, MAINTENANCE_TICK},
};

impl Shared {
    pub(super) fn run_maintenance(&self) {
        let mut cleaned_up = Instant::now();
        loop {
            let state = lock(&self.state);
            if state.closing {
                return;
            }
            let waited = self.maintenance.wait_timeout(state, MAINTENANCE_TICK);
            if waited.unwrap_or_else(PoisonError::into_inner).0.closing {
                return;
            }
            let due = cleaned_up.elapsed() >= CLEAN_UP_EVERY;
            let maintained = self.maintain(due);
            if due {
                cleaned_up = Instant::now();
            }
            if let Err(error) = &maintained {
                tracing::error!(%error, "segments could not be merged or removed");
            }
            lock(&self.state).maintenance_trouble = maintained.err().map(|error| error.to_string());
        }
    }

    /// Does all of it, whatever fails, and tells the first trouble.
    pub(super) fn maintain(&self, clean_up: bool) -> io::Result<()> {
        let swept = self.sweep(&lock(&self.maintaining));
        let cleaned_up = if clean_up { self.clean_up(clock::now()) } else { Ok(()) };
        let merged = self.merge_all(When::Tiered, || lock(&self.state).closing);
        swept.and(cleaned_up).and(merged)
    }
}
