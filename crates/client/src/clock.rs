//! The one place that asks what time it is.

use std::time::SystemTime;

use millpond_record::Timestamp;

/// The time of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time of the wall clock in nanoseconds since the epoch.
pub(crate) fn now() -> Timestamp {
    wall().into()
}
