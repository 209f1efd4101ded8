//! The sender thread: takes batches from the queue, in their order, and does not let go of one before its fate is
//! known. The batch that failed goes first; those behind it wait.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use millpond_queue::{Asked, Batch, DropReason, Settlement};
use millpond_wire::{Compression, Compressor, IdempotencyKey, Refusal, Verdict};

use crate::{
    backoff::Backoff,
    clock,
    diagnostics::{self, Complaint, Complaints},
    engine::Engine,
    metrics::Tally,
    random,
    transport::Transport,
};

/// A batch on its way.
#[derive(Debug)]
struct Parcel {
    batch: Batch,
    key: IdempotencyKey,
    attempts: u32,
}

#[derive(Debug)]
pub(crate) struct Sender {
    engine: Arc<Engine>,
    transport: Transport,
    compressor: Compressor,
    compression: Compression,
    client: String,
    sequence: u64,
    /// The first one is tried; the others are what was split from it.
    parcels: VecDeque<Parcel>,
    /// The body of the first parcel, the same for all of its attempts; empty when it is not there yet.
    body: Vec<u8>,
    /// What was asked for before the last attempt.
    asked: Asked,
    backoff: Backoff,
    complaints: Complaints,
}

impl Sender {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let settings = &engine.settings;
        Self {
            transport: Transport::new(settings),
            compressor: Compressor::default(),
            compression: settings.compression,
            client: format!("{:016x}{:016x}", random(), random()),
            sequence: 0,
            parcels: VecDeque::new(),
            body: Vec::new(),
            asked: Asked::default(),
            backoff: Backoff::new(settings.retry_delay_first, settings.retry_delay_max),
            complaints: Complaints::default(),
            engine,
        }
    }

    /// Sends until the queue is closed and empty, or abandoned.
    pub(crate) fn run(mut self) {
        diagnostics::own_this_thread();
        while self.fetch() {
            let verdict = self.attempt();
            self.follow(verdict);
        }
    }

    /// Sees to it that there is a parcel to be sent, or says that there won't be one.
    fn fetch(&mut self) -> bool {
        if !self.parcels.is_empty() {
            return !self.engine.queue.is_abandoned();
        }
        let Some(batch) = self.engine.queue.take() else { return false };
        let parcel = self.parcel(batch);
        self.parcels.push_back(parcel);
        true
    }

    fn parcel(&mut self, batch: Batch) -> Parcel {
        self.sequence += 1;
        let key = IdempotencyKey { client: self.client.clone(), sequence: self.sequence };
        Parcel { batch, key, attempts: 0 }
    }

    /// Sends the first parcel once.
    fn attempt(&mut self) -> Verdict {
        let Some(parcel) = self.parcels.front_mut() else { return Verdict::Retry { after: None } };
        self.asked = self.engine.queue.asked();
        let tally = &self.engine.tally;
        if parcel.attempts > 0 {
            Tally::add(&tally.retries, 1);
        }
        parcel.attempts = parcel.attempts.saturating_add(1);
        if self.body.is_empty()
            && self
                .compressor
                .compress(self.compression, parcel.batch.parts(), &mut self.body)
                .is_err()
        {
            self.body.clear();
            self.compression = Compression::None;
            parcel.batch.parts().for_each(|part| self.body.extend_from_slice(part));
        }
        let settings = &self.engine.settings;
        // A bug in what is below must not cost the thread, and with it the records.
        let posted = catch_unwind(AssertUnwindSafe(|| {
            self.transport.post(settings, &parcel.key, self.compression, &self.body, clock::wall)
        }));
        match posted {
            Ok(Ok(verdict)) => {
                Tally::add(&tally.sent_bytes, self.body.len() as u64);
                Tally::add(&tally.encoded_bytes, parcel.batch.bytes() as u64);
                verdict
            }
            Ok(Err(error)) => {
                self.complaints.say(
                    Complaint::Unreachable,
                    &format_args!("can't reach {}: {error}", settings.url),
                );
                Verdict::Retry { after: None }
            }
            Err(_) => {
                self.transport = Transport::new(settings);
                Verdict::Retry { after: None }
            }
        }
    }

    /// Decides what becomes of the first parcel.
    fn follow(&mut self, verdict: Verdict) {
        if !matches!(verdict, Verdict::Delivered { .. }) {
            Tally::add(&self.engine.tally.errors, 1);
        }
        match verdict {
            Verdict::Delivered { accepted, rejected } => self.delivered(accepted, rejected),
            Verdict::Retry { after } => self.postpone(after),
            Verdict::Refused(Refusal::TooLarge) => self.split(),
            Verdict::Refused(Refusal::UnsupportedEncoding) => self.compress_otherwise(),
            Verdict::Refused(refusal) if refusal.is_settings() => {
                let url = &self.engine.settings.url;
                self.complaints.say(
                    Complaint::Settings,
                    &format_args!("{url} refuses all batches: {refusal}; records are kept until the queue is full"),
                );
                self.postpone(None);
            }
            Verdict::Refused(refusal) => self.refused(refusal),
        }
    }

    fn delivered(&mut self, accepted: u64, rejected: u64) {
        Tally::add(&self.engine.tally.batches, 1);
        self.backoff.reset();
        self.complaints.clear(Complaint::Settings);
        if rejected > 0 {
            self.complaints
                .say(Complaint::Rejected, &format_args!("the server rejected {rejected} records"));
        }
        self.settle(Settlement { delivered: accepted, rest: DropReason::Rejected });
    }

    fn refused(&mut self, refusal: Refusal) {
        self.complaints.say(
            Complaint::Refused,
            &format_args!("the server refused a batch, dropped: {refusal}"),
        );
        self.settle(Settlement::dropped(DropReason::Refused));
    }

    fn settle(&mut self, settlement: Settlement) {
        self.body.clear();
        if let Some(parcel) = self.parcels.pop_front() {
            self.engine.queue.settle(parcel.batch, settlement);
        }
    }

    /// Waits before the next attempt. A flush ends a wait that is only our own guess.
    fn postpone(&mut self, asked: Option<Duration>) {
        let delay = self.backoff.next(random() as u32, asked);
        self.engine.queue.pause(delay, self.asked, asked.is_none());
    }

    /// Halves the batch. Both get new keys: the old one stands for the bytes that were refused.
    fn split(&mut self) {
        self.body.clear();
        let Some(parcel) = self.parcels.pop_front() else { return };
        match parcel.batch.split() {
            Ok((first, second)) => {
                let first = self.parcel(first);
                let second = self.parcel(second);
                self.parcels.push_front(second);
                self.parcels.push_front(first);
            }
            Err(batch) => {
                self.engine.queue.settle(batch, Settlement::dropped(DropReason::TooLarge));
            }
        }
    }

    fn compress_otherwise(&mut self) {
        match self.compression.fallback() {
            Some(simpler) => {
                self.body.clear();
                self.compression = simpler;
            }
            None => self.refused(Refusal::UnsupportedEncoding),
        }
    }
}

/// No record is left without a fate, whatever the thread ends for.
impl Drop for Sender {
    fn drop(&mut self) {
        let reason = if thread::panicking() { DropReason::Panicked } else { DropReason::Closed };
        while let Some(parcel) = self.parcels.pop_front() {
            self.engine.queue.settle(parcel.batch, Settlement::dropped(reason));
        }
        if reason == DropReason::Closed {
            self.engine.queue.discard(reason);
        } else {
            self.engine.sender_died();
        }
    }
}

fn random() -> u64 {
    u64::from_ne_bytes(random::bytes())
}
