//! What one process has of a client: a queue, and the thread that empties it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use millpond_queue::{DropReason, Pushed, Queue};
use once_cell::race::OnceBox;

use crate::{
    LineWriter, Metrics, Mode,
    address::Address,
    clock,
    console::Printer,
    content::Policy,
    context::ContextSettings,
    delivery,
    delivery::loss::{LossReport, LossReports},
    delivery::sender::Sender,
    delivery::supply::Spooling,
    diagnostics::{is_own_thread, own_this_thread},
    envelope::Sealed,
    fork,
    limits::{HOOK_STACK_BYTES, RECORD_BYTES_MAX, SENDER_STACK_BYTES, SPOOL_GRACE},
    line::Prefix,
    metrics::Tally,
    pipeline::Pipeline,
    thread::start,
};

/// Records that go by before starting the thread is tried again: it costs more than a record may.
pub(crate) const START_ATTEMPT_INTERVAL: u32 = 64;

/// What the builder decided.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) address: Address,
    /// For a server other than Millpond's.
    pub(crate) envelope: Option<Sealed>,
    pub(crate) delivery: delivery::Options,
    pub(crate) prefix: Prefix,
    pub(crate) context: ContextSettings,
    pub(crate) policy: Policy,
    pub(crate) pipeline: Pipeline,
    pub(crate) mode: Mode,
    pub(crate) printer: Option<Printer>,
}

/// A client in one process.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) queue: Queue,
    pub(crate) tally: Tally,
    losses: Mutex<LossReports>,
    /// Opened by the sender; one that is started after it died finds it here.
    spooling: OnceLock<Option<Spooling>>,
    process: u32,
    running: AtomicBool,
    start_attempts: AtomicU32,
}

impl Engine {
    fn new(settings: &Arc<Settings>, process: u32) -> Arc<Self> {
        let delivery = &settings.delivery;
        Arc::new(Self {
            settings: Arc::clone(settings),
            queue: Queue::new(delivery.limits, delivery.overflow, delivery.due),
            tally: Tally::default(),
            losses: Mutex::default(),
            spooling: OnceLock::new(),
            process,
            running: AtomicBool::new(false),
            start_attempts: AtomicU32::new(0),
        })
    }

    /// Prints a completed line, if there is a console, and queues it.
    pub(crate) fn push(self: &Arc<Self>, line: &mut LineWriter<'_>) {
        let settings = &*self.settings;
        let is_local = line.is_local_only() || settings.mode != Mode::Normal;
        let pushed = line.finish(|level, pieces| {
            if let Some(printer) = &settings.printer {
                printer.print(level, pieces);
            }
            if !is_local {
                self.queue.push(pieces);
            }
        });
        self.tally.withheld(line.counts());
        if is_local {
            return Tally::add(&self.tally.filtered, 1);
        }
        if pushed.is_none() {
            self.queue.refuse(DropReason::TooLarge);
        }
        self.start_once();
    }

    /// Queues an entry in the form of a server other than ours; whether it was.
    pub(crate) fn ship(self: &Arc<Self>, entry: &[u8]) -> bool {
        if self.settings.mode != Mode::Normal {
            Tally::add(&self.tally.filtered, 1);
            return true;
        }
        let pushed = match entry.len() {
            0 | RECORD_BYTES_MAX.. => self.queue.refuse(DropReason::TooLarge),
            // The sender can't wait for itself.
            _ if is_own_thread() => self.queue.push_at_once(&[entry, b"\n"]),
            _ => self.queue.push(&[entry, b"\n"]),
        };
        self.start_once();
        pushed == Pushed::Queued
    }

    /// What a flush left, passed on. If that is nothing, the process may end at once and nobody will come back to the
    /// spool's file: it goes now, lest the next process send all of it again.
    pub(crate) fn flushed(&self, left: u64) -> u64 {
        if left == 0
            && let Some(Some(spooling)) = self.spooling.get()
        {
            spooling.retire();
        }
        left
    }

    /// Starts the sender, if there is none.
    pub(crate) fn start_once(self: &Arc<Self>) {
        if !self.running.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        let attempts = self.start_attempts.fetch_add(1, Ordering::Relaxed);
        if !attempts.is_multiple_of(START_ATTEMPT_INTERVAL)
            || self.running.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let engine = Arc::clone(self);
        // Nobody joins the thread, least of all a forked child, where it would be a ghost (dd-trace-py#18901).
        let envelope = self.settings.envelope.as_ref();
        let calls_out = envelope.is_some_and(|envelope| envelope.on_failure.is_some());
        let stack_bytes = if calls_out { HOOK_STACK_BYTES } else { SENDER_STACK_BYTES };
        let started = start("millpond", stack_bytes, move || {
            own_this_thread();
            let _watch = Watch(Arc::clone(&engine));
            Sender::new(engine).run();
        });
        if started.is_err() {
            self.sender_died();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Has one of the next records start another sender.
    pub(crate) fn sender_died(&self) {
        Tally::add(&self.tally.errors, 1);
        self.running.store(false, Ordering::Relaxed);
    }

    /// The spool of this process; `open` opens it if there is to be one.
    pub(crate) fn spooling(
        &self,
        open: impl FnOnce(&Path) -> Option<Spooling>,
    ) -> Option<Spooling> {
        let directory = self.settings.delivery.spool_directory.as_deref();
        self.spooling.get_or_init(|| directory.and_then(open)).clone()
    }

    /// Takes no more records, waits for those that are there, and has the sender end. How many are left.
    pub(crate) fn close(&self, timeout: Duration) -> u64 {
        self.close_while(timeout, timeout, || true)
    }

    /// The same, for as long as `goes_on` says so.
    pub(crate) fn close_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> u64 {
        self.report_losses(true);
        self.queue.close();
        let left = self.queue.flush_while(timeout, interval, goes_on);
        if left > 0 && self.settings.delivery.spool_directory.is_some() {
            self.queue.persist(SPOOL_GRACE);
        }
        self.queue.abandon();
        left
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.tally.metrics(self.queue.counters())
    }

    pub(crate) fn hasten(&self) {
        self.queue.hasten();
    }

    pub(crate) fn reset_metrics(&self) {
        self.queue.reset_counters();
        self.tally.reset();
    }

    /// Queues a record of what was lost since the last one, if there is something to tell.
    pub(crate) fn report_losses(&self, last_chance: bool) {
        if !self.settings.delivery.loss_reports {
            return;
        }
        let dropped = self.queue.counters().dropped;
        let report = self.losses.lock().unwrap_or_else(PoisonError::into_inner).due(
            dropped,
            last_chance,
            clock::now(),
            Instant::now(),
        );
        if let Some(report) = report {
            let settings = &*self.settings;
            let level = LossReport::LEVEL.into();
            let mut line = LineWriter::begin(&settings.policy, clock::now(), level);
            report.write(&mut line);
            line.complete(&settings.prefix);
            // It is far below every limit.
            let _ = line.finish(|_, pieces| self.queue.push_beyond_limits(pieces));
            line.recycle();
        }
    }
}

/// Sees to it that a sender that panics is followed by another one, also if it was not even made.
struct Watch(Arc<Engine>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.sender_died();
        }
    }
}

/// The engines of a client: its own process's at the end, in front of it those of the processes that it was forked
/// from, which nobody touches.
#[derive(Debug)]
pub(crate) struct Lineage {
    engine: Arc<Engine>,
    /// Not a `OnceLock`: a process may be forked while one of its threads sets it, and its child would wait for ever.
    child: OnceBox<Lineage>,
}

impl Lineage {
    pub(crate) fn new(settings: &Arc<Settings>) -> Self {
        Self { engine: Engine::new(settings, fork::process()), child: OnceBox::new() }
    }

    fn youngest(&self) -> &Self {
        let mut lineage = self;
        while let Some(child) = lineage.child.get() {
            lineage = child;
        }
        lineage
    }

    /// The engine of this process; if there is none yet, a new one. The youngest engine decides: an older one may
    /// have belonged to a process with the same id that is long gone.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        let youngest = self.youngest();
        if youngest.engine.process == fork::process() {
            return &youngest.engine;
        }
        let child = youngest.child.get_or_init(|| Box::new(Self::new(&youngest.engine.settings)));
        &child.engine
    }

    /// The engine of this process, if something was logged in it.
    pub(crate) fn existing_engine(&self) -> Option<&Arc<Engine>> {
        let engine = &self.youngest().engine;
        (engine.process == fork::process()).then_some(engine)
    }
}
