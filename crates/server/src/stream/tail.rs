//! One who follows a project: where it stands, what it is told next, and when it ends.
//!
//! A tail looks into the ring of its hub. What the ring has forgotten it reads from the store, page by page, until the
//! ring knows what comes next. It holds no queue: when its reader does not read, nothing is asked of it, and when it is
//! asked again it is behind. Too far behind, it says so and goes on with the newest.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use millpond_query::Filter;
use millpond_store::{Answer, Project, Rows, Store};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    batch::{Piece, Selector},
    form::{Form, Missed},
    hub::{Bounds, Hub, rows_behind},
    ring::Found,
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    keys::{Key, Keys},
    limits::{HEARTBEAT, STREAM_KEY_CHECK},
    run::Queries,
};

/// One who follows a project.
pub(super) struct Tail {
    hub: Arc<Hub>,
    selector: Arc<Selector>,
    source: Source,
    bounds: Bounds,
    guard: Guard,
    stored: watch::Receiver<u64>,
    reached: watch::Receiver<u64>,
    position: Position,
    page_records: usize,
    reading: Option<Reading>,
    /// When it said something for the last time; never yet if `None`.
    said: Option<Instant>,
    _place: OwnedSemaphorePermit,
}

/// Why a tail ends.
#[derive(Debug)]
pub(super) enum Over {
    /// The server ends.
    Closing,
    /// The key was revoked or has expired.
    KeyInvalid,
    /// The store could not be read.
    Failed(ApiError),
}

/// A page of the store that is on its way.
struct Reading {
    answer: BoxFuture<'static, Result<Answer, ApiError>>,
    limit: usize,
    /// Every record up to this id is found by it.
    newest: u64,
}

/// What looking around gave.
enum Look {
    Say(Piece),
    /// There may be more to see.
    Again,
    Nothing,
}

impl Tail {
    /// A tail behind the record `resumed`, or behind the newest.
    pub(super) fn new(
        app: &App,
        caller: &Caller,
        filter: Filter,
        form: Form,
        resumed: Option<u64>,
    ) -> Result<Self, ApiError> {
        let place = app.hubs.place()?;
        let stored = app.store.stored();
        let newest = stored.borrow().saturating_sub(1);
        let last = resumed.unwrap_or(newest);
        if last > newest {
            let message = format!("Last-Event-ID: {last} is behind the newest record, {newest}");
            return Err(ApiError::parameter(message));
        }
        let hub = app.hubs.hub(&caller.project);
        Ok(Self {
            selector: hub.selector(filter, form)?,
            reached: hub.reached(),
            hub,
            source: Source {
                store: Arc::clone(&app.store),
                queries: Arc::clone(&app.queries),
                project: caller.project.clone(),
                turns: Arc::clone(&app.hubs.turns),
            },
            bounds: app.hubs.bounds,
            guard: Guard {
                keys: Arc::clone(&app.keys),
                key: caller.key.clone(),
                ending: app.ending.clone(),
            },
            stored,
            position: Position { last, nearest: newest - last },
            page_records: app.hubs.bounds.page_records,
            reading: None,
            said: None,
            _place: place,
        })
    }

    /// What tells when it must end, for whoever waits for something else meanwhile.
    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    /// How it says what it says.
    pub(super) fn form(&self) -> Form {
        self.selector.form
    }

    /// Up to which record it has looked.
    #[cfg(test)]
    pub(super) fn last_id(&self) -> u64 {
        self.position.last
    }

    /// What is said next; a sign of life when there was nothing for a while. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Piece, Over> {
        loop {
            // Nothing is shown to a key that the server knows to be revoked.
            self.guard.check()?;
            let Some(said) = self.said else { return Ok(self.alive("connected")) };
            // Seen before looking, so that what comes in between wakes.
            self.reached.borrow_and_update();
            if self.reading.is_none() {
                match self.look() {
                    Look::Say(piece) => return Ok(self.say(piece)),
                    Look::Again => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Look::Nothing => {}
                }
            }
            let now = Instant::now();
            let due = said + HEARTBEAT;
            if now >= due {
                return Ok(self.alive("heartbeat"));
            }
            if let Some(answer) = self.wait(due.min(now + STREAM_KEY_CHECK)).await
                && let Some(piece) = self.take(answer)?
            {
                // The page was long on its way.
                self.guard.check()?;
                return Ok(self.say(piece));
            }
        }
    }

    fn alive(&mut self, comment: &str) -> Piece {
        let last = self.position.last;
        self.say(Piece::one(last, self.selector.form.alive(last, comment)))
    }

    fn say(&mut self, piece: Piece) -> Piece {
        self.said = Some(Instant::now());
        piece
    }

    fn look(&mut self) -> Look {
        let newest = self.stored.borrow().saturating_sub(1);
        if let Some(missed) = self.position.missed(newest, self.bounds.behind_max) {
            return Look::Say(Piece::one(missed.to_id, self.selector.form.missed(missed)));
        }
        match self.hub.find(self.position.last) {
            Found::Batch(batch) => {
                let last = std::mem::replace(&mut self.position.last, batch.last_id());
                Piece::behind(self.selector.select(&batch), last).map_or(Look::Again, Look::Say)
            }
            Found::Nothing(id) => {
                self.position.last = id;
                Look::Nothing
            }
            Found::TooOld => {
                let request = rows_behind(
                    self.position.last,
                    self.selector.filter.clone(),
                    self.page_records,
                );
                let limit = self.page_records;
                let source = self.source.clone();
                let answer = async move { source.rows(request).await }.boxed();
                self.reading = Some(Reading { answer, limit, newest });
                Look::Nothing
            }
        }
    }

    /// Waits for the page that is on its way, or for news of the hub; at most until `wake`.
    async fn wait(&mut self, wake: Instant) -> Option<Result<Answer, ApiError>> {
        let Self { reading, reached, guard, .. } = self;
        let news = async {
            match reading {
                Some(reading) => Some((&mut reading.answer).await),
                None => {
                    // The hub lives as long as this tail.
                    let _ = reached.changed().await;
                    None
                }
            }
        };
        tokio::select! {
            answer = news => answer,
            _ = guard.ending.changed() => None,
            () = sleep_until(wake) => None,
        }
    }

    /// Takes a page of the store.
    fn take(&mut self, answer: Result<Answer, ApiError>) -> Result<Option<Piece>, Over> {
        let Some(reading) = self.reading.take() else { return Ok(None) };
        let answer = answer.map_err(Over::Failed)?;
        let count = answer.rows.num_rows();
        let selection = self.selector.selected(&answer.rows);
        let last = self.position.last;
        self.position.last = selection.last_id().unwrap_or(last);
        if count < reading.limit && !answer.cut {
            // Everything up to there was looked at, whether it passed the filter or belongs to another project.
            self.position.last = self.position.last.max(reading.newest);
        }
        self.page_records = self.bounds.next_page(count, selection.bytes());
        Ok(Piece::behind(Arc::new(selection), last))
    }
}

/// Where pages come from.
#[derive(Clone)]
struct Source {
    store: Arc<dyn Store>,
    queries: Arc<Queries>,
    project: Project,
    turns: Arc<Semaphore>,
}

impl Source {
    /// Reads a page when its turn comes. A server that is busy is asked again: a tail has time.
    async fn rows(self, request: Rows) -> Result<Answer, ApiError> {
        loop {
            // Never closed.
            let turn = self.turns.acquire().await;
            let (store, project, request) =
                (Arc::clone(&self.store), self.project.clone(), request.clone());
            let answer =
                self.queries.run(async move { store.rows(&project, &request).await }).await;
            drop(turn);
            match answer {
                Err(error) if error.is_overloaded() => sleep(HEARTBEAT).await,
                answer => return answer,
            }
        }
    }
}

/// Where a tail stands.
#[derive(Debug)]
struct Position {
    /// Id of the last record that was looked at.
    last: u64,
    /// The fewest records that it was ever behind the newest: whoever resumes far back is not slow for that.
    nearest: u64,
}

impl Position {
    /// Gives up what it is too far behind with.
    fn missed(&mut self, newest: u64, behind_max: u64) -> Option<Missed> {
        let behind = newest.saturating_sub(self.last);
        self.nearest = self.nearest.min(behind);
        if behind - self.nearest <= behind_max {
            return None;
        }
        let missed = Missed { from_id: self.last + 1, to_id: newest };
        *self = Self { last: newest, nearest: 0 };
        Some(missed)
    }
}

/// Tells when a tail must end.
#[derive(Clone)]
pub(super) struct Guard {
    keys: Arc<Keys>,
    key: Key,
    ending: watch::Receiver<bool>,
}

impl Guard {
    fn check(&self) -> Result<(), Over> {
        if *self.ending.borrow() {
            return Err(Over::Closing);
        }
        if self.keys.is_valid(&self.key) { Ok(()) } else { Err(Over::KeyInvalid) }
    }

    /// Waits until the tail must end.
    pub(super) async fn over(&mut self) -> Over {
        loop {
            if let Err(over) = self.check() {
                return over;
            }
            tokio::select! {
                _ = self.ending.changed() => {}
                () = sleep_until(Instant::now() + STREAM_KEY_CHECK) => {}
            }
        }
    }
}
