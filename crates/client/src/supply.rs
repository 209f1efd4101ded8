//! Where the sender's batches come from, and who is told of their fate.

use millpond_queue::{Batch, DropReason, Settlement};

use crate::{engine::Engine, parcel::Parcel, random};

/// Where a batch came from.
#[derive(Debug)]
pub(crate) enum Source {
    Memory,
}

/// A batch to be sent.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) parcel: Parcel,
    pub(crate) source: Source,
}

#[derive(Debug)]
pub(crate) struct Supply {
    /// Names the batches that come straight from memory.
    client: String,
    sequence: u64,
}

impl Supply {
    pub(crate) fn new() -> Self {
        Self { client: random::client_id(), sequence: 0 }
    }

    /// Waits for the next batch. `None` means that there will be none.
    pub(crate) fn next(&mut self, engine: &Engine) -> Option<Load> {
        let batch = engine.queue.take()?;
        Some(self.from_memory(batch))
    }

    fn from_memory(&mut self, batch: Batch) -> Load {
        self.sequence += 1;
        Load { parcel: Parcel::new(batch, &self.client, self.sequence), source: Source::Memory }
    }

    /// Decides the fate of a part of a batch, or of all of it; `is_last` says that no part is left.
    pub(crate) fn settle(
        &self,
        engine: &Engine,
        source: &Source,
        batch: Batch,
        settlement: Settlement,
        is_last: bool,
    ) {
        match source {
            Source::Memory => engine.queue.settle(batch, settlement),
        }
    }

    /// The sender ends, and this part of a batch is left.
    pub(crate) fn give_up(
        &self,
        engine: &Engine,
        source: &Source,
        batch: Batch,
        reason: DropReason,
    ) {
        engine.queue.settle(batch, Settlement::dropped(reason));
    }

    /// The sender ends because the client was closed.
    pub(crate) fn close(&self, engine: &Engine) {
        engine.queue.discard(DropReason::Closed);
    }
}
