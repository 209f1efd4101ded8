//! The client's batches on disk: appended by one thread, sent by another, found again after a crash.
//!
//! Owns the segments of this client and those that dead clients left. It knows no network, and no thread is its own.
//! It takes lines from a *keeper*, who says when they are a batch, and hands batches to a *sender*, who says when
//! their fate is known.
//!
//! # What holds
//!
//! - A batch is named by (client, sequence), and that name stands for the same lines before and after a crash. The
//!   server stores what comes twice under one name once; the spool's part is that nothing else comes under it.
//! - Batches of one client are handed out in the order of their sequences, which start at 1 and leave none out; those
//!   of dead clients first, the client that began first in front.
//! - A batch is within one segment. All bytes that are read back are covered by a checksum.
//! - A directory belongs to one spool of one process. A file is written only by the client whose it is, and after its
//!   death by the one that takes it over, who adds no lines.
//! - There is no file of positions: a segment is removed when all its batches are acknowledged, and after a crash
//!   those of a segment that is still there are all sent again.
//!
//! # On disk, version 1
//!
//! ```text
//! DIRECTORY/CLIENT/lock                       locked as long as the process lives
//! DIRECTORY/CLIENT/00000000000000000001.seg   segments, by number
//! ```
//!
//! CLIENT is 32 lowercase hex digits. Directories are made with mode 0700, files with 0600. Numbers are little-endian
//! but for the client's. Checksums are CRC32C. Times are milliseconds since the epoch.
//!
//! ```text
//! segment  0  8  "mpspool\n"
//!          8  4  version: 1. Up to here every version is the same.
//!         12 16  client, as the digits read
//!         28  8  number, as in the file's name
//!         36  8  sequence of the first batch in this segment
//!         44  8  time at which the segment was begun
//!         52  4  checksum of the bytes 0 to 51
//!         56     frames
//!
//! frame    0  4  length of what follows the checksum
//!          4  4  checksum of what follows
//!          8  1  kind
//!
//! lines    8  1  kind: 1                     seal     8  1  kind: 2
//!          9  8  records, at least 1                  9  8  sequence
//!         17  8  time at which this was written      17  8  records of the batch
//!         25     lines, each with its newline
//! ```
//!
//! A batch is one or more lines frames and the seal behind them. Lines at the end of a segment without a seal are a
//! batch as well as soon as nobody can write to the segment any more: its end is their seal. The first batch has the
//! header's sequence, each further one the next: that of the unsealed lines, too, is known from their segment alone.
//!
//! # Append
//!
//! Begins a segment if there is none, and writes one lines frame; nothing is synced. If the write fails, what there is
//! of the frame is cut off. If that fails too, the segment is closed at its last whole frame.
//!
//! *Crash:* half a frame stays, which recovery cuts off. Lines that were appended outlive the process; a power cut
//! takes what the system had not yet written.
//!
//! # Seal
//!
//! Writes the seal, syncs the file, after a segment's first seal its directory, and only then hands the batch out. If
//! the seal can't be written, the segment is closed: on a full disk batches must leave, not wait. If the sync
//! fails, the segment is closed and the batch goes out all the same, while it can be read. A segment that has reached
//! [`SEGMENT_BYTES_MAX`] is closed.
//!
//! *Crash* before the seal is whole: recovery seals the same lines under the same sequence, since nobody has appended
//! to them. *Power cut* before the sync was over: recovery may find fewer lines, but no one has seen the batch. After
//! a sync that failed somebody may have; then the server knows the name, or the lost lines are lost.
//!
//! # Next, acknowledge
//!
//! A batch is read when it is taken, and its checksums are verified again. If it is not what was sealed it is given
//! up. When all batches of a segment are acknowledged, or dropped for their age or for want of room, and it is closed,
//! its file is removed, and with a dead client's last file its directory. [`Spool::retire`] closes the active segment.
//!
//! *Crash* before a file is removed, or a power cut that brings it back: its batches are sent again under their names.
//!
//! # Recovery
//!
//! For each directory whose lock nobody holds: takes the lock, and reads each segment. Behind a bad frame:
//!
//! - There is no seal of this or a later batch: a crash cut the file here. The rest is cut off; whole
//!   lines before it are sealed and synced before they are handed out.
//! - There is such a seal: something that was whole is damaged. All up to it is given up, with the lines before the
//!   damage that have no seal yet: their batch had, or may have had, others. Behind it the next batch begins. It is
//!   kept itself if only the seal before it is damaged: what is so short was one, so its batch begins behind that.
//! - The seals behind go back, or tell of more than there is room for: all from the first damage on is given up.
//!   Seals are searched byte by byte, which lines can't deceive: they are JSON, which has no zero bytes.
//!
//! A segment whose header is cut or damaged is given up as a whole. One of another version, and whatever else is no
//! segment of this client, is named in [`Recovery::damaged`] and left alone, as is what can't be read. The records that
//! damage cost are [`Recovery::lost_records`], as far as whole frames tell.
//!
//! *Crash* during recovery: the next one finds the same. A seal that was added says what the end of the file said.
//!
//! # Lock
//!
//! The file gets its name `lock` when it is locked already. So a directory without one is being made or removed, and
//! a lock that nobody holds is that of a dead process. A process that dies between two of these steps leaves a
//! directory without batches behind, which nobody removes.

mod disk;
mod error;
mod frame;
mod index;
mod lock;
mod recovery;
mod segment;
mod writer;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

pub use self::{
    error::SpoolError,
    index::{Ticket, Unsealed, Usage},
    recovery::Recovery,
};

use self::{
    disk::Disk,
    frame::{HEAD_BYTES, HEADER_BYTES},
    index::{Directory, Index, Removal, Taken},
    lock::Lock,
    writer::Writer,
};
use crate::Batch;

/// Size at which a segment is closed: about eight full batches, so that the disk gets its room back soon, and
/// a damaged header costs no more than these. A small limit on all of the spool is kept in eight segments.
pub const SEGMENT_BYTES_MAX: u64 = 8 << 20;

/// Directories of dead processes that are taken over at a time: each costs a descriptor for its lock, of which there
/// are often 1,024. Jobs that run every minute through an outage leave more.
pub const ADOPTED_DIRECTORIES_MAX: usize = 64;

/// How much a spool may hold, what it took over included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of all files.
    pub bytes_max: u64,
    /// [`Spool::expire`] drops batches all of whose lines are older.
    pub age_max: Duration,
}

/// A batch that was handed out. Its fate is for [`Spool::acknowledge`].
#[derive(Debug)]
pub struct Spooled {
    /// The lines.
    pub batch: Batch,
    /// For the acknowledgement.
    pub ticket: Ticket,
    /// Who sealed it: 32 hex digits.
    pub client: String,
    /// Which of the client's batches it is, from 1.
    pub sequence: u64,
    /// It was left by a process that is dead.
    pub recovered: bool,
}

/// The client's batches on disk. See the [module](self).
#[derive(Debug)]
pub struct Spool {
    base: PathBuf,
    limits: SpoolLimits,
    segment_bytes_max: u64,
    disk: Disk,
    /// A forked child has a copy of this all, which is not for it to touch.
    process: u32,
    /// Held while the disk writes. Whoever needs both locks takes this one first.
    writer: Mutex<Writer>,
    /// Never held while the disk works, so that the reader and those who count need not wait for it.
    index: Mutex<Index>,
    /// The reader waits here.
    sealed: Condvar,
}

impl Spool {
    /// Makes the directory of `client` (32 lowercase hex digits, never used before) below `directory`, and takes over
    /// those of dead processes.
    ///
    /// # Errors
    /// The directory can't be made or locked. What others left can't be the reason.
    pub fn open(
        directory: &Path,
        client: &str,
        limits: SpoolLimits,
    ) -> Result<(Self, Recovery), SpoolError> {
        Self::open_on(directory, client, limits, Disk::default())
    }

    fn open_on(
        base: &Path,
        client: &str,
        limits: SpoolLimits,
        disk: Disk,
    ) -> Result<(Self, Recovery), SpoolError> {
        let number = client_number(client).ok_or_else(|| SpoolError::Client(client.to_owned()))?;
        disk.create_directory(base, true)?;
        let path = base.join(client);
        disk.create_directory(&path, false)?;
        let lock = Lock::create(&path, &disk)?;
        disk.sync_directory(base)?;
        let writer = Writer::new(number, &path, disk.clone());
        let own = Directory {
            client: client.into(),
            path,
            segments: VecDeque::new(),
            lock: Some(lock),
            has_foreign: false,
        };
        let index = Index {
            adopted: VecDeque::new(),
            own,
            unsealed: Unsealed::default(),
            usage: Usage::default(),
            woken: false,
        };
        let spool = Self {
            base: base.to_owned(),
            limits,
            segment_bytes_max: SEGMENT_BYTES_MAX.min(limits.bytes_max / 8),
            disk,
            process: process::id(),
            writer: Mutex::new(writer),
            index: Mutex::new(index),
            sealed: Condvar::new(),
        };
        let recovery = spool.adopt()?;
        Ok((spool, recovery))
    }

    /// Takes over what processes left that died since, and what was too much before.
    ///
    /// # Errors
    /// [`SpoolError::Forked`].
    pub fn adopt(&self) -> Result<Recovery, SpoolError> {
        let (own, adopted) = {
            let index = self.index()?;
            (Arc::clone(&index.own.client), index.adopted.len())
        };
        let directories_max = ADOPTED_DIRECTORIES_MAX.saturating_sub(adopted);
        let mut recovery = Recovery::default();
        let directories = recovery.run(&self.base, &own, directories_max, &self.disk);
        self.index()?.adopt(directories);
        self.sealed.notify_one();
        Ok(recovery)
    }

    /// Appends lines: all of them or none. They are written, not synced: a crash of the process spares them, a power
    /// cut may not.
    ///
    /// # Errors
    /// There is no room, by the limit or on the disk, or the disk failed. The lines are the caller's still.
    pub fn append(&self, batch: &Batch, now: SystemTime) -> Result<(), SpoolError> {
        let mut writer = self.writer()?;
        let now = millis(now);
        if let Err(full) = self.reserve(batch, writer.is_active()) {
            if !self.retire_active(&mut writer)? {
                return Err(full);
            }
            self.reserve(batch, false)?;
        }
        if let Some(segment) = writer.begin(now)? {
            let mut index = self.index()?;
            index.usage.bytes += segment.bytes;
            index.own.segments.push_back(segment);
        }
        match writer.append(batch, now) {
            Ok(bytes) => {
                self.index()?.appended(batch.entries(), bytes);
                Ok(())
            }
            Err(error) => {
                if writer.is_torn() {
                    // What can't be removed is for the next start; this error is the one to be told.
                    let _ = self.close(&mut writer);
                }
                Err(error)
            }
        }
    }

    /// A seal must always fit: without it what is on disk could not be sent.
    fn reserve(&self, batch: &Batch, is_active: bool) -> Result<(), SpoolError> {
        let bytes = HEAD_BYTES + batch.bytes() as u64;
        let around = HEAD_BYTES + if is_active { 0 } else { HEADER_BYTES };
        let bytes_max = self.limits.bytes_max;
        if self.index()?.usage.bytes + bytes + around > bytes_max {
            return Err(SpoolError::Full { bytes, bytes_max });
        }
        Ok(())
    }

    /// What was appended since the last seal.
    #[must_use]
    pub fn unsealed(&self) -> Unsealed {
        self.index().map(|index| index.unsealed).unwrap_or_default()
    }

    /// Makes everything that was appended since the last seal the next batch, and has the disk keep it. The number of
    /// its records, 0 if there are none.
    ///
    /// # Errors
    /// The disk could not be made to keep it. The batch goes out nevertheless, and outlives the process; a power cut
    /// may take it.
    pub fn seal(&self) -> Result<u64, SpoolError> {
        let mut writer = self.writer()?;
        let Some((batch, synced, is_usable)) = writer.seal() else { return Ok(0) };
        let entries = batch.entries;
        let is_full = {
            let mut index = self.index()?;
            index.sealed(batch);
            index.active().is_none_or(|segment| segment.bytes >= self.segment_bytes_max)
        };
        if is_full || !is_usable {
            self.close(&mut writer)?;
        }
        self.sealed.notify_one();
        synced.map(|()| entries)
    }

    fn close(&self, writer: &mut Writer) -> Result<(), SpoolError> {
        let Some(closed) = writer.close() else { return Ok(()) };
        let mut index = self.index()?;
        index.closed(closed);
        let removal = index.sweep();
        drop(index);
        self.sealed.notify_one();
        removal.perform(&self.disk)
    }

    /// Closes and removes the segment that is written to, if all of it is acknowledged. Whether it did.
    ///
    /// # Errors
    /// The file can't be removed. It is empty as far as this spool is concerned.
    pub fn retire(&self) -> Result<bool, SpoolError> {
        self.retire_active(&mut *self.writer()?)
    }

    fn retire_active(&self, writer: &mut Writer) -> Result<bool, SpoolError> {
        let is_through = writer.is_active() && self.index()?.own_is_through();
        if is_through {
            self.close(writer)?;
        }
        Ok(is_through)
    }

    /// The oldest batch that nobody has; those of dead processes come first. Waits for one, until [`Self::wake`] is
    /// called, but not longer than `wait`.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`]: the batch is given up, the next one may be asked for at once. Otherwise it can't be
    /// read at the moment and stays the next one.
    pub fn next(&self, wait: Duration) -> Result<Option<Spooled>, SpoolError> {
        let deadline = Instant::now().checked_add(wait);
        let mut index = self.index()?;
        let taken = loop {
            if let Some(taken) = index.take() {
                break taken;
            }
            let remaining = deadline
                .map_or(wait, |deadline| deadline.saturating_duration_since(Instant::now()));
            if std::mem::take(&mut index.woken) || remaining.is_zero() {
                return Ok(None);
            }
            let waited = self.sealed.wait_timeout(index, remaining);
            index = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(index);
        self.read(taken).map(Some)
    }

    fn read(&self, taken: Taken) -> Result<Spooled, SpoolError> {
        let Taken { ticket, path, place, recovered } = taken;
        let batch = match segment::read(&path, &place) {
            Ok(lines) => lines.and_then(|lines| Batch::from_lines(lines, place.entries)),
            Err(error) if segment::is_lost(&error) => None,
            Err(error) => {
                self.index()?.put_back(&ticket);
                return Err(SpoolError::io("read", &path)(error));
            }
        };
        let Some(batch) = batch else {
            // Should its file stay, it is found damaged again after the next start.
            let _ = self.acknowledge(&ticket);
            let (sequence, records) = (place.sequence, place.entries);
            return Err(SpoolError::Damaged { path, sequence, records });
        };
        let client = ticket.client().to_owned();
        Ok(Spooled { batch, ticket, client, sequence: place.sequence, recovered })
    }

    /// Has the reader come back without a batch: the one that waits, or else the next one that would.
    pub fn wake(&self) {
        if let Ok(mut index) = self.index() {
            index.woken = true;
        }
        self.sealed.notify_one();
    }

    /// The fate of the batch is known: it is never handed out again, but perhaps after a crash, under the same key.
    /// Removes files that are through.
    ///
    /// # Errors
    /// A file can't be removed. What is in it will be handed out once more after the next start.
    pub fn acknowledge(&self, ticket: &Ticket) -> Result<(), SpoolError> {
        let removal = self.index()?.acknowledge(ticket);
        removal.perform(&self.disk)
    }

    /// Drops the sealed batches whose lines are all older than [`SpoolLimits::age_max`], unless they are handed out.
    /// How many records.
    pub fn expire(&self, now: SystemTime) -> u64 {
        let Ok(mut index) = self.index() else { return 0 };
        let (records, removal) = index.expire(millis(now), self.limits.age_max);
        drop(index);
        self.forget(removal);
        records
    }

    /// Drops the batches of the oldest segment of which none is handed out, to make room. How many records.
    pub fn drop_oldest_segment(&self) -> u64 {
        let Ok(mut writer) = self.writer() else { return 0 };
        let Ok(mut index) = self.index() else { return 0 };
        let (records, removal, was_active) = index.drop_oldest();
        drop(index);
        if was_active {
            let _ = writer.close();
        }
        self.forget(removal);
        records
    }

    /// What can't be removed is found, and dropped again, after the next start.
    fn forget(&self, removal: Removal) {
        let _ = removal.perform(&self.disk);
    }

    /// What is on disk and not acknowledged, of this client and of those taken over.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.index().map(|index| index.usage).unwrap_or_default()
    }

    /// Checked before the lock is taken: in a forked child it may be held by a thread that is not there.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, SpoolError> {
        self.check_process()?;
        Ok(self.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn index(&self) -> Result<MutexGuard<'_, Index>, SpoolError> {
        self.check_process()?;
        Ok(self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check_process(&self) -> Result<(), SpoolError> {
        (self.process == process::id()).then_some(()).ok_or(SpoolError::Forked)
    }
}

impl Drop for Spool {
    /// What is not acknowledged stays for the next start.
    fn drop(&mut self) {
        if self.process != process::id() {
            return;
        }
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.get_mut().unwrap_or_else(PoisonError::into_inner);
        if index.own_is_through() {
            if let Some(closed) = writer.close() {
                index.closed(closed);
            }
            let removed = index.sweep().perform(&self.disk);
            // One that can't be removed is for the next start.
            let _ = removed.and_then(|()| index.own.remove(&self.disk));
        }
    }
}

/// The number that a client id is, in the one way in which we write it.
fn client_number(client: &str) -> Option<u128> {
    let number = u128::from_str_radix(client, 16).ok()?;
    (format!("{number:032x}") == client).then_some(number)
}

fn millis(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
