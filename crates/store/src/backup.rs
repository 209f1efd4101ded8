//! Copies a data directory, also one that a process is writing to.
//!
//! # The order
//! 1. The log files, in their order.
//! 2. The manifest, into memory.
//! 3. The segments that it names, the small ones first: they are the next to be merged. If one is gone, it was merged
//!    or removed meanwhile: on with the manifest as it is now.
//! 4. When all that is durable, the manifest, as it was read.
//!
//! A record that was stored before the first step is in a log file that was copied, or it was flushed, and then every
//! later manifest names its segment. Frames that are in segments of that manifest as well are told by its
//! `flushed_sequence`, as after a crash. So everything stored before is in the copy, once; of what is stored
//! meanwhile, some. With the manifest before the log, a flush in between would take records out of both.

use std::{
    collections::BTreeSet,
    fs::Permissions,
    io::{self, ErrorKind::NotFound},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use fs_err::{self as fs, File};

use crate::{
    OpenError, files,
    manifest::{FILE_NAME, Manifest, SegmentEntry},
    wal,
};

/// What [`backup`] copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Number of segments.
    pub segments: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Segments that are damaged or gone in the source, one line each.
    pub damaged: Vec<String>,
}

/// Copies the data directory of a store, which may be open in any process, to a directory that is empty or not there.
/// Every record that was stored before is in the copy, once. It opens like any data directory; one that was cut off
/// does not, if it has any records.
///
/// # Errors
/// The source is no data directory, the target is not empty, or a file can't be read or written.
pub fn backup(directory: &Path, to: &Path) -> Result<BackedUp, OpenError> {
    backup_with(directory, to, &mut || {})
}

/// `between` is called between steps.
fn backup_with(
    directory: &Path,
    to: &Path,
    between: &mut dyn FnMut(),
) -> Result<BackedUp, OpenError> {
    if Manifest::load(directory)?.is_none() {
        return Err(io::Error::new(
            NotFound,
            format!("{} is no data directory", directory.display()),
        )
        .into());
    }
    prepare(to)?;
    let mut done = BackedUp::default();
    for (_, path) in wal::list(&directory.join("wal"))? {
        // One that is gone was flushed.
        between();
        copy(&path, &to.join("wal"), &mut done)?;
    }
    between();
    let manifest = copy_segments(directory, to, &mut done, between)?;
    between();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let other = name != FILE_NAME
            && name != "lock"
            && entry.path().extension().is_none_or(|ending| ending != "tmp");
        if other && entry.file_type()?.is_file() {
            copy(&entry.path(), to, &mut done)?;
        }
    }
    sync(to)?;
    manifest.save(to)?;
    Ok(done)
}

fn prepare(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    if fs::read_dir(to)?.next().is_some() {
        let reason = format!("{} is not empty", to.display());
        return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, reason));
    }
    fs::set_permissions(to, Permissions::from_mode(0o700))?;
    fs::create_dir(to.join("wal"))?;
    fs::create_dir(to.join("segments"))
}

/// Copies the segments of a manifest all of which are there, and gives it.
fn copy_segments(
    directory: &Path,
    to: &Path,
    done: &mut BackedUp,
    between: &mut dyn FnMut(),
) -> Result<Manifest, OpenError> {
    let mut copied = BTreeSet::new();
    let mut gone: Option<SegmentEntry> = None;
    loop {
        let manifest = Manifest::load(directory)?.unwrap_or_default();
        let mut entries: Vec<&SegmentEntry> =
            manifest.projects.values().flat_map(|project| &project.segments).collect();
        entries.sort_by_key(|entry| entry.bytes);
        let missing = entries.iter().find(|entry| gone.as_ref() == Some(**entry));
        if let Some(missing) = missing {
            // Still named: nobody removed it on purpose.
            done.damaged.push(format!("segment {}: the file is missing", missing.file));
            copied.insert(missing.file.clone());
        }
        gone = None;
        for entry in &entries {
            if copied.contains(&entry.file) {
                continue;
            }
            between();
            if !copy_segment(directory, to, entry, done)? {
                gone = Some((*entry).clone());
                break;
            }
            copied.insert(entry.file.clone());
        }
        if gone.is_some() {
            continue;
        }
        for entry in &entries {
            copied.remove(&entry.file);
        }
        for file in copied {
            // Merged or removed since it was copied.
            fs::remove_file(to.join("segments").join(file))?;
        }
        done.segments = entries.len();
        return Ok(manifest);
    }
}

/// Whether the segment was there.
fn copy_segment(
    directory: &Path,
    to: &Path,
    entry: &SegmentEntry,
    done: &mut BackedUp,
) -> io::Result<bool> {
    let content = match fs::read(directory.join("segments").join(&entry.file)) {
        Err(error) if error.kind() == NotFound => return Ok(false),
        content => content?,
    };
    if content.len() as u64 != entry.bytes || crc32c::crc32c(&content) != entry.crc32c {
        done.damaged.push(format!("segment {}: the file is not as it was written", entry.file));
    }
    let path = to.join("segments").join(&entry.file);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    done.bytes += content.len() as u64;
    files::write(&mut File::create(path)?, &content)?;
    Ok(true)
}

/// Copies a file into a directory, if it is there.
fn copy(path: &Path, directory: &Path, done: &mut BackedUp) -> io::Result<()> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        content => content?,
    };
    let to = directory.join(path.file_name().unwrap_or_default());
    done.bytes += content.len() as u64;
    let mut file = File::create(to)?;
    // Keys are nobody else's business.
    file.set_permissions(Permissions::from_mode(0o600))?;
    files::write(&mut file, &content)
}

/// Makes a directory durable with all that is in it.
fn sync(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        } else {
            files::sync(&File::open(entry.path())?)?;
        }
    }
    files::sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millpond_record::{Decoded, Timestamp, decode, json::Reader};

    use super::*;
    use crate::{
        BatchBuilder, EmbeddedStore, ManifestError, Store, check, faults::Faults, records,
    };

    async fn append(store: &EmbeddedStore, number: u64) {
        let day = 1 + number % 2;
        let json = format!(r#"{{"time":"2026-01-{day:02}T12:00:00Z","message":"{number}"}}"#);
        let mut builder = BatchBuilder::new(Timestamp::from_nanos(1));
        match decode(&mut Reader::new(&json), Timestamp::from_nanos(1)).unwrap() {
            Decoded::Record(record) => builder.push(&record, &json),
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        }
        store.append(&"p".parse().unwrap(), None, builder.finish()).await.unwrap();
    }

    fn numbers(store: &EmbeddedStore) -> Vec<u64> {
        let snapshot = store.snapshot(&"p".parse().unwrap());
        let segments = snapshot.segments.iter().map(|segment| segment.rows().unwrap());
        let rows = segments.chain(snapshot.hot.iter().map(|chunk| chunk.rows.clone()));
        let mut numbers: Vec<u64> = rows
            .flat_map(|rows| {
                records(&rows)
                    .map(|(_, record)| record.message().parse().unwrap())
                    .collect::<Vec<_>>()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    #[tokio::test]
    async fn a_copy_that_was_cut_off_does_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        append(&store, 0).await;
        store.flush().unwrap();
        append(&store, 1).await;
        let mut refused = 0;
        loop {
            let copy = tempfile::tempdir().unwrap();
            let faults = Faults::inject(copy.path(), refused, u64::MAX, io::ErrorKind::Other);
            let done = backup(directory.path(), copy.path());
            drop(faults);
            let opened = EmbeddedStore::open(copy.path());
            if done.is_ok() || copy.path().join(FILE_NAME).exists() {
                assert_eq!(numbers(&opened.unwrap()), [0, 1]);
                break;
            }
            let error = opened.unwrap_err();
            assert!(matches!(error, OpenError::Manifest(ManifestError::Missing(_))), "{error}");
            refused += 1;
        }
        assert!(refused > 5, "only {refused} steps");
    }

    #[tokio::test]
    async fn a_flush_and_a_merge_between_any_two_steps_take_nothing_out_of_the_copy() {
        // At the n-th moment; a backup has fewer than twenty.
        let mut moments = BTreeSet::new();
        for moment in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let store = EmbeddedStore::open(directory.path()).unwrap();
            for number in 0..6 {
                append(&store, number).await;
                if number < 4 {
                    store.flush().unwrap();
                }
            }
            let mut now = 0;
            let copy = tempfile::tempdir().unwrap();
            let mut between = || {
                if now == moment {
                    store.flush().unwrap();
                    store.merge().unwrap();
                    moments.insert(moment);
                }
                now += 1;
            };
            let done = backup_with(directory.path(), copy.path(), &mut between).unwrap();
            assert_eq!(done.damaged, Vec::<String>::new());
            assert_eq!(check(copy.path()).unwrap().problems, Vec::<String>::new());
            let restored = EmbeddedStore::open(copy.path()).unwrap();
            assert_eq!(numbers(&restored), [0, 1, 2, 3, 4, 5], "at moment {moment}");
        }
        assert!((5..20).contains(&moments.len()), "{moments:?}");
    }
}
