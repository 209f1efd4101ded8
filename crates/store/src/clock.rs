//! The one place of this crate that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use millpond_record::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
