//! Makes a damaged data directory one that opens without complaint. Nothing is deleted: what can't be kept is moved
//! into `damaged/`, and a file that is rewritten is kept there as it was.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, compute, error::ArrowError};
use fs_err as fs;

use crate::{
    OpenError, Project,
    batch::replay,
    check::{entry_of, examine, lock_data},
    days,
    engine::{files_below, unnamed_segments},
    files,
    idempotency::Table,
    limits::MERGE_BYTES,
    manifest::{FILE_NAME, Manifest, ManifestError, ProjectEntry, SegmentEntry, file_number},
    schema::schema,
    segment::{self, Segment, SegmentError},
    sequences::Sequences,
    wal,
};

const DAMAGED: &str = "damaged";

/// Why a data directory could not be repaired. What was done until then stays, and can be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It can't be opened at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A segment could not be written.
    #[error("write a segment: {0}")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<io::Error> for RepairError {
    fn from(error: io::Error) -> Self {
        Self::Open(error.into())
    }
}

impl From<ArrowError> for RepairError {
    fn from(error: ArrowError) -> Self {
        Self::Open(error.into())
    }
}

impl From<SegmentError> for RepairError {
    fn from(error: SegmentError) -> Self {
        Self::Write(Box::new(error))
    }
}

/// Repairs a data directory that no process has open; gives what was done and what is lost, one line each, nothing
/// if all was well.
///
/// - Segments that [`crate::check`] calls damaged are moved to `damaged/`, and the manifest no longer names them.
/// - A log file with a part that can't be read is rewritten without that part.
/// - A manifest that is missing or can't be read is made anew from the segments and the log. It no longer knows the
///   retention of the projects, nor which batches were stored but for those in the log: a client that sends one of
///   the others again stores it again. A project that was deleted may be there again, if its files still were.
///
/// # Errors
/// Files can't be read or written for a reason that may pass, another process has the directory, or the manifest is of
/// a newer version.
pub fn repair(directory: &Path) -> Result<Vec<String>, RepairError> {
    let _lock = lock_data(directory)?;
    let mut repair = Repair { directory, done: Vec::new() };
    repair.mend_logs()?;
    match Manifest::load(directory) {
        Ok(Some(manifest)) => repair.mend_segments(manifest)?,
        Ok(None) => repair.make_manifest()?,
        Err(ManifestError::Form(error)) => {
            let to = repair.set_aside(&directory.join(FILE_NAME))?;
            repair.done.push(format!("{FILE_NAME}: {error}; moved to {}", to.display()));
            repair.make_manifest()?;
        }
        Err(error) => return Err(OpenError::from(error).into()),
    }
    Ok(repair.done)
}

struct Repair<'a> {
    directory: &'a Path,
    done: Vec<String>,
}

impl Repair<'_> {
    fn segments(&self) -> PathBuf {
        self.directory.join("segments")
    }

    /// A free path below `damaged/` for a file of the data directory.
    fn aside(&self, path: &Path) -> io::Result<PathBuf> {
        let below = path.strip_prefix(self.directory).unwrap_or(path);
        let to = self.directory.join(DAMAGED).join(below);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(files::free(to))
    }

    /// Moves a file below `damaged/`.
    fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let to = self.aside(path)?;
        files::rename(path, &to)?;
        for parent in [path.parent(), to.parent()].into_iter().flatten() {
            files::sync_directory(parent)?;
        }
        Ok(to)
    }

    /// Rewrites log files that have parts that can't be read.
    fn mend_logs(&mut self) -> Result<(), RepairError> {
        for (_, path) in wal::list(&self.directory.join("wal"))? {
            let mut frames = Vec::new();
            let mut reasons = Vec::new();
            let damages = wal::read_file(&path, |frame| {
                let start = frames.len();
                let (first, key) = (frame.first_sequence, frame.key.as_ref());
                wal::write_frame(&mut frames, first, &frame.project, key, &frame.payload);
                let count = frame.payload.records;
                if let Err(error) = replay(frame.payload) {
                    frames.truncate(start);
                    reasons.push(format!(
                        "log {}: the {count} records from {first} on: {error}",
                        path.display()
                    ));
                }
            })?;
            let damages = damages.iter().filter(|damage| !damage.torn_tail);
            reasons.extend(damages.map(ToString::to_string));
            if reasons.is_empty() {
                continue;
            }
            let to = self.aside(&path)?;
            fs::hard_link(&path, &to)?;
            to.parent().map_or(Ok(()), files::sync_directory)?;
            files::replace(&path, &wal::file(&frames))?;
            self.done.extend(reasons);
            self.done.push(format!("log {}: rewritten, it was {}", path.display(), to.display()));
        }
        Ok(())
    }

    /// Moves away segments that are damaged or that nothing names, and saves the manifest as it is then.
    fn mend_segments(&mut self, mut manifest: Manifest) -> Result<(), RepairError> {
        let segments = self.segments();
        let before = self.done.len();
        for path in unnamed_segments(&segments, &manifest)? {
            if !manifest.is_leftover(&path) {
                let to = self.set_aside(&path)?;
                self.done.push(format!(
                    "{}: nothing names it; moved to {}",
                    path.display(),
                    to.display()
                ));
            }
        }
        let mut days = Days::new();
        for (name, project) in &mut manifest.projects {
            for entry in std::mem::take(&mut project.segments) {
                match examine(&segments, &entry)? {
                    Ok(_) => {
                        let place = (name.clone(), entry.day().to_owned());
                        days.entry(place).or_default().push(entry);
                    }
                    Err(reason) => self.drop_segment(&entry, &reason)?,
                }
            }
        }
        for (project, entries) in in_common(days) {
            self.name_segments(&mut manifest, &project, entries)?;
        }
        if self.done.len() > before {
            manifest.save(self.directory)?;
        }
        Ok(())
    }

    fn drop_segment(&mut self, entry: &SegmentEntry, reason: &str) -> io::Result<()> {
        let path = self.segments().join(&entry.file);
        let what = format!("segment {}: {reason}; {} records", entry.file, entry.rows);
        if path.exists() {
            let to = self.set_aside(&path)?;
            self.done.push(format!("{what} moved to {}", to.display()));
        } else {
            self.done.push(format!("{what} lost"));
        }
        Ok(())
    }

    /// Makes a manifest of the segments and the log.
    fn make_manifest(&mut self) -> Result<(), RepairError> {
        let mut manifest = Manifest::empty();
        let days = self.found_segments(&mut manifest)?;
        let mut in_segments: BTreeMap<Project, Sequences> = BTreeMap::new();
        for (project, files) in in_common(days) {
            let sequences = self.name_segments(&mut manifest, &project, files)?;
            in_segments.entry(project).or_default().add(&sequences);
        }
        self.name_logged(&mut manifest, &mut in_segments)?;
        let entries = manifest.projects.values().flat_map(|project| &project.segments);
        let next_sequence = entries.clone().map(|entry| entry.sequence_max + 1).max();
        manifest.next_sequence = manifest.next_sequence.max(next_sequence.unwrap_or_default());
        let (segments, records) =
            (entries.clone().count(), entries.map(|entry| entry.rows).sum::<u64>());
        for project in manifest.projects.values_mut() {
            // Whatever the log holds is in segments now.
            project.flushed_sequence = manifest.next_sequence;
        }
        manifest.save(self.directory)?;
        self.done.push(format!(
            "{FILE_NAME}: made anew, it names {segments} segments with {records} records; retention, and which batches \
             were stored, is lost"
        ));
        Ok(())
    }

    /// The segment files that can be read, by project and day; the others are moved away. Numbers go on behind them.
    fn found_segments(&mut self, manifest: &mut Manifest) -> Result<Days, RepairError> {
        let mut days = Days::new();
        for path in files_below(&self.segments())? {
            if let Some(number) = file_number(&path) {
                manifest.next_segment = manifest.next_segment.max(number + 1);
            }
            let file = path.strip_prefix(self.segments()).unwrap_or(&path);
            let reason = match place(file) {
                None => "it is no segment".to_owned(),
                Some(place) => match entry_of(&self.segments(), file) {
                    Ok(entry) => {
                        days.entry(place).or_default().push(entry);
                        continue;
                    }
                    Err(SegmentError::Io(error)) => return Err(error.into()),
                    Err(error) => error.to_string(),
                },
            };
            let to = self.set_aside(&path)?;
            self.done.push(format!(
                "segment {}: {reason}; moved to {}",
                file.display(),
                to.display()
            ));
        }
        Ok(days)
    }

    /// Names segments that may have records in common. The sources of a merge may still be there beside what they were merged into: no
    /// record is named twice.
    fn name_segments(
        &mut self,
        manifest: &mut Manifest,
        project: &Project,
        mut entries: Vec<SegmentEntry>,
    ) -> Result<Sequences, RepairError> {
        let mut named = Sequences::default();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.rows));
        for mut entry in entries {
            let rows = Segment::new(&self.segments(), entry.clone()).rows()?;
            let others = named.others(&rows)?;
            if others.num_rows() < rows.num_rows() {
                let path = self.segments().join(&entry.file);
                if others.num_rows() > 0 {
                    entry = self.write(manifest, project, entry.day(), &others)?;
                }
                let to = self.set_aside(&path)?;
                self.done.push(format!(
                    "segment {}: {} of its records are in others; moved to {}",
                    path.display(),
                    rows.num_rows() - others.num_rows(),
                    to.display()
                ));
            }
            if others.num_rows() > 0 {
                named.add(&Sequences::of(&others));
                manifest.projects.entry(project.clone()).or_default().segments.push(entry);
            }
        }
        Ok(named)
    }

    /// Writes what only the log has to segments, and remembers its batches.
    fn name_logged(
        &mut self,
        manifest: &mut Manifest,
        stored: &mut BTreeMap<Project, Sequences>,
    ) -> Result<(), RepairError> {
        let mut table = Table::default();
        let mut waiting: BTreeMap<Project, Vec<RecordBatch>> = BTreeMap::new();
        for (_, path) in wal::list(&self.directory.join("wal"))? {
            let mut read = Ok(());
            wal::read_file(&path, |frame| {
                let (project, first) = (frame.project, frame.first_sequence);
                if let Some(key) = &frame.key {
                    table.insert(&project, key, frame.payload.observed);
                }
                // Frames that can't be replayed were cut out of the log before.
                let Ok(batch) = replay(frame.payload) else { return };
                let stored = stored.entry(project.clone()).or_default();
                let rows = batch.sequenced(first).and_then(|rows| stored.others(&rows));
                match rows {
                    Ok(rows) => {
                        stored.add(&Sequences::of(&rows));
                        waiting.entry(project).or_default().push(rows);
                    }
                    Err(error) => read = Err(error),
                }
            })?;
            read?;
            for (project, parts) in &mut waiting {
                let bytes: usize = parts.iter().map(RecordBatch::get_array_memory_size).sum();
                if bytes > MERGE_BYTES {
                    self.name_rows(manifest, project, &std::mem::take(parts))?;
                }
            }
        }
        for (project, parts) in waiting {
            self.name_rows(manifest, &project, &parts)?;
        }
        manifest.clients = table.to_clients(None);
        Ok(())
    }

    fn name_rows(
        &self,
        manifest: &mut Manifest,
        project: &Project,
        parts: &[RecordBatch],
    ) -> Result<(), RepairError> {
        let rows = compute::concat_batches(schema(), parts)?;
        let rows = segment::sort(&rows)?;
        let mut entries = Vec::new();
        for (day, rows) in days::by_day(&rows)? {
            entries.push(self.write(manifest, project, &day, &rows)?);
        }
        let entry: &mut ProjectEntry = manifest.projects.entry(project.clone()).or_default();
        entry.segments.append(&mut entries);
        Ok(())
    }

    fn write(
        &self,
        manifest: &mut Manifest,
        project: &Project,
        day: &str,
        rows: &RecordBatch,
    ) -> Result<SegmentEntry, RepairError> {
        let number = manifest.next_segment;
        manifest.next_segment += 1;
        Ok(segment::write(&self.segments(), project, day, number, rows)?)
    }
}

type Days = BTreeMap<(Project, String), Vec<SegmentEntry>>;

/// Those that may have records in common: of a day, and of a month or year and all its days.
fn in_common(days: Days) -> Vec<(Project, Vec<SegmentEntry>)> {
    let mut groups: Vec<((Project, String), Vec<SegmentEntry>)> = Vec::new();
    for ((project, day), entries) in days {
        match groups.last_mut() {
            Some(((last, start), group)) if *last == project && day.starts_with(&*start) => {
                group.extend(entries);
            }
            _ => groups.push(((project, day), entries)),
        }
    }
    groups.into_iter().map(|((project, _), entries)| (project, entries)).collect()
}

/// Project and day of a segment file, if it is one.
fn place(file: &Path) -> Option<(Project, String)> {
    let mut parts = file.iter().map(|part| part.to_str());
    let (project, day) = (parts.next()??, parts.next()??);
    let numbered = file_number(file).is_some();
    let parquet = file.extension().is_some_and(|ending| ending == "parquet");
    (numbered && parquet && parts.count() == 1).then_some(())?;
    Some((project.parse().ok()?, day.to_owned()))
}
