//! The embedded engine: one data directory, one log writer, one flusher.
//!
//! The path of a batch: [`EmbeddedStore::append`] hands it to the log thread, which takes all that are waiting, writes
//! their frames, syncs once, adds the rows to the hot chunks and answers. The flush thread turns hot chunks into
//! Parquet segments, names them in the manifest, and then removes what the log need not keep.
//!
//! Sequences are given by the log thread alone, so the order of the log, of the sequences, and of the hot rows is the
//! same. A query works on a snapshot: the chunks and segments at one moment, of which each record is in exactly one.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arrow::{compute, error::ArrowError};
use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use millpond_wire::IdempotencyKey;
use tokio::sync::{oneshot, watch};

use crate::{
    AppendError, Appended, Batch, Project,
    batch::replay,
    files,
    hot::{self, Chunk},
    idempotency::Table,
    limits::{COMMITS_WAITING_MAX, FLUSH_AGE, FLUSH_BYTES, GROUP_BYTES_MAX, HOT_BYTES_MAX},
    manifest::{FORMAT_VERSION, Manifest, ManifestError, ProjectEntry, SegmentEntry},
    schema::schema,
    segment::{self, Segment, SegmentError},
    wal::{self, Damage, WalFile},
};

/// How often the flush thread looks at the age of hot rows, and waits after a failure.
const FLUSH_TICK: Duration = Duration::from_secs(5);

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {0:?} is in use by another process")]
    InUse(PathBuf),
    /// A file or directory could not be read or written.
    #[error("open the data directory: {0}")]
    Io(#[from] io::Error),
    /// The manifest is damaged or too new.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Recovered rows could not be put together.
    #[error("recover the log: {0}")]
    Rows(#[from] ArrowError),
}

/// What recovery found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Records that were only in the log.
    pub records: u64,
    /// Segments that the manifest names.
    pub segments: usize,
    /// Parts of the log that could not be read.
    pub damages: Vec<Damage>,
}

/// The store of one data directory.
#[derive(Debug)]
pub struct EmbeddedStore {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    commits: SyncSender<Message>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
    /// Wakes the flush thread.
    flush: Condvar,
    log: Mutex<wal::Writer>,
    /// Held while segments are written, so that no row is written twice.
    flushing: Mutex<()>,
    pub(crate) stored: watch::Sender<u64>,
    recovery: Recovery,
    /// Held as long as the store lives.
    _lock: File,
}

#[derive(Debug, Default)]
struct State {
    projects: BTreeMap<Project, ProjectState>,
    table: Table,
    /// Sequence of the next record. Every record with a lower one is in a hot chunk or a segment.
    next_sequence: u64,
    next_segment: u64,
    /// Arrow memory of all hot chunks.
    hot_bytes: usize,
    /// Log files that get no more frames.
    closed_logs: Vec<WalFile>,
    /// Arrival of the newest batch.
    newest_observed: Option<Timestamp>,
    closing: bool,
}

#[derive(Debug, Default)]
struct ProjectState {
    hot: Vec<Arc<Chunk>>,
    hot_since: Option<Instant>,
    segments: Vec<Arc<Segment>>,
    /// Every record with a lower sequence is in a segment.
    flushed_sequence: u64,
    /// Chunks below it are being written to a segment.
    flushing_sequence: u64,
}

impl ProjectState {
    fn hot_bytes(&self) -> usize {
        self.hot.iter().map(|chunk| chunk.bytes).sum()
    }
}

/// The records of a project at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) hot: Vec<Arc<Chunk>>,
    pub(crate) segments: Vec<Arc<Segment>>,
}

#[derive(Debug)]
enum Message {
    Commit(Box<Commit>),
    Stop,
}

#[derive(Debug)]
struct Commit {
    project: Project,
    key: Option<IdempotencyKey>,
    batch: Batch,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// A poisoned lock means that a thread panicked between two assignments, each of which left the state whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedStore {
    /// Opens or creates a data directory and recovers what the last process left.
    ///
    /// # Errors
    /// Another process has it, it can't be read or written, or its manifest is damaged.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(directory.join("wal"))?;
        fs::create_dir_all(directory.join("segments"))?;
        files::sync_directory(directory)?;
        let lock_file = File::create(directory.join("lock"))?;
        match lock_file.file().try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(OpenError::InUse(directory.to_owned()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let manifest = Manifest::load(directory)?;
        remove_unnamed_segments(&directory.join("segments"), &manifest)?;
        let mut state = State::from_manifest(manifest, &directory.join("segments"));
        let (recovery, next_log) = recover(&mut state, &directory.join("wal"))?;

        let (commits, waiting) = sync_channel(COMMITS_WAITING_MAX);
        let shared = Arc::new(Shared {
            log: Mutex::new(wal::Writer::new(directory.join("wal"), next_log)),
            stored: watch::Sender::new(state.next_sequence),
            state: Mutex::new(state),
            flush: Condvar::new(),
            flushing: Mutex::default(),
            directory: directory.to_owned(),
            recovery,
            _lock: lock_file,
        });
        let threads = [
            spawn("log", Arc::clone(&shared), move |shared| shared.run_log(&waiting))?,
            spawn("flush", Arc::clone(&shared), |shared| shared.run_flush())?,
        ];
        Ok(Self { shared, threads: Mutex::new(threads.into()), commits })
    }

    /// What was found when the store was opened.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.shared.recovery
    }

    /// Writes all hot rows to segments, empties the log, and ends the threads. Later appends are refused; queries go
    /// on. What could not be written stays in the log.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return;
        }
        // Blocks while the queue is full; the log thread empties it.
        let _ = self.commits.send(Message::Stop);
        for thread in threads {
            if thread.thread().name() == Some("millpond-flush") {
                lock(&self.shared.state).closing = true;
                self.shared.flush.notify_all();
            }
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }

    pub(crate) async fn commit(
        &self,
        project: &Project,
        key: Option<IdempotencyKey>,
        batch: Batch,
    ) -> Result<Appended, AppendError> {
        if batch.is_empty() {
            return Ok(Appended { duplicate: false });
        }
        if lock(&self.shared.state).hot_bytes > HOT_BYTES_MAX {
            return Err(AppendError::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        let commit = Box::new(Commit { project: project.clone(), key, batch, reply });
        self.commits.try_send(Message::Commit(commit)).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::Overloaded,
            TrySendError::Disconnected(_) => AppendError::Closed,
        })?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The records of a project at this moment.
    pub(crate) fn snapshot(&self, project: &Project) -> Snapshot {
        let state = lock(&self.shared.state);
        let snapshot = state.projects.get(project).map(|project| Snapshot {
            hot: project.hot.clone(),
            segments: project.segments.clone(),
        });
        snapshot.unwrap_or_default()
    }

    /// Writes all hot rows to segments now, and waits until that is done or has failed.
    ///
    /// # Errors
    /// A segment or the manifest could not be written; the rows stay hot and in the log.
    pub fn flush(&self) -> io::Result<()> {
        self.shared.flush_all(|_| true)
    }

    /// What is wrong, in words for the operator.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let damages =
            self.shared.recovery.damages.iter().filter(|damage| !damage.torn_tail).map(|damage| {
                format!(
                    "log {:?}: {} bytes at {} could not be read",
                    damage.path, damage.bytes, damage.offset
                )
            });
        let mut complaints: Vec<String> = damages.collect();
        let state = lock(&self.shared.state);
        for segment in state.projects.values().flat_map(|project| &project.segments) {
            if let Some(reason) = segment.known_damage() {
                complaints.push(format!("segment {}: {reason}", segment.entry.file));
            }
        }
        drop(state);
        if lock(&self.shared.log).poisoned() {
            complaints.push(
                "the log failed and could not be repaired; nothing is stored until a restart"
                    .to_owned(),
            );
        }
        complaints
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(
    name: &str,
    shared: Arc<Shared>,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("millpond-{name}")).spawn(move || run(&shared))
}

impl State {
    fn from_manifest(manifest: Manifest, segments: &Path) -> Self {
        let projects = manifest.projects.into_iter().map(|(project, entry)| {
            let segments = entry
                .segments
                .into_iter()
                .map(|entry| Arc::new(Segment::new(segments, entry)))
                .collect();
            (
                project,
                ProjectState {
                    segments,
                    flushed_sequence: entry.flushed_sequence,
                    ..ProjectState::default()
                },
            )
        });
        Self {
            projects: projects.collect(),
            table: Table::from_clients(manifest.clients),
            next_sequence: manifest.next_sequence,
            next_segment: manifest.next_segment,
            ..Self::default()
        }
    }

    /// Adds the rows of a batch that is in the log.
    fn add(
        &mut self,
        project: &Project,
        first_sequence: u64,
        batch: &Batch,
    ) -> Result<(), ArrowError> {
        let chunk = Chunk::new(batch.sequenced(first_sequence)?);
        let project = self.projects.entry(project.clone()).or_default();
        let bytes_before = project.hot_bytes();
        let joinable = project.flushing_sequence;
        hot::push(&mut project.hot, chunk, joinable)?;
        project.hot_since.get_or_insert_with(Instant::now);
        self.hot_bytes = self.hot_bytes - bytes_before + project.hot_bytes();
        self.next_sequence = self.next_sequence.max(first_sequence + batch.len() as u64);
        Ok(())
    }

    /// Many small projects can fill the memory before one of them is due.
    fn pressed(&self) -> bool {
        self.hot_bytes > HOT_BYTES_MAX / 2
    }

    /// Every record with a lower sequence is in a segment.
    fn unflushed_sequence(&self) -> u64 {
        let first_hot = self.projects.values().filter_map(|project| project.hot.first());
        first_hot.map(|chunk| chunk.sequence_min).min().unwrap_or(self.next_sequence)
    }
}

/// Removes what a flush left that a crash cut off before the manifest named it.
fn remove_unnamed_segments(segments: &Path, manifest: &Manifest) -> io::Result<()> {
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
fn recover(state: &mut State, directory: &Path) -> Result<(Recovery, u64), OpenError> {
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

/// The log thread.
impl Shared {
    fn run_log(&self, waiting: &Receiver<Message>) {
        let mut stop = false;
        while !stop {
            let Ok(Message::Commit(first)) = waiting.recv() else { return };
            let mut bytes = first.batch.payload.zstd.len();
            let mut group = vec![*first];
            while bytes < GROUP_BYTES_MAX {
                match waiting.try_recv() {
                    Ok(Message::Commit(commit)) => {
                        bytes += commit.batch.payload.zstd.len();
                        group.push(*commit);
                    }
                    Ok(Message::Stop) => {
                        stop = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit_group(group);
        }
    }

    /// Stores a group of batches with one sync.
    fn commit_group(&self, group: Vec<Commit>) {
        let (duplicates, fresh) = self.split_duplicates(group);
        let mut sequence = lock(&self.state).next_sequence;
        let mut frames = Vec::new();
        let fresh: Vec<(u64, Commit)> = fresh
            .into_iter()
            .map(|commit| {
                let first = sequence;
                wal::write_frame(
                    &mut frames,
                    first,
                    &commit.project,
                    commit.key.as_ref(),
                    &commit.batch.payload,
                );
                sequence += commit.batch.len() as u64;
                (first, commit)
            })
            .collect();
        let written = if fresh.is_empty() { Ok(()) } else { self.write(&frames, sequence) };
        let result = match written {
            Ok(()) => {
                self.publish(&fresh);
                Ok(Appended { duplicate: false })
            }
            Err(error) => Err(error),
        };
        for (_, commit) in fresh {
            // Whoever asked may be gone; the batch is stored all the same.
            let _ = commit.reply.send(result.clone());
        }
        for (commit, stored_before) in duplicates {
            // The twin of a batch of this group shares its fate.
            let answer = if stored_before { Ok(()) } else { result.clone().map(|_| ()) };
            let _ = commit.reply.send(answer.map(|()| Appended { duplicate: true }));
        }
    }

    /// Takes out the batches whose key was stored before (`true`) or stands twice in the group (`false`).
    fn split_duplicates(&self, group: Vec<Commit>) -> (Vec<(Commit, bool)>, Vec<Commit>) {
        let state = lock(&self.state);
        let mut seen: HashSet<(Project, IdempotencyKey)> = HashSet::new();
        let (mut duplicates, mut fresh) = (Vec::new(), Vec::new());
        for commit in group {
            match &commit.key {
                Some(key) if state.table.contains(&commit.project, key) => {
                    duplicates.push((commit, true));
                }
                Some(key) if !seen.insert((commit.project.clone(), key.clone())) => {
                    duplicates.push((commit, false));
                }
                _ => fresh.push(commit),
            }
        }
        (duplicates, fresh)
    }

    fn write(&self, frames: &[u8], end_sequence: u64) -> Result<(), AppendError> {
        let mut log = lock(&self.log);
        let written = log.append(frames, end_sequence);
        let closed = log.close_file(written.is_err());
        drop(log);
        lock(&self.state).closed_logs.extend(closed);
        written.map_err(|error| {
            tracing::error!(%error, "a group of batches was not stored");
            let no_room = files::no_room(&error);
            let error = Arc::new(error);
            if no_room { AppendError::NoRoom(error) } else { AppendError::Failed(error) }
        })
    }

    /// Makes batches that are in the log searchable.
    fn publish(&self, fresh: &[(u64, Commit)]) {
        let mut state = lock(&self.state);
        for (first, commit) in fresh {
            if let Some(key) = &commit.key {
                state.table.insert(&commit.project, key, commit.batch.payload.observed);
            }
            state.newest_observed = state.newest_observed.max(Some(commit.batch.payload.observed));
            if let Err(error) = state.add(&commit.project, *first, &commit.batch) {
                // Columns of one length and the right types: only a bug leads here. The log has the rows.
                tracing::error!(%error, "rows of the log could not be made searchable before a restart");
            }
        }
        let next_sequence = state.next_sequence;
        let flush = state.pressed()
            || state.projects.values().any(|project| project.hot_bytes() >= FLUSH_BYTES);
        drop(state);
        if flush {
            self.flush.notify_all();
        }
        self.stored.send_replace(next_sequence);
    }
}

/// The flush thread.
impl Shared {
    fn run_flush(&self) {
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
            if let Err(error) = self.flush_all(|project| closing || pressed || is_due(project)) {
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

    fn flush_all(&self, due: impl Fn(&ProjectState) -> bool) -> io::Result<()> {
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
        for project in &projects {
            self.flush_project(project).map_err(io::Error::other)?;
        }
        self.remove_logs()
    }

    fn flush_project(&self, name: &Project) -> Result<(), SegmentError> {
        let Some((chunks, below)) = self.begin_flush(name) else { return Ok(()) };
        let entries = self.write_segments(name, &chunks)?;
        let manifest = self.manifest_with(name, below, &entries);
        manifest.save(&self.directory)?;

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
            entries.push(segment::write(&directory, name, &day, number, &rows)?);
        }
        Ok(entries)
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
