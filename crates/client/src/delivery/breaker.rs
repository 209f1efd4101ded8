//! The circuit breaker: after so many failures in a row the server is left alone, but for one probe each reset time.
//! Pure: the sender asks and tells, and does the waiting.

use std::{fmt, time::Duration};

/// What a circuit breaker lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BreakerState {
    /// Everything.
    #[default]
    Closed,
    /// Nothing, until its reset time is over.
    Open,
    /// One batch, whose fate decides.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open` or `half_open`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// The state with this discriminant; closed if there is none.
    pub(crate) const fn of(number: u8) -> Self {
        match number {
            1 => Self::Open,
            2 => Self::HalfOpen,
            _ => Self::Closed,
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Counts failures and says when the server has had enough of them.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    reset: Duration,
    failures: u32,
    state: BreakerState,
}

impl Breaker {
    /// Opens after `threshold` failures in a row, for `reset`.
    pub(crate) fn new(threshold: u32, reset: Duration) -> Self {
        Self { threshold, reset, failures: 0, state: BreakerState::Closed }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }

    /// A batch is about to be sent: if the breaker is open this is its probe.
    pub(crate) fn attempt(&mut self) {
        if self.state == BreakerState::Open {
            self.state = BreakerState::HalfOpen;
        }
    }

    /// The server answered as a server does.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.state = BreakerState::Closed;
    }

    /// Another failure. If the breaker is open now: how long to leave the server alone, and whether it has just been
    /// tripped.
    pub(crate) fn failed(&mut self) -> Option<(Duration, bool)> {
        self.failures = self.failures.saturating_add(1);
        let tripped = self.state == BreakerState::Closed && self.failures >= self.threshold;
        if self.state == BreakerState::Closed && !tripped {
            return None;
        }
        self.state = BreakerState::Open;
        Some((self.reset, tripped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: Duration = Duration::from_secs(10);

    #[test]
    fn it_opens_at_the_threshold_probes_once_and_closes_with_the_first_success() {
        let mut breaker = Breaker::new(3, RESET);
        for _ in 0..2 {
            breaker.attempt();
            assert_eq!(breaker.failed(), None);
        }
        breaker.attempt();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.failed(), Some((RESET, true)));
        assert_eq!(breaker.state(), BreakerState::Open);
        // A probe that fails opens it again at once, and is no new trip.
        breaker.attempt();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.failed(), Some((RESET, false)));
        breaker.attempt();
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.failed(), None);
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew() {
        let mut breaker = Breaker::new(2, RESET);
        assert_eq!(breaker.failed(), None);
        breaker.succeeded();
        assert_eq!(breaker.failed(), None);
        assert!(breaker.failed().is_some());
    }

    #[test]
    fn states_are_told_by_number_and_by_name() {
        for state in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
            assert_eq!(BreakerState::of(state as u8), state);
        }
        assert_eq!(BreakerState::HalfOpen.to_string(), "half_open");
    }
}
