//! The one place that asks what time it is.

use std::time::{Instant, SystemTime};

use millpond_record::Timestamp;

/// The time of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock as it was when the spool was opened, and the time that has passed since: what is set forward or back
/// meanwhile makes no record older than it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    wall: SystemTime,
    since: Instant,
}

impl Steady {
    pub(crate) fn begin() -> Self {
        Self { wall: wall(), since: Instant::now() }
    }

    pub(crate) fn now(self) -> SystemTime {
        self.wall.checked_add(self.since.elapsed()).unwrap_or(self.wall)
    }
}

/// The time of the wall clock in nanoseconds since the epoch.
pub(crate) fn now() -> Timestamp {
    wall().into()
}
