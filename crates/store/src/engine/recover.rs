//! Brings a data directory that a process left, in whatever way it ended, back into a state.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use arrow::error::ArrowError;
use fs_err as fs;

use super::{OpenError, Recovery, State};
use crate::{
    batch::{ReplayError, replay},
    manifest::Manifest,
    wal::{self, Damage, Frame, WalFile},
};

/// Removes what a flush left that a crash cut off before the manifest named it.
pub(super) fn remove_unnamed_segments(segments: &Path, manifest: &Manifest) -> io::Result<()> {
    let named: HashSet<PathBuf> = manifest
        .projects
        .values()
        .flat_map(|project| project.segments.iter().map(|entry| segments.join(&entry.file)))
        .collect();
    for path in files_below(segments)? {
        if !named.contains(&path) {
            tracing::warn!(?path, "removing a segment file that no manifest names");
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
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
    for (number, path) in logs {
        let log = recover_file(state, &mut recovery, path, Some(number) == newest)?;
        state.closed_logs.push(log);
    }
    recovery.segments = state.projects.values().map(|project| project.segments.len()).sum();
    Ok((recovery, newest.map_or(1, |number| number + 1)))
}

fn recover_file(
    state: &mut State,
    recovery: &mut Recovery,
    path: PathBuf,
    newest: bool,
) -> Result<WalFile, OpenError> {
    let mut end_sequence = 0;
    let mut frames = Ok(());
    let mut damages = Vec::new();
    let gaps = wal::read_file(&path, newest, |frame| {
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
    state.newest_observed = state.newest_observed.max(Some(frame.payload.observed));
    if let Some(key) = &frame.key {
        state.table.insert(&frame.project, key, frame.payload.observed);
    }
    state.next_sequence = state.next_sequence.max(first + records);
    let project = state.projects.get(&frame.project);
    if project.is_some_and(|project| first < project.flushed_sequence) {
        return Ok(0);
    }
    let batch = replay(frame.payload).map_err(FrameError::Replay)?;
    state.add(&frame.project, first, &batch).map_err(FrameError::Rows)?;
    Ok(records)
}
