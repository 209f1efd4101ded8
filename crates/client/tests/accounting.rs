//! `accepted = delivered + queued + spooled + dropped`, at every moment.

mod support;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use millpond::{DropReason, Metrics, Overflow};
use support::{LOG_BYTES_MAX, PATIENCE, Reply, Server, builder, log_too_large};

const THREADS: u64 = 4;
const RECORDS: u64 = 5_000;

fn is_balanced(metrics: &Metrics) -> bool {
    metrics.accepted
        == metrics.delivered + metrics.queued + metrics.spooled + metrics.dropped.total()
}

#[test]
fn the_account_is_right_at_every_moment_whatever_goes_wrong() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let server = Server::start();
        server.script((0..400).map(|turn| match turn % 8 {
            0 => Reply::Status(503, &[], ""),
            1 => Reply::Reject(1),
            2 => Reply::StoreAndCut,
            3 => Reply::Status(400, &[], ""),
            4 => Reply::AtMost(3),
            5 => Reply::Status(401, &[], ""),
            6 => Reply::Cut,
            _ => Reply::Accept,
        }));
        let client = builder(server.address)
            .batch_entries(50)
            .max_log_size(LOG_BYTES_MAX)
            .queue_limits(1 << 20, 500)
            .overflow(overflow)
            .build()
            .unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let checker = scope.spawn(|| {
                let mut checks = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    let metrics = client.metrics();
                    assert!(is_balanced(&metrics), "{metrics:?}");
                    checks += 1;
                }
                checks
            });
            let writers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let client = client.clone();
                    scope.spawn(move || {
                        for number in 0..RECORDS {
                            match number % 1000 {
                                999 => log_too_large(&client),
                                _ => client
                                    .info("m")
                                    .field("thread", thread)
                                    .field("number", number)
                                    .send(),
                            }
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            assert!(client.flush(PATIENCE).is_complete());
            done.store(true, Ordering::Relaxed);
            assert!(checker.join().unwrap() > 0);
        });
        let metrics = client.metrics();
        assert!(is_balanced(&metrics), "{metrics:?}");
        assert_eq!(
            (metrics.accepted, metrics.queued, metrics.queued_bytes),
            (THREADS * RECORDS, 0, 0)
        );
        assert_eq!(metrics.dropped.get(DropReason::TooLarge), THREADS * RECORDS / 1000);
        // The server's own count: nothing lost that was called delivered, nothing twice.
        let stored = server.stored();
        assert_eq!(stored.len() as u64, metrics.delivered);
        let mut distinct: Vec<_> =
            stored.iter().map(|line| &line[line.find("\"fields\"").unwrap()..]).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), stored.len());
    }
}
