//! What each key did lately: when it was last used, how much it sent today, and whether that is more than it may.
//!
//! Limits are held without looking ahead: what a key does now is paid for by what it may do next, so that a batch above
//! the limit passes and is followed by a wait. A request that is refused costs nothing.
//!
//! The file `key_usage.json` keeps last use and the day's bytes across a restart. It is written at most once a minute
//! and at the end, so a crash forgets a minute; nothing else depends on it. The pace starts anew with the server.
//!
//! ```text
//! { "format_version": 1, "keys": { "k_1a2b3c4d": { "last_used", "day", "bytes" }, … } }
//! ```

use std::{
    collections::HashMap,
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use fs_err as fs;
use millpond_record::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    clock,
    error::ApiError,
    keys::{Key, KeyLimits},
    limits::USAGE_SAVED_EVERY,
    time_text,
};

const FORMAT_VERSION: u32 = 1;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// What is kept of a key's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    /// When a request with the key last came; a minute old at most.
    #[serde(with = "time_text::option")]
    pub last_used: Option<Timestamp>,
    /// The day of UTC that `bytes` counts, in days since the epoch.
    day: i64,
    /// Bytes of the bodies that were stored on that day.
    bytes: u64,
}

impl KeyUsage {
    /// Bytes of the bodies that were stored on the day of `now`.
    #[must_use]
    pub fn bytes_today(&self, now: Timestamp) -> u64 {
        if self.day == day(now) { self.bytes } else { 0 }
    }
}

fn day(now: Timestamp) -> i64 {
    now.nanos().div_euclid(NANOS_PER_DAY)
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format_version: u32,
    keys: HashMap<String, KeyUsage>,
}

/// What the file of a data directory says of its keys' use, by id; nothing if there is no such file.
///
/// # Errors
/// The file can't be read or is damaged.
pub fn read_usage(data_directory: &Path) -> io::Result<HashMap<String, KeyUsage>> {
    let path = file(data_directory);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice::<Content>(&text)
            .map(|content| content.keys)
            .map_err(|error| io::Error::other(format!("read {path:?}: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

fn file(data_directory: &Path) -> PathBuf {
    data_directory.join("key_usage.json")
}

/// Why a request has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    Rate { what: &'static str, limit: NonZeroU32, seconds: u64 },
    Quota { limit: u64, seconds: u64 },
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rate { what, limit, seconds } => {
                let message = format!("the key may do {limit} {what} a second");
                Self::limited("rate_limited", message, seconds)
            }
            Refused::Quota { limit, seconds } => {
                let message = format!("the key may send {limit} bytes a day (UTC), and has");
                Self::limited("quota_exceeded", message, seconds)
            }
        }
    }
}

/// How far ahead of a rate someone is: the time, on a clock of nanoseconds, until which everything so far is paid for.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(u64);

impl Pace {
    /// Whether another may follow: at most a second's worth may be owed. Otherwise the seconds to wait.
    fn check(self, now: u64) -> Result<(), u64> {
        let owed = self.0.saturating_sub(now);
        if owed < NANOS_PER_SECOND {
            return Ok(());
        }
        Err((owed - NANOS_PER_SECOND + 1).div_ceil(NANOS_PER_SECOND))
    }

    fn pay(&mut self, count: u64, per_second: NonZeroU32, now: u64) {
        let cost = count.saturating_mul(NANOS_PER_SECOND) / u64::from(per_second.get());
        self.0 = self.0.max(now).saturating_add(cost);
    }
}

/// One key's use.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    usage: KeyUsage,
    requests: Pace,
    records: Pace,
}

impl Counter {
    /// A request came.
    fn request(&mut self, limits: &KeyLimits, now: Timestamp, steady: u64) -> Result<(), Refused> {
        self.usage.last_used = Some(now);
        let Some(limit) = limits.requests_per_second else { return Ok(()) };
        let refused = |seconds| Refused::Rate { what: "requests", limit, seconds };
        self.requests.check(steady).map_err(refused)?;
        self.requests.pay(1, limit, steady);
        Ok(())
    }

    /// Whether a body may be taken.
    fn admit(&self, limits: &KeyLimits, now: Timestamp, steady: u64) -> Result<(), Refused> {
        if let Some(limit) = limits.bytes_per_day
            && self.usage.bytes_today(now) >= limit.get()
        {
            let left = NANOS_PER_DAY - now.nanos().rem_euclid(NANOS_PER_DAY);
            let seconds = left.unsigned_abs().div_ceil(NANOS_PER_SECOND);
            return Err(Refused::Quota { limit: limit.get(), seconds });
        }
        let Some(limit) = limits.records_per_second else { return Ok(()) };
        let refused = |seconds| Refused::Rate { what: "records", limit, seconds };
        self.records.check(steady).map_err(refused)
    }

    /// A body was stored.
    fn book(
        &mut self,
        limits: &KeyLimits,
        (records, bytes): (u64, u64),
        now: Timestamp,
        steady: u64,
    ) {
        self.usage.bytes = self.usage.bytes_today(now).saturating_add(bytes);
        self.usage.day = day(now);
        if let Some(limit) = limits.records_per_second {
            self.records.pay(records, limit, steady);
        }
    }
}

/// The use of all keys of a server.
#[derive(Debug)]
pub(crate) struct Usage {
    path: PathBuf,
    counters: Mutex<Counters>,
    started: Instant,
}

#[derive(Debug)]
struct Counters {
    by_id: HashMap<String, Counter>,
    saved: bool,
}

impl Usage {
    /// Reads the file. A damaged one is replaced: nothing that it says is worth a server that does not start.
    pub(crate) fn open(data_directory: &Path) -> Self {
        let kept = read_usage(data_directory).unwrap_or_else(|error| {
            tracing::warn!(%error, "the use of keys is counted anew");
            HashMap::new()
        });
        let counter = |usage| Counter { usage, ..Counter::default() };
        let by_id = kept.into_iter().map(|(id, usage)| (id, counter(usage))).collect();
        Self {
            path: file(data_directory),
            counters: Mutex::new(Counters { by_id, saved: true }),
            started: Instant::now(),
        }
    }

    /// Counts a request of any kind.
    pub(crate) fn request(&self, key: &Key) -> Result<(), ApiError> {
        let limits = &key.entry.limits;
        Ok(self.with(key, |counter, steady| counter.request(limits, clock::now(), steady))?)
    }

    /// Refuses a body of a key that sent more than it may.
    pub(crate) fn admit(&self, key: &Key) -> Result<(), ApiError> {
        let limits = &key.entry.limits;
        Ok(self.with(key, |counter, steady| counter.admit(limits, clock::now(), steady))?)
    }

    /// Counts a body that was stored.
    pub(crate) fn book(&self, key: &Key, records: usize, bytes: usize) {
        let amount = (records as u64, bytes as u64);
        let limits = &key.entry.limits;
        self.with(key, |counter, steady| counter.book(limits, amount, clock::now(), steady));
    }

    /// What is known of the keys' use, by id.
    pub(crate) fn all(&self) -> HashMap<String, KeyUsage> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.by_id.iter().map(|(id, counter)| (id.clone(), counter.usage)).collect()
    }

    /// What is known of one key's use.
    pub(crate) fn of(&self, id: &str) -> Option<KeyUsage> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.by_id.get(id).map(|counter| counter.usage)
    }

    fn with<T>(&self, key: &Key, act: impl FnOnce(&mut Counter, u64) -> T) -> T {
        let steady = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.saved = false;
        if let Some(counter) = counters.by_id.get_mut(&key.entry.id) {
            return act(counter, steady);
        }
        act(counters.by_id.entry(key.entry.id.clone()).or_default(), steady)
    }

    /// Writes the file, if there is anything new.
    pub(crate) fn save(&self) {
        let keys = {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut counters.saved, true) {
                return;
            }
            counters.by_id.iter().map(|(id, counter)| (id.clone(), counter.usage)).collect()
        };
        let content = Content { format_version: FORMAT_VERSION, keys };
        let written = serde_json::to_vec(&content)
            .map_err(io::Error::other)
            .and_then(|text| millpond_store::replace_file(&self.path, &text));
        if let Err(error) = written {
            tracing::warn!(%error, "the use of keys could not be saved");
        }
    }
}

/// Saves the use of keys from time to time until the server ends.
pub(crate) async fn keep_saved(usage: Arc<Usage>, mut ending: watch::Receiver<bool>) {
    let mut ticks = interval(USAGE_SAVED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ending.wait_for(|&ending| ending) => return,
            _ = ticks.tick() => {}
        }
        let usage = Arc::clone(&usage);
        // It only ever fails to start when the server ends, which saves once more.
        let _ = tokio::task::spawn_blocking(move || usage.save()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_nanos(NANOS_PER_DAY / 2);
    const SECOND: u64 = NANOS_PER_SECOND;

    fn records_per_second(limit: u32) -> KeyLimits {
        KeyLimits { records_per_second: NonZeroU32::new(limit), ..KeyLimits::default() }
    }

    fn rate(what: &'static str, limit: u32, seconds: u64) -> Result<(), Refused> {
        Err(Refused::Rate { what, limit: NonZeroU32::new(limit).unwrap(), seconds })
    }

    #[test]
    fn a_second_of_requests_may_come_at_once_and_no_more() {
        let limits = KeyLimits { requests_per_second: NonZeroU32::new(10), ..KeyLimits::default() };
        let mut counter = Counter::default();
        for _ in 0..10 {
            assert_eq!(counter.request(&limits, NOON, 0), Ok(()));
        }
        assert_eq!(counter.request(&limits, NOON, 0), rate("requests", 10, 1));
        assert_eq!(counter.request(&limits, NOON, SECOND / 10), Ok(()));
        assert_eq!(counter.request(&limits, NOON, SECOND / 10), rate("requests", 10, 1));
        assert_eq!(counter.usage.last_used, Some(NOON));
    }

    #[test]
    fn a_batch_above_the_rate_passes_and_is_followed_by_a_wait() {
        let limits = records_per_second(10);
        let mut counter = Counter::default();
        assert_eq!(counter.admit(&limits, NOON, 0), Ok(()));
        counter.book(&limits, (1000, 1), NOON, 0);
        assert_eq!(counter.admit(&limits, NOON, 0), rate("records", 10, 100));
        assert_eq!(counter.admit(&limits, NOON, 98 * SECOND), rate("records", 10, 2));
        assert_eq!(counter.admit(&limits, NOON, 99 * SECOND + 1), Ok(()));
    }

    #[test]
    fn a_day_of_bytes_ends_at_midnight() {
        let limits = KeyLimits { bytes_per_day: NonZeroU64::new(100), ..KeyLimits::default() };
        let mut counter = Counter::default();
        counter.book(&limits, (1, 99), NOON, 0);
        assert_eq!(counter.admit(&limits, NOON, 0), Ok(()));
        counter.book(&limits, (1, 1), NOON, 0);
        let refused = Err(Refused::Quota { limit: 100, seconds: 43_200 });
        assert_eq!(counter.admit(&limits, NOON, 0), refused);
        let midnight = Timestamp::from_nanos(NANOS_PER_DAY);
        assert_eq!(counter.admit(&limits, midnight, 0), Ok(()));
        assert_eq!(
            (counter.usage.bytes_today(NOON), counter.usage.bytes_today(midnight)),
            (100, 0)
        );
    }

    #[test]
    fn the_days_bytes_and_the_last_use_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let usage = Usage::open(directory.path());
        let key = Key::for_tests("k_1", KeyLimits::default());
        usage.request(&key).unwrap();
        usage.book(&key, 1, 42);
        usage.save();
        let kept = Usage::open(directory.path()).all();
        assert_eq!(kept, usage.all());
        assert!(kept["k_1"].last_used.is_some());
        assert_eq!(kept["k_1"].bytes_today(clock::now()), 42);
    }

    #[test]
    fn a_damaged_file_is_counted_anew() {
        let directory = tempfile::tempdir().unwrap();
        millpond_store::replace_file(&file(directory.path()), b"{").unwrap();
        assert!(read_usage(directory.path()).is_err());
        assert!(Usage::open(directory.path()).all().is_empty());
    }

    use std::num::NonZeroU64;
}
