//! The ground truth: a file that says which records this service logged, written without Millpond. Whoever counts
//! what arrived compares with it. Part of the example only so that a test can trust it; without `GROUND_TRUTH` it
//! does nothing.

use std::{
    env,
    fs::File,
    io::Write as _,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

static FILE: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = env::var_os("GROUND_TRUTH")?;
    File::options().create(true).append(true).open(path).ok()
});
static EVENTS: AtomicU64 = AtomicU64::new(0);
static RUN: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or_default());

/// An id that no other record has, written down before it is given out: one line, one write, so that several
/// processes may share the file.
pub(crate) async fn event_id(what: &'static str) -> String {
    let number = EVENTS.fetch_add(1, Ordering::Relaxed);
    let id = format!("payments-{:016x}-{number}", *RUN);
    let line = format!("{id}\t{what}\n");
    let written = tokio::task::spawn_blocking(move || {
        FILE.as_ref().map_or(Ok(()), |mut file| file.write_all(line.as_bytes()))
    });
    if let Ok(Err(error)) = written.await {
        complain(&error);
    }
    id
}

/// Not through `tracing`: that record would have no witness.
#[expect(clippy::print_stderr, reason = "there is nobody else to tell")]
fn complain(error: &std::io::Error) {
    eprintln!("payments: the ground truth can't be written: {error}");
}
