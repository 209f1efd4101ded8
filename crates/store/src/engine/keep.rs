//! What is kept of a project, and what there is: retention, deletion, and the list of projects.

use std::{io, sync::Arc};

use millpond_record::Timestamp;

use super::{ProjectState, Shared, change::Change, lock};
use crate::{Project, ProjectInfo, Retention, segment::Segment};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Shared {
    /// What is stored of each project that has records or a retention.
    pub(crate) fn projects(&self) -> Vec<ProjectInfo> {
        let state = lock(&self.state);
        let infos = state.projects.iter().map(|(name, project)| info(name, project));
        infos.filter(|info| info.records > 0 || info.retention != Retention::default()).collect()
    }

    /// Sets what is kept of a project.
    pub(crate) fn set_retention(&self, project: &Project, retention: Retention) -> io::Result<()> {
        let saving = lock(&self.saving);
        let change = Change { retention: Some(retention), ..Change::default() };
        self.change(&saving, project, change)
    }

    /// Deletes the records that a project has at this moment, and what is remembered of its batches. Its retention
    /// stays.
    pub(crate) fn delete_project(&self, name: &Project) -> io::Result<()> {
        {
            let saving = lock(&self.saving);
            let change = {
                let mut state = lock(&self.state);
                // Rows that arrive from here on are not joined with those that go, and have no lower sequence: a
                // batch that is being written has its sequence, but will be there only later.
                let below = state.next_sequence;
                let forgotten = state.table.clients(name);
                let Some(project) = state.projects.get_mut(name) else { return Ok(()) };
                project.flushing_sequence = below;
                Change {
                    removed: project.segments.clone(),
                    flushed_sequence: Some(below),
                    forgotten: Some(forgotten),
                    ..Change::default()
                }
            };
            self.change(&saving, name, change)?;
        }
        // It is deleted now. What can't be removed at once is removed later.
        if let Err(error) = self.remove_logs() {
            tracing::warn!(%error, "log files of a deleted project could not be removed yet");
        }
        self.maintenance.notify_all();
        if let Ok(maintaining) = self.maintaining.try_lock()
            && let Err(error) = self.sweep(&maintaining)
        {
            tracing::warn!(%error, "segments of a deleted project could not be removed yet");
        }
        Ok(())
    }

    /// Lets the segments go that the projects' retention does not keep.
    pub(super) fn clean_up(&self, now: Timestamp) -> io::Result<()> {
        let names: Vec<Project> = {
            let state = lock(&self.state);
            let limited = |project: &ProjectState| project.retention != Retention::default();
            let limited = state.projects.iter().filter(|(_, project)| limited(project));
            limited.map(|(name, _)| name.clone()).collect()
        };
        // One project's trouble is not another's: try all, then tell the first.
        let cleaned: Vec<_> = names.iter().map(|name| self.clean_up_project(name, now)).collect();
        let swept = self.sweep(&lock(&self.maintaining));
        cleaned.into_iter().chain([swept]).collect()
    }

    fn clean_up_project(&self, name: &Project, now: Timestamp) -> io::Result<()> {
        let saving = lock(&self.saving);
        let (retention, segments) = {
            let state = lock(&self.state);
            let Some(project) = state.projects.get(name) else { return Ok(()) };
            (project.retention, project.segments.clone())
        };
        let removed = expired(retention, segments, now);
        if removed.is_empty() {
            return Ok(());
        }
        let count = removed.len();
        self.change(&saving, name, Change { removed, ..Change::default() })?;
        tracing::info!(project = %name, segments = count, "removed what the retention does not keep");
        Ok(())
    }
}

/// The segments that go. Damaged ones stay for whoever wants to mend them, and don't count.
fn expired(
    retention: Retention,
    mut segments: Vec<Arc<Segment>>,
    now: Timestamp,
) -> Vec<Arc<Segment>> {
    segments.retain(|segment| segment.known_damage().is_none());
    segments.sort_by_key(|segment| (segment.entry.time_max, segment.entry.sequence_max));
    let oldest = retention.age_seconds.map(|age| {
        let age = i64::try_from(age).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND);
        now.nanos().saturating_sub(age)
    });
    let mut bytes: u64 = segments.iter().map(|segment| segment.entry.bytes).sum();
    let goes = |segment: &Arc<Segment>| {
        let too_old = oldest.is_some_and(|oldest| segment.entry.time_max < oldest);
        let too_much = retention.bytes.is_some_and(|limit| bytes > limit);
        bytes -= segment.entry.bytes;
        too_old || too_much
    };
    segments.into_iter().take_while(goes).collect()
}

fn info(name: &Project, project: &ProjectState) -> ProjectInfo {
    let segments = project.segments.iter().map(|segment| &segment.entry);
    let hot_rows: u64 = project.hot.iter().map(|chunk| chunk.rows.num_rows() as u64).sum();
    let times = project.segments.iter().map(|segment| (segment.time_min(), segment.time_max()));
    let times = times.chain(project.hot.iter().map(|chunk| (chunk.time_min, chunk.time_max)));
    ProjectInfo {
        project: name.clone(),
        records: hot_rows + segments.clone().map(|entry| entry.rows).sum::<u64>(),
        segments: project.segments.len() as u64,
        bytes: segments.map(|entry| entry.bytes).sum(),
        times: times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))),
        retention: project.retention,
    }
}
