//! A live stream with a thread of its own.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, ThreadId},
    time::Duration,
};

use super::{Log, LogStream, ReadError, Stopper};
use crate::limits::STOP_TIME_MAX;

/// A tail that is being set up. Made by [`Reader::tail`](super::Reader::tail).
#[must_use = "a tail does nothing until `spawn`"]
pub struct Tail {
    stream: LogStream,
    on_error: Box<dyn FnMut(ReadError) + Send>,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Tail {
    pub(super) fn new(stream: LogStream) -> Self {
        Self { stream, on_error: Box::new(|_| ()) }
    }

    /// Calls `report` with the error that ends the tail: one that time won't heal, or a panic of the function that
    /// takes the logs.
    pub fn on_error(mut self, report: impl FnMut(ReadError) + Send + 'static) -> Self {
        self.on_error = Box::new(report);
        self
    }

    /// Calls `report` with the reason whenever there is no connection, before it is tried again.
    pub fn on_outage(mut self, report: impl FnMut(&ReadError) + Send + 'static) -> Self {
        self.stream = self.stream.on_outage(report);
        self
    }

    /// Begins behind the event with this id instead of now; see [`LogStream::resume_after`].
    pub fn resume_after(mut self, id: impl Into<String>) -> Self {
        self.stream = self.stream.resume_after(id);
        self
    }

    /// How long the server may be silent; see [`LogStream::silence_max`].
    pub fn silence_max(mut self, time: Duration) -> Self {
        self.stream = self.stream.silence_max(time);
        self
    }

    /// Starts the thread; it calls `on_log` for each log, one after the other.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub fn spawn(self, on_log: impl FnMut(Log) + Send + 'static) -> Result<StopHandle, ReadError> {
        let stopper = self.stream.stopper();
        let ending = Ending(stopper.clone());
        let thread = thread::Builder::new().name("millpond-tail".to_owned());
        let spawned = thread.spawn(move || {
            let _ending = ending;
            self.run(on_log);
        });
        let thread = spawned.map_err(ReadError::Thread)?.thread().id();
        Ok(StopHandle { stopper, thread, is_detached: false })
    }

    fn run(self, mut on_log: impl FnMut(Log)) {
        let Self { mut stream, mut on_error } = self;
        let followed = catch_unwind(AssertUnwindSafe(|| {
            stream.try_for_each(|log| {
                on_log(log?);
                Ok(())
            })
        }));
        let error = match followed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => ReadError::Panicked { message: message(&*panic) },
        };
        // There is nobody left to tell of a panic in here but the panic hook, and it knows.
        let _ = catch_unwind(AssertUnwindSafe(|| on_error(error)));
    }
}

/// Says that the thread has ended, whatever it ended for.
struct Ending(Stopper);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What a panic was raised with.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is no text").to_owned()
}

/// A running tail. Dropped, it stops; [`Self::detach`] lets it run.
#[derive(Debug)]
#[must_use = "the tail stops when its handle is dropped"]
pub struct StopHandle {
    stopper: Stopper,
    thread: ThreadId,
    is_detached: bool,
}

impl StopHandle {
    /// Stops the tail: the connection is closed, and the thread ends. Waits for that, at most half a second, and says
    /// whether it came. Only a connection that is being made at this moment and the function that takes the logs can
    /// last longer; behind either, no more logs come. Called in that function, it doesn't wait.
    pub fn stop(&self) -> bool {
        self.stopper.stop();
        thread::current().id() != self.thread && self.stopper.has_ended_within(STOP_TIME_MAX)
    }

    /// Whether the thread still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.stopper.has_ended_within(Duration::ZERO)
    }

    /// Waits until the tail has ended, which it does after an error; at most for `timeout`. Whether it has.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.stopper.has_ended_within(timeout)
    }

    /// Lets the tail run until it ends by itself, or with the process.
    pub fn detach(mut self) {
        self.is_detached = true;
    }
}

impl Drop for StopHandle {
    fn drop(&mut self) {
        if !self.is_detached {
            self.stopper.stop();
        }
    }
}
