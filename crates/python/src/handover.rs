//! Hands the logs of a live stream from the thread that reads them to the one that asks for them, and knows how far
//! the latter has got. Holds no Python object, and no lock while anything else is done.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use millpond::{limits::STREAM_LOGS_AHEAD, read::Stopper};

use crate::failure::Failure;

pub(crate) struct Handover {
    state: Mutex<State>,
    changed: Condvar,
    stopper: Stopper,
}

#[derive(Default)]
struct State {
    arrived: VecDeque<Arrived>,
    /// Behind the last log that was taken.
    position: Option<String>,
    /// Why there is no connection.
    outage: Option<Failure>,
    /// Nothing more arrives.
    ended: bool,
}

struct Arrived {
    log: Result<String, Failure>,
    /// Behind it.
    position: Option<String>,
}

/// What there is for the one who asks.
pub(crate) enum Taken {
    Log(String),
    Failure(Failure),
    /// The time is over.
    NotYet,
    End,
}

impl Handover {
    /// Stopping it also stops what `stopper` belongs to.
    pub(crate) fn new(stopper: Stopper, position: Option<String>) -> Self {
        let state = State { position, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), stopper }
    }

    /// Waits until there is room, then leaves what has arrived; `false` if nobody wants it any more.
    pub(crate) fn push(&self, log: Result<String, Failure>, position: Option<&str>) -> bool {
        let mut state = self.state();
        while state.arrived.len() >= STREAM_LOGS_AHEAD && !self.stopper.is_stopped() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.outage = None;
        state.arrived.push_back(Arrived { log, position: position.map(str::to_owned) });
        drop(state);
        self.changed.notify_all();
        !self.stopper.is_stopped()
    }

    /// The server has looked as far as this without another log.
    pub(crate) fn advance(&self, position: &str) {
        let mut state = self.state();
        let State { arrived, position: taken, outage, .. } = &mut *state;
        *outage = None;
        *arrived.back_mut().map_or(taken, |last| &mut last.position) = Some(position.to_owned());
    }

    /// There is no connection for now.
    pub(crate) fn interrupt(&self, outage: Failure) {
        self.state().outage = Some(outage);
    }

    /// Nothing more will be pushed.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// The next log, waiting for it for at most so long.
    pub(crate) fn take(&self, time_max: Duration) -> Taken {
        let mut state = self.wait(time_max);
        if self.stopper.is_stopped() {
            return Taken::End;
        }
        let Some(Arrived { log, position }) = state.arrived.pop_front() else {
            return if state.ended { Taken::End } else { Taken::NotYet };
        };
        state.position = position;
        drop(state);
        self.changed.notify_all();
        log.map_or_else(Taken::Failure, Taken::Log)
    }

    /// Whether `take` has an answer now, after waiting for that for at most so long.
    pub(crate) fn is_ready(&self, time_max: Duration) -> bool {
        self.answers(&self.wait(time_max))
    }

    /// Ends every wait, now and from now on.
    pub(crate) fn stop(&self) {
        self.stopper.stop();
        // Whoever has looked at the stopper and does not wait yet holds the lock.
        drop(self.state());
        self.changed.notify_all();
    }

    pub(crate) fn position(&self) -> Option<String> {
        self.state().position.clone()
    }

    pub(crate) fn outage(&self) -> Option<Failure> {
        self.state().outage.clone()
    }

    fn answers(&self, state: &State) -> bool {
        !state.arrived.is_empty() || state.ended || self.stopper.is_stopped()
    }

    fn wait(&self, time_max: Duration) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + time_max;
        let mut state = self.state();
        while !self.answers(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
