//! How long to wait before a batch is sent again. Pure: randomness is a parameter.

use std::time::Duration;

use crate::limits::RETRY_AFTER_MAX;

/// Exponential back-off with full jitter: a random time between zero and a bound that doubles with every failure.
/// Clients that failed together come back apart.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The wait after one more failure. What the server asked for is the least, up to [`RETRY_AFTER_MAX`].
    pub(crate) fn next(&mut self, random: u32, asked: Option<Duration>) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let bound = self.first.saturating_mul(factor).min(self.max);
        let jittered = bound.mul_f64(f64::from(random) / f64::from(u32::MAX));
        match asked {
            Some(asked) => asked.min(RETRY_AFTER_MAX).max(jittered),
            None => jittered,
        }
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_bound_doubles_to_its_limit_and_starts_again_after_a_success() {
        let mut backoff = Backoff::new(SECOND, 10 * SECOND);
        let bounds: Vec<u64> = (0..6).map(|_| backoff.next(u32::MAX, None).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 10, 10]);
        for _ in 0..100 {
            assert!(backoff.next(u32::MAX, None) <= 10 * SECOND);
        }
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX, None), SECOND);
    }

    #[test]
    fn jitter_takes_anything_between_zero_and_the_bound() {
        let mut backoff = Backoff::new(4 * SECOND, 4 * SECOND);
        assert_eq!(backoff.next(0, None), Duration::ZERO);
        assert_eq!(backoff.next(u32::MAX / 2, None).as_secs_f64().round(), 2.0);
        assert_eq!(backoff.next(u32::MAX, None), 4 * SECOND);
    }

    #[test]
    fn what_the_server_asks_for_is_the_least_up_to_a_limit() {
        let mut backoff = Backoff::new(SECOND, SECOND);
        assert_eq!(backoff.next(u32::MAX, Some(7 * SECOND)), 7 * SECOND);
        assert_eq!(backoff.next(u32::MAX, Some(Duration::ZERO)), SECOND);
        assert_eq!(backoff.next(0, Some(Duration::from_secs(86_400))), RETRY_AFTER_MAX);
    }
}
