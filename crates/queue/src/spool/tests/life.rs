//! One spool from its opening to its end, and its limits.

use std::{sync::Arc, thread};

use super::*;

#[test]
fn what_is_sealed_is_handed_out_once_and_in_order() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.add("a1\na2\na3\n");
    assert!(spool.take().is_none());
    spool.batch("a4\n");
    spool.batch("b\n");
    let taken = spool.take().unwrap();
    assert!(!taken.recovered);
    assert_eq!(handed(&taken), expected(1, 1, "a1\na2\na3\na4\n"));
    assert_eq!(handed(&spool.take().unwrap()), expected(1, 2, "b\n"));
    assert!(spool.take().is_none());
    assert_eq!(spool.seal().unwrap(), 0);
}

#[test]
fn unsealed_lines_are_counted_until_they_are_a_batch() {
    let folder = Folder::new();
    let spool = folder.first(1);
    assert_eq!(spool.unsealed(), crate::Unsealed::default());
    spool.add("a\n");
    let since = spool.unsealed().since.unwrap();
    spool.add("b\nc\n");
    let unsealed = spool.unsealed();
    assert_eq!((unsealed.entries, unsealed.since), (3, Some(since)));
    assert_eq!(unsealed.bytes, 2 * 25 + 6);
    assert_eq!(spool.usage().records, 3);
    spool.seal().unwrap();
    assert_eq!(spool.unsealed(), crate::Unsealed::default());
    assert_eq!(spool.usage().records, 3);
    assert_eq!(spool.usage().bytes, spool.disk_bytes());
}

#[test]
fn a_segment_is_removed_when_its_last_batch_is_acknowledged_in_whatever_order() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 120;
    ["a\n", "b\n", "c\n"].into_iter().for_each(|lines| spool.batch(lines));
    assert_eq!(segments(&folder.of(1)).len(), 2);
    let tickets = [(); 3].map(|()| spool.take().unwrap().ticket);
    spool.acknowledge(&tickets[1]).unwrap();
    assert_eq!(segments(&folder.of(1)).len(), 2);
    spool.acknowledge(&tickets[0]).unwrap();
    assert_eq!(segments(&folder.of(1)).len(), 1);
    spool.acknowledge(&tickets[0]).unwrap();
    assert_eq!(spool.usage().records, 1);
    spool.acknowledge(&tickets[2]).unwrap();
    assert_eq!(spool.usage().bytes, spool.disk_bytes());
    assert_eq!(spool.usage().records, 0);
}

#[test]
fn the_active_segment_is_retired_only_when_nothing_in_it_is_needed() {
    let folder = Folder::new();
    let spool = folder.first(1);
    assert!(!spool.retire().unwrap());
    spool.add("a\n");
    assert!(!spool.retire().unwrap());
    spool.seal().unwrap();
    let taken = spool.take().unwrap();
    assert!(!spool.retire().unwrap());
    spool.acknowledge(&taken.ticket).unwrap();
    assert!(spool.retire().unwrap());
    assert_eq!((segments(&folder.of(1)), spool.usage()), (vec![], crate::Usage::default()));
    spool.batch("b\n");
    assert_eq!(spool.drain(), [expected(1, 2, "b\n")]);
}

#[test]
fn a_spool_whose_batches_are_acknowledged_leaves_nothing_and_another_one_everything() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.batch("a\n");
    let taken = spool.take().unwrap();
    drop(spool);
    let (spool, recovery) = folder.open(2);
    assert_eq!((recovery.clients, recovery.records), (1, 1));
    assert_eq!(recovery.bytes, spool.disk_bytes());
    let again = spool.take().unwrap();
    assert_eq!((handed(&again), again.recovered), (handed(&taken), true));
    spool.acknowledge(&again.ticket).unwrap();
    assert!(!folder.of(1).exists());
    assert_eq!(spool.usage(), crate::Usage::default());
    drop(spool);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn batches_of_dead_clients_come_first_in_the_order_in_which_these_began() {
    let folder = Folder::new();
    for (number, second) in [(3, 30), (9, 10), (5, 20)] {
        let spool = folder.first(number);
        spool.append(&batch("x\n"), at(second)).unwrap();
        // Elsewhere until all have written, or the next one would take it over.
        spool.crash();
        fs::rename(folder.of(number), folder.path().with_extension(format!("{number}"))).unwrap();
    }
    for number in [3, 9, 5] {
        fs::rename(folder.path().with_extension(format!("{number}")), folder.of(number)).unwrap();
    }
    let (spool, recovery) = folder.open(1);
    spool.batch("y\n");
    assert_eq!((recovery.clients, recovery.records), (3, 3));
    let clients: Vec<_> = spool.drain().into_iter().map(|batch| batch.0).collect();
    assert_eq!(clients, [9, 5, 3, 1].map(client));
}

#[test]
fn lines_beyond_the_limit_are_refused_until_there_is_room() {
    let folder = Folder::new();
    let open = |number, bytes_max| {
        let limits = SpoolLimits { bytes_max, ..LIMITS };
        let (mut spool, _) = Spool::open(folder.path(), &client(number), limits).unwrap();
        spool.segment_bytes_max = 1 << 20;
        spool.batch("a\n");
        spool
    };
    let bytes_max = 56 + 2 * (25 + 2 + 25);
    // Where the lines fit, but not their seal.
    let tight = open(2, bytes_max - 1).append(&batch("b\n"), at(0));
    assert!(matches!(tight, Err(SpoolError::Full { .. })));
    fs::remove_dir_all(folder.of(2)).unwrap();
    let spool = open(1, bytes_max);
    spool.batch("b\n");
    assert_eq!(spool.usage().bytes, bytes_max);
    let full = spool.append(&batch("c\n"), at(0));
    assert!(matches!(full, Err(SpoolError::Full { bytes: 27, .. })), "{full:?}");
    assert_eq!(spool.usage().bytes, spool.disk_bytes());
    // What is acknowledged makes room even if nobody retired it.
    for _ in 0..2 {
        spool.acknowledge(&spool.take().unwrap().ticket).unwrap();
    }
    spool.batch("c\n");
    assert_eq!(spool.drain(), [expected(1, 3, "c\n")]);
}

#[test]
fn what_was_taken_over_counts_for_the_limit() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.batch(&"x\n".repeat(500));
    spool.crash();
    let limits = SpoolLimits { bytes_max: 1100, ..LIMITS };
    let (spool, _) = Spool::open(folder.path(), &client(2), limits).unwrap();
    assert!(matches!(spool.append(&batch("y\n"), at(0)), Err(SpoolError::Full { .. })));
    assert_eq!(spool.drop_oldest_segment(), 500);
    assert!(!folder.of(1).exists());
    spool.batch("y\n");
}

#[test]
fn the_oldest_segment_that_nobody_has_is_dropped_for_room() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 120;
    ["a\n", "b\n", "c\n", "d\n", "e\n"].into_iter().for_each(|lines| spool.batch(lines));
    let taken = spool.take().unwrap();
    assert_eq!(spool.drop_oldest_segment(), 2);
    assert_eq!((spool.usage().records, spool.usage().bytes), (3, spool.disk_bytes()));
    spool.add("f\n");
    // The first has a batch that is on its way, the last one lines that are no batch yet.
    assert_eq!(spool.drop_oldest_segment(), 0);
    spool.seal().unwrap();
    assert_eq!(spool.drop_oldest_segment(), 2);
    assert_eq!((spool.usage().records, spool.usage().bytes), (2, spool.disk_bytes()));
    assert_eq!((taken.sequence, spool.drain()), (1, vec![expected(1, 2, "b\n")]));
    spool.batch("g\n");
    assert_eq!(spool.drain(), [expected(1, 7, "g\n")]);
}

#[test]
fn the_active_segment_is_dropped_too_when_it_is_all_there_is() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.batch("a\n");
    assert_eq!(spool.drop_oldest_segment(), 1);
    assert_eq!(spool.usage(), crate::Usage::default());
    spool.batch("b\n");
    assert_eq!(spool.drain(), [expected(1, 2, "b\n")]);
}

#[test]
fn batches_older_than_the_limit_are_dropped_own_and_others() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.append(&batch("a\n"), at(0)).unwrap();
    spool.crash();
    let (spool, _) = folder.open(2);
    for (lines, second) in [("b\n", 0), ("c\n", 0), ("d\n", 10)] {
        spool.append(&batch(lines), at(second)).unwrap();
        spool.seal().unwrap();
    }
    spool.append(&batch("e\n"), at(0)).unwrap();
    let is_recovered = spool.take().unwrap();
    assert_eq!(spool.expire(at(3600)), 0);
    assert_eq!(spool.expire(at(3601)), 2);
    spool.acknowledge(&is_recovered.ticket).unwrap();
    assert!(!folder.of(1).exists());
    assert_eq!(spool.usage().records, 2);
    // Lines are as old as the last ones of their batch.
    spool.append(&batch("f\n"), at(20)).unwrap();
    spool.seal().unwrap();
    assert_eq!(spool.expire(at(3612)), 1);
    assert_eq!(spool.drain(), [expected(2, 4, "e\nf\n")]);
    spool.crash();
    let (spool, recovery) = folder.open(3);
    assert_eq!((recovery.records, spool.expire(at(9000))), (5, 5));
    assert!(!folder.of(2).exists());
}

#[test]
fn a_reader_that_waits_is_woken_by_a_seal_and_by_name() {
    let folder = Folder::new();
    let spool = Arc::new(folder.first(1));
    let reader = thread::spawn({
        let spool = Arc::clone(&spool);
        move || {
            let first = spool.next(Duration::MAX).unwrap().map(|spooled| handed(&spooled));
            (first, spool.next(Duration::MAX).unwrap().is_none())
        }
    });
    spool.batch("a\n");
    spool.wake();
    let (first, is_none) = reader.join().unwrap();
    // Woken before it came to wait, it may have come back once for nothing.
    assert_eq!(first, Some(expected(1, 1, "a\n")));
    assert!(is_none);
}

#[test]
fn a_keeper_and_a_sender_work_at_the_same_time() {
    const BATCHES: u64 = 300;
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 1000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..BATCHES {
                spool.add(&format!("{number}\n"));
                spool.add(&format!("{number}.5\n"));
                spool.seal().unwrap();
                spool.retire().unwrap();
            }
        });
        for number in 0..BATCHES {
            let spooled = spool.next(Duration::MAX).unwrap().unwrap();
            let lines = format!("{number}\n{number}.5\n");
            assert_eq!(handed(&spooled), expected(1, number + 1, &lines));
            spool.acknowledge(&spooled.ticket).unwrap();
        }
    });
    assert_eq!((spool.usage().records, spool.usage().bytes), (0, spool.disk_bytes()));
}
