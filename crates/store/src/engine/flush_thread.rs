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
    Project, days, files,
    hot::Chunk,
    limits::FLUSH_BYTES,
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
        let mut entries = Vec::new();
        for part in parts(chunks, FLUSH_BYTES) {
            if let Err(error) = self.write_part(name, part, &mut entries) {
                // The next try writes them all again; on a full disk two copies are one too many.
                self.discard_all(&entries);
                return Err(error);
            }
        }
        Ok(entries)
    }

    fn write_part(
        &self,
        name: &Project,
        chunks: &[Arc<Chunk>],
        entries: &mut Vec<SegmentEntry>,
    ) -> Result<(), SegmentError> {
        let rows = compute::concat_batches(schema(), chunks.iter().map(|chunk| &chunk.rows))?;
        let rows = segment::sort(&rows)?;
        for (day, rows) in days::by_day(&rows)? {
            entries.push(self.write_segment(name, &day, &rows)?);
        }
        Ok(())
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
                // Somebody may want to look at what could not be read. An empty directory numbers its logs from 1 again.
                let kept = files::free(log.path.with_extension("wal.damaged"));
                files::rename(&log.path, &kept)
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

/// Chunks that are one behind the other, cut into parts of at most so many bytes, or of one chunk.
fn parts(chunks: &[Arc<Chunk>], bytes_max: usize) -> impl Iterator<Item = &[Arc<Chunk>]> {
    let mut bytes = 0;
    chunks.chunk_by(move |before, chunk| {
        bytes += before.bytes;
        let fits = bytes + chunk.bytes <= bytes_max;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

/// What a flush writes.
pub(super) struct Begun {
    chunks: Vec<Arc<Chunk>>,
    /// The sequence behind them.
    below: u64,
    /// That of the project when the flush began.
    flushed_sequence: u64,
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;

    #[test]
    fn chunks_are_flushed_in_parts_that_no_column_overflows_with() {
        let chunk = |bytes| {
            let mut chunk = Chunk::new(RecordBatch::new_empty(Arc::clone(schema())));
            chunk.bytes = bytes;
            Arc::new(chunk)
        };
        let chunks = [3, 4, 4, 20, 1, 9, 1].map(chunk);
        let sizes: Vec<Vec<usize>> =
            parts(&chunks, 10).map(|part| part.iter().map(|chunk| chunk.bytes).collect()).collect();
        assert_eq!(sizes, [vec![3, 4], vec![4], vec![20], vec![1, 9], vec![1]]);
    }
}
