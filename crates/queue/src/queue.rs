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
mod tests {
    use std::{sync::Arc, thread};

    use proptest::prelude::*;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);
    const DUE: Due = Due { entries_max: 4, bytes_max: 40, age_max: NEVER };
    const LIMITS: Limits = Limits { bytes_max: 1000, entries_max: 100 };

    fn queue() -> Queue {
        Queue::new(LIMITS, Overflow::DropNewest, DUE)
    }

    fn push(queue: &Queue, lines: &[&str]) {
        for line in lines {
            assert_eq!(queue.push(&[line.as_bytes(), b"\n"]), Pushed::Queued);
        }
    }

    fn text(batch: &Batch) -> String {
        batch.parts().map(|part| std::str::from_utf8(part).unwrap()).collect()
    }

    fn delivered(queue: &Queue, batch: Batch) {
        let all = Settlement { delivered: batch.entries(), rest: DropReason::Rejected };
        queue.settle(batch, all);
    }

    fn is_balanced(counters: &Counters) -> bool {
        counters.accepted == counters.delivered + counters.queued + counters.dropped.total()
    }

    #[test]
    fn a_batch_is_due_when_it_has_enough_lines_or_bytes() {
        let queue = queue();
        push(&queue, &["a", "b", "c", "d", "e"]);
        assert_eq!(text(&queue.take().unwrap()), "a\nb\nc\nd\n");
        push(&queue, &["0123456789012345678", "0123456789012345678"]);
        // The 2 bytes that wait and these 40 are no batch together.
        assert_eq!(text(&queue.take().unwrap()), "e\n0123456789012345678\n");
    }

    #[test]
    fn a_batch_is_due_when_its_oldest_line_is_old_enough() {
        let queue =
            Queue::new(LIMITS, Overflow::DropNewest, Due { age_max: Duration::ZERO, ..DUE });
        push(&queue, &["a"]);
        assert_eq!(text(&queue.take().unwrap()), "a\n");
    }

    #[test]
    fn a_line_that_is_larger_than_a_batch_is_one() {
        let queue = queue();
        let long = "x".repeat(100);
        push(&queue, &["a", &long, "b"]);
        assert_eq!(text(&queue.take().unwrap()), "a\n");
        assert_eq!(queue.take().unwrap().bytes(), 101);
    }

    #[test]
    fn what_is_in_flight_counts_as_queued_and_against_the_limits() {
        let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
        push(&queue, &["a", "b"]);
        queue.close();
        let batch = queue.take().unwrap();
        assert_eq!((queue.counters().queued, queue.counters().queued_bytes), (2, 4));
        assert_eq!(queue.push(&[b"c\n"]), Pushed::Dropped(DropReason::Closed));
        queue.settle(batch, Settlement { delivered: 1, rest: DropReason::Rejected });
        let counters = queue.counters();
        assert_eq!((counters.accepted, counters.delivered, counters.queued), (3, 1, 0));
        assert!(is_balanced(&counters));
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_line_fits_up_to_the_limit() {
        let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
        push(&queue, &["123", "123"]);
        assert_eq!(queue.push(&[b"\n"]), Pushed::Dropped(DropReason::Overflow));
        let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
        push(&queue, &["a", "b", "c"]);
        assert_eq!(queue.push(&[b"\n"]), Pushed::Dropped(DropReason::Overflow));
        assert_eq!(queue.refuse(DropReason::TooLarge), Pushed::Dropped(DropReason::TooLarge));
        assert!(is_balanced(&queue.counters()));
    }

    #[test]
    fn the_oldest_lines_make_room_for_a_new_one_if_that_helps() {
        let queue = Queue::new(Limits { bytes_max: 10, entries_max: 9 }, Overflow::DropOldest, DUE);
        push(&queue, &["1", "2", "3", "4", "5", "12345"]);
        assert_eq!(queue.counters().dropped.get(DropReason::Overflow), 3);
        assert_eq!(queue.push(&[b"0123456789\n"]), Pushed::Dropped(DropReason::Overflow));
        assert_eq!(queue.counters().queued, 3);
        queue.close();
        assert_eq!(text(&queue.take().unwrap()), "4\n5\n12345\n");
    }

    #[test]
    fn a_pause_ends_for_a_close_and_for_a_flush_that_may_end_it() {
        let queue = queue();
        let asked = queue.asked();
        push(&queue, &["a"]);
        assert_eq!(queue.flush(Duration::ZERO), 1);
        assert_eq!(queue.pause(NEVER, asked, true), Pause::Over);
        assert_eq!(queue.pause(Duration::ZERO, asked, false), Pause::Over);
        queue.close();
        assert_eq!(queue.pause(NEVER, asked, false), Pause::Over);
        queue.abandon();
        assert_eq!(queue.pause(NEVER, queue.asked(), false), Pause::Abandoned);
    }

    #[test]
    fn waiting_for_ever_is_possible() {
        let queue = Arc::new(queue());
        push(&queue, &["a"]);
        let flushing = Arc::clone(&queue);
        let flushed = thread::spawn(move || flushing.flush(Duration::MAX));
        let batch = queue.take().unwrap();
        delivered(&queue, batch);
        assert_eq!(flushed.join().unwrap(), 0);
    }

    #[test]
    fn lines_of_many_threads_come_out_whole_and_in_the_order_of_each() {
        let queue = Arc::new(Queue::new(
            Limits { bytes_max: 1 << 30, entries_max: 1 << 30 },
            Overflow::DropNewest,
            DUE,
        ));
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    for number in 0..1000 {
                        queue.push(&[format!("{thread} {number}").as_bytes(), b"\n"]);
                    }
                })
            })
            .collect();
        let mut next = [0; 4];
        while next.iter().sum::<usize>() < 4000 {
            let batch = queue.take().unwrap();
            assert!(is_balanced(&queue.counters()));
            for line in text(&batch).lines() {
                let (thread, number) = line.split_once(' ').unwrap();
                let next = &mut next[thread.parse::<usize>().unwrap()];
                assert_eq!(number.parse::<usize>().unwrap(), *next);
                *next += 1;
            }
            delivered(&queue, batch);
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Take,
        Settle(u64),
        Refuse,
        Discard,
    }

    proptest! {
        /// Against a plain list of lines.
        #[test]
        fn every_line_has_exactly_one_fate(
            drop_oldest in any::<bool>(),
            steps in proptest::collection::vec(
                prop_oneof![
                    6 => (0_usize..60).prop_map(Step::Push),
                    2 => Just(Step::Take),
                    2 => (0_u64..6).prop_map(Step::Settle),
                    1 => Just(Step::Refuse),
                    1 => Just(Step::Discard),
                ],
                0..200,
            ),
        ) {
            let overflow = if drop_oldest { Overflow::DropOldest } else { Overflow::DropNewest };
            let queue = Queue::new(Limits { bytes_max: 200, entries_max: 12 }, overflow, Due { age_max: Duration::ZERO, ..DUE });
            let mut waiting: VecDeque<String> = VecDeque::new();
            let mut in_flight: Option<Batch> = None;
            let (mut accepted, mut settled) = (0, 0);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push(bytes) => {
                        let line = format!("{number}{}\n", "x".repeat(bytes));
                        accepted += 1;
                        let before = queue.counters().queued;
                        if queue.push(&[line.as_bytes()]) == Pushed::Queued {
                            waiting.push_back(line);
                            let dropped = before + 1 - queue.counters().queued;
                            waiting.drain(..usize::try_from(dropped).unwrap());
                        }
                    }
                    Step::Take if in_flight.is_none() && !waiting.is_empty() => {
                        let batch = queue.take().unwrap();
                        let expected: String = waiting.drain(..usize::try_from(batch.entries()).unwrap()).collect();
                        prop_assert_eq!(text(&batch), expected);
                        prop_assert!(batch.entries() <= 4 && (batch.bytes() <= 40 || batch.entries() == 1));
                        in_flight = Some(batch);
                    }
                    Step::Settle(count) => if let Some(batch) = in_flight.take() {
                        settled += count.min(batch.entries());
                        queue.settle(batch, Settlement { delivered: count, rest: DropReason::Rejected });
                    }
                    Step::Refuse => {
                        accepted += 1;
                        queue.refuse(DropReason::TooLarge);
                    }
                    Step::Discard => {
                        queue.discard(DropReason::Closed);
                        waiting.clear();
                    }
                    Step::Take => {}
                }
                let counters = queue.counters();
                prop_assert!(is_balanced(&counters), "{:?}", counters);
                prop_assert_eq!((counters.accepted, counters.delivered), (accepted, settled));
                let flying = in_flight.as_ref().map_or((0, 0), |batch| (batch.entries(), batch.bytes()));
                prop_assert_eq!(counters.queued, waiting.len() as u64 + flying.0);
                prop_assert_eq!(counters.queued_bytes, waiting.iter().map(String::len).sum::<usize>() + flying.1);
                prop_assert!(counters.queued <= 12 && counters.queued_bytes <= 200);
            }
        }
    }
}
