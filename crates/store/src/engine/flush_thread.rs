//! The thread that turns hot rows into segments and cuts the log behind them.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::Duration,
};

use arrow::compute;

use super::{
    ProjectState, Shared, State,
    change::{Change, remove},
    lock,
};
use crate::{
    Project, files,
    hot::Chunk,
    manifest::SegmentEntry,
    schema::schema,
    segment::{self, SegmentError},
    wal::WalFile,
};

/// How often the thread looks at the age of hot rows, and waits after a failure.
const FLUSH_TICK: Duration = Duration::from_secs(5);

impl Shared {
    pub(super) fn run_flush(&self) {
        loop {
            let state = lock(&self.state);
            let idle = |state: &mut State| !state.closing && !state.pressed() && !state.any_due();
            let waited = self.flush.wait_timeout_while(state, FLUSH_TICK, idle);
            let (closing, pressed) = {
                let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                (state.closing, state.pressed())
            };
            let flushed =
                self.flush_all(|state, project| closing || pressed || state.is_due(project));
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

    pub(super) fn flush_all(&self, due: impl Fn(&State, &ProjectState) -> bool) -> io::Result<()> {
        let _flushing = lock(&self.flushing);
        let projects: Vec<Project> = {
            let state = lock(&self.state);
            let due = state
                .projects
                .iter()
                .filter(|(_, project)| !project.hot.is_empty() && due(&state, project));
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
        self.begin_flush(name).map_or(Ok(()), |begun| self.finish_flush(name, &begun))
    }

    pub(super) fn finish_flush(&self, name: &Project, begun: &Begun) -> Result<(), SegmentError> {
        let entries = self.write_segments(name, &begun.chunks)?;
        let saving = lock(&self.saving);
        let flushed_sequence =
            lock(&self.state).projects.get(name).map(|project| project.flushed_sequence);
        if flushed_sequence != Some(begun.flushed_sequence) {
            // The rows were deleted meanwhile.
            self.discard_all(&entries);
            return Ok(());
        }
        let change =
            Change { added: entries, flushed_sequence: Some(begun.below), ..Change::default() };
        Ok(self.change(&saving, name, change)?)
    }

    pub(super) fn begin_flush(&self, name: &Project) -> Option<Begun> {
        let mut state = lock(&self.state);
        let below = state.next_sequence;
        let project = state.projects.get_mut(name)?;
        project.flushing_sequence = below;
        let chunks = project.hot.clone();
        let flushed_sequence = project.flushed_sequence;
        (!chunks.is_empty()).then_some(Begun { chunks, below, flushed_sequence })
    }

    fn write_segments(
        &self,
        name: &Project,
        chunks: &[Arc<Chunk>],
    ) -> Result<Vec<SegmentEntry>, SegmentError> {
        let rows = compute::concat_batches(schema(), chunks.iter().map(|chunk| &chunk.rows))?;
        let rows = segment::sort(&rows)?;
        let mut entries = Vec::new();
        for (day, rows) in segment::by_day(&rows) {
            match self.write_segment(name, &day, &rows) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    // The next try writes them all again; on a full disk two copies are one too many.
                    self.discard_all(&entries);
                    return Err(error);
                }
            }
        }
        Ok(entries)
    }

    fn discard_all(&self, entries: &[SegmentEntry]) {
        for entry in entries {
            self.discard(entry.number().unwrap_or_default(), &entry.file);
        }
    }

    /// Removes the log files whose frames are all in segments, or deleted.
    pub(super) fn remove_logs(&self) -> io::Result<()> {
        let closed = lock(&self.log).close_file(true);
        let done: Vec<WalFile> = {
            let mut state = lock(&self.state);
            state.closed_logs.extend(closed);
            let unflushed = state.unflushed_sequence();
            state.closed_logs.extract_if(.., |log| log.end_sequence <= unflushed).collect()
        };
        let mut removed = Ok(());
        for log in done {
            let gone = if log.damaged {
                // Somebody may want to look at what could not be read.
                files::rename(&log.path, &log.path.with_extension("wal.damaged"))
            } else {
                remove(&log.path)
            };
            if gone.is_err() {
                lock(&self.state).closed_logs.push(log);
                removed = gone;
            }
        }
        removed
    }
}

/// What a flush writes.
pub(super) struct Begun {
    chunks: Vec<Arc<Chunk>>,
    /// The sequence behind them.
    below: u64,
    /// That of the project when the flush began.
    flushed_sequence: u64,
}
