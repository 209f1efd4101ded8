//! Ends a client when the process is told to end. Opt-in: an application that has a handler of its own closes the
//! client there instead.

use std::{
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level,
};

use crate::Client;

const TERMINATING: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// From now on SIGTERM, SIGINT and SIGHUP close the client, with `timeout` for what is queued, and then end the
/// process as they would without. For programs that don't handle these signals by themselves: what others have
/// installed is called too, but the process ends whatever they want. In a forked child the signals do what they
/// always do.
///
/// ```no_run
/// let client = millpond::Client::builder().build()?;
/// millpond::close_on_termination(&client, std::time::Duration::from_secs(2))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system has no socket, no thread or no handler left.
pub fn close_on_termination(client: &Client, timeout: Duration) -> io::Result<()> {
    let (mut told, tell) = UnixStream::pair()?;
    tell.set_nonblocking(true)?;
    let client = client.downgrade();
    thread::Builder::new().name("millpond-signals".to_owned()).spawn(move || {
        let mut signal = [0];
        if told.read_exact(&mut signal).is_ok() {
            // Without a handle left it was closed already.
            let _ = client.upgrade().map(|client| client.close(timeout));
            // Does not return but for a signal that by default does nothing.
            let _ = low_level::emulate_default_handler(i32::from(u8::from_ne_bytes(signal)));
        }
    })?;
    for signal in TERMINATING {
        let tell = tell.try_clone()?;
        let installer = std::process::id();
        let number = u8::try_from(signal).unwrap_or_default();
        let handler = move || {
            // A child has inherited the handler and the socket, but not the thread; the parent must not be told.
            if std::process::id() != installer {
                let _ = low_level::emulate_default_handler(signal);
                return;
            }
            // If the socket is full the thread has been told long ago.
            let _ = rustix::io::write(tell.as_fd(), &[number]);
        };
        // SAFETY: the handler calls `getpid`, `write` and what `emulate_default_handler` documents as
        // async-signal-safe; it takes no lock, allocates nothing and can't panic.
        #[expect(unsafe_code, reason = "a signal handler is not safe by itself")]
        unsafe { low_level::register(signal, handler) }?;
    }
    Ok(())
}
