//! The queue itself.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Batch, Counters, DropReason, Dropped, batch::Chunk};

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
}

/// When a batch is taken, and how large it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// As soon as there are so many lines; a batch has no more.
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

/// What the sender is doing, so that callers know whether it must be woken, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// Busy, or not there.
    Away,
    /// Waits for the first line.
    AwaitsFirst,
    /// Waits until there are enough lines.
    AwaitsEnough,
}

#[derive(Debug)]
struct State {
    /// Filled from the back. All but the last one are full.
    chunks: VecDeque<Chunk>,
    spare: Vec<Vec<u8>>,
    /// Lines and bytes in `chunks`.
    waiting: u64,
    waiting_bytes: usize,
    /// Lines and bytes in batches that are not settled.
    in_flight: u64,
    in_flight_bytes: usize,

    accepted: u64,
    delivered: u64,
    dropped: Dropped,

    /// Lines that ever entered `chunks`, and lines that ever left it: the numbers of the next line in and out.
    entered: u64,
    left: u64,
    /// Number of the oldest line in flight, if there is one.
    in_flight_first: u64,
    /// Lines with a lower number are due, whatever the batch limits say.
    flush_before: u64,
    /// Flushes that were asked for; one that is new ends a pause.
    flushes: u64,

    closed: bool,
    abandoned: bool,
    sender: Sender,
    flushers: usize,
}

/// A bounded queue of lines with one sender. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    overflow: Overflow,
    due: Due,
    state: Mutex<State>,
    /// The sender waits here.
    wake: Condvar,
    /// Those who flush wait here.
    settled: Condvar,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits, overflow: Overflow, due: Due) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            spare: Vec::new(),
            waiting: 0,
            waiting_bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            accepted: 0,
            delivered: 0,
            dropped: Dropped::default(),
            entered: 0,
            left: 0,
            in_flight_first: 0,
            flush_before: 0,
            flushes: 0,
            closed: false,
            abandoned: false,
            sender: Sender::Away,
            flushers: 0,
        };
        Self {
            limits,
            overflow,
            due,
            state: Mutex::new(state),
            wake: Condvar::new(),
            settled: Condvar::new(),
        }
    }

    /// Appends the line that the pieces make up; the last one ends with the line's only newline.
    pub fn push(&self, pieces: &[&[u8]]) -> Pushed {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        let mut state = self.lock();
        state.accepted += 1;
        if let Err(reason) = self.make_room(&mut state, bytes) {
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
            if self.overflow == Overflow::DropNewest || !helps || !state.drop_oldest() {
                return Err(DropReason::Overflow);
            }
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
        state.waiting >= self.due.entries_max
            || state.waiting_bytes >= self.due.bytes_max
            || state.chunks.len() > 1 && state.next_batch_is_full(&self.due)
    }

    /// Waits until a batch is due and takes it. `None` means that the queue is closed and empty, or abandoned.
    pub fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            let Some(oldest) = state.chunks.front() else {
                if state.closed {
                    return None;
                }
                state.sender = Sender::AwaitsFirst;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sender = Sender::Away;
                continue;
            };
            let remaining = self.due.age_max.saturating_sub(oldest.opened.elapsed());
            let due = remaining.is_zero()
                || state.closed
                || state.left < state.flush_before
                || self.enough(&state);
            if due {
                return Some(state.cut(&self.due));
            }
            state.sender = Sender::AwaitsEnough;
            state =
                self.wake.wait_timeout(state, remaining).unwrap_or_else(PoisonError::into_inner).0;
            state.sender = Sender::Away;
        }
    }

    /// Decides the fate of a batch; its memory is kept for the lines to come.
    pub fn settle(&self, batch: Batch, settlement: Settlement) {
        let delivered = settlement.delivered.min(batch.entries);
        let bytes = batch.bytes();
        let mut state = self.lock();
        state.in_flight -= batch.entries.min(state.in_flight);
        state.in_flight_bytes -= bytes.min(state.in_flight_bytes);
        state.in_flight_first += batch.entries;
        state.delivered += delivered;
        state.dropped.add(settlement.rest, batch.entries - delivered);
        for chunk in batch.chunks {
            state.recycle(chunk.bytes);
        }
        self.tell_flushers(state);
    }

    /// Drops everything that waits. What is in flight is for the sender to settle.
    pub fn discard(&self, reason: DropReason) {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        state.left += waiting;
        state.dropped.add(reason, waiting);
        let chunks = std::mem::take(&mut state.chunks);
        self.tell_flushers(state);
        drop(chunks);
    }

    fn tell_flushers(&self, state: MutexGuard<'_, State>) {
        let flushers = state.flushers;
        drop(state);
        if flushers > 0 {
            self.settled.notify_all();
        }
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
            state =
                self.wake.wait_timeout(state, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has everything sent that is there, and waits for it: how many of these records are still not settled.
    pub fn flush(&self, timeout: Duration) -> u64 {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        let before = state.entered;
        if state.unsettled_before(before) == 0 {
            return 0;
        }
        state.flush_before = state.flush_before.max(before);
        state.flushes += 1;
        state.flushers += 1;
        self.wake.notify_one();
        loop {
            let unsettled = state.unsettled_before(before);
            let remaining = deadline
                .map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            if unsettled == 0 || remaining.is_zero() {
                state.flushers -= 1;
                return unsettled;
            }
            state = self
                .settled
                .wait_timeout(state, remaining)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Takes no more records; the sender ends once it has sent what is there.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Closes, and has the sender end as soon as it can, whatever is left.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.abandoned = true;
        drop(state);
        self.wake.notify_one();
    }

    /// Whether [`Self::abandon`] was called.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The account at this moment.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let state = self.lock();
        Counters {
            accepted: state.accepted,
            delivered: state.delivered,
            queued: state.waiting + state.in_flight,
            queued_bytes: state.waiting_bytes + state.in_flight_bytes,
            dropped: state.dropped,
        }
    }

    /// A thread that panicked while it held the lock has left nothing half done that matters more than logging on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn asked(&self) -> Asked {
        Asked { flushes: self.flushes, closed: self.closed }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(chunk) = self.chunks.front_mut() else { return false };
        let bytes = chunk.drop_first();
        if chunk.entries == 0
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.recycle(chunk.bytes);
        }
        self.waiting -= 1;
        self.waiting_bytes -= bytes;
        self.left += 1;
        self.dropped.add(DropReason::Overflow, 1);
        true
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_CHUNKS_MAX && buffer.capacity() <= CHUNK_BYTES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// How many chunks, from the front, make up the next batch.
    fn batch_chunks(&self, due: &Due) -> usize {
        let (mut entries, mut bytes) = (0, 0);
        let fitting = self.chunks.iter().take_while(|chunk| {
            entries += chunk.entries;
            bytes += chunk.len();
            entries <= due.entries_max && bytes <= due.bytes_max
        });
        fitting.count().max(1)
    }

    fn next_batch_is_full(&self, due: &Due) -> bool {
        self.batch_chunks(due) < self.chunks.len()
    }

    /// Takes the next batch out; there must be a chunk.
    fn cut(&mut self, due: &Due) -> Batch {
        let count = self.batch_chunks(due).min(self.chunks.len());
        let chunks: Vec<Chunk> = self.chunks.drain(..count).collect();
        let batch = Batch { entries: chunks.iter().map(|chunk| chunk.entries).sum(), chunks };
        let bytes = batch.bytes();
        if self.in_flight == 0 {
            self.in_flight_first = self.left;
        }
        self.waiting -= batch.entries;
        self.waiting_bytes -= bytes;
        self.left += batch.entries;
        self.in_flight += batch.entries;
        self.in_flight_bytes += bytes;
        batch
    }

    /// How many lines with a number below `before` are not settled.
    fn unsettled_before(&self, before: u64) -> u64 {
        let oldest = if self.in_flight > 0 { self.in_flight_first } else { self.left };
        before.saturating_sub(oldest)
    }
}

#[cfg(test)]
mod tests;
