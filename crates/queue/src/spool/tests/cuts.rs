//! A segment that was cut or damaged, at every place.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::spool::frame::{self, HEADER_BYTES, Header};

const SEAL_BYTES: u64 = 25;

/// A frame that was written.
struct Frame {
    start: usize,
    end: usize,
    /// `None` for a seal.
    lines: Option<&'static str>,
}

/// A segment of three batches and a rest, and what it consists of.
fn segment() -> (Vec<u8>, Vec<Frame>) {
    let folder = Folder::new();
    let spool = folder.first(7);
    let mut frames = Vec::new();
    let written = || {
        segments(&folder.of(7)).first().map_or(HEADER_BYTES as usize, |(_, bytes)| *bytes as usize)
    };
    for lines in [
        Some("a1\na2\n"),
        None,
        Some("b1\n"),
        Some("b2\nb3\nb4\n"),
        None,
        Some("c1\n"),
        None,
        Some("d1\n"),
        Some("d2\n"),
    ] {
        let start = written();
        match lines {
            Some(lines) => spool.add(lines),
            None => assert!(spool.seal().unwrap() > 0),
        }
        frames.push(Frame { start, end: written(), lines });
    }
    spool.crash();
    let segments = segments(&folder.of(7));
    (fs::read(&segments[0].0).unwrap(), frames)
}

/// The batches of these frames, the last one perhaps not sealed.
fn batches<'a>(frames: impl Iterator<Item = &'a Frame>, with_rest: bool) -> Vec<Handed> {
    let (mut batches, mut lines) = (Vec::new(), String::new());
    for frame in frames {
        match frame.lines {
            Some(more) => lines += more,
            None => {
                batches.push(expected(7, batches.len() as u64 + 1, &std::mem::take(&mut lines)));
            }
        }
    }
    if with_rest && !lines.is_empty() {
        batches.push(expected(7, batches.len() as u64 + 1, &lines));
    }
    batches
}

/// Recovers twice, with a crash between, and finds the same: the batches, and what was reported first.
fn recover(folder: &Folder) -> (Vec<Handed>, Recovery) {
    let (spool, recovery) = folder.open(8);
    let batches = spool.drain();
    assert_eq!(spool.usage().records, recovery.records);
    assert_eq!(spool.usage().bytes, spool.disk_bytes());
    assert_eq!(recovery.records, batches.iter().map(|batch| batch.2).sum::<u64>());
    spool.crash();
    let (spool, again) = folder.open(9);
    assert_eq!(spool.drain(), batches);
    assert_eq!((again.records, again.bytes), (recovery.records, recovery.bytes));
    // What is given up as a whole is removed.
    let lost_records = if batches.is_empty() { 0 } else { recovery.lost_records };
    assert_eq!(again.lost_records, lost_records);
    (batches, recovery)
}

#[test]
fn of_a_segment_that_is_cut_anywhere_every_whole_frame_is_recovered() {
    let (bytes, frames) = segment();
    for cut in 0..=bytes.len() {
        let folder = Folder::with_segment(7, &bytes[..cut]);
        let whole = frames.iter().take_while(|frame| frame.end <= cut);
        let good_bytes = whole.clone().last().map_or(HEADER_BYTES, |frame| frame.end as u64);
        let is_sealed = whole.clone().last().is_none_or(|frame| frame.lines.is_none());
        let expected = batches(whole, true);
        let (batches, recovery) = recover(&folder);
        assert_eq!(batches, expected, "cut at {cut}");
        assert_eq!((recovery.lost_records, recovery.damaged), (0, Vec::new()));
        let good_bytes = if (cut as u64) < HEADER_BYTES { 0 } else { good_bytes };
        assert_eq!(good_bytes + recovery.torn_bytes, cut as u64, "cut at {cut}");
        if !expected.is_empty() {
            let seal = if is_sealed { 0 } else { SEAL_BYTES };
            assert_eq!(recovery.bytes, good_bytes + seal, "cut at {cut}");
        }
    }
}

/// What must be found of the segment if these of its bytes are wrong: the batches, their bytes, and the records that
/// are given up.
fn left(frames: &[Frame], wrong: Range<usize>) -> (Vec<Handed>, usize, u64) {
    let is_bad = |frame: &Frame| frame.start < wrong.end && wrong.start < frame.end;
    let first_bad = frames.iter().position(is_bad).unwrap();
    let seal_follows =
        frames[first_bad..].iter().any(|frame| frame.lines.is_none() && !is_bad(frame));
    if !seal_follows {
        let bytes = frames[first_bad].start - HEADER_BYTES as usize;
        return (batches(frames[..first_bad].iter(), true), bytes, 0);
    }
    let (mut left, mut bytes, mut lost_records) = (Vec::new(), 0, 0);
    let groups = frames.split_inclusive(|frame| frame.lines.is_none());
    for (group, batch) in groups.zip(batches(frames.iter(), true)) {
        if group.iter().any(is_bad) {
            lost_records += batch.2;
        } else {
            bytes += group.last().unwrap().end - group[0].start;
            left.push(batch);
        }
    }
    (left, bytes, lost_records)
}

#[test]
fn of_a_segment_with_a_wrong_bit_anywhere_every_other_batch_is_recovered() {
    let (bytes, frames) = segment();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        let place = bit / 8;
        bytes[place] ^= 1 << (bit % 8);
        let folder = Folder::with_segment(7, &bytes);
        let (batches, recovery) = recover(&folder);
        if place < HEADER_BYTES as usize {
            assert!(batches.is_empty());
            assert_eq!(recovery.damaged.len(), 1, "{place}: {:?}", recovery.damaged);
            // Of what may be somebody else's nothing is touched.
            let is_foreign = place < 12;
            let (torn_bytes, lost) = if is_foreign { (0, 0) } else { (bytes.len() as u64, 9) };
            assert_eq!((recovery.torn_bytes, recovery.lost_records), (torn_bytes, lost));
            assert_eq!(folder.of(7).exists(), is_foreign);
            continue;
        }
        let (expected, good_bytes, lost_records) = left(&frames, place..place + 1);
        assert_eq!(batches, expected, "byte {place}");
        assert_eq!(recovery.lost_records, lost_records, "byte {place}");
        assert_eq!(recovery.damaged.len(), usize::from(lost_records > 0), "byte {place}");
        let good_bytes = good_bytes as u64 + HEADER_BYTES;
        assert_eq!(good_bytes + recovery.torn_bytes, bytes.len() as u64, "byte {place}");
    }
}

#[test]
fn bytes_that_are_overwritten_cost_at_most_the_one_batch_behind_them_whose_start_they_hide() {
    let (bytes, frames) = segment();
    for length in [4, 70] {
        for place in HEADER_BYTES as usize..bytes.len() - length {
            let mut bytes = bytes.clone();
            bytes[place..place + length].fill(0xee);
            let (batches, recovery) = recover(&Folder::with_segment(7, &bytes));
            let (mut hidden, _, lost_records) = left(&frames, place..place + length);
            let found = hidden.len();
            hidden.retain(|batch| !batches.contains(batch));
            assert_eq!(batches.len() + hidden.len(), found, "{length} at {place}");
            assert!(batches.is_sorted_by_key(|batch| batch.1), "{length} at {place}");
            assert!(hidden.len() <= 1, "{length} at {place}");
            let most = lost_records + hidden.iter().map(|batch| batch.2).sum::<u64>();
            assert!(recovery.lost_records <= most, "{length} at {place}");
        }
    }
}

#[test]
fn a_segment_with_two_damaged_places_loses_two_batches() {
    let (mut bytes, frames) = segment();
    bytes[frames[0].end - 1] ^= 1;
    bytes[frames[5].start] ^= 1;
    let (batches, recovery) = recover(&Folder::with_segment(7, &bytes));
    assert_eq!(batches, [expected(7, 2, "b1\nb2\nb3\nb4\n"), expected(7, 4, "d1\nd2\n")]);
    assert_eq!((recovery.lost_records, recovery.damaged.len()), (3, 1));
}

#[test]
fn behind_damage_seals_that_contradict_each_other_are_not_believed() {
    let whole = [lines("a\n"), frame::seal(1, 1).to_vec()].concat();
    let inner = [&frame::seal(2, 1), lines("no\n").as_slice(), &frame::seal(3, 1)].concat();
    let mut damaged = [lines("b\n"), inner].concat();
    damaged[25] ^= 1;
    let real = [&frame::seal(2, 1), lines("c\n").as_slice(), &frame::seal(3, 1)].concat();
    // One that goes back, one with batches and one with records for which there is no room.
    for rest in [real, frame::seal(9, 1).to_vec(), frame::seal(4, 1 << 40).to_vec()] {
        let folder = Folder::with_segment(7, &written(&[&whole, &damaged, b"!", &rest]));
        let (batches, recovery) = recover(&folder);
        assert_eq!(batches, [expected(7, 1, "a\n")]);
        assert_eq!((recovery.lost_records, recovery.damaged.len()), (0, 1));
    }
}

#[test]
fn damage_costs_its_batch_but_not_the_next_one_nor_the_next_segment() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 120;
    ["a\n", "b\n", "c\n", "d\n"].into_iter().for_each(|lines| spool.batch(lines));
    spool.crash();
    let segments = segments(&folder.of(1));
    assert_eq!(segments.len(), 2);
    let mut bytes = fs::read(&segments[0].0).unwrap();
    let a = HEADER_BYTES as usize;
    bytes[a + 10] ^= 1;
    put(&segments[0].0, &bytes);
    let (spool, recovery) = folder.open(2);
    let rest = [expected(1, 2, "b\n"), expected(1, 3, "c\n"), expected(1, 4, "d\n")];
    assert_eq!(spool.drain(), rest);
    assert_eq!((recovery.torn_bytes, recovery.lost_records), (27 + SEAL_BYTES, 1));
    assert_eq!(recovery.damaged.len(), 1);
    assert!(
        recovery.damaged[0].contains("00000000000000000001.seg: damaged, "),
        "{:?}",
        recovery.damaged
    );
}

#[test]
fn a_batch_that_is_damaged_before_it_is_taken_is_given_up_as_a_whole() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.add("a\n");
    spool.batch("b\n");
    spool.batch("c\n");
    let path = segments(&folder.of(1))[0].0.clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER_BYTES as usize + 60] ^= 1;
    put(&path, &bytes);
    let error = spool.next(Duration::ZERO).unwrap_err();
    assert!(matches!(error, SpoolError::Damaged { sequence: 1, records: 2, .. }), "{error}");
    assert_eq!(spool.usage().records, 1);
    assert_eq!(spool.drain(), [expected(1, 2, "c\n")]);
}

/// A segment whose first batch is 1.
fn written(frames: &[&[u8]]) -> Vec<u8> {
    let header = Header { client: 7, number: 1, sequence: 1, created: 0 }.encode();
    [&[header.as_slice()], frames].concat().concat()
}

fn lines(text: &str) -> Vec<u8> {
    let head = frame::lines(text.lines().count() as u64, 5, [text.as_bytes()].into_iter());
    [head.unwrap().as_slice(), text.as_bytes()].concat()
}

#[test]
fn a_seal_that_counts_other_records_than_there_are_is_damage() {
    let rest = [lines("b\n"), frame::seal(2, 1).to_vec()].concat();
    let next = [expected(7, 2, "b\n")];
    for (seal, left, lost_records) in [
        (frame::seal(1, 1), next.as_slice(), 1),
        (frame::seal(1, 3), &next, 3),
        (frame::seal(2, 2), &[], 0),
    ] {
        let folder = Folder::with_segment(7, &written(&[&lines("a1\na2\n"), &seal, &rest]));
        let (batches, recovery) = recover(&folder);
        assert_eq!((batches.as_slice(), recovery.damaged.len()), (left, 1));
        assert_eq!(recovery.lost_records, lost_records);
    }
}

#[test]
fn a_seal_behind_damage_is_found_also_where_two_blocks_meet() {
    for length in (64 << 10) - 60..(64 << 10) + 10 {
        let mut damaged = lines(&format!("{}\n", "x".repeat(length)));
        damaged[30] ^= 1;
        let folder = Folder::with_segment(7, &written(&[&damaged, &frame::seal(1, 1)]));
        let (_, recovery) = folder.open(8);
        assert_eq!(recovery.damaged.len(), 1, "{length}");
    }
}

#[test]
fn a_batch_in_whose_place_there_is_another_one_is_given_up() {
    for (text, seal) in
        [("a\n", frame::seal(2, 1)), ("\n\n", frame::seal(1, 2)), ("b\n", frame::seal(1, 9))]
    {
        let folder = Folder::new();
        let spool = folder.first(7);
        spool.batch("a\n");
        put(&segments(&folder.of(7))[0].0, &written(&[&lines(text), &seal]));
        assert!(matches!(spool.next(Duration::ZERO), Err(SpoolError::Damaged { records: 1, .. })));
    }
}

#[test]
fn a_batch_whose_file_is_gone_is_given_up() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.batch("a\n");
    fs::remove_file(&segments(&folder.of(1))[0].0).unwrap();
    assert!(matches!(spool.next(Duration::ZERO), Err(SpoolError::Damaged { records: 1, .. })));
    assert!(spool.take().is_none());
}

/// What a frame may look like to somebody who wants to do harm.
fn hostile_frame() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![0..4_u64, Just(u64::MAX), any::<u64>()];
    let lines = (small.clone(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
        |(entries, lines)| {
            let head = frame::lines(entries, 5, [lines.as_slice()].into_iter()).unwrap();
            [head.as_slice(), &lines].concat()
        },
    );
    let seal = (small.clone(), small)
        .prop_map(|(sequence, entries)| frame::seal(sequence, entries).to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 0..60);
    prop_oneof![3 => lines, 3 => seal, 1 => noise]
}

proptest! {
    #[test]
    fn nothing_that_a_segment_may_hold_does_harm(
        header in prop_oneof![
            8 => (prop_oneof![0..3_u64, Just(u64::MAX)], any::<u64>()).prop_map(|(sequence, created)| {
                Header { client: 7, number: 1, sequence, created }.encode()
            }),
            1 => proptest::collection::vec(any::<u8>(), 0..100),
        ],
        frames in proptest::collection::vec(hostile_frame(), 0..12),
    ) {
        let folder = Folder::with_segment(7, &[header, frames.concat()].concat());
        let (spool, recovery) = folder.open(8);
        let mut sequences = Vec::new();
        while let Some(spooled) = spool.take() {
            let bytes = spooled.batch.bytes() as u64;
            prop_assert!((1..=bytes).contains(&spooled.batch.entries()));
            sequences.push((spooled.sequence, spooled.batch.entries()));
        }
        prop_assert!(sequences.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert_eq!(sequences.iter().map(|batch| batch.1).sum::<u64>(), recovery.records);
        spool.crash();
        prop_assert_eq!(folder.open(9).1.records, recovery.records);
    }
}
