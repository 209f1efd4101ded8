//! Keeps glibc's allocator from keeping.
//!
//! It asks the system for large pieces one by one and gives them back when they are freed, but each time that it does, it
//! takes that size for a usual one and keeps such pieces from then on, in an arena for each thread. A server whose
//! threads decode bodies then holds half as much again as it uses. The size can be fixed, by an environment variable that
//! is read before `main`, so the program starts itself once more in its own place, with the same process id.

use std::{ffi::OsStr, os::unix::process::CommandExt, process::Command};

/// The size from which memory is asked of the system, in bytes: its initial one, doubled.
const MMAP_THRESHOLD_BYTES: &str = "262144";

/// Where `mallopt` looks; see mallopt(3).
const VARIABLE: &str = "MALLOC_MMAP_THRESHOLD_";

/// Starts the program anew if the variable is not set. Where that is not possible, it goes on as it is.
pub(crate) fn tame() {
    if !cfg!(target_env = "gnu") || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let mut again = Command::new(program);
    again.args(arguments).env(VARIABLE, MMAP_THRESHOLD_BYTES);
    again.arg0(name.as_deref().unwrap_or(OsStr::new("millpond")));
    // Returns only when it fails.
    let _ = again.exec();
}
