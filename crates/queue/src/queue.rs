//! The queue itself.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use self::state::{Sender, State};
use crate::{Batch, Counters, DropReason, batch::Chunk};

mod flush;
mod state;

pub use flush::Flushed;

/// Size of a chunk: a thousand lines of the usual size. A larger one is touched memory for a service that logs
/// little; a smaller one means more allocations for one that logs much.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Empty chunks that are kept for reuse: the four of a usual batch of 1 MiB.
pub const SPARE_CHUNKS_MAX: usize = 4;

/// How much a queue may hold, what is on its way included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all lines.
    pub bytes_max: usize,
    /// Number of lines.
    pub entries_max: u64,
}

/// What happens to a line that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// It is dropped.
    #[default]
    DropNewest,
    /// The oldest lines that are not on their way are dropped for it.
    DropOldest,
    /// The caller waits for room, at most so long; then the line is dropped.
    Block(Duration),
}

/// When a batch is taken, and how large it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// As soon as there are so many lines, or as a batch may have if that are fewer.
    pub entries_due: u64,
    /// A batch has no more lines.
    pub entries_max: u64,
    /// As soon as there are so many bytes; a batch has no more, unless a single line has.
    pub bytes_max: usize,
    /// As soon as the oldest line is so old.
    pub age_max: Duration,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for the sender.
    Queued,
    /// It was dropped and counted.
    Dropped(DropReason),
}

/// The fate of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// How many of its records were delivered.
    pub delivered: u64,
    /// What the others were dropped for.
    pub rest: DropReason,
}

impl Settlement {
    /// Nothing was delivered.
    #[must_use]
    pub const fn dropped(reason: DropReason) -> Self {
        Self { delivered: 0, rest: reason }
    }
}

/// How many records of a spool, by who wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpooledRecords {
    /// Of this process.
    pub own: u64,
    /// Of earlier processes.
    pub recovered: u64,
}

/// What waiting for a batch brought.
#[derive(Debug)]
pub enum Taken {
    /// A batch that is due.
    Batch(Batch),
    /// Nothing is due, but the time is over or somebody asked for a flush.
    Nothing,
    /// The queue is closed and empty, or abandoned.
    Ended,
}

/// How the sender's pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It is over, or somebody wants an answer now.
    Over,
    /// The queue was abandoned: nothing will be sent any more.
    Abandoned,
}

/// What was asked of the sender up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    flushes: u64,
    closed: bool,
}

impl Asked {
    /// Whether the queue was closed by then.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self.closed
    }
}

/// A bounded queue of lines with one sender. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    overflow: Overflow,
    due: Due,
    state: Mutex<State>,
    /// Who takes batches waits here.
    wake: Condvar,
    /// The sender waits here before it tries again.
    pause: Condvar,
    /// Those who flush wait here.
    settled: Condvar,
    /// Those whose lines do not fit wait here.
    room: Condvar,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits, overflow: Overflow, due: Due) -> Self {
        Self {
            limits,
            overflow,
            due,
            state: Mutex::default(),
            wake: Condvar::new(),
            pause: Condvar::new(),
            settled: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Appends the line that the pieces make up; the last one ends with the line's only newline.
    pub fn push(&self, pieces: &[&[u8]]) -> Pushed {
        self.push_or_wait(pieces, true)
    }

    /// As [`Self::push`], but never waits for room: for the sender, which is the one to make it.
    pub fn push_at_once(&self, pieces: &[&[u8]]) -> Pushed {
        self.push_or_wait(pieces, false)
    }

    fn push_or_wait(&self, pieces: &[&[u8]], may_wait: bool) -> Pushed {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        let mut state = self.lock();
        let mut room = self.make_room(&mut state, bytes);
        if let (Err(DropReason::Overflow), Overflow::Block(time)) = (room, self.overflow)
            && may_wait
            && bytes <= self.limits.bytes_max
        {
            (state, room) = self.await_room(state, bytes, time);
        }
        state.accepted += 1;
        if let Err(reason) = room {
            state.dropped.add(reason, 1);
            return Pushed::Dropped(reason);
        }
        self.append(&mut state, pieces, bytes);
        let must_wake = match state.sender {
            Sender::Away => false,
            Sender::AwaitsFirst => true,
            Sender::AwaitsEnough => self.enough(&state),
        };
        if must_wake {
            state.sender = Sender::Away;
            drop(state);
            self.wake.notify_one();
        }
        Pushed::Queued
    }

    /// As [`Self::push`], but a line that does not fit is queued all the same: for the few of the client's own that
    /// tell of what did not fit.
    pub fn push_beyond_limits(&self, line: &[&[u8]]) -> Pushed {
        let bytes = line.iter().map(|piece| piece.len()).sum();
        let mut state = self.lock();
        state.accepted += 1;
        if state.closed {
            state.dropped.add(DropReason::Closed, 1);
            return Pushed::Dropped(DropReason::Closed);
        }
        self.append(&mut state, line, bytes);
        drop(state);
        self.wake.notify_all();
        Pushed::Queued
    }

    /// Counts a record that can't be queued.
    pub fn refuse(&self, reason: DropReason) -> Pushed {
        let mut state = self.lock();
        state.accepted += 1;
        state.dropped.add(reason, 1);
        Pushed::Dropped(reason)
    }

    fn make_room(&self, state: &mut State, bytes: usize) -> Result<(), DropReason> {
        if state.closed {
            return Err(DropReason::Closed);
        }
        loop {
            let fits = state.waiting + state.in_flight < self.limits.entries_max
                && state.waiting_bytes + state.in_flight_bytes + bytes <= self.limits.bytes_max;
            if fits {
                return Ok(());
            }
            let helps = bytes + state.in_flight_bytes <= self.limits.bytes_max
                && state.in_flight < self.limits.entries_max;
            if self.overflow != Overflow::DropOldest || !helps || !state.drop_oldest() {
                return Err(DropReason::Overflow);
            }
        }
    }

    /// Waits until so many bytes fit. What waits is due meanwhile, whatever the limits of a batch say.
    fn await_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        bytes: usize,
        time: Duration,
    ) -> (MutexGuard<'a, State>, Result<(), DropReason>) {
        let deadline = Instant::now().checked_add(time);
        state.blocked += 1;
        self.wake.notify_all();
        loop {
            let left = deadline
                .map_or(time, |deadline| deadline.saturating_duration_since(Instant::now()));
            let room = self.make_room(&mut state, bytes);
            if room != Err(DropReason::Overflow) || left.is_zero() {
                state.blocked -= 1;
                return (state, room);
            }
            state = wait(&self.room, state, left);
        }
    }

    fn append(&self, state: &mut State, pieces: &[&[u8]], bytes: usize) {
        let chunk_bytes = CHUNK_BYTES.min(self.due.bytes_max);
        let fits = state.chunks.back().is_some_and(|chunk| {
            chunk.bytes.len() + bytes <= chunk_bytes && chunk.entries < self.due.entries_max
        });
        if !fits {
            let mut buffer = state.spare.pop().unwrap_or_default();
            buffer.reserve_exact(chunk_bytes.max(bytes));
            state.chunks.push_back(Chunk {
                bytes: buffer,
                start: 0,
                entries: 0,
                opened: Instant::now(),
            });
        }
        if let Some(chunk) = state.chunks.back_mut() {
            for piece in pieces {
                chunk.bytes.extend_from_slice(piece);
            }
            chunk.entries += 1;
        }
        state.waiting += 1;
        state.waiting_bytes += bytes;
        state.entered += 1;
    }

    fn enough(&self, state: &State) -> bool {
        state.blocked > 0
            || state.waiting >= self.due.entries_due.min(self.due.entries_max)
            || state.waiting_bytes >= self.due.bytes_max
            || state.chunks.len() > 1 && state.next_batch_is_full(&self.due)
    }

    /// Waits until a batch is due and takes it. `None` means that the queue is closed and empty, or abandoned.
    pub fn take(&self) -> Option<Batch> {
        match self.take_by(None, None, self.due.age_max) {
            Taken::Batch(batch) => Some(batch),
            Taken::Nothing | Taken::Ended => None,
        }
    }

    /// As [`Self::take`], but waits no longer than to `deadline`, and returns when somebody has asked for a flush
    /// since `asked`, also if there is nothing to take. What is as old as `age_max` is due.
    pub fn take_by(
        &self,
        deadline: Option<Instant>,
        asked: Option<Asked>,
        age_max: Duration,
    ) -> Taken {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return Taken::Ended;
            }
            let age_left =
                state.chunks.front().map(|oldest| age_max.saturating_sub(oldest.opened.elapsed()));
            let is_asked = asked.is_some_and(|asked| asked.flushes != state.flushes);
            match age_left {
                Some(left) if left.is_zero() || state.is_pressed() || self.enough(&state) => {
                    return Taken::Batch(state.cut(&self.due));
                }
                None if state.closed => return Taken::Ended,
                _ if is_asked => return Taken::Nothing,
                _ => {}
            }
            let time_left =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if time_left.is_some_and(|left| left.is_zero()) {
                return Taken::Nothing;
            }
            let patience = age_left.into_iter().chain(time_left).min().unwrap_or(Duration::MAX);
            state.sender =
                if age_left.is_some() { Sender::AwaitsEnough } else { Sender::AwaitsFirst };
            state = wait(&self.wake, state, patience);
            state.sender = Sender::Away;
        }
    }

    /// Takes a batch of what is left, also from a queue that was abandoned. Does not wait.
    pub fn take_rest(&self) -> Option<Batch> {
        let mut state = self.lock();
        (!state.chunks.is_empty()).then(|| state.cut(&self.due))
    }

    /// Decides the fate of a batch; its memory is kept for the lines to come.
    pub fn settle(&self, batch: Batch, settlement: Settlement) {
        let mut state = self.lock();
        let entries = state.land(batch);
        state.settle(entries, settlement);
        self.tell(state);
    }

    /// Puts a batch back to where it was taken from.
    pub fn put_back(&self, batch: Batch) {
        self.lock().put_back(batch);
    }

    /// Drops everything that waits. What is in flight is for the sender to settle.
    pub fn discard(&self, reason: DropReason) {
        let mut state = self.lock();
        let chunks = state.discard(reason);
        self.tell(state);
        drop(chunks);
    }

    /// Something left the queue: tells those who wait for that.
    fn tell(&self, state: MutexGuard<'_, State>) {
        let (flushers, blocked) = (state.flushers, state.blocked);
        drop(state);
        if flushers > 0 {
            self.settled.notify_all();
        }
        if blocked > 0 {
            self.room.notify_all();
        }
    }

    /// A batch is on disk: its memory is free, and its records count as spooled.
    pub fn spooled(&self, batch: Batch) {
        let mut state = self.lock();
        state.spool(batch);
        self.tell(state);
    }

    /// All that was [spooled](Self::spooled) so far is synced to the disk.
    pub fn synced(&self) {
        let mut state = self.lock();
        state.synced_before = state.first_not_spooled();
        self.tell(state);
    }

    /// Records that an earlier process left on disk are ours to deliver.
    pub fn recovered(&self, records: u64) {
        let mut state = self.lock();
        state.accepted += records;
        state.recovered += records;
        state.recovered_spooled += records;
    }

    /// The spool gave up so many of its oldest records: those of earlier processes come before ours.
    pub fn drop_spooled(&self, records: u64, reason: DropReason) {
        let mut state = self.lock();
        let recovered = records.min(state.recovered_spooled);
        state.unspool(SpooledRecords { own: records - recovered, recovered });
        state.settle(records, Settlement::dropped(reason));
        self.tell(state);
    }

    /// Decides the fate of spooled records, in their order.
    pub fn settle_spooled(&self, records: SpooledRecords, settlement: Settlement) {
        let mut state = self.lock();
        state.unspool(records);
        state.settle(records.own + records.recovered, settlement);
        self.tell(state);
    }

    /// What was asked for so far. To be taken before an attempt, for the [`Self::pause`] after it.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.lock().asked()
    }

    /// Makes the sender wait before it tries the same batch again. If the queue was closed after `asked` there is no
    /// wait, so that what is there is tried once more; nor if a flush was asked for since and `for_flush` is set.
    pub fn pause(&self, delay: Duration, asked: Asked, for_flush: bool) -> Pause {
        let deadline = Instant::now().checked_add(delay);
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return Pause::Abandoned;
            }
            let now = state.asked();
            let is_asked =
                (for_flush && now.flushes != asked.flushes) || now.closed != asked.closed;
            let remaining = deadline
                .map_or(delay, |deadline| deadline.saturating_duration_since(Instant::now()));
            if is_asked || remaining.is_zero() {
                return Pause::Over;
            }
            state = wait(&self.pause, state, remaining);
        }
    }

    /// As [`Self::pause`], because the server said so: no flush ends it, and who flushes hopefully may learn of it.
    pub fn pause_as_told(&self, delay: Duration, asked: Asked) -> Pause {
        self.told_to_wait(Instant::now().checked_add(delay));
        let pause = self.pause(delay, asked, false);
        self.told_to_wait(None);
        pause
    }

    fn told_to_wait(&self, until: Option<Instant>) {
        let mut state = self.lock();
        state.told_to_wait_until = until;
        self.tell(state);
    }

    /// Takes no more records; the sender ends once it has sent what is there.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake_all();
    }

    /// Closes, and has the sender end as soon as it can, whatever is left.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.abandoned = true;
        drop(state);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.wake.notify_all();
        self.pause.notify_all();
        self.room.notify_all();
    }

    /// Whether [`Self::abandon`] was called.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The account at this moment.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters()
    }

    /// Begins the account anew: what is here now counts as accepted, all else never was.
    pub fn reset_counters(&self) {
        self.lock().reset_counters();
    }

    /// A thread that panicked while it held the lock has left nothing half done that matters more than logging on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits on a condition variable with a patience that may be endless.
fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    patience: Duration,
) -> MutexGuard<'a, State> {
    condition.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests;
