//! The embedded engine: one data directory, one log writer, one flusher, one that merges and cleans up.
//!
//! The path of a batch: [`EmbeddedStore::append`] hands it to the log thread, which takes all that are waiting, writes
//! their frames, syncs once, adds the rows to the hot chunks and answers. The flush thread turns hot chunks into
//! Parquet segments, names them in the manifest, and then removes what the log need not keep.
//!
//! Sequences are given by the log thread alone, so the order of the log, of the sequences, and of the hot rows is the
//! same. A query works on a snapshot: the chunks and segments at one moment, of which each record is in exactly one.
//! The files of a snapshot stay as long as it does.

mod change;
mod flush_thread;
mod keep;
mod log_thread;
mod maintenance_thread;
mod merge;
mod recover;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{Permissions, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use arrow::error::ArrowError;
use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use millpond_wire::IdempotencyKey;
use tokio::sync::{oneshot, watch};

pub(crate) use self::recover::{files_below, unnamed_segments};
use self::{
    merge::When,
    recover::{recover, remove_unnamed_segments},
};
use crate::{
    AppendError, Appended, Batch, Project, Retention,
    aggregate::Memory,
    cache::Cache,
    files,
    hot::{self, Chunk},
    idempotency::Table,
    limits::{
        CACHE_SHARE, COMMITS_WAITING_MAX, FLUSH_AGE, FLUSH_SHARE, HOT_SHARE, MEMORY_BYTES,
        QUERY_SHARE, ROW_GROUP_ROWS,
    },
    manifest::{Manifest, ManifestError},
    segment::Segment,
    wal::{self, Damage, WalFile},
};

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

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the store may hold in memory, in bytes: hot rows, what queries group and sort, and decoded columns.
    pub memory_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory_bytes: MEMORY_BYTES }
    }
}

/// The store of one data directory.
#[derive(Debug)]
pub struct EmbeddedStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) query_memory: Arc<Memory>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    commits: SyncSender<Message>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
    /// Wakes the flush thread.
    flush: Condvar,
    /// Wakes the maintenance thread.
    maintenance: Condvar,
    log: Mutex<wal::Writer>,
    /// Held while hot rows are written to segments, so that no row is written twice.
    flushing: Mutex<()>,
    /// Held while segments are merged or their files removed, so that none is merged twice.
    maintaining: Mutex<()>,
    /// Held while the set of segments changes; see [`change`]. Taken after the two above, before that of the state.
    saving: Mutex<()>,
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
    /// Numbers of segments that are being written.
    unfinished: BTreeSet<u64>,
    /// Segments that no longer count and that the manifest on disk does not name; queries may hold them.
    retired: Vec<Arc<Segment>>,
    /// Segments that do not count, but that the manifest on disk may name, for it was saved with an error.
    doubtful: Vec<Arc<Segment>>,
    /// Arrow memory of all hot chunks.
    hot_bytes: usize,
    /// What it may be.
    hot_bytes_max: usize,
    /// Log files that get no more frames.
    closed_logs: Vec<WalFile>,
    /// Arrival of the newest batch.
    newest_observed: Option<Timestamp>,
    /// Why the last group of batches was not stored.
    append_trouble: Option<String>,
    /// Why the last flush failed.
    flush_trouble: Option<String>,
    /// Why segments could not be merged or removed.
    maintenance_trouble: Option<String>,
    closing: bool,
}

#[derive(Debug, Default)]
struct ProjectState {
    hot: Vec<Arc<Chunk>>,
    hot_since: Option<Instant>,
    segments: Vec<Arc<Segment>>,
    retention: Retention,
    /// Every record with a lower sequence is in a segment, or was deleted.
    flushed_sequence: u64,
    /// Chunks below it are being written to a segment, or deleted.
    flushing_sequence: u64,
}

impl ProjectState {
    fn hot_rows(&self) -> usize {
        self.hot.iter().map(|chunk| chunk.rows.num_rows()).sum()
    }

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

impl Snapshot {
    /// How many of its segments are known to be damaged.
    pub(crate) fn damaged(&self) -> usize {
        self.segments.iter().filter(|segment| segment.known_damage().is_some()).count()
    }
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
    /// Opens or creates a data directory with the default options; see [`EmbeddedStore::open_with`].
    ///
    /// # Errors
    /// As there.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_with(directory, Options::default())
    }

    /// Opens or creates a data directory and recovers what the last process left.
    ///
    /// # Errors
    /// Another process has it, it can't be read or written, or its manifest is damaged.
    pub fn open_with(directory: &Path, options: Options) -> Result<Self, OpenError> {
        if !directory.exists() {
            fs::create_dir_all(directory)?;
            // Logs are nobody else's business.
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty())
            {
                files::sync_directory(parent)?;
            }
        }
        fs::create_dir_all(directory.join("wal"))?;
        fs::create_dir_all(directory.join("segments"))?;
        files::sync_directory(directory)?;
        let lock_file = lock_directory(directory)?;
        let manifest = recover::manifest(directory)?;
        remove_unnamed_segments(&directory.join("segments"), &manifest)?;
        let mut state = State::from_manifest(manifest, &directory.join("segments"));
        state.hot_bytes_max = options.memory_bytes / HOT_SHARE;
        let (recovery, next_log) = recover(&mut state, &directory.join("wal"))?;

        let (commits, waiting) = sync_channel(COMMITS_WAITING_MAX);
        let shared = Arc::new(Shared {
            log: Mutex::new(wal::Writer::new(directory.join("wal"), next_log)),
            stored: watch::Sender::new(state.next_sequence),
            state: Mutex::new(state),
            flush: Condvar::new(),
            flushing: Mutex::default(),
            maintenance: Condvar::new(),
            maintaining: Mutex::default(),
            saving: Mutex::default(),
            directory: directory.to_owned(),
            recovery,
            _lock: lock_file,
        });
        let threads = [
            spawn("log", Arc::clone(&shared), move |shared| shared.run_log(&waiting))?,
            spawn("flush", Arc::clone(&shared), Shared::run_flush)?,
            spawn("maintenance", Arc::clone(&shared), Shared::run_maintenance)?,
        ];
        let cache = Arc::new(Cache::new(options.memory_bytes / CACHE_SHARE));
        let query_memory = Arc::new(Memory::new(options.memory_bytes / QUERY_SHARE));
        Ok(Self { shared, cache, query_memory, threads: Mutex::new(threads.into()), commits })
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
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
            // The log thread was the first; now the others can write what it left.
            lock(&self.shared.state).closing = true;
            self.shared.flush.notify_all();
            self.shared.maintenance.notify_all();
        }
    }

    pub(crate) async fn commit(
        &self,
        project: &Project,
        key: Option<IdempotencyKey>,
        batch: Batch,
    ) -> Result<Appended, AppendError> {
        if batch.is_empty() {
            return Ok(Appended { duplicate: false, first_sequence: None });
        }
        if lock(&self.shared.state).is_full() {
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
        self.shared.flush_all(|_, _| true)
    }

    /// Merges all segments that are not full, until each day of each project has at most one of them, and waits until
    /// that is done or has failed. The store's own thread does it in larger steps, when it pays.
    ///
    /// # Errors
    /// A segment could not be read, or the merged one or the manifest not written; the segments stay as they are.
    pub fn merge(&self) -> io::Result<()> {
        self.shared.merge_all(When::Any, || false)
    }

    /// Applies the retention of all projects as if it were `now`. The store's own thread does it each minute.
    ///
    /// # Errors
    /// The manifest could not be written, or a file not removed; the rest is done, and this at the next time.
    pub fn clean_up(&self, now: Timestamp) -> io::Result<()> {
        self.shared.clean_up(now)
    }

    /// What is wrong, in words for the operator.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let damages = self
            .shared
            .recovery
            .damages
            .iter()
            .filter(|damage| !damage.torn_tail)
            .map(|damage| damage.to_string());
        let mut complaints: Vec<String> = damages.collect();
        let (segments, append_trouble, flush_trouble, maintenance_trouble) = {
            let state = lock(&self.shared.state);
            let segments =
                state.projects.values().flat_map(|project| project.segments.iter().cloned());
            (
                segments.collect::<Vec<_>>(),
                state.append_trouble.clone(),
                state.flush_trouble.clone(),
                state.maintenance_trouble.clone(),
            )
        };
        // Without the lock of the state: a segment that is being checked answers only then.
        for segment in segments {
            if let Some(reason) = segment.known_damage() {
                complaints.push(format!("segment {}: {reason}", segment.entry.file));
            }
        }
        complaints
            .extend(append_trouble.map(|error| format!("the last batch was not stored: {error}")));
        complaints.extend(
            flush_trouble.map(|error| format!("hot rows can't be written to a segment: {error}")),
        );
        complaints.extend(
            maintenance_trouble
                .map(|error| format!("segments can't be merged or removed: {error}")),
        );
        complaints
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes a data directory for this process, as long as the file is held.
pub(crate) fn lock_directory(directory: &Path) -> Result<File, OpenError> {
    let file = File::create(directory.join("lock"))?;
    match file.file().try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(error.into()),
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
                    retention: entry.retention,
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
        // The log has them, whatever becomes of the rows here.
        self.next_sequence = self.next_sequence.max(first_sequence + batch.len() as u64);
        let chunk = Chunk::new(batch.sequenced(first_sequence)?);
        let project = self.projects.entry(project.clone()).or_default();
        let bytes_before = project.hot_bytes();
        let joinable = project.flushing_sequence;
        let pushed = hot::push(&mut project.hot, chunk, joinable);
        // The rows are there also if they could not be joined with others.
        project.hot_since.get_or_insert_with(Instant::now);
        self.hot_bytes = self.hot_bytes.saturating_sub(bytes_before) + project.hot_bytes();
        pushed
    }

    /// Nothing more is taken until a flush has made room.
    fn is_full(&self) -> bool {
        self.hot_bytes > self.hot_bytes_max
    }

    /// Many small projects can fill the memory before one of them is due.
    fn pressed(&self) -> bool {
        self.hot_bytes > self.hot_bytes_max / 2
    }

    /// Whether a project's hot rows should be written to a segment: there are enough for one, they fill too much of
    /// the memory, or they are old.
    fn is_due(&self, project: &ProjectState) -> bool {
        project.hot_rows() >= ROW_GROUP_ROWS
            || project.hot_bytes() >= self.hot_bytes_max / FLUSH_SHARE
            || project.hot_since.is_some_and(|since| since.elapsed() >= FLUSH_AGE)
    }

    fn any_due(&self) -> bool {
        self.projects.values().any(|project| self.is_due(project))
    }

    /// Every record with a lower sequence is in a segment.
    fn unflushed_sequence(&self) -> u64 {
        let first_hot = self.projects.values().filter_map(|project| project.hot.first());
        first_hot.map(|chunk| chunk.sequence_min).min().unwrap_or(self.next_sequence)
    }
}
