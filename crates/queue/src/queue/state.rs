//! What the queue's lock protects, and the steps that keep its counts consistent. No waiting here.

use std::{collections::VecDeque, time::Instant};

use super::{Asked, CHUNK_BYTES, Due, SPARE_CHUNKS_MAX, Settlement, SpooledRecords};
use crate::{Batch, Counters, DropReason, Dropped, batch::Chunk};

/// What the one who takes is doing, so that callers know whether it must be woken, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sender {
    /// Busy, or not there.
    #[default]
    Away,
    /// Waits for the first line.
    AwaitsFirst,
    /// Waits until there are enough lines.
    AwaitsEnough,
}

/// Lines are numbered in the order in which they came. They leave memory in that order, and in that order their fate
/// is decided, so that a number says how far a flush has come. A line that is dropped to make room for another has
/// left as well.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Filled from the back. All but the last one are full.
    pub(super) chunks: VecDeque<Chunk>,
    pub(super) spare: Vec<Vec<u8>>,
    /// Lines and bytes in `chunks`.
    pub(super) waiting: u64,
    pub(super) waiting_bytes: usize,
    /// Lines and bytes in batches that were taken and neither settled nor spooled.
    pub(super) in_flight: u64,
    pub(super) in_flight_bytes: usize,
    /// Lines on disk whose fate is not known: of this process, and of those before it.
    pub(super) own_spooled: u64,
    pub(super) recovered_spooled: u64,

    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) recovered: u64,
    pub(super) dropped: Dropped,

    /// Lines that ever entered `chunks`, and lines that ever left it: the numbers of the next line in and out.
    pub(super) entered: u64,
    pub(super) left: u64,
    /// Number of the oldest line in flight, if there is one.
    in_flight_first: u64,
    /// Number of the oldest line of ours on disk, if there is one.
    spooled_first: u64,
    /// Lines with a lower number are synced to the disk.
    pub(super) synced_before: u64,
    /// Lines with a lower number are due, whatever the batch limits say.
    pub(super) flush_before: u64,
    /// Flushes that were asked for; one that is new ends a pause.
    pub(super) flushes: u64,
    /// How many of them nothing can come of for now.
    pub(super) vain_flushes: u64,
    /// When the server wants to be asked again; until then no flush changes anything.
    pub(super) told_to_wait_until: Option<Instant>,

    pub(super) closed: bool,
    pub(super) abandoned: bool,
    pub(super) sender: Sender,
    pub(super) flushers: usize,
    /// Callers that wait for room.
    pub(super) blocked: usize,
}

impl State {
    pub(super) fn asked(&self) -> Asked {
        Asked { flushes: self.flushes, closed: self.closed }
    }

    /// Whether what waits must go now, however little it is.
    pub(super) fn is_pressed(&self) -> bool {
        self.closed || self.left < self.flush_before
    }

    /// Whether nothing will come of the flush of this number that ends at the deadline.
    pub(super) fn is_vain(&self, flush: u64, deadline: Option<Instant>) -> bool {
        let is_over_before = |until| deadline.is_some_and(|deadline| deadline <= until);
        self.vain_flushes >= flush || self.told_to_wait_until.is_some_and(is_over_before)
    }

    pub(super) fn drop_oldest(&mut self) -> bool {
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

    pub(super) fn discard(&mut self, reason: DropReason) -> VecDeque<Chunk> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.left += waiting;
        self.dropped.add(reason, waiting);
        std::mem::take(&mut self.chunks)
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

    pub(super) fn next_batch_is_full(&self, due: &Due) -> bool {
        self.batch_chunks(due) < self.chunks.len()
    }

    /// Takes the next batch out; there must be a chunk.
    pub(super) fn cut(&mut self, due: &Due) -> Batch {
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

    /// The reverse of [`Self::cut`], for the batch that was cut last.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let (entries, bytes) = (batch.entries, batch.bytes());
        self.in_flight -= entries.min(self.in_flight);
        self.in_flight_bytes -= bytes.min(self.in_flight_bytes);
        self.waiting += entries;
        self.waiting_bytes += bytes;
        self.left -= entries.min(self.left);
        for chunk in batch.chunks.into_iter().rev() {
            self.chunks.push_front(chunk);
        }
    }

    /// Takes a batch off those in flight and keeps its memory for the lines to come; how many lines it had.
    pub(super) fn land(&mut self, batch: Batch) -> u64 {
        let bytes = batch.bytes();
        self.in_flight -= batch.entries.min(self.in_flight);
        self.in_flight_bytes -= bytes.min(self.in_flight_bytes);
        self.in_flight_first += batch.entries;
        for chunk in batch.chunks {
            self.recycle(chunk.bytes);
        }
        batch.entries
    }

    pub(super) fn settle(&mut self, entries: u64, settlement: Settlement) {
        let delivered = settlement.delivered.min(entries);
        self.delivered += delivered;
        self.dropped.add(settlement.rest, entries - delivered);
        let is_given_up = matches!(settlement.rest, DropReason::Exhausted | DropReason::Refused);
        if is_given_up && delivered < entries {
            self.vain_flushes = self.flushes;
        }
    }

    pub(super) fn spool(&mut self, batch: Batch) {
        if self.own_spooled == 0 {
            self.spooled_first = self.in_flight_first;
        }
        self.own_spooled += self.land(batch);
    }

    pub(super) fn unspool(&mut self, records: SpooledRecords) {
        self.own_spooled -= records.own.min(self.own_spooled);
        self.spooled_first += records.own;
        self.recovered_spooled -= records.recovered.min(self.recovered_spooled);
    }

    /// Number of the oldest line that is not on disk.
    pub(super) fn first_not_spooled(&self) -> u64 {
        if self.in_flight > 0 { self.in_flight_first } else { self.left }
    }

    /// How many lines with a number below `before` are not settled.
    pub(super) fn unsettled_before(&self, before: u64) -> u64 {
        let oldest =
            if self.own_spooled > 0 { self.spooled_first } else { self.first_not_spooled() };
        before.saturating_sub(oldest)
    }

    /// How many lines with a number below `before` are neither settled nor synced.
    pub(super) fn unsafe_before(&self, before: u64) -> u64 {
        self.unsettled_before(before).min(before.saturating_sub(self.synced_before))
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            accepted: self.accepted,
            recovered: self.recovered,
            delivered: self.delivered,
            queued: self.waiting + self.in_flight,
            queued_bytes: self.waiting_bytes + self.in_flight_bytes,
            spooled: self.own_spooled + self.recovered_spooled,
            dropped: self.dropped,
        }
    }

    pub(super) fn reset_counters(&mut self) {
        let now = self.counters();
        self.accepted = now.queued + now.spooled;
        self.recovered = self.recovered_spooled;
        self.delivered = 0;
        self.dropped = Dropped::default();
    }
}
