//! What the client has to say about itself. It goes to stderr, seldom, and never into a client.

use std::{cell::Cell, fmt, time::Instant};

use crate::{limits::COMPLAINT_INTERVAL, stream::Stream};

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one of the client's own. What is logged there is about the client's work, and is dropped:
/// sending it would cause more of it.
#[must_use]
pub fn is_own_thread() -> bool {
    OWN.try_with(Cell::get).unwrap_or(true)
}

/// Marks this thread as the client's own for its whole life.
pub(crate) fn own_this_thread() {
    OWN.set(true);
}

/// Runs `work` as if in a thread of the client's own.
pub(crate) fn as_own_thread<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            OWN.set(self.0);
        }
    }
    let _restore = Restore(OWN.replace(true));
    work()
}

/// What can be complained about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// No answer.
    Unreachable,
    /// The key or the address is wrong. Said once, until it is set right.
    Settings,
    /// Single records were no records.
    Rejected,
    /// A batch was not understood.
    Refused,
    /// The spool can't be written.
    Spool,
    /// Something in the spool can't be read.
    Damaged,
}

/// Says it, whatever was said before.
pub(crate) fn complain(text: &fmt::Arguments<'_>) {
    // Without a stderr there is nobody to tell.
    let _ = Stream::Stderr.print(format!("millpond: {text}\n").as_bytes());
}

/// Speaks up, seldom: about one thing at most once in [`COMPLAINT_INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    said: Vec<(Complaint, Instant)>,
}

impl Complaints {
    /// Says it, unless the same was said a moment ago.
    pub(crate) fn say(&mut self, complaint: Complaint, text: &fmt::Arguments<'_>) {
        self.said
            .retain(|(said, at)| *said == Complaint::Settings || at.elapsed() < COMPLAINT_INTERVAL);
        if self.said.iter().all(|(said, _)| *said != complaint) {
            complain(text);
            self.said.push((complaint, Instant::now()));
        }
    }

    /// The cause is gone: the next time is the first one again.
    pub(crate) fn clear(&mut self, complaint: Complaint) {
        self.said.retain(|(said, _)| *said != complaint);
    }
}
