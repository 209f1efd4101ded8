//! The newest batches of a project, bounded in bytes. Pure.

use std::{collections::VecDeque, sync::Arc};

use super::batch::Batch;

/// Holds every record of its project behind `from` up to `to`, both ids of the whole store.
#[derive(Debug)]
pub(super) struct Ring {
    batches: VecDeque<Arc<Batch>>,
    from: u64,
    to: u64,
    bytes: usize,
    bytes_max: usize,
}

/// What comes behind an id.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch with a record behind it; earlier ones may stand in it too.
    Batch(Arc<Batch>),
    /// No record of the project up to this id, and nothing is known beyond.
    Nothing(u64),
    /// The ring has forgotten it.
    TooOld,
}

impl Ring {
    /// A ring that knows nothing up to `from`.
    pub(super) fn new(from: u64, bytes_max: usize) -> Self {
        Self { batches: VecDeque::new(), from, to: from, bytes: 0, bytes_max }
    }

    /// The id up to which everything was read.
    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// Adds the records that come next, and forgets the oldest that have no room any more.
    pub(super) fn push(&mut self, batch: Batch) {
        self.to = batch.last_id();
        self.bytes += batch.bytes();
        self.batches.push_back(Arc::new(batch));
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.from = oldest.last_id();
        }
    }

    /// There is no further record of the project up to `id`.
    pub(super) fn reach(&mut self, id: u64) {
        self.to = self.to.max(id);
    }

    /// Forgets everything up to `id`.
    pub(super) fn skip(&mut self, id: u64) {
        *self = Self::new(id, self.bytes_max);
    }

    pub(super) fn find(&self, id: u64) -> Found {
        if id < self.from {
            return Found::TooOld;
        }
        let place = self.batches.partition_point(|batch| batch.last_id() <= id);
        match self.batches.get(place) {
            Some(batch) => Found::Batch(Arc::clone(batch)),
            None => Found::Nothing(self.to.max(id)),
        }
    }
}
