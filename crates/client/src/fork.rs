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

use std::sync::{
    Mutex, MutexGuard, PoisonError, TryLockError,
    atomic::{AtomicU8, AtomicU32, Ordering},
};

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

/// A mutex for what threads of one process share, which a forked child never waits for: the thread that held it at the
/// moment of the fork is not there to let go of it.
#[derive(Debug)]
pub(crate) struct ForkMutex<T> {
    /// The process that it was made in; 0 for the one in which it is first locked.
    process: AtomicU32,
    value: Mutex<T>,
}

impl<T> ForkMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { process: AtomicU32::new(process()), value: Mutex::new(value) }
    }

    /// For a `static`.
    pub(crate) const fn of_first_process(value: T) -> Self {
        Self { process: AtomicU32::new(0), value: Mutex::new(value) }
    }

    /// Waits for the lock, but in a child of the process only if it is free: `None` if it is not.
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, T>> {
        let own = process();
        let first = self.process.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
        match first {
            Err(owner) if owner != own => match self.value.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            },
            _ => Some(self.value.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_wait_for_a_lock_that_was_held_when_it_was_forked() {
        let parent = std::process::id();
        let mutex = ForkMutex::of_first_process(1);
        let held = mutex.lock().unwrap();
        pretend::PROCESS.set(Some(parent + 1));
        assert!(mutex.lock().is_none());
        drop(held);
        assert_eq!(mutex.lock().as_deref(), Some(&1));
        let own = ForkMutex::new(2);
        assert_eq!(own.lock().as_deref(), Some(&2));
        pretend::PROCESS.set(None);
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
