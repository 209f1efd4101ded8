//! What one process has of a client: a queue, and the thread that empties it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use millpond_queue::{DropReason, Due, Limits, Overflow, Queue};
use millpond_wire::Compression;

use crate::{
    LineWriter, Metrics, Mode, console::Printer, content::Policy, fork, limits::SENDER_STACK_BYTES,
    line::Prefix, metrics::Tally, pipeline::Pipeline, sender::Sender,
};

/// Records that go by before starting the thread is tried again: it costs more than a record may.
const START_ATTEMPT_INTERVAL: u32 = 64;

/// What the builder decided.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where batches are posted to.
    pub(crate) url: String,
    pub(crate) api_key: Option<String>,
    pub(crate) compression: Compression,
    pub(crate) limits: Limits,
    pub(crate) overflow: Overflow,
    pub(crate) due: Due,
    pub(crate) retry_delay_first: Duration,
    pub(crate) retry_delay_max: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) prefix: Prefix,
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
    process: u32,
    running: AtomicBool,
    start_attempts: AtomicU32,
}

impl Engine {
    fn new(settings: &Arc<Settings>, process: u32) -> Arc<Self> {
        Arc::new(Self {
            settings: Arc::clone(settings),
            queue: Queue::new(settings.limits, settings.overflow, settings.due),
            tally: Tally::default(),
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
        let thread =
            thread::Builder::new().name("millpond".to_owned()).stack_size(SENDER_STACK_BYTES);
        // The handle is let go: nobody joins the thread, least of all a forked child, where it would be a ghost
        // (dd-trace-py#18901).
        if thread.spawn(move || Sender::new(engine).run()).is_err() {
            self.sender_died();
        }
    }

    /// Has one of the next records start another sender.
    pub(crate) fn sender_died(&self) {
        Tally::add(&self.tally.errors, 1);
        self.running.store(false, Ordering::Relaxed);
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.tally.metrics(self.queue.counters())
    }
}

/// The engines of a client: its own process's at the end, in front of it those of the processes that it was forked
/// from, which nobody touches.
#[derive(Debug)]
pub(crate) struct Lineage {
    engine: Arc<Engine>,
    child: OnceLock<Box<Lineage>>,
}

impl Lineage {
    pub(crate) fn new(settings: &Arc<Settings>) -> Self {
        Self { engine: Engine::new(settings, fork::process()), child: OnceLock::new() }
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
