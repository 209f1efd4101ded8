//! What can go wrong with a spool.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the spool could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The lines would not fit within [`SpoolLimits::bytes_max`](super::SpoolLimits::bytes_max). Nothing was written.
    #[error("the spool is full: {bytes} more bytes would exceed the limit of {bytes_max}")]
    Full {
        /// What was to be written.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// So many lines can't be written at once, however much room there is.
    #[error("append to the spool: {bytes} bytes at once, expected less than 4 GiB")]
    TooLarge {
        /// What was to be written.
        bytes: u64,
    },
    /// A batch was not on the disk any more as it had been sealed. It was given up.
    #[error("batch {sequence} in {path:?} is damaged: {records} records are given up")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Of the batch.
        sequence: u64,
        /// To be counted as dropped.
        records: u64,
    },
    /// This is a forked child; the spool is its parent's.
    #[error("the spool belongs to the process that opened it")]
    Forked,
    /// A client is named by 32 lowercase hex digits.
    #[error("open the spool: client id {0:?}, expected 32 lowercase hex digits")]
    Client(String),
    /// The disk said no.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
}

impl SpoolError {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
