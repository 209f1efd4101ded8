//! What is on disk and not acknowledged, in the order in which it is handed out. Only memory: what is to be done on
//! disk it returns as [`Removal`].

use std::{
    collections::VecDeque,
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    SpoolError,
    disk::Disk,
    lock::{LOCK, Lock},
    segment::{Place, Segment},
    writer::Closed,
};

/// What is on disk and not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records that may yet be sent, unsealed ones included.
    pub records: u64,
    /// Size of the files that they are in.
    pub bytes: u64,
}

/// What was appended and is not part of a batch yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsealed {
    /// How many records.
    pub entries: u64,
    /// How many bytes on disk.
    pub bytes: u64,
    /// When the oldest of them was appended.
    pub since: Option<Instant>,
}

/// Names a batch that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    client: Arc<str>,
    segment: u64,
    sequence: u64,
}

impl Ticket {
    pub(super) fn client(&self) -> &str {
        &self.client
    }
}

/// The segments of one client.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) client: Arc<str>,
    pub(super) path: PathBuf,
    /// Oldest first.
    pub(super) segments: VecDeque<Segment>,
    /// `None` once it was given up.
    pub(super) lock: Option<Lock>,
    /// Something is in it that is not to be removed.
    pub(super) has_foreign: bool,
}

#[derive(Debug)]
pub(super) struct Index {
    /// Of dead clients, oldest first.
    pub(super) adopted: VecDeque<Directory>,
    pub(super) own: Directory,
    pub(super) unsealed: Unsealed,
    pub(super) usage: Usage,
    /// Somebody wants the reader back.
    pub(super) woken: bool,
}

/// Files that are through.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Removal {
    files: Vec<PathBuf>,
    directories: Vec<Directory>,
}

/// A batch that is to be read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) ticket: Ticket,
    pub(super) path: PathBuf,
    pub(super) place: Place,
    pub(super) recovered: bool,
}

impl Index {
    pub(super) fn adopt(&mut self, directories: Vec<Directory>) {
        for directory in directories {
            for segment in &directory.segments {
                self.usage.bytes += segment.bytes;
                self.usage.records += segment.records();
            }
            self.adopted.push_back(directory);
        }
    }

    fn directories(&mut self) -> impl Iterator<Item = (&mut Directory, bool)> {
        let adopted = self.adopted.iter_mut().map(|directory| (directory, true));
        adopted.chain([(&mut self.own, false)])
    }

    fn segments(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.directories().flat_map(|(directory, _)| &mut directory.segments)
    }

    /// Lines were appended to the active segment.
    pub(super) fn appended(&mut self, entries: u64, bytes: u64) {
        let unsealed = &mut self.unsealed;
        unsealed.since = unsealed.since.or_else(|| Some(Instant::now()));
        unsealed.entries += entries;
        unsealed.bytes += bytes;
        self.usage.records += entries;
        self.grow(bytes);
    }

    /// What was unsealed is a batch of the active segment.
    pub(super) fn sealed(&mut self, batch: Place) {
        let unsealed = std::mem::take(&mut self.unsealed);
        self.grow(batch.bytes.saturating_sub(unsealed.bytes));
        if let Some(segment) = self.active() {
            segment.batches.push_back(batch);
        }
    }

    /// The active segment is not written to any more.
    pub(super) fn closed(&mut self, closed: Closed) {
        if let Some(batch) = closed.batch {
            self.sealed(batch);
        }
        let known = self.active().map_or(0, |segment| segment.bytes);
        self.grow(closed.bytes.saturating_sub(known));
        if let Some(segment) = self.active() {
            segment.active = false;
        }
    }

    fn grow(&mut self, bytes: u64) {
        if let Some(segment) = self.active() {
            segment.bytes += bytes;
            self.usage.bytes += bytes;
        }
    }

    /// The oldest batch that is not taken.
    pub(super) fn take(&mut self) -> Option<Taken> {
        self.directories().find_map(|(directory, recovered)| {
            directory.segments.iter_mut().find_map(|segment| {
                let place = segment.batches.iter_mut().find(|place| !place.taken)?;
                place.taken = true;
                let ticket = Ticket {
                    client: Arc::clone(&directory.client),
                    segment: segment.number,
                    sequence: place.sequence,
                };
                let (path, place) = (segment.path.clone(), place.clone());
                Some(Taken { ticket, path, place, recovered })
            })
        })
    }

    /// The batch may be taken again.
    pub(super) fn put_back(&mut self, ticket: &Ticket) {
        let segment = self.segment(ticket);
        let batch = segment.and_then(|segment| {
            segment.batches.iter_mut().find(|place| place.sequence == ticket.sequence)
        });
        if let Some(batch) = batch {
            batch.taken = false;
        }
    }

    pub(super) fn acknowledge(&mut self, ticket: &Ticket) -> Removal {
        if let Some(segment) = self.segment(ticket) {
            let place = segment.batches.iter().position(|place| place.sequence == ticket.sequence);
            let batch = place.and_then(|place| segment.batches.remove(place));
            self.usage.records -= batch.map_or(0, |batch| batch.entries);
        }
        self.sweep()
    }

    fn segment(&mut self, ticket: &Ticket) -> Option<&mut Segment> {
        let mut directories = self.directories();
        let directory = directories.find(|(directory, _)| directory.client == ticket.client);
        let (directory, _) = directory?;
        directory.segments.iter_mut().find(|segment| segment.number == ticket.segment)
    }

    /// Drops the batches that nobody has and whose lines were all written longer than this ago.
    pub(super) fn expire(&mut self, now: u64, age_max: Duration) -> (u64, Removal) {
        let age_max = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
        let mut records = 0;
        for segment in self.segments() {
            segment.batches.retain(|place| {
                let kept = place.taken || now.saturating_sub(place.written) <= age_max;
                records += if kept { 0 } else { place.entries };
                kept
            });
        }
        self.usage.records -= records;
        (records, self.sweep())
    }

    /// Drops the oldest segment none of whose batches is taken. One that may yet be written to counts only without
    /// unsealed lines, and is closed by that: its writer must be gone.
    pub(super) fn drop_oldest(&mut self) -> (u64, Removal, bool) {
        let has_unsealed = self.unsealed.entries > 0;
        let oldest = self.segments().find(|segment| {
            let is_open = segment.active && has_unsealed;
            let is_taken = segment.batches.iter().any(|place| place.taken);
            let has_batches = !segment.batches.is_empty();
            has_batches && !is_taken && !is_open
        });
        let Some(oldest) = oldest else { return (0, Removal::default(), false) };
        let records = oldest.records();
        let was_active = std::mem::take(&mut oldest.active);
        oldest.batches.clear();
        self.usage.records -= records;
        (records, self.sweep(), was_active)
    }

    /// Takes out what is through.
    pub(super) fn sweep(&mut self) -> Removal {
        let mut removal = Removal::default();
        let mut bytes = 0;
        for (directory, _) in self.directories() {
            directory.segments.retain(|segment| {
                let kept = segment.active || !segment.batches.is_empty();
                if !kept {
                    bytes += segment.bytes;
                    removal.files.push(segment.path.clone());
                }
                kept
            });
        }
        self.usage.bytes -= bytes;
        let mut place = 0;
        while let Some(directory) = self.adopted.get(place) {
            if directory.segments.is_empty() {
                removal.directories.extend(self.adopted.remove(place));
            } else {
                place += 1;
            }
        }
        removal
    }

    /// The segment that is written to.
    pub(super) fn active(&mut self) -> Option<&mut Segment> {
        self.own.segments.back_mut().filter(|segment| segment.active)
    }

    /// Whether there is nothing to be sent any more.
    pub(super) fn own_is_through(&self) -> bool {
        self.unsealed.entries == 0
            && self.own.segments.iter().all(|segment| segment.batches.is_empty())
    }
}

impl Segment {
    fn records(&self) -> u64 {
        self.batches.iter().map(|place| place.entries).sum()
    }
}

impl Directory {
    /// Removes the lock and the directory, whose segments are gone already. The lock is given up first: whoever takes
    /// it now can only do the same. Its file's number may be that of another file as soon as it is removed.
    pub(super) fn remove(&mut self, disk: &Disk) -> Result<(), SpoolError> {
        // Without its lock nobody would look into it again.
        if self.has_foreign {
            return Ok(());
        }
        drop(self.lock.take());
        disk.remove(&self.path.join(LOCK))?;
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Removal {
    /// Removes the files; the first failure. What stays is sent once more after the next start.
    pub(super) fn perform(mut self, disk: &Disk) -> Result<(), SpoolError> {
        let mut result = Ok(());
        for file in &self.files {
            result = result.and(disk.remove(file));
        }
        for directory in &mut self.directories {
            // One with a file that could not be removed can't be either, and keeps its lock.
            if result.is_ok() {
                result = directory.remove(disk);
            }
        }
        result
    }
}
