//! Copies a data directory, also one that a process is writing to.
//!
//! # The order
//! 1. The log files, in their order.
//! 2. The manifest, into memory.
//! 3. The segments that it names. If one is gone, it was merged or removed meanwhile: on with the manifest as it is
//!    now.
//! 4. The manifest, as it was read.
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

use fs_err as fs;

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
/// Every record that was stored before is in the copy, once. It opens like any data directory; until this returns,
/// it does not.
///
/// # Errors
/// The source is no data directory, the target is not empty, or a file can't be read or written.
pub fn backup(directory: &Path, to: &Path) -> Result<BackedUp, OpenError> {
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
        copy(&path, &to.join("wal"), &mut done)?;
    }
    let manifest = copy_segments(directory, to, &mut done)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let other = name != FILE_NAME
            && name != "lock"
            && !entry.path().extension().is_some_and(|ending| ending == "tmp");
        if other && entry.file_type()?.is_file() {
            copy(&entry.path(), to, &mut done)?;
        }
    }
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
fn copy_segments(directory: &Path, to: &Path, done: &mut BackedUp) -> Result<Manifest, OpenError> {
    let mut copied = BTreeSet::new();
    let mut gone: Option<SegmentEntry> = None;
    loop {
        let manifest = Manifest::load(directory)?.unwrap_or_default();
        let entries: Vec<&SegmentEntry> =
            manifest.projects.values().flat_map(|project| &project.segments).collect();
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
    files::replace(&path, &content)?;
    Ok(true)
}

/// Copies a file into a directory, if it is there.
fn copy(path: &Path, directory: &Path, done: &mut BackedUp) -> io::Result<()> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        content => content?,
    };
    let to = directory.join(path.file_name().unwrap_or_default());
    files::replace(&to, &content)?;
    fs::set_permissions(&to, fs::metadata(path)?.permissions())?;
    done.bytes += content.len() as u64;
    Ok(())
}
