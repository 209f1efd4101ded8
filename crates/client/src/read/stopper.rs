//! Ends a read that another thread is in the middle of: waiting for an answer, for the next event, or for its turn to
//! try again.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ureq::Agent;

use crate::diagnostics::as_own_thread;

/// Stops what it belongs to, from any thread. Cheap to clone; all clones stop the same.
#[derive(Clone, Default)]
pub struct Stopper {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    ended: bool,
    /// Whose connections are in use.
    agent: Option<Agent>,
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

impl Stopper {
    /// Closes the connection and ends every wait. Returns at once, and does no harm a second time.
    pub fn stop(&self) {
        let agent = {
            let mut state = self.state();
            state.stopped = true;
            state.agent.take()
        };
        self.shared.changed.notify_all();
        if let Some(agent) = agent {
            as_own_thread(|| agent.shutdown());
        }
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// From now on the connections of `agent` are what is closed. `false` if it was stopped before.
    pub(super) fn enter(&self, agent: &Agent) -> bool {
        let mut state = self.state();
        if !state.stopped {
            state.agent = Some(agent.clone());
        }
        !state.stopped
    }

    /// From now on there is nothing to close. `false` if it was closed before.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state();
        state.agent = None;
        !state.stopped
    }

    /// Waits for so long; `false` if it was stopped.
    pub(super) fn pause(&self, time: Duration) -> bool {
        !self.wait(time, |state| state.stopped)
    }

    /// Says that there is nothing left to stop.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.shared.changed.notify_all();
    }

    /// Whether there is nothing left to stop, after waiting for it for at most so long.
    pub(super) fn has_ended_within(&self, time: Duration) -> bool {
        self.wait(time, |state| state.ended)
    }

    fn wait(&self, time: Duration, until: impl Fn(&State) -> bool) -> bool {
        // A time beyond the clock is for ever.
        let deadline = Instant::now().checked_add(time);
        let mut state = self.state();
        while !until(&state) {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => time,
            };
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
