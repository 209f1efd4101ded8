//! Looks whether a data directory is whole: every byte that the manifest names, and every frame of the log. Changes
//! no file. What it finds can be mended by [`crate::repair`].

use std::{
    io::{Error, ErrorKind::NotFound},
    path::Path,
};

use fs_err::{self as fs, File};

use crate::{
    OpenError,
    batch::replay,
    days,
    engine::{lock_directory, unnamed_segments},
    manifest::{FILE_NAME, Manifest, ManifestError, SegmentEntry},
    segment::{self, Segment, SegmentError},
    sequences::Sequences,
    wal,
};

/// What [`check`] found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Segments that the manifest names.
    pub segments: usize,
    /// Records that can be read in them.
    pub records: u64,
    /// Records in the log that are not in a segment.
    pub log_records: u64,
    /// What is wrong, one line each. Empty when all is well.
    pub problems: Vec<String>,
}

/// Checks a data directory that no process has open: that the manifest can be read; of each segment the size, the
/// checksum, all rows, their order, their day, and that no record is in two; each frame of the log; and that there
/// are no files that nothing names. The rest of a frame at the end of a log is no problem, and neither are files that
/// the next start removes.
///
/// # Errors
/// It is no data directory, another process has it, or files can't be read for a reason that may pass.
pub fn check(directory: &Path) -> Result<Checked, OpenError> {
    let _lock = lock_data(directory)?;
    let mut checked = Checked::default();
    let manifest = match Manifest::load(directory) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            checked.problems.push(format!("{FILE_NAME} is missing"));
            return Ok(checked);
        }
        Err(ManifestError::Io(error)) => return Err(error.into()),
        Err(error) => {
            checked.problems.push(error.to_string());
            return Ok(checked);
        }
    };
    let segments = directory.join("segments");
    for project in manifest.projects.values() {
        let mut entries: Vec<&SegmentEntry> = project.segments.iter().collect();
        // A record that is in two segments has the same time in both.
        entries.sort_by_key(|entry| entry.day());
        let mut rest = entries.as_slice();
        while let Some(first) = rest.first() {
            // A day, or a month or year, and all of its days behind it.
            let end = rest.partition_point(|entry| entry.day().starts_with(first.day()));
            let (day, others) = rest.split_at(end.max(1));
            check_day(&mut checked, &segments, day)?;
            rest = others;
        }
    }
    check_numbers(&mut checked, &manifest);
    for path in unnamed_segments(&segments, &manifest)? {
        if !manifest.is_leftover(&path) {
            checked.problems.push(format!("{}: no manifest names this file", path.display()));
        }
    }
    for (_, path) in wal::list(&directory.join("wal"))? {
        check_log(&mut checked, &manifest, &path)?;
    }
    Ok(checked)
}

/// Locks a directory that must be a data directory already.
pub(crate) fn lock_data(directory: &Path) -> Result<File, OpenError> {
    let [log, segments] = ["wal", "segments"].map(|name| directory.join(name));
    if ![&log, &segments, &directory.join(FILE_NAME)].iter().any(|path| path.exists()) {
        let reason = format!("{} is no data directory", directory.display());
        return Err(Error::new(NotFound, reason).into());
    }
    let lock = lock_directory(directory)?;
    // A backup may have left out directories in which there was nothing.
    fs::create_dir_all(log)?;
    fs::create_dir_all(segments)?;
    Ok(lock)
}

fn check_day(
    checked: &mut Checked,
    directory: &Path,
    entries: &[&SegmentEntry],
) -> Result<(), OpenError> {
    let mut all = Sequences::default();
    for entry in entries {
        checked.segments += 1;
        match examine(directory, entry)? {
            Ok(sequences) => {
                checked.records += entry.rows;
                if let Some(sequence) = all.common(&sequences) {
                    checked.problems.push(format!(
                        "segment {}: record {sequence} is in another segment as well",
                        entry.file
                    ));
                }
                all.add(&sequences);
            }
            Err(reason) => checked.problems.push(format!("segment {}: {reason}", entry.file)),
        }
    }
    Ok(())
}

/// Reads a whole segment; gives its sequences, or what is wrong with it.
pub(crate) fn examine(
    directory: &Path,
    entry: &SegmentEntry,
) -> Result<Result<Sequences, String>, OpenError> {
    let segment = Segment::new(directory, entry.clone());
    let rows = match segment.rows() {
        Ok(rows) => rows,
        // Such as too many open files: it says nothing about this one.
        Err(SegmentError::Io(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut found = entry.clone().describing(&rows);
    // It depends on how the rows were put together, and older versions did not tell.
    found.decoded_bytes = entry.decoded_bytes;
    if found != *entry {
        return Ok(Err(format!("its rows are {found:?}, expected {entry:?}")));
    }
    let days = days::days(&rows);
    if days.iter().any(|(day, _)| !day.starts_with(entry.day())) {
        return Ok(Err("it has rows of another day".to_owned()));
    }
    if segment::sort(&rows)? != rows {
        return Ok(Err("its rows are not in order".to_owned()));
    }
    Ok(Ok(Sequences::of(&rows)))
}

/// Numbers that are given again would be given twice.
fn check_numbers(checked: &mut Checked, manifest: &Manifest) {
    for entry in manifest.projects.values().flat_map(|project| &project.segments) {
        let number = entry.number();
        if number.is_none_or(|number| number >= manifest.next_segment)
            || entry.sequence_max >= manifest.next_sequence
        {
            checked.problems.push(format!(
                "segment {}: the next segment has number {}, the next record {}",
                entry.file, manifest.next_segment, manifest.next_sequence
            ));
        }
    }
}

fn check_log(checked: &mut Checked, manifest: &Manifest, path: &Path) -> Result<(), OpenError> {
    let mut records = 0;
    let mut problems = Vec::new();
    let damages = wal::read_file(path, |frame| {
        let flushed =
            manifest.projects.get(&frame.project).map_or(0, |project| project.flushed_sequence);
        let (first, count) = (frame.first_sequence, frame.payload.records);
        if first < flushed {
            return;
        }
        match replay(frame.payload) {
            Ok(_) => records += u64::from(count),
            Err(error) => problems
                .push(format!("log {}: the batch of record {first}: {error}", path.display())),
        }
    })?;
    let damages = damages.iter().filter(|damage| !damage.torn_tail);
    problems.extend(damages.map(ToString::to_string));
    checked.log_records += records;
    checked.problems.append(&mut problems);
    Ok(())
}

/// What the manifest is to say of a segment file.
pub(crate) fn entry_of(directory: &Path, file: &Path) -> Result<SegmentEntry, SegmentError> {
    let content = fs::read(directory.join(file))?;
    let entry = SegmentEntry {
        bytes: content.len() as u64,
        crc32c: crc32c::crc32c(&content),
        file: file.to_string_lossy().into_owned(),
        ..SegmentEntry::default()
    };
    drop(content);
    let rows = Segment::new(directory, entry.clone()).rows()?;
    Ok(entry.describing(&rows))
}
