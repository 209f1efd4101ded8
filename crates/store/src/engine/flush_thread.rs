//! The thread that turns hot rows into segments and cuts the log behind them.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use arrow::compute;
use fs_err as fs;

use super::{ProjectState, Shared, State, lock};
use crate::{
    Project,
    hot::Chunk,
    limits::{FLUSH_AGE, FLUSH_BYTES},
    manifest::{FORMAT_VERSION, Manifest, ProjectEntry, SegmentEntry},
    schema::schema,
    segment::{self, Segment, SegmentError},
    wal::WalFile,
};

/// How often the thread looks at the age of hot rows, and waits after a failure.
const FLUSH_TICK: Duration = Duration::from_secs(5);

impl Shared {
    pub(super) fn run_flush(&self) {
        loop {
            let state = lock(&self.state);
            let idle = |state: &mut State| {
                !state.closing && !state.pressed() && !state.projects.values().any(is_due)
            };
            let waited = self.flush.wait_timeout_while(state, FLUSH_TICK, idle);
            let (closing, pressed) = {
                let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                (state.closing, state.pressed())
            };
            let flushed = self.flush_all(|project| closing || pressed || is_due(project));
            lock(&self.state).flush_trouble = flushed.as_ref().err().map(ToString::to_string);
            if let Err(error) = flushed {
                tracing::error!(%error, "hot rows could not be written to a segment; they stay in the log");
                if !closing {
                    // Wait out the tick: trying at once would fail again.
                    let state = lock(&self.state);
                    drop(self.flush.wait_timeout_while(state, FLUSH_TICK, |state| !state.closing));
                }
            }
            if closing {
                return;
            }
        }
    }

    pub(super) fn flush_all(&self, due: impl Fn(&ProjectState) -> bool) -> io::Result<()> {
        let _flushing = lock(&self.flushing);
        let projects: Vec<Project> = {
            let state = lock(&self.state);
            let due = state
                .projects
                .iter()
                .filter(|(_, project)| !project.hot.is_empty() && due(project));
            due.map(|(name, _)| name.clone()).collect()
        };
        if projects.is_empty() {
            return Ok(());
        }
        // One project's trouble is not another's: try all, then tell the first.
        let flushed: Vec<_> = projects.iter().map(|project| self.flush_project(project)).collect();
        self.remove_logs()?;
        flushed.into_iter().collect::<Result<(), _>>().map_err(io::Error::other)
    }

    fn flush_project(&self, name: &Project) -> Result<(), SegmentError> {
        let Some((chunks, below)) = self.begin_flush(name) else { return Ok(()) };
        let entries = self.write_segments(name, &chunks)?;
        let manifest = self.manifest_with(name, below, &entries);
        if let Err(error) = manifest.save(&self.directory) {
            self.remove_unless_named(name, &entries);
            return Err(error.into());
        }

        let segments = self.directory.join("segments");
        let mut state = lock(&self.state);
        if let Some(project) = state.projects.get_mut(name) {
            let before = project.hot_bytes();
            project.hot.retain(|chunk| chunk.sequence_min >= below);
            project.hot_since = (!project.hot.is_empty()).then(Instant::now);
            project
                .segments
                .extend(entries.into_iter().map(|entry| Arc::new(Segment::new(&segments, entry))));
            project.flushed_sequence = below;
            let after = project.hot_bytes();
            state.hot_bytes = state.hot_bytes - before + after;
        }
        Ok(())
    }

    /// The chunks to write, and the sequence behind them.
    fn begin_flush(&self, name: &Project) -> Option<(Vec<Arc<Chunk>>, u64)> {
        let mut state = lock(&self.state);
        let below = state.next_sequence;
        let project = state.projects.get_mut(name)?;
        project.flushing_sequence = below;
        (!project.hot.is_empty()).then(|| (project.hot.clone(), below))
    }

    fn write_segments(
        &self,
        name: &Project,
        chunks: &[Arc<Chunk>],
    ) -> Result<Vec<SegmentEntry>, SegmentError> {
        let rows = compute::concat_batches(schema(), chunks.iter().map(|chunk| &chunk.rows))?;
        let rows = segment::sort(&rows)?;
        let directory = self.directory.join("segments");
        let mut entries = Vec::new();
        for (day, rows) in segment::by_day(&rows) {
            let number = {
                let mut state = lock(&self.state);
                state.next_segment += 1;
                state.next_segment - 1
            };
            match segment::write(&directory, name, &day, number, &rows) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    // The next try writes them all again; on a full disk two copies are one too many.
                    self.remove_unless_named(name, &entries);
                    return Err(error);
                }
            }
        }
        Ok(entries)
    }

    /// Removes the files of a flush that failed, unless the manifest on disk names them: its sync may have failed
    /// after it was in place.
    fn remove_unless_named(&self, name: &Project, entries: &[SegmentEntry]) {
        let Ok(Some(manifest)) = Manifest::load(&self.directory) else { return };
        let named = manifest.projects.get(name).map(|project| project.segments.as_slice());
        for entry in entries.iter().filter(|entry| !named.unwrap_or_default().contains(entry)) {
            // What stays is removed at the next start.
            let _ = fs::remove_file(self.directory.join("segments").join(&entry.file));
        }
    }

    /// The manifest as it is when the project's rows below a sequence are in these new segments.
    fn manifest_with(&self, name: &Project, below: u64, added: &[SegmentEntry]) -> Manifest {
        let mut state = lock(&self.state);
        if let Some(now) = state.newest_observed {
            state.table.forget_silent(now);
        }
        let projects = state.projects.iter().map(|(project, entry)| {
            let segments = entry.segments.iter().map(|segment| segment.entry.clone()).collect();
            let mut entry = ProjectEntry { flushed_sequence: entry.flushed_sequence, segments };
            if project == name {
                entry.flushed_sequence = below;
                entry.segments.extend_from_slice(added);
            }
            (project.clone(), entry)
        });
        Manifest {
            format_version: FORMAT_VERSION,
            next_sequence: state.next_sequence,
            next_segment: state.next_segment,
            projects: projects.collect(),
            clients: state.table.to_clients(),
        }
    }

    /// Removes the log files whose frames are all in segments.
    fn remove_logs(&self) -> io::Result<()> {
        let closed = lock(&self.log).close_file(true);
        let done: Vec<WalFile> = {
            let mut state = lock(&self.state);
            state.closed_logs.extend(closed);
            let unflushed = state.unflushed_sequence();
            state.closed_logs.extract_if(.., |log| log.end_sequence <= unflushed).collect()
        };
        for log in done {
            if log.damaged {
                // Somebody may want to look at what could not be read.
                fs::rename(&log.path, log.path.with_extension("wal.damaged"))?;
            } else {
                fs::remove_file(&log.path)?;
            }
        }
        Ok(())
    }
}

fn is_due(project: &ProjectState) -> bool {
    project.hot_bytes() >= FLUSH_BYTES
        || project.hot_since.is_some_and(|since| since.elapsed() >= FLUSH_AGE)
}
