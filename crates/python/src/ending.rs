//! The end of the interpreter, while daemon threads go on.
//!
//! Up to Python 3.13 a daemon thread that asks for the interpreter after its end is ended by the C library, which
//! unwinds through our frames if it came from there, and aborts the process at them. A thread asks when it runs Python
//! code: in a log call that is code of the application, such as a `__str__`. So the end waits for the log calls of other
//! threads, and from then on only the thread that ends the program runs such code. The others are not stopped, since the
//! program may yet wait for one of them; they log plainly, without what only code of the application could tell.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Instant,
};

use crate::limits::{ENDING_INTERVAL, ENDING_TIME_MAX};

static ENDING: AtomicBool = AtomicBool::new(false);
/// Log calls that may run code of the application and have not returned, of all threads.
static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this is the thread that ends the program.
    static ENDS: Cell<bool> = const { Cell::new(false) };
    /// Whether the log call of this thread is a plain one.
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// A log call, until it is dropped.
pub(crate) struct LogCall;

impl LogCall {
    pub(crate) fn enter() -> Self {
        // In this order: whoever ends sees the call, or the call sees the end.
        OPEN.fetch_add(1, SeqCst);
        if ENDING.load(SeqCst) && !ENDS.get() {
            PLAIN.set(true);
        }
        Self
    }
}

impl Drop for LogCall {
    fn drop(&mut self) {
        PLAIN.set(false);
        // In a child that was forked inside of the call it was counted for the parent alone.
        let _ = OPEN.fetch_update(SeqCst, SeqCst, |open| open.checked_sub(1));
    }
}

/// Whether the log call of this thread must run no code of the application.
pub(crate) fn is_plain() -> bool {
    PLAIN.get()
}

/// From now on the log calls of all threads but this one are plain. Waits for those that are not, though not for ever:
/// to be called without the interpreter, which they need.
pub(crate) fn begin() {
    ENDS.set(true);
    ENDING.store(true, SeqCst);
    let started = Instant::now();
    while OPEN.load(SeqCst) > 0 && started.elapsed() < ENDING_TIME_MAX {
        thread::park_timeout(ENDING_INTERVAL);
    }
}

/// A forked child begins anew: the calls of other threads are not in it, and its end is another one.
pub(crate) fn after_fork() {
    ENDS.set(false);
    ENDING.store(false, SeqCst);
    OPEN.store(0, SeqCst);
}
