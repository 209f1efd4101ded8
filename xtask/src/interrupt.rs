//! Ctrl-C and SIGTERM as a value: a wait that they end, so that children are ended in order before we go.

use std::{
    error::Error,
    fmt,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, Result};

/// The receiving end of the signals.
pub(crate) struct Interrupt(Receiver<()>);

/// What was going on was interrupted; it did not fail.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

impl Interrupt {
    /// Takes SIGINT, SIGTERM and SIGHUP over. Once in a process.
    pub(crate) fn install() -> Result<Self> {
        // One is enough: the second Ctrl-C says nothing new.
        let (sender, receiver) = sync_channel(1);
        let told = move || {
            let _ = sender.try_send(());
        };
        ctrlc::set_handler(told).context("take over Ctrl-C")?;
        Ok(Self(receiver))
    }

    /// Waits for `duration`; an error if a signal came.
    pub(crate) fn pause(&self, duration: Duration) -> Result<()> {
        match self.0.recv_timeout(duration) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Interrupted.into()),
        }
    }

    /// An error if a signal came.
    pub(crate) fn check(&self) -> Result<()> {
        self.pause(Duration::ZERO)
    }

    /// Waits for a signal.
    pub(crate) fn wait(&self) {
        // The handler lives as long as the process; either way it is time to go.
        let _ = self.0.recv();
    }
}
