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
    let since_epoch = wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
