//! How many connections the process's file descriptors allow.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::limits::{CONNECTIONS_MAX, FILES_RESERVED};

/// Raises the limit on open files as far as the process may, and tells what it leaves to connections.
pub(crate) fn for_connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is not allowed, the old limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let files = files.unwrap_or(usize::MAX);
    files.saturating_sub(FILES_RESERVED).max(files / 4).min(CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_connections_are_always_allowed() {
        assert!((1..=CONNECTIONS_MAX).contains(&for_connections()));
    }
}
