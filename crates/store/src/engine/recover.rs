//! Brings a data directory that a process left, in whatever way it ended, back into a state.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use arrow::error::ArrowError;
use fs_err as fs;

use super::{OpenError, Recovery, State, change::remove};
use crate::{
    batch::{ReplayError, replay},
    manifest::{Manifest, ManifestError},
    wal::{self, Damage, Frame, WalFile},
};

/// The manifest of a data directory. It is written when the directory is made, so that segments or log files without
/// a manifest are always a mistake, such as a copy that was cut off, never the work of a crash.
pub(super) fn manifest(directory: &Path) -> Result<Manifest, ManifestError> {
    if let Some(manifest) = Manifest::load(directory)? {
        return Ok(manifest);
    }
    let is_segment =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    let segments = files_below(&directory.join("segments"))?.into_iter().filter(is_segment);
    let logs = wal::list(&directory.join("wal"))?.into_iter().map(|(_, path)| path);
    if let Some(path) = segments.chain(logs).next() {
        return Err(ManifestError::Missing(path));
    }
    let manifest = Manifest::empty();
    manifest.save(directory)?;
    Ok(manifest)
}

/// Removes what a crash left of a flush, merge or deletion; see [`crate::manifest`] for what that is. Anything else is
/// not ours, or a riddle, and stays.
pub(super) fn remove_unnamed_segments(segments: &Path, manifest: &Manifest) -> io::Result<()> {
    for path in unnamed_segments(segments, manifest)? {
        if manifest.is_leftover(&path) {
            tracing::info!(?path, "removing a segment file that does not count");
            remove(&path)?;
        } else {
            tracing::warn!(?path, "no manifest names this file; it is left alone");
        }
    }
    Ok(())
}

/// The files below the directory of segments that the manifest does not name.
pub(crate) fn unnamed_segments(segments: &Path, manifest: &Manifest) -> io::Result<Vec<PathBuf>> {
    let entries = manifest.projects.values().flat_map(|project| &project.segments);
    let named: HashSet<PathBuf> = entries.map(|entry| segments.join(&entry.file)).collect();
    let mut files = files_below(segments)?;
    files.retain(|path| !named.contains(path));
    Ok(files)
}

pub(crate) fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Reads the log into the state; gives what was found and the number of the next log file.
pub(super) fn recover(state: &mut State, directory: &Path) -> Result<(Recovery, u64), OpenError> {
    let logs = wal::list(directory)?;
    let newest = logs.last().map(|&(number, _)| number);
    let mut recovery = Recovery::default();
    for (_, path) in logs {
        let log = recover_file(state, &mut recovery, path)?;
        state.closed_logs.push(log);
    }
    recovery.segments = state.projects.values().map(|project| project.segments.len()).sum();
    Ok((recovery, newest.map_or(1, |number| number + 1)))
}

fn recover_file(
    state: &mut State,
    recovery: &mut Recovery,
    path: PathBuf,
) -> Result<WalFile, OpenError> {
    let mut end_sequence = 0;
    let mut frames = Ok(());
    let mut damages = Vec::new();
    let gaps = wal::read_file(&path, |frame| {
        end_sequence = frame.first_sequence + u64::from(frame.payload.records);
        match recover_frame(state, frame) {
            Ok(records) => recovery.records += records,
            Err(FrameError::Rows(error)) => frames = Err(error),
            Err(FrameError::Replay(error)) => {
                tracing::error!(?path, %error, "a frame of the log has a right checksum and can't be read");
                damages.push(Damage { path: path.clone(), offset: 0, bytes: 0, torn_tail: false });
            }
        }
    })?;
    frames?;
    for gap in &gaps {
        if gap.torn_tail {
            tracing::info!(
                ?path,
                bytes = gap.bytes,
                "the log ends in a frame that was never finished"
            );
        } else {
            tracing::error!(
                ?path,
                offset = gap.offset,
                bytes = gap.bytes,
                "the log is damaged; everything around is kept"
            );
        }
    }
    damages.extend(gaps);
    let damaged = damages.iter().any(|damage| !damage.torn_tail);
    recovery.damages.extend(damages);
    Ok(WalFile { path, end_sequence, damaged })
}

enum FrameError {
    Replay(ReplayError),
    Rows(ArrowError),
}

/// Takes one frame into the state; gives the number of its records that are not in a segment.
fn recover_frame(state: &mut State, frame: Frame) -> Result<u64, FrameError> {
    let (first, records) = (frame.first_sequence, u64::from(frame.payload.records));
    let observed = frame.payload.observed;
    state.newest_observed = state.newest_observed.max(Some(observed));
    state.next_sequence = state.next_sequence.max(first + records);
    let project = state.projects.get(&frame.project);
    let flushed = project.is_some_and(|project| first < project.flushed_sequence);
    if flushed {
        // The manifest has its key, or was to forget it.
        return Ok(0);
    }
    let batch = replay(frame.payload).map_err(FrameError::Replay)?;
    state.add(&frame.project, first, &batch).map_err(FrameError::Rows)?;
    // Only what is there counts as stored: a batch that can't be read may be sent again.
    if let Some(key) = &frame.key {
        state.table.insert(&frame.project, key, observed);
    }
    Ok(records)
}
