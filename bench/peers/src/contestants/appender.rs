//! tracing-subscriber's JSON through tracing-appender's thread to a file: nothing is sent, nothing is compressed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tracing_appender::non_blocking::NonBlockingBuilder;

use super::{Account, Contestant, Room, install, tracing_event};

/// How often it is looked whether all lines are written: nothing tells.
const LOOK_INTERVAL: Duration = Duration::from_micros(200);

/// A file, and how much was written to it: one write is one line.
struct Counted {
    file: File,
    count: Arc<Count>,
}

#[derive(Default)]
struct Count {
    /// Lines that were handed to the thread, written or not.
    logged: AtomicU64,
    seen: AtomicU64,
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Write for Counted {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.count.seen.fetch_add(1, Ordering::Relaxed);
        let written = self.file.write(line)?;
        self.count.lines.fetch_add(1, Ordering::Relaxed);
        self.count.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(super) fn set_up(room: Room, path: &Path) -> Result<Contestant> {
    let count = Arc::new(Count::default());
    let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    let writer = Counted { file, count: Arc::clone(&count) };
    let builder = match room {
        Room::Default => NonBlockingBuilder::default(),
        Room::CallerWaits => NonBlockingBuilder::default().lossy(false),
        Room::Records(lines) => NonBlockingBuilder::default().buffered_lines_limit(lines),
    };
    let (appender, guard) = builder.finish(writer);
    let errors = appender.error_counter();
    install(tracing_subscriber::fmt::layer().json().with_writer(appender))?;
    let (logged, flushed, lost) = (Arc::clone(&count), Arc::clone(&count), errors.clone());
    Ok(Contestant {
        call: Box::new(move |number| {
            tracing_event(number);
            logged.logged.fetch_add(1, Ordering::Relaxed);
        }),
        flush: Box::new(move |patience| {
            let begun = Instant::now();
            let left = || {
                let done = flushed.seen.load(Ordering::Relaxed) + lost.dropped_lines() as u64;
                flushed.logged.load(Ordering::Relaxed).saturating_sub(done)
            };
            while left() > 0 {
                if begun.elapsed() > patience {
                    return false;
                }
                std::thread::park_timeout(LOOK_INTERVAL);
            }
            true
        }),
        account: Box::new(move || {
            drop(guard);
            let written = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            Account {
                told_lost: Some(errors.dropped_lines() as u64),
                written: Some((written(&count.lines), written(&count.bytes))),
            }
        }),
    })
}
