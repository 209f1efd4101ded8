//! Waiting until what is in the queue has a fate, or is on disk.

use std::time::{Duration, Instant};

use super::{Asked, Queue, state::State, wait};

/// How a flush ended that does not wait in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// How many of the records that were there are still not settled.
    pub left: u64,
    /// The wait ended because nothing can come of it for now, or part of what was there was given up.
    pub in_vain: bool,
}

impl Queue {
    /// Has everything sent that is there, and waits for it: how many of these records are still not settled.
    pub fn flush(&self, timeout: Duration) -> u64 {
        self.await_all(timeout, State::unsettled_before, timeout, || true, false).left
    }

    /// As [`Self::flush_while`], but no longer than something may come of it: until [`Self::in_vain`], until a batch is
    /// [settled](Self::settle) as exhausted or refused, or until the server [has told](Self::pause_as_told) the sender to
    /// wait for longer than `timeout`.
    pub fn flush_hopefully(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> Flushed {
        self.await_all(timeout, State::unsettled_before, interval, goes_on, true)
    }

    /// Has everything sent that is there, however little it is, as soon as nothing stands in the way. Unlike a flush it
    /// waits for nothing and ends no pause.
    pub fn hasten(&self) {
        let mut state = self.lock();
        state.flush_before = state.flush_before.max(state.entered);
        drop(state);
        self.wake.notify_all();
    }

    /// Nothing can come for now of the flushes that were asked for up to then.
    pub fn in_vain(&self, asked: Asked) {
        let mut state = self.lock();
        state.vain_flushes = state.vain_flushes.max(asked.flushes);
        self.tell(state);
    }

    /// As [`Self::flush`], but asks `goes_on` about every `interval` whether to wait any longer; no lock is held
    /// meanwhile.
    pub fn flush_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> u64 {
        self.await_all(timeout, State::unsettled_before, interval, goes_on, false).left
    }

    /// Has everything spooled and synced that is there, and waits for it: how many of these records are neither that
    /// nor settled. Without a spool it is a [flush](Self::flush).
    pub fn persist(&self, timeout: Duration) -> u64 {
        self.await_all(timeout, State::unsafe_before, timeout, || true, false).left
    }

    /// As [`Self::persist`], with the questions of [`Self::flush_while`].
    pub fn persist_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> u64 {
        self.await_all(timeout, State::unsafe_before, interval, goes_on, false).left
    }

    /// Asks for a flush and waits until `left` of the records that are there now is 0; what it is at last. If it is a
    /// `hopeful` one it waits no longer than something may come of it.
    fn await_all(
        &self,
        timeout: Duration,
        left: impl Fn(&State, u64) -> u64,
        interval: Duration,
        mut goes_on: impl FnMut() -> bool,
        hopeful: bool,
    ) -> Flushed {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        let before = state.entered;
        if left(&state, before) == 0 {
            return Flushed::default();
        }
        state.flush_before = state.flush_before.max(before);
        state.flushes += 1;
        state.flushers += 1;
        let own = state.flushes;
        self.wake.notify_all();
        self.pause.notify_all();
        let mut asked = Instant::now();
        let mut waits = true;
        loop {
            let left = left(&state, before);
            let in_vain = state.is_vain(own, deadline);
            let now = Instant::now();
            let remaining =
                deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(now));
            if left == 0 || remaining.is_zero() || !waits || hopeful && in_vain {
                state.flushers -= 1;
                return Flushed { left, in_vain };
            }
            let until_asked = interval.saturating_sub(now.saturating_duration_since(asked));
            if until_asked.is_zero() {
                drop(state);
                waits = goes_on();
                asked = Instant::now();
                state = self.lock();
            } else {
                state = wait(&self.settled, state, remaining.min(until_asked));
            }
        }
    }
}
