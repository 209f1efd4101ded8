//! Panics as records, for who asks for it with [`install`].
//!
//! A panic becomes a record of level `critical`: its message, the exception of type `panic` with the stack (the whole
//! one if `RUST_BACKTRACE` is set, else the place of the panic), the thread's name, and what the [`Scope`] around it
//! knows. A panic that is caught later is recorded too: at the time of the panic nobody knows.
//!
//! The hook stays for the life of the process, but doesn't keep the client alive: when its last handle is dropped, the
//! hook records nothing any more. It panics never, since that would abort the process; so it asks no
//! [trace source](crate::Builder::trace_source), which is code of the application. Panics in the client's own threads
//! are not recorded.
//!
//! [`Scope`]: crate::Scope

use std::{
    backtrace::Backtrace,
    cell::Cell,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use millpond_record::{Level, TextAttribute};

use crate::{
    Client, LineWriter,
    backtrace::{Frame, Frames},
    client::WeakClient,
    limits::PANIC_MESSAGE_BYTES_MAX,
};

/// The logger of these records.
const LOGGER: &str = "panic";

/// Records panics from now on. The hook that was there before is called afterwards.
pub fn install(client: &Client) {
    set_hook(client.downgrade(), None);
}

/// Records panics from now on, and waits at each one, at most for `timeout`, until everything that was logged so far
/// is delivered: for programs that abort or exit on a panic. The hook that was there before is called afterwards.
pub fn install_and_flush(client: &Client, timeout: Duration) {
    set_hook(client.downgrade(), Some(timeout));
}

fn set_hook(client: WeakClient, flush_timeout: Option<Duration>) {
    if thread::panicking() {
        // Hooks can't be changed now.
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if let Some(client) = client.upgrade() {
            record(&client, info);
            if let Some(timeout) = flush_timeout {
                let _ = client.flush(timeout);
            }
        }
        previous(info);
    }));
}

thread_local! {
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in the hook, where a panic would abort the process.
pub(crate) fn in_hook() -> bool {
    IN_HOOK.try_with(Cell::get).unwrap_or(true)
}

fn record(client: &Client, info: &PanicHookInfo<'_>) {
    if IN_HOOK.try_with(|inside| inside.replace(true)).unwrap_or(true) {
        return;
    }
    client.submit(Level::Critical, |line| write(line, info));
    let _ = IN_HOOK.try_with(|inside| inside.set(false));
}

fn write(line: &mut LineWriter<'_>, info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(no text)");
    let message = message.get(..message.floor_char_boundary(PANIC_MESSAGE_BYTES_MAX)).unwrap_or("");
    line.message(message);
    line.text(TextAttribute::Logger, LOGGER);
    let place = info.location().map(|location| Frame {
        file: Some(location.file().to_owned()),
        line: Some(location.line()),
        column: Some(location.column()),
        ..Frame::default()
    });
    if let Some(Frame { file, line: number, column, .. }) = &place {
        line.code(file.as_deref(), *number);
        line.field("code.column.number", column);
    }
    if let Some(name) = thread::current().name() {
        line.field("thread.name", name);
    }
    let frames = Frames::of(&Backtrace::capture()).or(place.map(Frames::one));
    line.exception_with(|object| {
        object.member("type", "panic");
        object.member("message", message);
        if let Some(frames) = &frames {
            frames.write(object);
        }
    });
}
