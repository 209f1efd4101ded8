//! Writes the segments of one client. Everything that it begins it ends or takes back, so that after a failure the
//! file holds whole frames, or is not written to again.

use std::{
    collections::VecDeque,
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    SpoolError,
    disk::Disk,
    frame::{self, HEAD_BYTES, HEADER_BYTES, Header},
    segment::{Place, Segment},
};
use crate::Batch;

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    file: File,
    path: PathBuf,
    /// Bytes up to the end of the last whole frame.
    good_bytes: u64,
    /// The lines behind the last seal.
    unsealed: Option<Place>,
    /// Its directory holds it, also after a power cut.
    is_entered: bool,
    /// There may be half a frame at its end.
    is_torn: bool,
}

/// Numbers segments and batches.
#[derive(Debug)]
pub(super) struct Writer {
    client: u128,
    directory: PathBuf,
    disk: Disk,
    /// Of the next segment.
    number: u64,
    /// Of the next batch.
    sequence: u64,
    active: Option<Active>,
}

/// What closing left.
#[derive(Debug)]
pub(super) struct Closed {
    /// Lines that had no seal: the end of their segment is it.
    pub(super) batch: Option<Place>,
    /// Size of the file.
    pub(super) bytes: u64,
}

impl Writer {
    pub(super) fn new(client: u128, directory: &Path, disk: Disk) -> Self {
        let directory = directory.to_owned();
        Self { client, directory, disk, number: 1, sequence: 1, active: None }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Begins a segment, unless there is one.
    pub(super) fn begin(&mut self, now: u64) -> Result<Option<Segment>, SpoolError> {
        if self.active.is_some() {
            return Ok(None);
        }
        let (number, path) = (self.number, self.directory.join(file_name(self.number)));
        // Whatever comes of it: a number is never used twice.
        self.number += 1;
        let header = Header { client: self.client, number, sequence: self.sequence, created: now };
        let file = self.disk.create(&path)?;
        if let Err(error) = self.disk.write(&file, &header.encode(), &path) {
            // One that stays does no harm.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        self.active = Some(Active {
            file,
            path: path.clone(),
            good_bytes: HEADER_BYTES,
            unsealed: None,
            is_entered: false,
            is_torn: false,
        });
        let batches = VecDeque::new();
        Ok(Some(Segment { path, number, bytes: HEADER_BYTES, batches, active: true }))
    }

    /// Appends lines to the segment that was begun: all of them or none. The bytes that they take.
    pub(super) fn append(&mut self, batch: &Batch, now: u64) -> Result<u64, SpoolError> {
        let Some(active) = &mut self.active else { return Ok(0) };
        let Some(head) = frame::lines(batch.entries(), now, batch.parts()) else {
            return Err(SpoolError::TooLarge { bytes: batch.bytes() as u64 });
        };
        active.write(&self.disk, std::iter::once(head.as_slice()).chain(batch.parts()))?;
        let bytes = HEAD_BYTES + batch.bytes() as u64;
        let lines = active.unsealed.get_or_insert(Place {
            sequence: self.sequence,
            entries: 0,
            offset: active.good_bytes,
            bytes: 0,
            written: now,
            taken: false,
        });
        lines.entries += batch.entries();
        lines.bytes += bytes;
        lines.written = now;
        active.good_bytes += bytes;
        Ok(bytes)
    }

    /// Seals what was appended and syncs it. The batch, and whether the segment may be written to any more: after a
    /// failed sync what the disk holds is unknown, and a failed write leaves the batch without a seal but the end of
    /// its segment.
    pub(super) fn seal(&mut self) -> Option<(Place, Result<(), SpoolError>, bool)> {
        let active = self.active.as_mut()?;
        let mut batch = active.unsealed.take()?;
        let seal = frame::seal(batch.sequence, batch.entries);
        let has_seal = active.write(&self.disk, std::iter::once(seal.as_slice())).is_ok();
        if has_seal {
            batch.bytes += HEAD_BYTES;
            active.good_bytes += HEAD_BYTES;
        }
        let synced = active.sync(&self.disk, &self.directory);
        self.sequence += 1;
        let is_usable = has_seal && synced.is_ok();
        Some((batch, synced, is_usable))
    }

    /// Writes no more to the segment, whose last lines become a batch, sealed or not.
    pub(super) fn close(&mut self) -> Option<Closed> {
        let active = self.active.take()?;
        if active.unsealed.is_some() {
            self.sequence += 1;
            // It could not be written to any more; what can be saved from a power cut is.
            let _ = self.disk.sync(&active.file, &active.path);
        }
        Some(Closed { bytes: active.bytes(), batch: active.unsealed })
    }

    /// Whether what failed left half a frame.
    pub(super) fn is_torn(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.is_torn)
    }
}

impl Active {
    fn write<'a>(
        &mut self,
        disk: &Disk,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), SpoolError> {
        for piece in pieces {
            if let Err(error) = disk.write(&self.file, piece, &self.path) {
                self.is_torn = disk.truncate(&self.file, self.good_bytes, &self.path).is_err();
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync(&mut self, disk: &Disk, directory: &Path) -> Result<(), SpoolError> {
        disk.sync(&self.file, &self.path)?;
        if !self.is_entered {
            disk.sync_directory(directory)?;
            self.is_entered = true;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        if !self.is_torn {
            return self.good_bytes;
        }
        self.file.metadata().map_or(self.good_bytes, |file| file.len())
    }
}

/// Name of a segment's file. Names sort as the numbers do.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}.seg")
}
