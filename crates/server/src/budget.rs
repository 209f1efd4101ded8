//! The memory that bodies may take: as bytes, while they arrive and are decompressed, and as records, while they are
//! decoded and stored.
//!
//! Whoever waits for records' memory may hold bodies' memory, never the other way round: what is being decoded always
//! comes to its end, so nobody waits for ever. Among bodies there can be a deadlock, each half read and none able to
//! go on; then the one that has waited longest for its next step is told to come back.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    error::ApiError,
    limits::{BODY_WAIT, DECODING_SMALL_BYTES, DECODING_WAIT},
    memory::Shares,
};

/// What all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    bodies: Arc<Semaphore>,
    decoding_large: Arc<Semaphore>,
    decoding_small: Arc<Semaphore>,
    /// A body that is a large part of what all may have waits for the one before: half of each would help nobody.
    large_bodies: Arc<Semaphore>,
    /// Large bodies that are decoded at once: more than there are processors would only take turns.
    turns: Arc<Semaphore>,
    shares: Shares,
}

/// Bodies' memory that one body holds; grows with it.
#[derive(Debug)]
pub(crate) struct BodyShare {
    bodies: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    large_bodies: Arc<Semaphore>,
    turn: Option<OwnedSemaphorePermit>,
    /// From this size on it needs a turn.
    large_bytes: usize,
}

/// Records' memory that one batch holds, until it is stored.
#[derive(Debug)]
pub(crate) struct BatchShare {
    _bytes: OwnedSemaphorePermit,
    /// A large body's turn at the processor; given back when it is decoded.
    turn: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(shares: Shares) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            bodies: semaphore(shares.bodies),
            decoding_large: semaphore(shares.decoding_large),
            decoding_small: semaphore(shares.decoding_small),
            large_bodies: semaphore(1),
            turns: semaphore(std::thread::available_parallelism().map_or(1, usize::from)),
            shares,
        }
    }

    /// The largest body, before and after decompression.
    pub(crate) fn body_bytes_max(&self) -> usize {
        self.shares.body_bytes_max
    }

    /// What all bodies may take together.
    pub(crate) fn bodies_bytes(&self) -> usize {
        self.shares.bodies
    }

    /// A share of nothing yet.
    pub(crate) fn body(&self) -> BodyShare {
        BodyShare {
            bodies: Arc::clone(&self.bodies),
            held: None,
            large_bodies: Arc::clone(&self.large_bodies),
            turn: None,
            large_bytes: self.shares.bodies / 4,
        }
    }

    /// Waits for the memory that the records of a body need, at most for all that there is.
    pub(crate) async fn batch(&self, bytes: usize) -> Result<BatchShare, ApiError> {
        if bytes <= DECODING_SMALL_BYTES {
            let permits = permits(bytes);
            for lane in [&self.decoding_small, &self.decoding_large] {
                if let Ok(bytes) = Arc::clone(lane).try_acquire_many_owned(permits) {
                    return Ok(BatchShare { _bytes: bytes, turn: None });
                }
            }
            let bytes = acquire(&self.decoding_small, permits, DECODING_WAIT).await?;
            return Ok(BatchShare { _bytes: bytes, turn: None });
        }
        let permits = permits(bytes.min(self.shares.decoding_large));
        let bytes = acquire(&self.decoding_large, permits, DECODING_WAIT).await?;
        let turn = acquire(&self.turns, 1, DECODING_WAIT).await?;
        Ok(BatchShare { _bytes: bytes, turn: Some(turn) })
    }

    /// Bytes of bodies that are held, and of records.
    pub(crate) fn held(&self) -> (usize, usize) {
        let records = self.shares.decoding_large + self.shares.decoding_small;
        let free =
            self.decoding_large.available_permits() + self.decoding_small.available_permits();
        (
            self.shares.bodies.saturating_sub(self.bodies.available_permits()),
            records.saturating_sub(free),
        )
    }
}

impl BodyShare {
    /// Tells how large it will be, as far as that is known.
    pub(crate) async fn expect(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes >= self.large_bytes && self.turn.is_none() {
            self.turn = Some(acquire(&self.large_bodies, 1, BODY_WAIT).await?);
        }
        Ok(())
    }

    /// Takes over the turn of the share that it was made from.
    pub(crate) fn succeed(&mut self, before: &mut Self) {
        self.turn = before.turn.take();
    }

    /// Grows to at least so many bytes.
    pub(crate) async fn cover(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = self.bytes();
        if bytes <= held {
            return Ok(());
        }
        self.expect(bytes).await?;
        let more = acquire(&self.bodies, permits(bytes - held), BODY_WAIT).await?;
        match &mut self.held {
            Some(held) => held.merge(more),
            held @ None => *held = Some(more),
        }
        Ok(())
    }

    /// What it covers.
    pub(crate) fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

impl BatchShare {
    /// The records are there; their memory is still needed, the processor is not.
    pub(crate) fn decoded(&mut self) {
        self.turn = None;
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

async fn acquire(
    lane: &Arc<Semaphore>,
    permits: u32,
    patience: Duration,
) -> Result<OwnedSemaphorePermit, ApiError> {
    match timeout(patience, Arc::clone(lane).acquire_many_owned(permits)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::overloaded("too many bodies are being stored")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MEMORY_BYTES_MIN;

    fn budget() -> Budget {
        Budget::new(Shares::of(MEMORY_BYTES_MIN))
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_come_one_after_the_other() {
        let budget = budget();
        let (mut one, mut other) = (budget.body(), budget.body());
        one.expect(budget.body_bytes_max()).await.unwrap();
        assert!(other.expect(budget.body_bytes_max()).await.is_err());
        other.cover(1000).await.unwrap();
        other.succeed(&mut one);
        other.cover(budget.body_bytes_max()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn of_bodies_that_block_each_other_one_gives_way_and_the_other_goes_on() {
        let budget = budget();
        let some = budget.shares.bodies / 5;
        let (mut one, mut other) = (budget.body(), budget.body());
        one.cover(some).await.unwrap();
        other.cover(some).await.unwrap();
        let rest = permits(budget.shares.bodies - 2 * some);
        let _rest = acquire(&budget.bodies, rest, BODY_WAIT).await.unwrap();
        let gives_way = async move {
            let refused = one.cover(some + 1000).await;
            drop(one);
            refused
        };
        let goes_on = async {
            tokio::time::sleep(BODY_WAIT / 2).await;
            other.cover(some + 1000).await
        };
        let (refused, taken) = tokio::join!(gives_way, goes_on);
        assert!(format!("{refused:?}").contains("overloaded"));
        taken.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_does_not_wait_for_large_ones() {
        let budget = budget();
        let _all = budget.batch(usize::MAX).await.unwrap();
        assert!(budget.batch(DECODING_SMALL_BYTES + 1).await.is_err());
        budget.batch(DECODING_SMALL_BYTES).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_can_be_had_again() {
        let budget = budget();
        for _ in 0..3 {
            let mut body = budget.body();
            body.cover(budget.body_bytes_max()).await.unwrap();
            assert!(budget.held().0 >= budget.body_bytes_max());
            let _batch = budget.batch(usize::MAX).await.unwrap();
        }
        assert_eq!(budget.held(), (0, 0));
    }
}
