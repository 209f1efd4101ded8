//! A segment that was cut or damaged, at every place.

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
    (batches, recovery)
}

/// Bytes of a segment that holds just these batches.
fn segment_bytes(frames: &[Frame], batches: &[Handed]) -> u64 {
    let mut seals = 0;
    let whole = frames.iter().take_while(|frame| {
        let kept = seals < batches.len();
        seals += usize::from(frame.lines.is_none());
        kept
    });
    whole.map(|frame| (frame.end - frame.start) as u64).sum::<u64>() + HEADER_BYTES
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
        assert_eq!(recovery.damaged, Vec::<String>::new());
        let good_bytes = if (cut as u64) < HEADER_BYTES { 0 } else { good_bytes };
        assert_eq!(good_bytes + recovery.torn_bytes, cut as u64, "cut at {cut}");
        if !expected.is_empty() {
            let seal = if is_sealed { 0 } else { SEAL_BYTES };
            assert_eq!(recovery.bytes, good_bytes + seal, "cut at {cut}");
        }
    }
}

#[test]
fn of_a_segment_with_a_wrong_bit_anywhere_only_whole_batches_are_recovered() {
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
            let torn_bytes = if is_foreign { 0 } else { bytes.len() as u64 };
            assert_eq!((folder.of(7).exists(), recovery.torn_bytes), (is_foreign, torn_bytes));
            continue;
        }
        let bad = frames.iter().position(|frame| place < frame.end).unwrap();
        let seal_follows = frames[bad + 1..].iter().any(|frame| frame.lines.is_none());
        let expected = super::cuts::batches(frames[..bad].iter(), !seal_follows);
        assert_eq!(batches, expected, "byte {place}");
        assert_eq!(recovery.damaged.len(), usize::from(seal_follows), "{:?}", recovery.damaged);
        let good_bytes =
            if seal_follows { segment_bytes(&frames, &expected) } else { frames[bad].start as u64 };
        let good_bytes =
            if seal_follows && expected.is_empty() { HEADER_BYTES } else { good_bytes };
        assert_eq!(good_bytes + recovery.torn_bytes, bytes.len() as u64, "byte {place}");
    }
}

#[test]
fn damage_costs_the_rest_of_its_segment_but_not_the_next_one() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 120;
    ["a\n", "b\n", "c\n", "d\n"].into_iter().for_each(|lines| spool.batch(lines));
    spool.crash();
    let segments = segments(&folder.of(1));
    assert_eq!(segments.len(), 2);
    let mut bytes = fs::read(&segments[0].0).unwrap();
    let (a, end) = (HEADER_BYTES as usize, bytes.len() as u64);
    bytes[a + 10] ^= 1;
    put(&segments[0].0, &bytes);
    let (spool, recovery) = folder.open(2);
    assert_eq!(spool.drain(), [expected(1, 3, "c\n"), expected(1, 4, "d\n")]);
    assert_eq!((recovery.torn_bytes, recovery.damaged.len()), (end - HEADER_BYTES, 1));
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
    for seal in [frame::seal(1, 1), frame::seal(1, 3), frame::seal(2, 2)] {
        let folder = Folder::with_segment(7, &written(&[&lines("a1\na2\n"), &seal, &rest]));
        let (batches, recovery) = recover(&folder);
        assert_eq!((batches.len(), recovery.damaged.len()), (0, 1));
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
        prop_assert!(sequences.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        prop_assert_eq!(sequences.iter().map(|batch| batch.1).sum::<u64>(), recovery.records);
        spool.crash();
        prop_assert_eq!(folder.open(9).1.records, recovery.records);
    }
}
