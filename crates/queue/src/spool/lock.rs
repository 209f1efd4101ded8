//! Who owns a directory: at most one spool of at most one process. The lock goes when the process does, however it
//! dies.
//!
//! On unix it is a POSIX lock, which a forked child does not inherit (it would with `flock`, and keep the directory
//! of its dead parent for as long as it lives). Such locks have a trap: within one process they never conflict, and
//! closing any descriptor of the file gives the lock up. So a process must know what it owns before it opens a lock
//! file: [`owned`] keeps the identities of these files.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use super::{SpoolError, disk::Disk};

/// Name of the lock file.
pub(super) const LOCK: &str = "lock";
/// Its name before it is locked: who sees a `lock` that nobody holds knows that its owner is dead.
const NEW_LOCK: &str = "lock.new";

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closed before the identity is given back: otherwise another thread might open the file and lose its lock
    /// to our closing.
    file: Option<File>,
    identity: Option<owned::Identity>,
}

/// What came of an attempt to take over a directory.
#[derive(Debug)]
pub(super) enum Taken {
    Ours(Lock),
    /// Somebody who lives has it, or is just making or removing it.
    Busy,
}

impl Lock {
    /// Makes the lock file of a new directory.
    pub(super) fn create(directory: &Path, disk: &Disk) -> Result<Self, SpoolError> {
        let (new, path) = (directory.join(NEW_LOCK), directory.join(LOCK));
        let file = disk.create(&new)?;
        let lock = Self::of(&new, true, || Ok(file)).and_then(|taken| match taken {
            Taken::Ours(lock) => Ok(lock),
            Taken::Busy => Err(io::ErrorKind::ResourceBusy.into()),
        });
        let lock = lock.map_err(SpoolError::io("lock", &new))?;
        fs::rename(&new, &path).map_err(SpoolError::io("rename to", &path))?;
        Ok(lock)
    }

    /// Takes a directory over whose owner is dead.
    pub(super) fn take(directory: &Path) -> io::Result<Taken> {
        let path = directory.join(LOCK);
        let taken = match Self::of(&path, false, || OpenOptions::new().write(true).open(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Busy),
            taken => taken?,
        };
        // Its owner may have removed it while we opened it.
        Ok(if path.try_exists()? { taken } else { Taken::Busy })
    }

    /// The identity is claimed before the file is opened.
    fn of(path: &Path, is_new: bool, open: impl FnOnce() -> io::Result<File>) -> io::Result<Taken> {
        let Some(identity) = owned::claim(path, is_new)? else { return Ok(Taken::Busy) };
        let mut lock = Self { file: None, identity: Some(identity) };
        let file = lock.file.insert(open()?);
        Ok(if try_lock(file)? { Taken::Ours(lock) } else { Taken::Busy })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.file.take());
        if let Some(identity) = self.identity.take() {
            owned::release(identity);
        }
    }
}

#[cfg(unix)]
fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::{fs, io::Errno};
    match fs::fcntl_lock(file, fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn try_lock(file: &File) -> io::Result<bool> {
    use std::fs::TryLockError;
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The lock files that this process owns, in a table that a fork may cut through at any moment: no mutex (the child
/// would wait for a thread that it does not have), no allocation, each change one store. What the table says of
/// another process, which is what a child inherits from its parent, counts for nothing.
#[cfg(unix)]
mod owned {
    use std::{
        fs, io,
        os::unix::fs::MetadataExt as _,
        path::Path,
        process,
        sync::atomic::{AtomicU32, AtomicU64, Ordering},
        thread,
    };

    /// Spools of a process together with the directories that they took over: far more than there are descriptors
    /// for their locks by default.
    const OWNED_MAX: usize = 4096;

    static OWNED: [AtomicU64; OWNED_MAX] = [const { AtomicU64::new(0) }; OWNED_MAX];

    /// The process one of whose threads is looking for a place in the table; 0 for none.
    static TURN: AtomicU32 = AtomicU32::new(0);

    /// Process (upper half) and checksum of the file's device and number. Two files with the same checksum cannot be
    /// owned at once: the second one waits for a later start.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Identity(u64);

    /// Notes that the file is ours; `None` if it is already. One that is new can't be: what the table knows under its
    /// number was removed and is about to be forgotten.
    pub(super) fn claim(path: &Path, is_new: bool) -> io::Result<Option<Identity>> {
        let file = fs::symlink_metadata(path)?;
        let mut crc = crc32c::crc32c(&file.dev().to_le_bytes());
        crc = crc32c::crc32c_append(crc, &file.ino().to_le_bytes());
        let process = process::id();
        let identity = u64::from(process) << 32 | u64::from(crc);
        take_turn(process);
        let place = find(process, identity, is_new);
        if let Ok(Some(place)) = place {
            place.store(identity, Ordering::Release);
        }
        TURN.store(0, Ordering::Release);
        Ok(place?.map(|_| Identity(identity)))
    }

    /// A free place, unless the identity has one and is not new.
    fn find(process: u32, identity: u64, is_new: bool) -> io::Result<Option<&'static AtomicU64>> {
        let mut free = None;
        for place in &OWNED {
            let found = place.load(Ordering::Acquire);
            if found == identity && !is_new {
                return Ok(None);
            }
            if found >> 32 != u64::from(process) {
                free = free.or(Some(place));
            }
        }
        free.map(Some).ok_or_else(|| io::Error::other("this process owns too many spools"))
    }

    /// Waits for the other threads of this process; the turn of a process that we were forked from is nobody's.
    fn take_turn(process: u32) {
        loop {
            let holder = TURN.load(Ordering::Acquire);
            let free = holder != process
                && TURN
                    .compare_exchange(holder, process, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok();
            if free {
                return;
            }
            thread::yield_now();
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is over")]
    pub(super) fn release(identity: Identity) {
        for place in &OWNED {
            if place.compare_exchange(identity.0, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }
}

/// Elsewhere locks conflict within a process as well.
#[cfg(not(unix))]
mod owned {
    use std::{fs, io, path::Path};

    #[derive(Debug)]
    pub(super) struct Identity;

    pub(super) fn claim(path: &Path, _: bool) -> io::Result<Option<Identity>> {
        fs::symlink_metadata(path).map(|_| Some(Identity))
    }

    pub(super) fn release(_: Identity) {}
}
