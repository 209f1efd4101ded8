//! Watches the room on the disk: refuses before it is full, so that what was taken can still be written as segments.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{
    error::ApiError,
    limits::{DISK_AGE_MAX, DISK_RESERVE_BYTES_MIN},
};

/// The file system of the data directory.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    reserve_bytes: u64,
    /// When it was last asked, and what it said.
    seen: Mutex<Option<(Instant, u64)>>,
    /// Whether it was full when last asked: the log says each turn once.
    full: AtomicBool,
}

impl Disk {
    pub(crate) fn new(directory: &Path, reserve_bytes: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            reserve_bytes,
            seen: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// The reserve of a server that was not told one: what the store has in memory may all have to be written, and
    /// compress badly.
    pub(crate) fn reserve_for(store_bytes: usize) -> u64 {
        DISK_RESERVE_BYTES_MIN.max(store_bytes as u64 / 2)
    }

    /// Bytes that are free; `None` if the system does not tell.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, free)) = *seen
            && at.elapsed() < DISK_AGE_MAX
        {
            return Some(free);
        }
        let told = rustix::fs::statvfs(&self.directory).ok()?;
        let free = told.f_bavail.saturating_mul(told.f_frsize);
        *seen = Some((Instant::now(), free));
        Some(free)
    }

    /// Whether there is room for more. A disk that does not tell is written to until it fails.
    pub(crate) fn room(&self) -> Result<(), ApiError> {
        let trouble = self.trouble();
        if self.full.swap(trouble.is_some(), Ordering::Relaxed) != trouble.is_some() {
            match &trouble {
                Some(trouble) => tracing::error!("no more records are taken: {trouble}"),
                None => tracing::info!("there is room on the disk again"),
            }
        }
        trouble.map_or(Ok(()), |trouble| Err(ApiError::storage_full(trouble)))
    }

    /// What is wrong, in words for the operator.
    pub(crate) fn trouble(&self) -> Option<String> {
        let free = self.free_bytes().filter(|&free| free < self.reserve_bytes)?;
        Some(format!(
            "the disk has {free} bytes free, expected at least {} (--disk-reserve)",
            self.reserve_bytes
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_below_its_reserve_takes_no_more() {
        let directory = std::env::temp_dir();
        assert!(Disk::new(&directory, 0).room().is_ok());
        let full = Disk::new(&directory, u64::MAX);
        assert!(format!("{:?}", full.room()).contains("storage_full"));
        assert!(full.trouble().is_some_and(|trouble| trouble.contains("bytes free")));
    }

    #[test]
    fn a_disk_that_does_not_tell_is_no_reason_to_refuse() {
        let nowhere = Disk::new(Path::new("/no/such/directory"), u64::MAX);
        assert!(nowhere.room().is_ok());
    }
}
