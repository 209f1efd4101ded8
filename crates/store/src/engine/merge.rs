//! Merges small segments of a project and day into larger ones.
//!
//! Segments are of the same tier when their numbers of rows are within a factor of four. The thread merges when a tier
//! has enough of them, so a row is rewritten a logarithmic number of times. Nothing waits for a merge: queries read
//! the old segments until the new one is named, and go on with them if they began before.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::Arc,
};

use arrow::{array::RecordBatch, compute, error::ArrowError};

use super::{Shared, change::Change, lock};
use crate::{
    Project, files,
    limits::{
        MERGE_BYTES, MERGE_SEGMENTS, ROW_GROUP_ROWS, SEGMENT_FULL_BYTES,
        SEGMENT_FULL_DECODED_BYTES, SEGMENT_FULL_ROWS,
    },
    manifest::{SegmentEntry, decoded_bytes},
    schema::schema,
    segment::{self, Segment, SegmentError},
};

/// When segments are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Enough of them are of one tier.
    Tiered,
    /// There are two that are not full.
    Any,
}

/// Segments of one project and day, one behind the other in time.
#[derive(Debug)]
pub(super) struct Run {
    project: Project,
    day: String,
    segments: Vec<Arc<Segment>>,
}

impl Shared {
    /// Merges until nothing is left to merge, or `stopped`. One segment's trouble is not another's: tries all, then
    /// tells the first.
    pub(super) fn merge_all(&self, when: When, stopped: impl Fn() -> bool) -> io::Result<()> {
        let maintaining = lock(&self.maintaining);
        let mut done = Ok(());
        let mut failed = HashSet::new();
        while !stopped()
            && let Some(run) = self.pick(when, &failed)
        {
            if let Err(error) = self.merge(&run) {
                failed.extend(run.segments.iter().map(|segment| segment.id));
                let no_room = matches!(&error, SegmentError::Io(error) if files::no_room(error));
                done = done.and(Err(io::Error::other(error)));
                if no_room {
                    // Nor for any other: to read and encode them all would be in vain.
                    break;
                }
            }
            drop(run);
            done = done.and(self.sweep(&maintaining));
        }
        done
    }

    /// The next run to merge, of segments but for those that failed.
    pub(super) fn pick(&self, when: When, failed: &HashSet<u64>) -> Option<Run> {
        let all: Vec<(Project, Arc<Segment>)> = {
            let state = lock(&self.state);
            let all = state.projects.iter().flat_map(|(name, project)| {
                project.segments.iter().map(|segment| (name.clone(), Arc::clone(segment)))
            });
            all.filter(|(_, segment)| !is_full(segment) && !failed.contains(&segment.id)).collect()
        };
        let mut days: BTreeMap<(Project, String, u32), Vec<Arc<Segment>>> = BTreeMap::new();
        for (project, segment) in all {
            // Without the lock of the state: a segment that is being checked answers only then.
            if segment.known_damage().is_none() {
                let tier = if when == When::Tiered { tier(&segment) } else { 0 };
                let day = segment.entry.day().to_owned();
                days.entry((project, day, tier)).or_default().push(segment);
            }
        }
        let least = if when == When::Tiered { MERGE_SEGMENTS } else { 2 };
        let (key, mut segments) = days.into_iter().find(|(_, segments)| segments.len() >= least)?;
        segments.sort_by_key(|segment| (segment.entry.time_min, segment.entry.sequence_min));
        let (mut rows, mut bytes) = (0, 0);
        let fits = |segment: &Arc<Segment>| {
            rows += segment.entry.rows;
            bytes += segment.decoded_bytes();
            rows <= ROW_GROUP_ROWS as u64 && bytes <= MERGE_BYTES as u64
        };
        let segments = segments.into_iter().take_while(fits).collect();
        let (project, day, _) = key;
        Some(Run { project, day, segments })
    }

    /// Merges a run, without the segments that can't be read; tells the first of them.
    pub(super) fn merge(&self, run: &Run) -> Result<(), SegmentError> {
        let mut unread = Ok(());
        let mut merged = Vec::new();
        let mut parts = Vec::new();
        let mut bytes = 0;
        for segment in &run.segments {
            let rows = match segment.rows() {
                Ok(rows) => rows,
                // Known from now on, and left as it is.
                Err(SegmentError::Damaged(_)) => continue,
                Err(error) => {
                    unread = unread.and(Err(error));
                    continue;
                }
            };
            let decoded = decoded_bytes(&rows);
            segment.learn_decoded_bytes(decoded as u64);
            if is_full(segment) {
                // An older version did not tell.
                continue;
            }
            if bytes + decoded > MERGE_BYTES {
                break;
            }
            bytes += decoded;
            parts.push(rows);
            merged.push(Arc::clone(segment));
        }
        if merged.len() < 2 {
            return unread;
        }
        let rows = joined(parts)?;
        let entry = self.write_segment(&run.project, &run.day, &rows)?;
        drop(rows);
        self.replace(run, merged, entry).and(unread)
    }

    /// Lets a merged segment count in place of its sources, if they all still do.
    fn replace(
        &self,
        run: &Run,
        merged: Vec<Arc<Segment>>,
        entry: SegmentEntry,
    ) -> Result<(), SegmentError> {
        let saving = lock(&self.saving);
        let all_count = {
            let state = lock(&self.state);
            let segments = state.projects.get(&run.project).map(|project| &project.segments);
            let counts =
                |source| segments.is_some_and(|all| all.iter().any(|one| Arc::ptr_eq(one, source)));
            merged.iter().all(counts)
        };
        if !all_count {
            // They were deleted meanwhile.
            self.discard(entry.number().unwrap_or_default(), &entry.file);
            return Ok(());
        }
        let rows = entry.rows;
        let sources = merged.len();
        let change = Change { added: vec![entry], removed: merged, ..Change::default() };
        self.change(&saving, &run.project, change)?;
        tracing::debug!(project = %run.project, day = run.day, sources, rows, "merged segments");
        Ok(())
    }
}

/// All rows, sorted. The parts are gone when the joined rows are sorted.
fn joined(parts: Vec<RecordBatch>) -> Result<RecordBatch, ArrowError> {
    let rows = compute::concat_batches(schema(), &parts)?;
    drop(parts);
    segment::sort(&rows)
}

fn is_full(segment: &Segment) -> bool {
    segment.entry.rows >= SEGMENT_FULL_ROWS
        || segment.entry.bytes >= SEGMENT_FULL_BYTES
        || segment.decoded_bytes() >= SEGMENT_FULL_DECODED_BYTES as u64
}

fn tier(segment: &Segment) -> u32 {
    segment.entry.rows.max(1).ilog2() / MERGE_SEGMENTS.ilog2()
}

impl Segment {
    /// All of its rows, in the order of the file.
    pub(crate) fn rows(&self) -> Result<RecordBatch, SegmentError> {
        let all: Vec<usize> = (0..schema().fields().len()).collect();
        let groups = self.row_groups()?.len();
        let parts: Result<Vec<_>, _> =
            (0..groups).map(|group| self.read(group, &all, None)).collect();
        Ok(compute::concat_batches(schema(), &parts?)?)
    }
}
