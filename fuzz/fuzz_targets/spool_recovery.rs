//! A segment of arbitrary content. Arbitrary bytes alone would hardly ever have a right checksum, so that most inputs
//! are read as instructions for writing frames, in the layout that the documentation of `millpond_queue::spool` gives.

#![no_main]

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use libfuzzer_sys::fuzz_target;
use millpond_queue::{Spool, SpoolLimits};

const CLIENT: u128 = 7;

fuzz_target!(|input: &[u8]| {
    let segment = match input.split_first() {
        Some((0, raw)) => raw.to_vec(),
        Some((sequence, instructions)) => segment(u64::from(*sequence), instructions),
        None => Vec::new(),
    };
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join(format!("{CLIENT:032x}"));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("lock"), b"").unwrap();
    fs::write(directory.join(format!("{:020}.seg", 1)), &segment).unwrap();
    let first = recover(base.path(), 8, segment.len());
    assert_eq!(recover(base.path(), 9, segment.len()), first);
});

/// Sequence, records and lines of what is handed out.
fn recover(base: &Path, client: u128, bytes_max: usize) -> Vec<(u64, u64, Vec<u8>)> {
    let limits = SpoolLimits { bytes_max: 1 << 20, age_max: Duration::ZERO };
    let (spool, recovery) = Spool::open(base, &format!("{client:032x}"), limits).unwrap();
    let mut batches = Vec::new();
    while let Some(spooled) = spool.next(Duration::ZERO).unwrap() {
        assert!(spooled.recovered);
        let lines = spooled.batch.parts().collect::<Vec<_>>().concat();
        assert!((1..=lines.len() as u64).contains(&spooled.batch.entries()));
        batches.push((spooled.sequence, spooled.batch.entries(), lines));
    }
    assert!(batches.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    assert_eq!(batches.iter().map(|batch| batch.1).sum::<u64>(), recovery.records);
    assert_eq!(spool.usage().records, recovery.records);
    assert!(batches.iter().map(|batch| batch.2.len()).sum::<usize>() <= bytes_max);
    // Taken and not acknowledged: nothing expires.
    assert_eq!(spool.expire(SystemTime::now()), 0);
    batches
}

fn segment(sequence: u64, mut instructions: &[u8]) -> Vec<u8> {
    let mut bytes = b"mpspool\n".to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(CLIENT.to_be_bytes());
    [1, sequence, 0].into_iter().for_each(|number: u64| bytes.extend(number.to_le_bytes()));
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    while let [instruction, first, second, rest @ ..] = instructions {
        let length = rest.len().min(usize::from(*second % 32));
        let (content, after) = rest.split_at(length);
        instructions = after;
        match instruction % 5 {
            0 => frame(&mut bytes, 1, u64::from(*first), 0, content),
            1 => frame(&mut bytes, 2, u64::from(*first), u64::from(*second), &[]),
            2 => frame(&mut bytes, *first, u64::MAX, u64::from(*second), content),
            3 => bytes.extend(content),
            _ => {
                let place = bytes.len().saturating_sub(1 + usize::from(*first));
                bytes[place] ^= second;
            }
        }
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, first: u64, second: u64, content: &[u8]) {
    let mut body = vec![kind];
    body.extend(first.to_le_bytes());
    body.extend(second.to_le_bytes());
    body.extend(content);
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
}
