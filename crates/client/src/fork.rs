//! What happens to a client when its process forks.
//!
//! A child has none of its parent's threads, and the records in the parent's queue are the parent's to deliver. So
//! each process has an engine of its own: queue, sender thread, connection, spool, client id. A client that is used in
//! a child finds that its newest engine belongs to another process and makes another one; the parent's is left as it
//! was at the moment of the fork. It is not locked, joined, flushed or dropped, so that it doesn't matter in what
//! state the other threads of the parent left it: **there is nothing to do before a fork, and no lock to take.**
//!
//! To know its process by asking for the process id costs every call 50 to 100 ns. So the first client of a process
//! has the C library tell of every fork, those of Python and of a C program around us, such as uWSGI, included
//! (dd-trace-py#19889); then a call compares a number. Where that can't be had, calls ask. A child that was made by
//! the bare system call `clone`, past the C library, is not told of.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The id of this process if it is kept up to date, else 0.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Has the id of this process kept up to date from now on, here and in all children.
pub(crate) fn watch() {
    const NEW: u8 = 0;
    const BEGUN: u8 = 1;
    // No `Once`: a child that was forked in the middle of it would wait for ever.
    static STATE: AtomicU8 = AtomicU8::new(NEW);
    if STATE.swap(BEGUN, Ordering::Relaxed) == NEW && hook() {
        PROCESS.store(std::process::id(), Ordering::Relaxed);
    }
}

#[cfg(unix)]
fn hook() -> bool {
    extern "C" fn child() {
        PROCESS.store(std::process::id(), Ordering::Relaxed);
    }
    // SAFETY: `pthread_atfork` only stores the pointer, and the C library forgets it when the library that holds
    // `child` is unloaded. `child` may run where only async-signal-safe functions may: it stores one number that
    // `getpid` returns, takes no lock, allocates nothing and can't panic.
    #[expect(unsafe_code, reason = "there is no safe way to hear of every fork")]
    let result = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    result == 0
}

#[cfg(not(unix))]
fn hook() -> bool {
    false
}

/// The id of this process.
pub(crate) fn process() -> u32 {
    #[cfg(test)]
    if let Some(pretended) = pretend::PROCESS.get() {
        return pretended;
    }
    match PROCESS.load(Ordering::Relaxed) {
        0 => std::process::id(),
        process => process,
    }
}

#[cfg(test)]
pub(crate) mod pretend {
    //! Lets a test be another process.
    use std::cell::Cell;

    thread_local! {
        pub(crate) static PROCESS: Cell<Option<u32>> = const { Cell::new(None) };
    }
}
