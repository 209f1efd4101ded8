//! The keeper thread: moves records from memory to the spool as soon as they come, and says where a batch ends. It
//! never waits for the network, so that a server that hangs does not keep records in memory.
//!
//! When the disk can't take any more, the keeper steps back and the sender takes batches from memory, as without a
//! spool; what is on disk goes first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use millpond_queue::{Asked, Batch, DropReason, Overflow, Spool, SpoolError, Taken};

use crate::{
    clock::Steady,
    diagnostics::{self, Complaint, Complaints},
    engine::Engine,
    limits::{
        SENDER_STACK_BYTES, SPOOL_DELAY, SPOOL_FULL_INTERVAL, SPOOL_IDLE, SPOOL_RETRY_INTERVAL,
    },
    thread,
};

/// What the sender must know of the keeper.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// The sender takes from memory.
    direct: AtomicBool,
    /// The keeper has ended: nothing more comes into the spool.
    ended: AtomicBool,
}

impl Handover {
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Acquire)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Starts a keeper.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn start(
    engine: &Arc<Engine>,
    spool: &Arc<Spool>,
    clock: Steady,
) -> std::io::Result<Arc<Handover>> {
    let handover = Arc::new(Handover::default());
    let keeper = Keeper {
        engine: Arc::clone(engine),
        spool: Arc::clone(spool),
        clock,
        handover: Arc::clone(&handover),
        // Whatever was asked for before is new to the keeper.
        asked: Asked::default(),
        pressed: false,
        written: Instant::now(),
        idle: true,
        complaints: Complaints::default(),
    };
    thread::start("millpond-spool", SENDER_STACK_BYTES, move || {
        diagnostics::own_this_thread();
        keeper.run();
    })?;
    Ok(handover)
}

struct Keeper {
    engine: Arc<Engine>,
    spool: Arc<Spool>,
    clock: Steady,
    handover: Arc<Handover>,
    /// What was asked for when the keeper looked last.
    asked: Asked,
    /// Somebody waits for all that is there to be sealed.
    pressed: bool,
    /// When records were last written.
    written: Instant,
    /// Nothing of the spool is left on disk.
    idle: bool,
    complaints: Complaints,
}

/// A keeper that panics leaves what is in memory to the sender.
impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handover.direct.store(true, Ordering::Release);
            self.handover.ended.store(true, Ordering::Release);
            self.spool.wake();
        }
    }
}

impl Keeper {
    fn run(mut self) {
        loop {
            // The first record after a pause is written at once.
            let delay = SPOOL_DELAY.saturating_sub(self.written.elapsed());
            match self.engine.queue.take_by(self.deadline(), Some(self.asked), delay) {
                Taken::Batch(batch) => {
                    self.written = Instant::now();
                    self.keep(batch);
                }
                Taken::Nothing => self.look_around(),
                Taken::Ended => break,
            }
            self.listen();
            if self.handover.has_ended() {
                return;
            }
        }
        self.end();
    }

    /// When there is something to do although no record comes.
    fn deadline(&self) -> Option<Instant> {
        if self.pressed {
            return Some(Instant::now());
        }
        match self.spool.unsealed().since {
            Some(since) => since.checked_add(self.engine.settings.delivery.due.age_max),
            None if self.idle => None,
            None => Instant::now().checked_add(SPOOL_IDLE),
        }
    }

    fn listen(&mut self) {
        let asked = self.engine.queue.asked();
        self.pressed |= asked != self.asked;
        self.asked = asked;
    }

    /// Writes a batch, after what would make it too large together with it.
    fn keep(&mut self, batch: Batch) {
        self.idle = false;
        if self.is_due(batch.entries(), batch.bytes() as u64) {
            self.seal();
        }
        match self.append(&batch) {
            Ok(()) => {
                self.complaints.clear(Complaint::Spool);
                self.engine.queue.spooled(batch);
                if self.is_due(0, 0) {
                    self.seal();
                }
            }
            Err(error) => self.step_back(batch, &error),
        }
    }

    /// Whether what is in the spool is a batch: because of its age, or because so much more would be too much for one,
    /// or, without any more, because it is one.
    fn is_due(&self, more_entries: u64, more_bytes: u64) -> bool {
        let due = &self.engine.settings.delivery.due;
        let unsealed = self.spool.unsealed();
        let Some(since) = unsealed.since else { return false };
        let least_over = u64::from(more_entries > 0);
        let entries = match more_entries {
            0 => due.entries_due.min(due.entries_max),
            _ => due.entries_max,
        };
        since.elapsed() >= due.age_max
            || unsealed.entries + more_entries >= entries + least_over
            || unsealed.bytes + more_bytes >= due.bytes_max as u64 + least_over
    }

    /// If the oldest are to go, they make room.
    fn append(&self, batch: &Batch) -> Result<(), SpoolError> {
        loop {
            let appended = self.spool.append(batch, self.clock.now());
            let may_drop = self.engine.settings.delivery.overflow == Overflow::DropOldest;
            if !may_drop || !matches!(appended, Err(SpoolError::Full { .. })) {
                return appended;
            }
            match self.spool.drop_oldest_segment() {
                0 => return appended,
                dropped => self.engine.queue.drop_spooled(dropped, DropReason::Overflow),
            }
        }
    }

    /// Nothing is due in memory: a batch ends here, or there has been nothing to do for a while.
    fn look_around(&mut self) {
        self.seal();
        if !self.pressed {
            // What can't be removed is found again after the next start.
            let _ = self.spool.retire();
            self.idle = self.spool.usage().records == 0;
        }
        self.pressed = false;
    }

    fn seal(&mut self) {
        match self.spool.seal() {
            Ok(_) => self.engine.queue.synced(),
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &SpoolError) {
        self.complaints.say(
            Complaint::Spool,
            &format_args!("the spool can't take records: {error}; they are kept in memory"),
        );
    }

    /// The spool did not take the batch. If it is only full, its oldest batches go first and there is room again;
    /// otherwise, and at the end, the sender takes what is in memory.
    fn step_back(&mut self, batch: Batch, error: &SpoolError) {
        self.engine.queue.put_back(batch);
        self.complain(error);
        self.seal();
        // Full, it has room again once something of it is delivered; if nothing is in it, it never has.
        let is_full = matches!(error, SpoolError::Full { .. }) && self.spool.usage().records > 0;
        let asked = self.engine.queue.asked();
        self.handover.direct.store(!is_full || asked.is_closed(), Ordering::Release);
        self.spool.wake();
        if asked.is_closed() {
            self.handover.ended.store(true, Ordering::Release);
            return;
        }
        let patience = if is_full { SPOOL_FULL_INTERVAL } else { SPOOL_RETRY_INTERVAL };
        self.engine.queue.pause(patience, asked, false);
        self.handover.direct.store(false, Ordering::Release);
    }

    /// The queue is closed and empty, or abandoned: what is left of it goes to the disk, if the disk takes it.
    fn end(&mut self) {
        while let Some(batch) = self.engine.queue.take_rest() {
            if let Err(error) = self.append(&batch) {
                self.complain(&error);
                self.engine.queue.put_back(batch);
                break;
            }
            self.engine.queue.spooled(batch);
        }
        self.seal();
        self.engine.queue.discard(DropReason::Closed);
        let _ = self.spool.retire();
        self.handover.ended.store(true, Ordering::Release);
        self.spool.wake();
    }
}
