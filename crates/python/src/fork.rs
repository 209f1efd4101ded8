//! Tells the engine of forks: `os.fork`, `multiprocessing`, and those of a C program around the interpreter, such as
//! uWSGI, that never calls Python's own hooks (dd-trace-py#19889).
//!
//! The engine takes no lock before a fork and needs nothing in the parent; in the child it only has to learn that it
//! is another process. Knowing that the hook is called saves it from asking for the process id at every call.

use std::sync::Once;

/// Installs the hook, once in a process and its children.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if hook() {
            millpond::fork::trust_hooks();
        }
    });
}

#[cfg(unix)]
fn hook() -> bool {
    extern "C" fn child() {
        millpond::fork::after_in_child();
    }
    // SAFETY: `pthread_atfork` only stores the pointer. `child` stays valid: an extension module is never unloaded,
    // and it may run where only async-signal-safe functions may: it stores one number that `getpid` returns, takes
    // no lock, allocates nothing and can't panic.
    #[expect(unsafe_code, reason = "there is no safe way to hear of every fork")]
    let result = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    result == 0
}

#[cfg(not(unix))]
fn hook() -> bool {
    false
}
