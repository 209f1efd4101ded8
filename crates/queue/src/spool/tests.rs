mod cuts;
mod faults;
mod life;
mod model;
mod processes;
mod strangers;

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

pub(super) use self::faults::Faults;
use super::{Recovery, Spool, SpoolError, SpoolLimits, Spooled, client_number};
use crate::{Batch, DropReason, Due, Limits, Overflow, Queue};

/// A directory for spools, removed in the end.
struct Folder(tempfile::TempDir);

/// What was handed out: client, sequence, records, lines.
type Handed = (String, u64, u64, String);

const LIMITS: SpoolLimits = SpoolLimits { bytes_max: 1 << 20, age_max: Duration::from_secs(3600) };

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self, number: u128) -> (Spool, Recovery) {
        Spool::open(self.path(), &client(number), LIMITS).unwrap()
    }

    /// A spool that recovers nothing.
    fn first(&self, number: u128) -> Spool {
        let (spool, recovery) = self.open(number);
        assert_eq!(recovery, Recovery::default());
        spool
    }

    fn of(&self, number: u128) -> PathBuf {
        self.path().join(client(number))
    }

    /// The directory that a dead client left, with one segment.
    fn with_segment(number: u128, bytes: &[u8]) -> Self {
        let folder = Self::new();
        fs::create_dir(folder.of(number)).unwrap();
        put(&folder.of(number).join("lock"), b"");
        put(&folder.of(number).join("00000000000000000001.seg"), bytes);
        folder
    }
}

impl Spool {
    /// Leaves everything as a kill would.
    fn crash(mut self) {
        self.process = 0;
    }

    fn add(&self, lines: &str) {
        self.append(&batch(lines), at(0)).unwrap();
    }

    /// Appends and seals.
    fn batch(&self, lines: &str) {
        self.add(lines);
        assert!(self.seal().unwrap() >= lines.lines().count() as u64);
    }

    fn take(&self) -> Option<Spooled> {
        self.next(Duration::ZERO).unwrap()
    }

    /// Takes everything.
    fn drain(&self) -> Vec<Handed> {
        std::iter::from_fn(|| self.take()).map(|spooled| handed(&spooled)).collect()
    }

    fn disk_bytes(&self) -> u64 {
        let index = self.index().unwrap();
        let directories = index.adopted.iter().chain([&index.own]);
        directories.flat_map(|directory| segments(&directory.path)).map(|(_, bytes)| bytes).sum()
    }
}

fn client(number: u128) -> String {
    format!("{number:032x}")
}

/// Seconds after a moment.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// As the queue makes it: lines in more than one piece.
fn batch(lines: &str) -> Batch {
    let due = Due { entries_due: 2, entries_max: 2, bytes_max: 1 << 20, age_max: Duration::ZERO };
    let limits = Limits { bytes_max: 1 << 20, entries_max: 1 << 20 };
    let queue = Queue::new(limits, Overflow::DropNewest, due);
    let mut whole: Option<Batch> = None;
    for line in lines.split_inclusive('\n') {
        queue.push(&[line.as_bytes()]);
    }
    queue.close();
    while let Some(batch) = queue.take() {
        match &mut whole {
            None => whole = Some(batch),
            Some(whole) => {
                whole.entries += batch.entries;
                whole.chunks.extend(batch.chunks);
            }
        }
    }
    queue.discard(DropReason::Closed);
    whole.unwrap()
}

fn handed(spooled: &Spooled) -> Handed {
    let lines = spooled.batch.parts().collect::<Vec<_>>().concat();
    let lines = String::from_utf8(lines).unwrap();
    (spooled.client.clone(), spooled.sequence, spooled.batch.entries(), lines)
}

fn expected(number: u128, sequence: u64, lines: &str) -> Handed {
    (client(number), sequence, lines.lines().count() as u64, lines.to_owned())
}

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// The segments of a directory and their sizes, oldest first.
fn segments(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .map(|path| (path.clone(), path.metadata().unwrap().len()))
        .collect();
    segments.sort();
    segments
}

#[test]
fn a_client_is_named_by_32_lowercase_hex_digits() {
    assert_eq!(client_number(&client(u128::MAX)), Some(u128::MAX));
    for wrong in ["", "1", "0000000000000000000000000000000F", "+000000000000000000000000000000f"] {
        assert_eq!(client_number(wrong), None, "{wrong}");
        let opened = Spool::open(Path::new("/nowhere"), wrong, LIMITS);
        assert!(matches!(opened, Err(SpoolError::Client(_))));
    }
}
