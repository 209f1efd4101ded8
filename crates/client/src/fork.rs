//! What happens to a client when its process forks.
//!
//! A child has none of its parent's threads, and the records in the parent's queue are the parent's to deliver. So
//! each process has an engine of its own: queue, sender thread, connection, client id. A client that is used in a
//! child finds that its newest engine belongs to another process and makes another one; the parent's is left as it
//! was at the moment of the fork. It is not locked, joined, flushed or dropped, so that it doesn't matter in what
//! state the other threads of the parent left it: **there is nothing to do before a fork, and no lock to take.**
//!
//! To know its process, every call asks for the process id: 50 to 100 ns. A host that runs
//! [`after_in_child`] in every child (`pthread_atfork`, which also sees the forks of a C program around us, or
//! `os.register_at_fork`) says so once with [`trust_hooks`], and calls compare a number instead.

use std::sync::atomic::{AtomicU32, Ordering};

/// The id of this process if hooks keep it up to date, else 0.
static HOOKED: AtomicU32 = AtomicU32::new(0);

/// From now on [`after_in_child`] is called in the child after every fork of this process and its children, before
/// anything is logged there.
pub fn trust_hooks() {
    HOOKED.store(std::process::id(), Ordering::Relaxed);
}

/// To be called in the child. Takes no lock, allocates nothing, starts no thread: that is left to the first record.
pub fn after_in_child() {
    if HOOKED.load(Ordering::Relaxed) != 0 {
        HOOKED.store(std::process::id(), Ordering::Relaxed);
    }
}

/// The id of this process.
pub(crate) fn process() -> u32 {
    #[cfg(test)]
    if let Some(pretended) = pretend::PROCESS.get() {
        return pretended;
    }
    match HOOKED.load(Ordering::Relaxed) {
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
