//! Brings a data directory that a process left, in whatever way it ended, back into a state.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use fs_err as fs;

use super::{OpenError, Recovery, State};
use crate::{
    batch::replay,
    manifest::Manifest,
    wal::{self, Damage, WalFile},
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
        let mut end_sequence = 0;
        let mut failed = Ok(());
        let damages = wal::read_file(&path, Some(number) == newest, |frame| {
            let (first, records) = (frame.first_sequence, u64::from(frame.payload.records));
            end_sequence = first + records;
            state.newest_observed = state.newest_observed.max(Some(frame.payload.observed));
            if let Some(key) = &frame.key {
                state.table.insert(&frame.project, key, frame.payload.observed);
            }
            state.next_sequence = state.next_sequence.max(end_sequence);
            if state
                .projects
                .get(&frame.project)
                .is_some_and(|project| first < project.flushed_sequence)
            {
                return;
            }
            match replay(frame.payload) {
                Ok(batch) => {
                    recovery.records += records;
                    if let Err(error) = state.add(&frame.project, first, &batch) {
                        failed = Err(error);
                    }
                }
                Err(error) => {
                    tracing::error!(?path, first_sequence = first, %error, "a frame of the log has a right checksum and can't be read");
                    recovery.damages.push(Damage {
                        path: path.clone(),
                        offset: 0,
                        bytes: 0,
                        torn_tail: false,
                    });
                }
            }
        })?;
        failed?;
        for damage in &damages {
            if damage.torn_tail {
                tracing::info!(path = ?damage.path, bytes = damage.bytes, "the log ends in a frame that was never finished");
            } else {
                tracing::error!(path = ?damage.path, offset = damage.offset, bytes = damage.bytes, "the log is damaged; everything around is kept");
            }
        }
        let damaged = damages.iter().any(|damage| !damage.torn_tail);
        recovery.damages.extend(damages);
        state.closed_logs.push(WalFile { path, end_sequence, damaged });
    }
    recovery.segments = state.projects.values().map(|project| project.segments.len()).sum();
    Ok((recovery, newest.map_or(1, |number| number + 1)))
}
