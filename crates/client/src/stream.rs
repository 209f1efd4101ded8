//! Standard output and error, past the locks of the standard library: in a forked child one of them may be held by a
//! thread that is not there, for ever.

use std::io;

use crate::fork::ForkMutex;

/// A stream of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Keeps the lines of several threads apart.
static PRINTING: ForkMutex<()> = ForkMutex::of_first_process(());

impl Stream {
    /// Prints whole lines. What the application has printed without ending its line may come after them.
    ///
    /// # Errors
    /// Nobody reads the stream, or there is none.
    pub(crate) fn print(self, lines: &[u8]) -> io::Result<()> {
        // A child that can't have the lock prints all the same.
        let _printing = PRINTING.lock();
        self.write_all(lines)
    }

    #[cfg(unix)]
    fn write_all(self, mut bytes: &[u8]) -> io::Result<()> {
        use std::os::fd::AsFd as _;

        let (stdout, stderr) = (io::stdout(), io::stderr());
        let descriptor = match self {
            Self::Stdout => stdout.as_fd(),
            Self::Stderr => stderr.as_fd(),
        };
        while !bytes.is_empty() {
            match rustix::io::write(descriptor, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn write_all(self, bytes: &[u8]) -> io::Result<()> {
        use std::io::Write as _;

        match self {
            Self::Stdout => io::stdout().write_all(bytes),
            Self::Stderr => io::stderr().write_all(bytes),
        }
    }
}
