//! What the queue promises, seen from its public methods.

use std::{collections::VecDeque, sync::Arc, thread};

use proptest::prelude::*;

use super::*;

const NEVER: Duration = Duration::from_secs(3600);
const DUE: Due = Due { entries_due: u64::MAX, entries_max: 4, bytes_max: 40, age_max: NEVER };
const LIMITS: Limits = Limits { bytes_max: 1000, entries_max: 100 };

fn queue() -> Queue {
    Queue::new(LIMITS, Overflow::DropNewest, DUE)
}

fn push(queue: &Queue, lines: &[&str]) {
    for line in lines {
        assert_eq!(queue.push(&[line.as_bytes(), b"\n"]), Pushed::Queued);
    }
}

fn text(batch: &Batch) -> String {
    batch.parts().map(|part| std::str::from_utf8(part).unwrap()).collect()
}

fn delivered(queue: &Queue, batch: Batch) {
    let all = Settlement { delivered: batch.entries(), rest: DropReason::Rejected };
    queue.settle(batch, all);
}

fn is_balanced(counters: &Counters) -> bool {
    counters.accepted
        == counters.delivered + counters.queued + counters.spooled + counters.dropped.total()
}

#[test]
fn a_batch_is_due_when_it_has_enough_lines_or_bytes() {
    let queue = queue();
    push(&queue, &["a", "b", "c", "d", "e"]);
    assert_eq!(text(&queue.take().unwrap()), "a\nb\nc\nd\n");
    push(&queue, &["0123456789012345678", "0123456789012345678"]);
    // The 2 bytes that wait and these 40 are no batch together.
    assert_eq!(text(&queue.take().unwrap()), "e\n0123456789012345678\n");
}

#[test]
fn a_batch_is_due_when_its_oldest_line_is_old_enough() {
    let queue = Queue::new(LIMITS, Overflow::DropNewest, Due { age_max: Duration::ZERO, ..DUE });
    push(&queue, &["a"]);
    assert_eq!(text(&queue.take().unwrap()), "a\n");
}

#[test]
fn a_batch_that_is_due_takes_along_what_came_meanwhile() {
    let queue = Queue::new(LIMITS, Overflow::DropNewest, Due { entries_due: 2, ..DUE });
    push(&queue, &["a"]);
    let now = Some(Instant::now());
    assert!(matches!(queue.take_by(now, None, NEVER), Taken::Nothing));
    push(&queue, &["b", "c", "d", "e"]);
    assert_eq!(text(&queue.take().unwrap()), "a\nb\nc\nd\n");
    assert!(matches!(queue.take_by(now, None, NEVER), Taken::Nothing));
}

#[test]
fn a_line_that_is_larger_than_a_batch_is_one() {
    let queue = queue();
    let long = "x".repeat(100);
    push(&queue, &["a", &long, "b"]);
    assert_eq!(text(&queue.take().unwrap()), "a\n");
    assert_eq!(queue.take().unwrap().bytes(), 101);
}

#[test]
fn what_is_in_flight_counts_as_queued_and_against_the_limits() {
    let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
    push(&queue, &["a", "b"]);
    queue.close();
    let batch = queue.take().unwrap();
    assert_eq!((queue.counters().queued, queue.counters().queued_bytes), (2, 4));
    assert_eq!(queue.push(&[b"c\n"]), Pushed::Dropped(DropReason::Closed));
    queue.settle(batch, Settlement { delivered: 1, rest: DropReason::Rejected });
    let counters = queue.counters();
    assert_eq!((counters.accepted, counters.delivered, counters.queued), (3, 1, 0));
    assert!(is_balanced(&counters));
    assert!(queue.take().is_none());
}

#[test]
fn a_line_fits_up_to_the_limit() {
    let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
    push(&queue, &["123", "123"]);
    assert_eq!(queue.push(&[b"\n"]), Pushed::Dropped(DropReason::Overflow));
    let queue = Queue::new(Limits { bytes_max: 8, entries_max: 3 }, Overflow::DropNewest, DUE);
    push(&queue, &["a", "b", "c"]);
    assert_eq!(queue.push(&[b"\n"]), Pushed::Dropped(DropReason::Overflow));
    assert_eq!(queue.refuse(DropReason::TooLarge), Pushed::Dropped(DropReason::TooLarge));
    assert!(is_balanced(&queue.counters()));
}

#[test]
fn the_oldest_lines_make_room_for_a_new_one_if_that_helps() {
    let queue = Queue::new(Limits { bytes_max: 10, entries_max: 9 }, Overflow::DropOldest, DUE);
    push(&queue, &["1", "2", "3", "4", "5", "12345"]);
    assert_eq!(queue.counters().dropped.get(DropReason::Overflow), 3);
    assert_eq!(queue.push(&[b"0123456789\n"]), Pushed::Dropped(DropReason::Overflow));
    assert_eq!(queue.counters().queued, 3);
    queue.close();
    assert_eq!(text(&queue.take().unwrap()), "4\n5\n12345\n");
}

#[test]
fn a_pause_ends_for_a_close_and_for_a_flush_that_may_end_it() {
    let queue = queue();
    let asked = queue.asked();
    push(&queue, &["a"]);
    assert_eq!(queue.flush(Duration::ZERO), 1);
    assert_eq!(queue.pause(NEVER, asked, true), Pause::Over);
    assert_eq!(queue.pause(Duration::ZERO, asked, false), Pause::Over);
    queue.close();
    assert_eq!(queue.pause(NEVER, asked, false), Pause::Over);
    queue.abandon();
    assert_eq!(queue.pause(NEVER, queue.asked(), false), Pause::Abandoned);
}

#[test]
fn what_is_hastened_is_due_and_ends_no_pause() {
    let queue = queue();
    let asked = queue.asked();
    push(&queue, &["a"]);
    queue.hasten();
    let Taken::Batch(batch) = queue.take_by(None, None, NEVER) else { panic!("hastened") };
    delivered(&queue, batch);
    assert_eq!(queue.asked(), asked, "a pause would have seen a flush");
    push(&queue, &["b"]);
    let soon = Some(Instant::now());
    assert!(matches!(queue.take_by(soon, None, NEVER), Taken::Nothing));
}

#[test]
fn waiting_for_ever_is_possible() {
    let queue = Arc::new(queue());
    push(&queue, &["a"]);
    let flushing = Arc::clone(&queue);
    let flushed = thread::spawn(move || flushing.flush(Duration::MAX));
    let batch = queue.take().unwrap();
    delivered(&queue, batch);
    assert_eq!(flushed.join().unwrap(), 0);
}

#[test]
fn lines_of_many_threads_come_out_whole_and_in_the_order_of_each() {
    let queue = Arc::new(Queue::new(
        Limits { bytes_max: 1 << 30, entries_max: 1 << 30 },
        Overflow::DropNewest,
        DUE,
    ));
    let writers: Vec<_> = (0..4)
        .map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for number in 0..1000 {
                    queue.push(&[format!("{thread} {number}").as_bytes(), b"\n"]);
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    while next.iter().sum::<usize>() < 4000 {
        let batch = queue.take().unwrap();
        assert!(is_balanced(&queue.counters()));
        for line in text(&batch).lines() {
            let (thread, number) = line.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<usize>().unwrap(), *next);
            *next += 1;
        }
        delivered(&queue, batch);
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn a_caller_that_may_wait_gets_the_room_that_a_settled_batch_leaves() {
    let limits = Limits { bytes_max: 8, entries_max: 3 };
    let queue = Arc::new(Queue::new(limits, Overflow::Block(NEVER), DUE));
    push(&queue, &["a", "b", "c"]);
    let pushing = Arc::clone(&queue);
    let pushed = thread::spawn(move || pushing.push(&[b"d\n"]));
    // Three lines are not due by themselves: the one that waits makes them so.
    let batch = queue.take().unwrap();
    assert_eq!(batch.entries(), 3);
    assert_eq!(queue.counters().accepted, 3);
    delivered(&queue, batch);
    assert_eq!(pushed.join().unwrap(), Pushed::Queued);
    assert!(is_balanced(&queue.counters()));
}

#[test]
fn a_caller_waits_for_room_until_its_time_is_over_and_never_for_what_can_not_fit() {
    let limits = Limits { bytes_max: 8, entries_max: 3 };
    let queue = Queue::new(limits, Overflow::Block(Duration::from_millis(1)), DUE);
    push(&queue, &["a", "b", "c"]);
    assert_eq!(queue.push(&[b"d\n"]), Pushed::Dropped(DropReason::Overflow));
    let queue = Arc::new(Queue::new(limits, Overflow::Block(NEVER), DUE));
    assert_eq!(queue.push(&[b"larger than it all\n"]), Pushed::Dropped(DropReason::Overflow));
    push(&queue, &["a", "b", "c"]);
    let pushing = Arc::clone(&queue);
    let pushed = thread::spawn(move || pushing.push(&[b"d\n"]));
    let batch = queue.take().unwrap();
    queue.close();
    assert_eq!(pushed.join().unwrap(), Pushed::Dropped(DropReason::Closed));
    delivered(&queue, batch);
}

#[test]
fn a_line_of_the_client_s_own_fits_beyond_the_limits_until_the_queue_is_closed() {
    let queue = Queue::new(Limits { bytes_max: 4, entries_max: 2 }, Overflow::DropNewest, DUE);
    push(&queue, &["a", "b"]);
    assert_eq!(queue.push(&[b"c\n"]), Pushed::Dropped(DropReason::Overflow));
    assert_eq!(queue.push_beyond_limits(&[b"lost: ", b"1\n"]), Pushed::Queued);
    queue.close();
    assert_eq!(queue.push_beyond_limits(&[b"d\n"]), Pushed::Dropped(DropReason::Closed));
    let batch = queue.take().unwrap();
    assert_eq!(text(&batch), "a\nb\nlost: 1\n");
    delivered(&queue, batch);
    assert!(is_balanced(&queue.counters()));
}

#[test]
fn one_who_takes_is_told_when_there_is_nothing_in_time() {
    let queue = queue();
    let soon = || Some(Instant::now());
    assert!(matches!(queue.take_by(soon(), None, NEVER), Taken::Nothing));
    push(&queue, &["a"]);
    assert!(matches!(queue.take_by(soon(), None, NEVER), Taken::Nothing));
    let asked = queue.asked();
    assert_eq!(queue.flush(Duration::ZERO), 1);
    let Taken::Batch(batch) = queue.take_by(None, Some(asked), NEVER) else { panic!("flushed") };
    assert!(matches!(queue.take_by(None, Some(asked), NEVER), Taken::Nothing));
    queue.close();
    assert!(matches!(queue.take_by(None, Some(queue.asked()), NEVER), Taken::Ended));
    delivered(&queue, batch);
}

#[test]
fn records_are_safe_once_they_are_synced_and_flushed_once_they_are_settled() {
    let queue = queue();
    push(&queue, &["a", "b", "c", "d", "e"]);
    let batch = queue.take().unwrap();
    queue.spooled(batch);
    assert_eq!(queue.persist(Duration::ZERO), 5);
    queue.synced();
    assert_eq!((queue.persist(Duration::ZERO), queue.flush(Duration::ZERO)), (1, 5));
    let Taken::Batch(last) = queue.take_by(None, None, NEVER) else {
        panic!("a flush makes it due")
    };
    queue.spooled(last);
    queue.synced();
    assert_eq!((queue.persist(Duration::ZERO), queue.flush(Duration::ZERO)), (0, 5));
    let own = |own| SpooledRecords { own, recovered: 0 };
    queue.settle_spooled(own(4), Settlement { delivered: 4, rest: DropReason::Rejected });
    assert_eq!(queue.flush(Duration::ZERO), 1);
    queue.settle_spooled(own(1), Settlement::dropped(DropReason::Expired));
    assert_eq!(queue.flush(Duration::ZERO), 0);
    let counters = queue.counters();
    assert_eq!((counters.delivered, counters.dropped.get(DropReason::Expired)), (4, 1));
    assert!(is_balanced(&counters));
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    Settle(u64),
    PutBack,
    Spool,
    Recover(u64),
    SettleSpooled(SpooledRecords, u64),
    Refuse,
    Discard,
    Reset,
}

proptest! {
    /// Against a plain list of lines.
    #[test]
    fn every_line_has_exactly_one_fate(
        drop_oldest in any::<bool>(),
        steps in proptest::collection::vec(
            prop_oneof![
                6 => (0_usize..60).prop_map(Step::Push),
                2 => Just(Step::Take),
                2 => (0_u64..6).prop_map(Step::Settle),
                1 => Just(Step::PutBack),
                2 => Just(Step::Spool),
                1 => (0_u64..9).prop_map(Step::Recover),
                2 => (0_u64..5, 0_u64..5, 0_u64..9).prop_map(|(own, recovered, delivered)| {
                    Step::SettleSpooled(SpooledRecords { own, recovered }, delivered)
                }),
                1 => Just(Step::Refuse),
                1 => Just(Step::Discard),
                1 => Just(Step::Reset),
            ],
            0..200,
        ),
    ) {
        let overflow = if drop_oldest { Overflow::DropOldest } else { Overflow::DropNewest };
        let queue = Queue::new(Limits { bytes_max: 200, entries_max: 12 }, overflow, Due { age_max: Duration::ZERO, ..DUE });
        let mut waiting: VecDeque<String> = VecDeque::new();
        let mut in_flight: Option<Batch> = None;
        let mut spooled = SpooledRecords::default();
        let (mut accepted, mut settled) = (0, 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(bytes) => {
                    let line = format!("{number}{}\n", "x".repeat(bytes));
                    accepted += 1;
                    let before = queue.counters().queued;
                    if queue.push(&[line.as_bytes()]) == Pushed::Queued {
                        waiting.push_back(line);
                        let dropped = before + 1 - queue.counters().queued;
                        waiting.drain(..usize::try_from(dropped).unwrap());
                    }
                }
                Step::Take if in_flight.is_none() && !waiting.is_empty() => {
                    let batch = queue.take().unwrap();
                    let expected: String = waiting.drain(..usize::try_from(batch.entries()).unwrap()).collect();
                    prop_assert_eq!(text(&batch), expected);
                    prop_assert!(batch.entries() <= 4 && (batch.bytes() <= 40 || batch.entries() == 1));
                    in_flight = Some(batch);
                }
                Step::Settle(count) => if let Some(batch) = in_flight.take() {
                    settled += count.min(batch.entries());
                    queue.settle(batch, Settlement { delivered: count, rest: DropReason::Rejected });
                }
                Step::PutBack => if let Some(batch) = in_flight.take() {
                    for line in text(&batch).split_inclusive('\n').rev() {
                        waiting.push_front(line.to_owned());
                    }
                    queue.put_back(batch);
                }
                Step::Spool => if let Some(batch) = in_flight.take() {
                    spooled.own += batch.entries();
                    queue.spooled(batch);
                }
                Step::Recover(records) => {
                    accepted += records;
                    spooled.recovered += records;
                    queue.recovered(records);
                }
                Step::SettleSpooled(some, count) => {
                    let some = SpooledRecords {
                        own: some.own.min(spooled.own), recovered: some.recovered.min(spooled.recovered),
                    };
                    spooled.own -= some.own;
                    spooled.recovered -= some.recovered;
                    settled += count.min(some.own + some.recovered);
                    queue.settle_spooled(some, Settlement { delivered: count, rest: DropReason::Rejected });
                }
                Step::Reset => {
                    queue.reset_counters();
                    let counters = queue.counters();
                    accepted = counters.queued + counters.spooled;
                    settled = 0;
                    prop_assert_eq!(counters.recovered, spooled.recovered);
                }
                Step::Refuse => {
                    accepted += 1;
                    queue.refuse(DropReason::TooLarge);
                }
                Step::Discard => {
                    queue.discard(DropReason::Closed);
                    waiting.clear();
                }
                Step::Take => {}
            }
            let counters = queue.counters();
            prop_assert!(is_balanced(&counters), "{:?}", counters);
            prop_assert_eq!((counters.accepted, counters.delivered), (accepted, settled));
            let flying = in_flight.as_ref().map_or((0, 0), |batch| (batch.entries(), batch.bytes()));
            prop_assert_eq!(counters.queued, waiting.len() as u64 + flying.0);
            prop_assert_eq!(counters.queued_bytes, waiting.iter().map(String::len).sum::<usize>() + flying.1);
            prop_assert_eq!(counters.spooled, spooled.own + spooled.recovered);
            // A flush waits exactly as long as something of ours has no fate.
            prop_assert_eq!(queue.flush(Duration::ZERO) == 0, counters.queued + spooled.own == 0);
            prop_assert!(counters.queued <= 12 && counters.queued_bytes <= 200);
        }
    }
}

#[test]
fn a_flush_asks_whether_to_go_on_and_ends_when_told() {
    let queue = queue();
    push(&queue, &["a"]);
    let mut asked = 0;
    let left = queue.flush_while(NEVER, Duration::from_millis(1), || {
        asked += 1;
        // The queue is not locked meanwhile.
        push(&queue, &["b"]);
        asked < 3
    });
    assert_eq!((left, asked), (1, 3));
    // A flush that ends in time need not ask.
    let batch = queue.take().unwrap();
    delivered(&queue, batch);
    assert_eq!(queue.flush_while(Duration::ZERO, NEVER, || panic!("not asked")), 0);
}

/// A queue with one line that the sender has, and a flush of it that another thread waits for.
fn hopeful(queue: &Arc<Queue>) -> (Batch, Asked, thread::JoinHandle<Flushed>) {
    push(queue, &["a"]);
    let flushing = Arc::clone(queue);
    let flush = thread::spawn(move || flushing.flush_hopefully(NEVER, NEVER, || true));
    // Only the flush makes the line due.
    let batch = queue.take().unwrap();
    let asked = queue.asked();
    (batch, asked, flush)
}

#[test]
fn a_hopeful_flush_ends_when_a_batch_is_given_up() {
    for (reason, in_vain) in [
        (DropReason::Exhausted, true),
        (DropReason::Refused, true),
        // Single lines may be bad: the next ones need not.
        (DropReason::Rejected, false),
        (DropReason::TooLarge, false),
    ] {
        let queue = Arc::new(queue());
        let (batch, _, flush) = hopeful(&queue);
        queue.settle(batch, Settlement::dropped(reason));
        assert_eq!(flush.join().unwrap(), Flushed { left: 0, in_vain });
    }
}

#[test]
fn a_hopeful_flush_ends_in_vain_only_if_it_was_asked_for_before() {
    let queue = Arc::new(queue());
    let before = queue.asked();
    let (batch, asked, flush) = hopeful(&queue);
    queue.in_vain(before);
    queue.in_vain(asked);
    assert_eq!(flush.join().unwrap(), Flushed { left: 1, in_vain: true });
    // Others wait on.
    assert_eq!(
        queue.flush_hopefully(Duration::ZERO, NEVER, || true),
        Flushed { left: 1, in_vain: false }
    );
    delivered(&queue, batch);
    assert_eq!(queue.flush_hopefully(NEVER, NEVER, || true), Flushed::default());
}

#[test]
fn a_hopeful_flush_does_not_wait_for_less_than_the_server_wants() {
    let queue = Arc::new(queue());
    push(&queue, &["a"]);
    let pausing = Arc::clone(&queue);
    let pause = thread::spawn(move || pausing.pause_as_told(NEVER, pausing.asked()));
    let shorter = NEVER / 2;
    assert_eq!(queue.flush_hopefully(shorter, NEVER, || true), Flushed { left: 1, in_vain: true });
    assert_eq!(queue.flush_hopefully(shorter, NEVER, || true), Flushed { left: 1, in_vain: true });
    queue.close();
    assert_eq!(pause.join().unwrap(), Pause::Over);
    // The next pause is a guess of the sender.
    assert_eq!(
        queue.flush_hopefully(Duration::ZERO, NEVER, || true),
        Flushed { left: 1, in_vain: false }
    );
}
