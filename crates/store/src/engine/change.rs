//! The one way in which the set of segments changes: the manifest first, then the state, then files go.
//!
//! Whoever changes it holds [`Shared::saving`] from the look at the state that the change rests on to the state's
//! following. A file is removed only when the manifest on disk does not name it and no query holds its segment.

use std::{
    io::{
        self,
        ErrorKind::{NotADirectory, NotFound},
    },
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard},
    time::Instant,
};

use arrow::array::RecordBatch;
use fs_err as fs;

use super::{ProjectState, Shared, State, lock};
use crate::{
    Project, Retention, files,
    idempotency::Clients,
    manifest::{FORMAT_VERSION, Manifest, ProjectEntry, SegmentEntry, segment_file},
    segment::{self, Segment, SegmentError},
};

/// What becomes different for one project.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Segments that count from now on.
    pub(super) added: Vec<SegmentEntry>,
    /// Segments that no longer count.
    pub(super) removed: Vec<Arc<Segment>>,
    /// Hot rows with a lower sequence are in segments, or deleted.
    pub(super) flushed_sequence: Option<u64>,
    pub(super) retention: Option<Retention>,
    /// What the idempotency table is to forget.
    pub(super) forgotten: Option<Clients>,
}

impl Change {
    fn removes(&self, segment: &Arc<Segment>) -> bool {
        self.removed.iter().any(|removed| Arc::ptr_eq(removed, segment))
    }

    /// What the manifest says of the project after the change.
    fn entry(&self, project: &ProjectState) -> ProjectEntry {
        let kept = project.segments.iter().filter(|segment| !self.removes(segment));
        let kept = kept.map(|segment| segment.entry.clone());
        ProjectEntry {
            flushed_sequence: self.flushed_sequence.unwrap_or(project.flushed_sequence),
            retention: self.retention.unwrap_or(project.retention),
            segments: kept.chain(self.added.iter().cloned()).collect(),
        }
    }
}

impl Shared {
    /// Makes a change durable and visible. `saving` is the lock of [`Shared::saving`].
    ///
    /// # Errors
    /// The manifest could not be written: nothing changed, and the files of added segments are gone or will be.
    pub(super) fn change(
        &self,
        _saving: &MutexGuard<'_, ()>,
        project: &Project,
        change: Change,
    ) -> io::Result<()> {
        let manifest = lock(&self.state).manifest_with(project, &change);
        if let Err(error) = manifest.save(&self.directory) {
            self.withdraw(project, change.added);
            return Err(error);
        }
        lock(&self.state).follow(project, change, &self.segments());
        Ok(())
    }

    /// Writes sorted rows, one part of [`crate::days::by_day`], as a segment that does not count yet. [`Shared::change`] makes it count, or
    /// [`Shared::discard`] removes it.
    pub(super) fn write_segment(
        &self,
        project: &Project,
        day: &str,
        rows: &RecordBatch,
    ) -> Result<SegmentEntry, SegmentError> {
        let number = {
            let mut state = lock(&self.state);
            let number = state.next_segment;
            state.next_segment += 1;
            state.unfinished.insert(number);
            number
        };
        segment::write(&self.segments(), project, day, number, rows)
            .inspect_err(|_| self.discard(number, &segment_file(project, day, number)))
    }

    /// Removes the file of a segment that no manifest ever named.
    pub(super) fn discard(&self, number: u64, file: &str) {
        let path = self.segments().join(file);
        // What can't be removed stays among the unfinished, which are removed at the next start.
        if remove(&path).is_ok() && remove(&path.with_extension("tmp")).is_ok() {
            lock(&self.state).unfinished.remove(&number);
        }
    }

    /// As [`Shared::discard`], for segments that were to be named by a manifest that could not be saved. It may be in
    /// place all the same, if only its sync failed; then the files stay until the next one is saved.
    fn withdraw(&self, project: &Project, added: Vec<SegmentEntry>) {
        let manifest = Manifest::load(&self.directory);
        let unnamed = |entry: &SegmentEntry| {
            manifest.as_ref().is_ok_and(|manifest| {
                let named = manifest.as_ref().and_then(|manifest| manifest.projects.get(project));
                !named.is_some_and(|project| project.segments.contains(entry))
            })
        };
        for entry in added {
            let number = entry.number().unwrap_or_default();
            if unnamed(&entry) {
                self.discard(number, &entry.file);
            } else {
                let segment = Arc::new(Segment::new(&self.segments(), entry));
                let mut state = lock(&self.state);
                state.unfinished.remove(&number);
                state.doubtful.push(segment);
            }
        }
    }

    /// Removes the files of segments that no longer count and that no query holds: tries all, then tells the first that
    /// could not be. `_maintaining` shows that no merge is writing.
    pub(super) fn sweep(&self, _maintaining: &MutexGuard<'_, ()>) -> io::Result<()> {
        let unused: Vec<String> = {
            let state = lock(&self.state);
            // Queries take segments from the state, and there it is no more: a count of one stays one.
            let unused = state.retired.iter().filter(|segment| Arc::strong_count(segment) == 1);
            unused.map(|segment| segment.entry.file.clone()).collect()
        };
        let mut removed = Ok(());
        for file in unused {
            let path = self.segments().join(&file);
            if let Err(error) = remove(&path) {
                removed = removed.and(Err(error));
                continue;
            }
            lock(&self.state).retired.retain(|segment| segment.entry.file != file);
            if let Ok(_flushing) = self.flushing.try_lock() {
                // Nobody is about to write there. It is removed if it is empty, and then perhaps the project's.
                let _ = path.ancestors().skip(1).take(2).try_for_each(fs::remove_dir);
            }
        }
        removed
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.directory.join("segments")
    }
}

/// Removes a file if it is there; when this returns, it stays removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match files::remove(path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), files::sync_directory),
    }
}

impl State {
    /// The manifest as it is after a change of a project.
    fn manifest_with(&mut self, changed: &Project, change: &Change) -> Manifest {
        if let Some(now) = self.newest_observed {
            self.table.forget_silent(now);
        }
        let unchanged = Change::default();
        self.projects.entry(changed.clone()).or_default();
        let projects = self.projects.iter().map(|(name, project)| {
            let change = if name == changed { change } else { &unchanged };
            (name.clone(), change.entry(project))
        });
        let unwanted = self.retired.iter().chain(&self.doubtful).chain(&change.removed);
        let mut disposable = self.unfinished.clone();
        disposable.extend(unwanted.filter_map(|segment| segment.entry.number()));
        for number in change.added.iter().filter_map(SegmentEntry::number) {
            disposable.remove(&number);
        }
        Manifest {
            format_version: FORMAT_VERSION,
            next_sequence: self.next_sequence,
            next_segment: self.next_segment,
            disposable,
            projects: projects.collect(),
            clients: self.table.to_clients(change.forgotten.as_ref().map(|_| changed)),
        }
    }

    /// Does what the manifest on disk now says.
    fn follow(&mut self, name: &Project, change: Change, segments: &Path) {
        // It names none of those that an earlier one may have named.
        self.retired.append(&mut self.doubtful);
        for number in change.added.iter().filter_map(SegmentEntry::number) {
            self.unfinished.remove(&number);
        }
        if let Some(forgotten) = &change.forgotten {
            self.table.forget(name, forgotten);
        }
        let project = self.projects.entry(name.clone()).or_default();
        project.segments.retain(|segment| !change.removes(segment));
        let added = change.added.into_iter().map(|entry| Arc::new(Segment::new(segments, entry)));
        project.segments.extend(added);
        self.retired.extend(change.removed);
        project.retention = change.retention.unwrap_or(project.retention);
        if let Some(below) = change.flushed_sequence {
            let before = project.hot_bytes();
            project.hot.retain(|chunk| chunk.sequence_min >= below);
            project.hot_since = (!project.hot.is_empty()).then(Instant::now);
            project.flushed_sequence = below;
            self.hot_bytes = self.hot_bytes.saturating_sub(before) + project.hot_bytes();
        }
    }
}
