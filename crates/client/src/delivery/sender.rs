//! The sender thread: takes batches, in their order, and does not let go of one before its fate is known. The batch
//! that failed goes first; those behind it wait.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use millpond_queue::{Asked, DropReason, Settlement};
use millpond_wire::{Compression, Compressor, Refusal, Verdict};
use ureq::http::StatusCode;

use crate::{
    clock,
    delivery::backoff::Backoff,
    delivery::breaker::Breaker,
    delivery::parcel::Parcel,
    delivery::supply::{Source, Supply},
    delivery::transport::{Posted, Transport},
    diagnostics::{Complaint, Complaints},
    engine::Engine,
    envelope::Failure,
    limits::{CLOSING_DELAY_MAX, FAILURE_BODY_BYTES_MAX, REFUSALS_MAX},
    metrics::Tally,
    random,
};

/// What came of an attempt.
#[derive(Debug, Default)]
struct Outcome {
    status: Option<u16>,
    body: String,
    /// Why there was no answer.
    unreachable: String,
}

impl Outcome {
    fn message(&self) -> String {
        let Some(status) = self.status else { return self.unreachable.clone() };
        let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        format!("the server answered {status} {}", known.unwrap_or_default()).trim_end().to_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Sender {
    engine: Arc<Engine>,
    supply: Supply,
    transport: Transport,
    compressor: Compressor,
    compression: Compression,
    /// Where the batch comes from that the parcels are parts of.
    source: Source,
    /// What is left of the batch; the first one is tried.
    parcels: VecDeque<Parcel>,
    /// What came of the last attempt.
    outcome: Outcome,
    /// The body of the first parcel, the same for all of its attempts; empty when it is not there yet.
    body: Vec<u8>,
    /// What was asked for before the last attempt.
    asked: Asked,
    backoff: Backoff,
    breaker: Breaker,
    /// Parcels that were refused one after the other.
    refusals: u32,
    complaints: Complaints,
}

impl Sender {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let mut complaints = Complaints::default();
        let supply = Supply::open(&engine, &mut complaints);
        let settings = &engine.settings;
        Self {
            supply,
            transport: Transport::new(settings),
            compressor: Compressor::default(),
            compression: settings.delivery.compression.unwrap_or_default(),
            source: Source::Memory,
            parcels: VecDeque::new(),
            outcome: Outcome::default(),
            body: Vec::new(),
            asked: Asked::default(),
            backoff: Backoff::new(
                settings.delivery.retry_delay_first,
                settings.delivery.retry_delay_max,
            ),
            breaker: Breaker::new(
                settings.delivery.breaker_threshold,
                settings.delivery.breaker_reset,
            ),
            refusals: 0,
            complaints,
            engine,
        }
    }

    /// Sends until the queue is closed and empty, or abandoned.
    pub(crate) fn run(mut self) {
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
        let Some(load) = self.supply.next(&self.engine, &mut self.complaints) else { return false };
        self.refusals = 0;
        self.source = load.source;
        self.parcels.push_back(load.parcel);
        true
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
        self.breaker.attempt();
        tally.set_breaker(self.breaker.state());
        let settings = &self.engine.settings;
        let mut write = |compression, out: &mut Vec<u8>| {
            let parts = parcel.batch.parts();
            match &settings.envelope {
                None => self.compressor.compress(compression, parts, out),
                Some(envelope) => self.compressor.compress(compression, envelope.body(parts), out),
            }
        };
        if self.body.is_empty() && write(self.compression, &mut self.body).is_err() {
            self.body.clear();
            self.compression = Compression::None;
            // Nothing is left that could fail.
            let _ = write(Compression::None, &mut self.body);
        }
        let begun = Instant::now();
        // A bug in what is below must not cost the thread, and with it the records.
        let posted = catch_unwind(AssertUnwindSafe(|| {
            let batch = (&parcel.key(), parcel.batch.entries());
            self.transport.post(settings, batch, self.compression, &self.body, clock::wall)
        }));
        match posted {
            Ok(Ok(Posted { verdict, status, body })) => {
                self.outcome = Outcome { status: Some(status), body, unreachable: String::new() };
                tally.answered_after(begun.elapsed());
                Tally::add(&tally.sent_bytes, self.body.len() as u64);
                Tally::add(&tally.encoded_bytes, parcel.batch.bytes() as u64);
                verdict
            }
            Ok(Err(error)) => self.unreachable(&error),
            Err(_) => {
                self.transport = Transport::new(settings);
                self.unreachable(&"the HTTP library panicked")
            }
        }
    }

    fn unreachable(&mut self, reason: &dyn fmt::Display) -> Verdict {
        let message = format!("can't reach {}: {reason}", self.engine.settings.address.url);
        self.complaints.say(Complaint::Unreachable, &format_args!("{message}"));
        self.outcome = Outcome { unreachable: message, ..Outcome::default() };
        Verdict::Retry { after: None }
    }

    /// Decides what becomes of the first parcel.
    fn follow(&mut self, verdict: Verdict) {
        if !matches!(verdict, Verdict::Delivered { .. }) {
            Tally::add(&self.engine.tally.errors, 1);
        }
        if !matches!(verdict, Verdict::Retry { .. }) {
            // Whatever it says, the server is there.
            self.breaker.succeeded();
            self.engine.tally.set_breaker(self.breaker.state());
        }
        match verdict {
            Verdict::Delivered { accepted, rejected } => self.delivered(accepted, rejected),
            Verdict::Retry { after } => self.failed(after),
            Verdict::Refused(Refusal::TooLarge) => self.split(DropReason::TooLarge),
            Verdict::Refused(Refusal::UnsupportedEncoding) => self.compress_otherwise(),
            Verdict::Refused(refusal) if refusal.is_settings() => self.settings_refused(refusal),
            Verdict::Refused(refusal) => self.refused(refusal),
        }
    }

    fn delivered(&mut self, accepted: u64, rejected: u64) {
        Tally::add(&self.engine.tally.batches, 1);
        self.backoff.reset();
        self.refusals = 0;
        self.complaints.clear(Complaint::Settings);
        if rejected > 0 {
            self.complaints
                .say(Complaint::Rejected, &format_args!("the server rejected {rejected} records"));
            self.report(&format!("the server rejected {rejected} entries"), rejected, true);
        }
        // Before somebody is told that all is delivered, so that who flushes once more has the report delivered as well;
        // and again, since this batch may have lost something itself.
        self.engine.report_losses(false);
        self.settle(Settlement { delivered: accepted, rest: DropReason::Rejected });
        self.engine.report_losses(false);
    }

    /// There was no answer, or one that asks for another try.
    fn failed(&mut self, asked: Option<Duration>) {
        let opened = self.breaker.failed();
        let tally = &self.engine.tally;
        tally.set_breaker(self.breaker.state());
        if let Some((_, true)) = opened {
            Tally::add(&tally.breaker_trips, 1);
        }
        let attempts = self.parcels.front().map_or(0, |parcel| parcel.attempts);
        let exhausted =
            self.engine.settings.delivery.attempts_max.is_some_and(|max| attempts >= max);
        self.report_first(exhausted);
        if exhausted {
            self.settle(Settlement::dropped(DropReason::Exhausted));
        }
        if opened.is_some() {
            self.engine.queue.in_vain(self.asked);
        }
        let delay = self.backoff.next(random::u64() as u32, asked);
        let delay = delay.max(opened.map_or(Duration::ZERO, |(reset, _)| reset));
        let queue = &self.engine.queue;
        if asked.is_some() {
            queue.pause_as_told(delay, self.asked);
        } else if queue.asked().is_closed() {
            queue.pause(delay.min(CLOSING_DELAY_MAX), self.asked, true);
        } else {
            queue.pause(delay, self.asked, true);
        }
    }

    /// The key or the address is wrong. Nothing more is sent, but for one try now and then whether someone has
    /// corrected them.
    fn settings_refused(&mut self, refusal: Refusal) {
        let settings = Arc::clone(&self.engine.settings);
        if settings.envelope.as_ref().is_some_and(|envelope| envelope.drops_refused) {
            self.say_refused(refusal);
            return self.give_up();
        }
        let refusal = self.reason(refusal);
        self.complaints.say(
            Complaint::Settings,
            &format_args!(
                "{} refuses all batches: {refusal}; records are kept as long as there is room",
                settings.address.url
            ),
        );
        self.report_first(false);
        self.engine.queue.in_vain(self.engine.queue.asked());
        let delay = settings.delivery.retry_delay_max;
        self.engine.queue.pause(delay, self.asked, true);
    }

    /// The server did not understand the parcel. It is cut up until the record at fault is alone, unless it seems that
    /// none of them ever will be understood.
    fn refused(&mut self, refusal: Refusal) {
        self.say_refused(refusal);
        self.refusals += 1;
        if self.refusals < REFUSALS_MAX {
            return self.split(DropReason::Rejected);
        }
        self.give_up();
    }

    fn say_refused(&mut self, refusal: Refusal) {
        let refusal = self.reason(refusal);
        self.complaints.say(
            Complaint::Refused,
            &format_args!(
                "the server refused a batch: {refusal}; what it refuses alone is dropped"
            ),
        );
    }

    /// Drops what is left of the batch.
    fn give_up(&mut self) {
        let records = self.parcels.iter().map(|parcel| parcel.batch.entries()).sum();
        self.report(&self.outcome.message(), records, true);
        while !self.parcels.is_empty() {
            self.settle(Settlement::dropped(DropReason::Refused));
        }
    }

    /// Halves the first parcel. A single record is dropped.
    fn split(&mut self, reason: DropReason) {
        self.body.clear();
        self.report_first(self.first_records() < 2);
        let Some(parcel) = self.parcels.pop_front() else { return };
        match parcel.split() {
            Ok((first, second)) => {
                self.parcels.push_front(second);
                self.parcels.push_front(first);
            }
            Err(single) => {
                self.parcels.push_front(single);
                self.settle(Settlement::dropped(reason));
            }
        }
    }

    fn compress_otherwise(&mut self) {
        match self.compression.fallback() {
            Some(simpler) => {
                self.report_first(false);
                self.body.clear();
                self.compression = simpler;
            }
            // Then it is the content that is not to the taste of a server that is not ours.
            None if self.engine.settings.envelope.is_some() => self.refused(Refusal::BadRequest),
            None => self.give_up(),
        }
    }

    fn first_records(&self) -> u64 {
        self.parcels.front().map_or(0, |parcel| parcel.batch.entries())
    }

    /// Why a server refuses: one that is not ours has its own reasons.
    fn reason(&self, refusal: Refusal) -> String {
        match self.engine.settings.envelope {
            None => refusal.to_string(),
            Some(_) => self.outcome.message(),
        }
    }

    /// Tells who wants to hear of it that the last attempt failed for the first parcel.
    fn report_first(&self, dropped: bool) {
        self.report(&self.outcome.message(), self.first_records(), dropped);
    }

    /// Tells who wants to hear of it what is wrong with so many records.
    fn report(&self, message: &str, records: u64, dropped: bool) {
        let envelope = self.engine.settings.envelope.as_ref();
        let Some(hook) = envelope.and_then(|envelope| envelope.on_failure.as_ref()) else { return };
        let body = &self.outcome.body;
        let failure = Failure {
            status: self.outcome.status,
            message,
            body: body.get(..body.floor_char_boundary(FAILURE_BODY_BYTES_MAX)).unwrap_or(body),
            records,
            attempt: self.parcels.front().map_or(0, |parcel| parcel.attempts),
            dropped,
        };
        // A bug in it must not cost the thread, and with it the entries.
        let _ = catch_unwind(AssertUnwindSafe(|| hook(&failure)));
    }

    /// Decides the fate of the first parcel.
    fn settle(&mut self, settlement: Settlement) {
        self.body.clear();
        if let Some(parcel) = self.parcels.pop_front() {
            let is_last = self.parcels.is_empty();
            self.supply.settle(&self.engine, &self.source, parcel.batch, settlement, is_last);
        }
    }
}

/// No record is left without a fate, whatever the thread ends for.
impl Drop for Sender {
    fn drop(&mut self) {
        let reason = if thread::panicking() { DropReason::Panicked } else { DropReason::Closed };
        let parts = self.parcels.drain(..).map(|parcel| parcel.batch).collect();
        self.supply.give_up(&self.engine, &self.source, parts, reason);
        if reason == DropReason::Closed {
            self.supply.close(&self.engine);
        }
    }
}
