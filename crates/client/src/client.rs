//! The client: what applications hold.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use millpond_queue::DropReason;
use millpond_record::{Level, Severity};

use crate::{
    BreakerState, BuildError, Builder, Event, Flow, FlowError, LineWriter, Metrics, Mode, clock,
    context::complete_from_context,
    diagnostics::{complain, is_own_thread},
    engine::{Engine, Lineage, Settings},
    flush::{FlushGuard, FlushOutcome},
    fork,
    metrics::Tally,
    read::Reader,
};

/// A least level above all levels.
const NO_LEVEL: u8 = u8::MAX;

/// Sends records to a Millpond server.
///
/// Cheap to clone; all clones are the same client. When the last one is dropped it waits for what is queued, up to
/// [`Builder::shutdown_timeout`]. A client that lives in a `static` or in a global subscriber is never dropped: end
/// with [`Client::close`].
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lineage: Lineage,
    settings: Arc<Settings>,
    level_min: AtomicU8,
    closed: AtomicBool,
}

/// A handle that does not keep the client alive: for hooks that stay for the life of the process.
#[derive(Clone, Debug)]
pub(crate) struct WeakClient(Weak<Shared>);

impl WeakClient {
    pub(crate) fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(|shared| Client { shared })
    }
}

impl Client {
    /// A builder with the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A client with the defaults and what the [environment](Builder::from_env) says.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn from_env() -> Result<Self, BuildError> {
        Builder::from_env().build()
    }

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.shared))
    }

    pub(crate) fn new(settings: Settings, level_min: Level) -> Self {
        let level_min = if settings.mode == Mode::Silent { NO_LEVEL } else { level_min as u8 };
        fork::watch();
        let settings = Arc::new(settings);
        let shared = Shared {
            lineage: Lineage::new(&settings),
            settings,
            level_min: AtomicU8::new(level_min),
            closed: AtomicBool::new(false),
        };
        let client = Self { shared: Arc::new(shared) };
        client.deliver_leftovers();
        client
    }

    /// What earlier processes left in the spool need not wait until this one logs something.
    fn deliver_leftovers(&self) {
        let settings = &self.shared.settings;
        if settings.mode == Mode::Normal && settings.delivery.spool_directory.is_some() {
            self.engine().start_once();
        }
    }

    /// Whether records of this level are recorded.
    #[must_use]
    pub fn is_enabled(&self, level: Level) -> bool {
        level as u8 >= self.shared.level_min.load(Ordering::Relaxed) && !is_own_thread()
    }

    /// Changes the least level that is recorded, from now on. A silent client stays silent.
    pub fn set_min_level(&self, level: Level) {
        if self.shared.settings.mode == Mode::Silent {
            return;
        }
        self.shared.level_min.store(level as u8, Ordering::Relaxed);
    }

    /// Begins a record of level `trace`.
    pub fn trace(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Trace, message)
    }

    /// Begins a record of level `debug`.
    pub fn debug(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Debug, message)
    }

    /// Begins a record of level `info`.
    pub fn info(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Info, message)
    }

    /// Begins a record of level `warn`.
    pub fn warn(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Warn, message)
    }

    /// Begins a record of level `error`.
    pub fn error(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Error, message)
    }

    /// Begins a record of level `critical`.
    pub fn critical(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Critical, message)
    }

    /// Begins a record of any level, or of one of the finer [`Severity`]s.
    pub fn log(&self, level: impl Into<Severity>, message: impl AsRef<str>) -> Event<'_> {
        self.event(level).with(|line| line.message(message.as_ref()))
    }

    /// Begins a record that says nothing yet.
    pub fn event(&self, level: impl Into<Severity>) -> Event<'_> {
        let severity = level.into();
        let line = self.is_enabled(severity.level()).then(|| self.begin(severity));
        Event::new(self, line)
    }

    /// Records what `write` writes, in one call: for bindings and bridges from other logging libraries. `write` is
    /// not called below the least level, and no lock is held while it runs; a panic in it costs the record.
    pub fn submit(&self, level: impl Into<Severity>, write: impl FnOnce(&mut LineWriter<'_>)) {
        let severity = level.into();
        if !self.is_enabled(severity.level()) {
            return;
        }
        let mut line = self.begin(severity);
        match catch_unwind(AssertUnwindSafe(|| write(&mut line))) {
            Ok(()) => self.finish(line),
            Err(_) => self.panicked(line),
        }
    }

    /// The record that would be sent, as JSON, for what `write` adds to a message: after redaction and
    /// [`Builder::before_send`], whatever the mode, the least level and sampling say. Nothing is sent, printed or
    /// counted. `None` if nothing would be sent.
    ///
    /// ```
    /// use millpond::{Client, Level};
    ///
    /// let client = Client::builder().exclude_fields(["body"]).build()?;
    /// let record = client.preview(Level::Info, "signed in", |line| {
    ///     line.field("Set-Cookie", "sid=1");
    ///     line.field("body", "…");
    /// });
    /// assert!(record.unwrap().ends_with(r#""fields":{"Set-Cookie":"[REDACTED]","body":"[EXCLUDED]"}}"#));
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    #[must_use]
    pub fn preview(
        &self,
        level: impl Into<Severity>,
        message: impl AsRef<str>,
        write: impl FnOnce(&mut LineWriter<'_>),
    ) -> Option<String> {
        self.preview_event(level, |line| {
            line.message(message.as_ref());
            write(line);
        })
    }

    /// As [`Self::preview`], for what `write` says, the message included.
    #[must_use]
    pub fn preview_event(
        &self,
        level: impl Into<Severity>,
        write: impl FnOnce(&mut LineWriter<'_>),
    ) -> Option<String> {
        let settings = &*self.shared.settings;
        let mut line = self.begin(level.into());
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut line))).is_ok();
        complete_from_context(&mut line, &settings.context);
        let kept =
            written && settings.pipeline.complete(&mut line, &settings.prefix, &Tally::default());
        let bytes = if kept { line.finish(|_, pieces| pieces.concat()) } else { None };
        line.recycle();
        let json = String::from_utf8(bytes?).ok()?;
        Some(json.trim_end().to_owned())
    }

    fn begin(&self, severity: Severity) -> LineWriter<'_> {
        LineWriter::begin(&self.shared.settings.policy, clock::now(), severity)
    }

    /// Takes a record that says all that the caller had to say through the pipeline to console and queue.
    pub(crate) fn finish(&self, mut line: LineWriter<'_>) {
        complete_from_context(&mut line, &self.shared.settings.context);
        let engine = self.engine();
        let (pipeline, prefix) = (&self.shared.settings.pipeline, &self.shared.settings.prefix);
        if pipeline.samples(&mut line) && pipeline.complete(&mut line, prefix, &engine.tally) {
            engine.push(&mut line);
        } else {
            Tally::add(&engine.tally.filtered, 1);
        }
        line.recycle();
    }

    /// Counts a record that a value of it did not let come to an end.
    pub(crate) fn panicked(&self, line: LineWriter<'_>) {
        self.engine().queue.refuse(DropReason::Panicked);
        line.recycle();
    }

    /// The engine of this process. A child inherits that the client was closed, and nothing else.
    fn engine(&self) -> &Arc<Engine> {
        let engine = self.shared.lineage.engine();
        if self.shared.closed.load(Ordering::Relaxed) {
            engine.queue.close();
        }
        engine
    }

    /// Begins a flow: a process of several steps, each of which is a record. Its id is made here.
    #[must_use]
    pub fn flow(&self, name: &str) -> Flow {
        Flow::begin(self, name)
    }

    /// Begins a flow whose id the server makes. Waits for the answer, as long as [`Builder::connect_timeout`] and
    /// [`Builder::request_timeout`] allow; nothing is tried twice.
    ///
    /// # Errors
    /// There is no answer, or it names no flow.
    pub fn flow_from_server(&self, name: &str) -> Result<Flow, FlowError> {
        Flow::ask(self, &self.shared.settings, name)
    }

    /// Goes on with a flow that was begun elsewhere, from the step that is next: see [`Flow::id`] and
    /// [`Flow::next_step`].
    #[must_use]
    pub fn resume_flow(&self, id: impl Into<String>, next_step: u32) -> Flow {
        Flow::new(self, id.into(), next_step)
    }

    /// Has everything sent that was logged before, and waits for it, at most for `timeout`.
    pub fn flush(&self, timeout: Duration) -> FlushOutcome {
        self.waited(|engine| engine.flushed(engine.queue.flush(timeout)))
    }

    /// As [`Self::flush`], but asks `goes_on` about every `interval` whether to wait any longer: for bindings whose
    /// host has to hear signals meanwhile.
    pub fn flush_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.waited(|engine| engine.flushed(engine.queue.flush_while(timeout, interval, goes_on)))
    }

    /// As [`Self::flush_while`], but no longer than something may come of it.
    pub(crate) fn flush_hopefully(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        let mut in_vain = false;
        let outcome = self.waited(|engine| {
            let flushed = engine.queue.flush_hopefully(timeout, interval, goes_on);
            in_vain = flushed.in_vain;
            engine.flushed(flushed.left)
        });
        FlushOutcome { in_vain, ..outcome }
    }

    /// What a flush would leave that ends at once. Nothing is asked for.
    pub(crate) fn unsettled(&self) -> FlushOutcome {
        self.waited(|engine| {
            let counters = engine.queue.counters();
            counters.queued + counters.spooled
        })
    }

    /// Queues an entry in the form of a server other than ours; whether it was.
    pub(crate) fn ship(&self, entry: &[u8]) -> bool {
        self.engine().ship(entry)
    }

    /// Flushes when the guard is dropped: for a function whose process is frozen as soon as it has returned (AWS
    /// Lambda, Cloud Run), where what the sender would send later waits until somebody calls again.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let client = millpond::Client::builder().build()?;
    /// fn handle(client: &millpond::Client) {
    ///     let _flushed = client.flush_on_drop(Duration::from_secs(2));
    ///     client.info("handled").send();
    /// }
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    pub fn flush_on_drop(&self, timeout: Duration) -> FlushGuard<'_> {
        FlushGuard::new(self, timeout)
    }

    /// Takes no more records, and waits until all are delivered, at most for `timeout`. Then the sender is told to
    /// stop; what it can't deliver with the request that it may be in the middle of is counted as dropped. Records
    /// that are logged from now on are dropped and counted.
    pub fn close(&self, timeout: Duration) -> FlushOutcome {
        self.shared.close(|engine| engine.close(timeout))
    }

    /// Waits until everything that was logged before is synced to the disk by the [spool](Builder::spool) or
    /// delivered, at most for `timeout`: how many records are neither. Without a spool this is a [flush](Self::flush).
    pub fn persist(&self, timeout: Duration) -> FlushOutcome {
        self.waited(|engine| engine.queue.persist(timeout))
    }

    /// As [`Self::close`], but asks `goes_on` about every `interval` whether to wait any longer.
    pub fn close_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.shared.close(|engine| engine.close_while(timeout, interval, goes_on))
    }

    /// As [`Self::persist`], but asks `goes_on` about every `interval` whether to wait any longer.
    pub fn persist_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.waited(|engine| engine.queue.persist_while(timeout, interval, goes_on))
    }

    fn waited(&self, wait: impl FnOnce(&Engine) -> u64) -> FlushOutcome {
        let engine = self.shared.lineage.existing_engine();
        engine.map(|engine| FlushOutcome::new(wait(engine), engine)).unwrap_or_default()
    }

    /// Reads from the server that this client sends to, with the same settings and over connections of its own.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared.settings))
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.shared.settings)
    }

    /// The account of this process so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.lineage.existing_engine().map(|engine| engine.metrics()).unwrap_or_default()
    }

    /// Has what waits sent at once, though no batch is full or old enough. Waits for nothing, and cuts no pause after a
    /// failure short, as a flush does.
    pub(crate) fn hasten(&self) {
        if let Some(engine) = self.shared.lineage.existing_engine() {
            engine.hasten();
        }
    }

    /// Begins to count anew. Records that have no fate yet count as accepted, so that the account stays balanced.
    pub fn reset_metrics(&self) {
        if let Some(engine) = self.shared.lineage.existing_engine() {
            engine.reset_metrics();
        }
    }

    /// What the circuit breaker between this process and the server lets pass.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.shared
            .lineage
            .existing_engine()
            .map(|engine| engine.tally.breaker())
            .unwrap_or_default()
    }
}

impl Shared {
    fn close(&self, close: impl FnOnce(&Engine) -> u64) -> FlushOutcome {
        self.closed.store(true, Ordering::Relaxed);
        let Some(engine) = self.lineage.existing_engine() else { return FlushOutcome::default() };
        FlushOutcome::new(close(engine), engine)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // In a child that has logged nothing this finds no engine: the parent's is not touched (dd-trace-py#18856).
        let timeout = self.settings.delivery.shutdown_timeout;
        let lost = self.close(|engine| engine.close(timeout)).at_risk();
        if lost > 0 {
            // Nobody is left who could ask for it.
            complain(&format_args!(
                "{lost} records were not delivered before the client was dropped"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        Client, DropReason, Level, diagnostics::own_this_thread, engine::START_ATTEMPT_INTERVAL,
        fork::pretend,
    };

    /// Nothing listens on the discard port of this machine.
    fn client() -> Client {
        let builder =
            Client::builder().endpoint("http://127.0.0.1:9").shutdown_timeout(Duration::ZERO);
        builder.build().unwrap()
    }

    #[test]
    fn a_forked_child_begins_with_an_empty_account_and_leaves_the_parent_alone() {
        let client = client();
        client.info("of the parent").send();
        let parent = std::process::id();
        for child in [parent + 1, parent + 2] {
            pretend::PROCESS.set(Some(child));
            assert_eq!(client.metrics().accepted, 0);
            assert!(client.flush(Duration::ZERO).is_complete());
            client.info("of the child").send();
            client.info("of the child").send();
            assert_eq!(client.metrics().accepted, 2);
        }
        // A grandchild whose id is that of its grandparent, which is gone.
        pretend::PROCESS.set(Some(parent));
        assert_eq!(client.metrics().accepted, 0);
        pretend::PROCESS.set(None);
    }

    #[test]
    fn what_our_own_thread_logs_is_nothing() {
        let client = client();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                own_this_thread();
                client.info("about our work").send();
                client.submit(Level::Error, |_| panic!("not called"));
            });
        });
        assert_eq!(client.metrics().accepted, 0);
    }

    #[test]
    fn a_sender_that_died_is_followed_by_another_one() {
        let client = client();
        client.info("starts one").send();
        let engine = client.engine();
        assert!(engine.is_running());
        engine.sender_died();
        assert!(!engine.is_running());
        for _ in 0..START_ATTEMPT_INTERVAL {
            client.info("one of these starts another").send();
        }
        assert!(engine.is_running());
    }

    #[test]
    fn a_child_of_a_closed_client_is_closed() {
        let client = client();
        let _ = client.close(Duration::ZERO);
        pretend::PROCESS.set(Some(1));
        client.info("too late").send();
        let metrics = client.metrics();
        pretend::PROCESS.set(None);
        assert_eq!((metrics.accepted, metrics.dropped.get(DropReason::Closed)), (1, 1));
    }
}
