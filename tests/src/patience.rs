//! Waiting for another process, which has no condvar to wait on. Tests and tools only.

use std::time::{Duration, Instant};

use anyhow::Result;

const POLL_EVERY: Duration = Duration::from_millis(10);

/// Asks `look` until it answers with a value; `None` when `patience` ended first.
///
/// # Errors
/// What `look` failed with.
pub fn wait_for<T>(
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = look()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        pause(POLL_EVERY);
    }
}

/// Does nothing for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "another process can't wake us; nothing is shut down meanwhile"
)]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
