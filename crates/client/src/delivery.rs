//! How records are kept and delivered: the options.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod keeper;
pub(crate) mod loss;
pub(crate) mod parcel;
pub(crate) mod sender;
pub(crate) mod supply;
pub(crate) mod transport;

use std::{path::PathBuf, time::Duration};

use millpond_queue::{Due, Limits, Overflow, SpoolLimits};
use millpond_wire::Compression;

use crate::{BuildError, Builder, limits};

/// What the builder was told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The default depends on whom it is for.
    pub(crate) compression: Option<Compression>,
    pub(crate) overflow: Overflow,
    pub(crate) limits: Limits,
    pub(crate) due: Due,
    pub(crate) retry_delay_first: Duration,
    pub(crate) retry_delay_max: Duration,
    /// Attempts after which a batch is dropped.
    pub(crate) attempts_max: Option<u32>,
    pub(crate) breaker_threshold: u32,
    pub(crate) breaker_reset: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) loss_reports: bool,
    pub(crate) spool_directory: Option<PathBuf>,
    pub(crate) spool_limits: SpoolLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: None,
            overflow: Overflow::default(),
            limits: Limits {
                bytes_max: limits::QUEUE_BYTES_MAX,
                entries_max: limits::QUEUE_ENTRIES_MAX,
            },
            due: Due {
                entries_due: u64::MAX,
                entries_max: limits::BATCH_ENTRIES_MAX,
                bytes_max: limits::BATCH_BYTES_MAX,
                age_max: limits::BATCH_AGE_MAX,
            },
            retry_delay_first: limits::RETRY_DELAY_FIRST,
            retry_delay_max: limits::RETRY_DELAY_MAX,
            attempts_max: None,
            breaker_threshold: limits::BREAKER_THRESHOLD,
            breaker_reset: limits::BREAKER_RESET,
            connect_timeout: limits::CONNECT_TIMEOUT,
            request_timeout: limits::REQUEST_TIMEOUT,
            shutdown_timeout: limits::SHUTDOWN_TIMEOUT,
            loss_reports: true,
            spool_directory: None,
            spool_limits: SpoolLimits {
                bytes_max: limits::SPOOL_BYTES_MAX,
                age_max: limits::SPOOL_AGE_MAX,
            },
        }
    }
}

impl Options {
    /// # Errors
    /// A limit would let nothing pass, or the path of the spool is empty.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.spool_directory.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(BuildError::Spool);
        }
        let zero = [
            ("queue_limits", self.limits.bytes_max == 0 || self.limits.entries_max == 0),
            ("batch_entries", self.due.entries_max == 0),
            ("batch_entries_due", self.due.entries_due == 0),
            ("batch_bytes", self.due.bytes_max == 0),
            ("attempts_max", self.attempts_max == Some(0)),
            ("spool_limits", self.spool_limits.bytes_max == 0),
            ("breaker threshold", self.breaker_threshold == 0),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("request_timeout", self.request_timeout.is_zero()),
        ]
        .into_iter()
        .find(|(_, is_zero)| *is_zero);
        zero.map_or(Ok(()), |(name, _)| Err(BuildError::Zero(name)))
    }
}

impl Builder {
    /// How batches are compressed. When the server refuses one, the next simpler is used.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.delivery.compression = Some(compression);
        self
    }

    /// What is dropped when the queue is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.delivery.overflow = overflow;
        self
    }

    /// How much may wait in memory, in bytes and in records.
    pub fn queue_limits(mut self, bytes_max: usize, entries_max: u64) -> Self {
        self.delivery.limits = Limits { bytes_max, entries_max };
        self
    }

    /// Most records of one batch; as soon as there are so many, they are sent.
    pub fn batch_entries(mut self, max: u64) -> Self {
        self.delivery.due.entries_max = max;
        self
    }

    /// Has a batch sent as soon as it has so many records, though it might have more: what comes while the one before is
    /// on its way goes along, up to [`Self::batch_entries`], which is also the default.
    pub fn batch_entries_due(mut self, entries: u64) -> Self {
        self.delivery.due.entries_due = entries;
        self
    }

    /// Most bytes of one batch before compression; as soon as there are so many, they are sent.
    pub fn batch_bytes(mut self, max: usize) -> Self {
        self.delivery.due.bytes_max = max;
        self
    }

    /// How long a record may wait for others to go with.
    pub fn batch_age(mut self, max: Duration) -> Self {
        self.delivery.due.age_max = max;
        self
    }

    /// How long to wait before a batch is sent again: a random time below a bound that begins with `first`, doubles
    /// with every failure and ends at `max`.
    pub fn retry_delay(mut self, first: Duration, max: Duration) -> Self {
        self.delivery.retry_delay_first = first;
        self.delivery.retry_delay_max = max;
        self
    }

    /// After how many attempts a batch is dropped; by default it is tried for as long as there is room for it.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.delivery.attempts_max = Some(attempts);
        self
    }

    /// After `threshold` failures in a row the server is left alone, but for one batch each `reset` that probes
    /// whether it is back. 5 and 10 s by default. A flush and closing probe at once.
    pub fn breaker(mut self, threshold: u32, reset: Duration) -> Self {
        self.delivery.breaker_threshold = threshold;
        self.delivery.breaker_reset = reset;
        self
    }

    /// Whether the server is told of records that were lost, by a record of level `warn` with the logger `millpond`
    /// and the fields `lost` and `lost_by_reason`; it is by default.
    pub fn loss_reports(mut self, told: bool) -> Self {
        self.delivery.loss_reports = told;
        self
    }

    /// Keeps records on disk until they are delivered, in a directory of its own below this one; any number of
    /// processes may share it. There is none by default.
    ///
    /// A record is written at most [`limits::SPOOL_DELAY`] after its call and then survives the end of the process, also by
    /// SIGKILL. It is synced when its batch is complete, at the latest after [`Self::batch_age`], and then survives a
    /// power cut; [`crate::Client::persist`] waits for that. What a process leaves, the next one that uses the directory
    /// delivers, with the field `recovered`: exactly once, since a batch keeps its idempotency key.
    pub fn spool(mut self, directory: impl Into<PathBuf>) -> Self {
        self.delivery.spool_directory = Some(directory.into());
        self
    }

    /// How many bytes all files of the spool may take, and how long a record may wait there: 256 MiB and seven days
    /// by default. When the spool is full records stay in memory, unless the [oldest](Overflow::DropOldest) are to go.
    pub fn spool_limits(mut self, bytes_max: u64, age_max: Duration) -> Self {
        self.delivery.spool_limits = SpoolLimits { bytes_max, age_max };
        self
    }

    /// How long connecting may take.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.delivery.connect_timeout = timeout.min(limits::TIMEOUT_MAX);
        self
    }

    /// How long sending a batch may take, and again how long its answer may.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.delivery.request_timeout = timeout.min(limits::TIMEOUT_MAX);
        self
    }

    /// How long the last handle waits for what is queued when it is dropped.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.delivery.shutdown_timeout = timeout;
        self
    }
}
