//! Reads the new records of a project once, for everybody who follows it.
//!
//! A hub lives as long as a tail holds it, and its task with it. It reads after each commit, but not more often than
//! every [`Bounds::pause`]; the tails are woken when there is more in the ring.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::Timestamp;
use millpond_store::{Order, Project, QueryError, Rows, Store};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
    time::sleep,
};

use super::{
    batch::{Batch, Selector},
    form::Form,
    ring::{Found, Ring},
};
use crate::{
    error::ApiError,
    limits::{
        HEARTBEAT, STREAM_BATCH_BYTES, STREAM_BEHIND_MAX, STREAM_PAGE_BYTES, STREAM_PAGE_RECORDS,
        STREAM_PAGE_RECORDS_MAX, STREAM_PAUSE, STREAM_READS_MAX, STREAM_RING_BYTES_MAX,
        STREAMS_MAX,
    },
    run::Abort,
};

/// How much hubs and tails take; the limits of the same names, or less in a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(super) page_bytes: usize,
    pub(super) page_records: usize,
    pub(super) batch_bytes: usize,
    pub(super) ring_bytes_max: usize,
    pub(super) behind_max: u64,
    pub(super) pause: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            page_bytes: STREAM_PAGE_BYTES,
            page_records: STREAM_PAGE_RECORDS,
            batch_bytes: STREAM_BATCH_BYTES,
            ring_bytes_max: STREAM_RING_BYTES_MAX,
            behind_max: STREAM_BEHIND_MAX,
            pause: STREAM_PAUSE,
        }
    }
}

impl Bounds {
    /// Records of the next page if they are as large as these, which take so many bytes as JSON.
    pub(super) fn next_page(&self, records: usize, bytes: usize) -> usize {
        let bytes_each = (bytes / records.max(1)).max(1);
        (self.page_bytes / bytes_each).clamp(1, STREAM_PAGE_RECORDS_MAX)
    }
}

/// The records behind an id, as they were stored.
pub(super) fn rows_behind(id: u64, filter: Filter, limit: usize) -> Rows {
    let after = Some(Cursor { time: Timestamp::MIN, sequence: id });
    Rows { filter, range: TimeRange::ALL, order: Order::Stored, after, limit }
}

/// The hubs of all projects that somebody follows.
#[derive(Debug)]
pub(crate) struct Hubs {
    store: Arc<dyn Store>,
    pub(super) bounds: Bounds,
    by_project: Mutex<HashMap<Project, Weak<Hub>>>,
    places: Arc<Semaphore>,
    /// For pages of the store that tails read by themselves.
    pub(super) turns: Arc<Semaphore>,
}

impl Hubs {
    pub(crate) fn new(store: Arc<dyn Store>, bounds: Bounds) -> Self {
        let places = Arc::new(Semaphore::new(STREAMS_MAX as usize));
        let turns = Arc::new(Semaphore::new(STREAM_READS_MAX));
        Self { store, bounds, by_project: Mutex::default(), places, turns }
    }

    /// A place for one more tail.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::overloaded(format!("{STREAMS_MAX} streams are open")))
    }

    /// Waits until nobody follows any more.
    pub(crate) async fn left(&self) {
        // The places are never closed.
        let _ = self.places.acquire_many(STREAMS_MAX).await;
    }

    /// How many hubs somebody holds.
    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        lock(&self.by_project).values().filter(|hub| hub.strong_count() > 0).count()
    }

    /// The hub of a project.
    pub(super) fn hub(&self, project: &Project) -> Arc<Hub> {
        let mut hubs = lock(&self.by_project);
        if let Some(hub) = hubs.get(project).and_then(Weak::upgrade) {
            return hub;
        }
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let hub = Arc::new(Hub::start(Arc::clone(&self.store), project.clone(), self.bounds));
        hubs.insert(project.clone(), Arc::downgrade(&hub));
        hub
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all tails of a project share.
#[derive(Debug)]
pub(super) struct Hub {
    project: Project,
    shared: Arc<Shared>,
    selectors: Mutex<Vec<Weak<Selector>>>,
    _reading: Abort<()>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// Up to where the ring reaches.
    reached: watch::Sender<u64>,
}

impl Hub {
    fn start(store: Arc<dyn Store>, project: Project, bounds: Bounds) -> Self {
        let newest = store.stored().borrow().saturating_sub(1);
        let shared = Arc::new(Shared {
            ring: Mutex::new(Ring::new(newest, bounds.ring_bytes_max)),
            reached: watch::Sender::new(newest),
        });
        let reader =
            Reader { store, project: project.clone(), bounds, shared: Arc::clone(&shared) };
        let reading = Abort(tokio::spawn(reader.run()));
        Self { project, shared, selectors: Mutex::default(), _reading: reading }
    }

    /// Tells, each time that it changes, up to which id there is something to find.
    pub(super) fn reached(&self) -> watch::Receiver<u64> {
        self.shared.reached.subscribe()
    }

    pub(super) fn find(&self, id: u64) -> Found {
        lock(&self.shared.ring).find(id)
    }

    /// The selector of everybody with this filter and form.
    pub(super) fn selector(&self, filter: Filter, form: Form) -> Result<Arc<Selector>, QueryError> {
        let mut selectors = lock(&self.selectors);
        selectors.retain(|selector| selector.strong_count() > 0);
        let mut live = selectors.iter().filter_map(Weak::upgrade);
        if let Some(same) = live.find(|live| live.form == form && live.filter == filter) {
            return Ok(same);
        }
        let selector = Arc::new(Selector::new(filter, form, self.project.clone())?);
        selectors.push(Arc::downgrade(&selector));
        Ok(selector)
    }
}

/// Fills the ring.
struct Reader {
    store: Arc<dyn Store>,
    project: Project,
    bounds: Bounds,
    shared: Arc<Shared>,
}

impl Reader {
    async fn run(self) {
        let mut stored = self.store.stored();
        let mut page_records = self.bounds.page_records;
        loop {
            // Everything up to here is found by a read that begins now.
            let newest = stored.borrow_and_update().saturating_sub(1);
            let last = lock(&self.shared.ring).to();
            if newest <= last {
                if stored.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if newest - last > self.bounds.behind_max {
                lock(&self.shared.ring).skip(newest);
                self.shared.reached.send_replace(newest);
                continue;
            }
            match self.read(last, page_records).await {
                Ok(page) => {
                    let whole = page.whole;
                    page_records = page.next_page;
                    self.take(page.batches, whole.then_some(newest));
                    if whole {
                        sleep(self.bounds.pause).await;
                    }
                }
                Err(error) => {
                    tracing::error!(error, project = %self.project, "the newest records could not be read for those who follow; trying again");
                    sleep(HEARTBEAT).await;
                }
            }
        }
    }

    /// The records behind `last`. On a thread that may block; it is not cancelled, but soon done.
    async fn read(&self, last: u64, limit: usize) -> Result<Page, String> {
        let (store, project, bounds) = (Arc::clone(&self.store), self.project.clone(), self.bounds);
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            let answer =
                runtime.block_on(store.rows(&project, &rows_behind(last, Filter::All, limit)))?;
            let count = answer.rows.num_rows();
            let batches = Batch::split(&answer.rows, bounds.batch_bytes);
            let bytes = batches.iter().map(Batch::json_bytes).sum();
            let whole = count < limit && !answer.cut;
            Ok::<_, QueryError>(Page { whole, next_page: bounds.next_page(count, bytes), batches })
        });
        let read = reading.await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    /// Adds what was read; if that is all there is up to an id, the ring reaches up to it.
    fn take(&self, batches: Vec<Batch>, all_up_to: Option<u64>) {
        let mut ring = lock(&self.shared.ring);
        for batch in batches {
            ring.push(batch);
        }
        if let Some(id) = all_up_to {
            ring.reach(id);
        }
        let to = ring.to();
        drop(ring);
        self.shared.reached.send_replace(to);
    }
}

/// What one read gave.
struct Page {
    /// There was no more.
    whole: bool,
    next_page: usize,
    batches: Vec<Batch>,
}
