//! The bytes of a segment: its header and its frames, as values. Pure: no file, no clock.
//!
//! The layout is in the documentation of [`spool`](super).

/// What a segment starts with, whatever its version.
const MAGIC: &[u8; 8] = b"mpspool\n";
/// The one version that there is.
const VERSION: u32 = 1;

/// Bytes of a header.
pub(super) const HEADER_BYTES: u64 = 56;
/// Bytes of a frame's head. A seal is no more than that.
pub(super) const HEAD_BYTES: u64 = 25;
const HEAD: usize = 25;

/// The part of the head that the length and the checksum count in.
const FIXED_BYTES: u32 = 17;

const KIND_LINES: u8 = 1;
const KIND_SEAL: u8 = 2;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) client: u128,
    pub(super) number: u64,
    /// Of the first batch in the segment; the others count on from it.
    pub(super) sequence: u64,
    /// Milliseconds since the epoch.
    pub(super) created: u64,
}

/// Why a header can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// The file ends within it: its writer died, and nothing can be behind it.
    Torn,
    /// This is no segment.
    Foreign,
    /// A segment, but not of a version that is known here.
    Version(u32),
    /// The checksum is wrong.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.client.to_be_bytes());
        for number in [self.number, self.sequence, self.created] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the start of a file, which is at most a header long.
    pub(super) fn decode(start: &[u8]) -> Result<Self, HeaderError> {
        let magic = start.get(..MAGIC.len()).unwrap_or(start);
        if !MAGIC.starts_with(magic) {
            return Err(HeaderError::Foreign);
        }
        let covered = start.get(..HEADER_BYTES as usize - 4);
        let mut rest = start.get(MAGIC.len()..).unwrap_or_default();
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or(HeaderError::Torn)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let fields = fields(rest).zip(covered);
        let ((header, crc), covered) = fields.ok_or(HeaderError::Torn)?;
        if crc32c::crc32c(covered) == crc { Ok(header) } else { Err(HeaderError::Damaged) }
    }
}

fn fields(mut rest: &[u8]) -> Option<(Header, u32)> {
    let client = u128::from_be_bytes(take(&mut rest)?);
    let mut number = || take(&mut rest).map(u64::from_le_bytes);
    let header = Header { client, number: number()?, sequence: number()?, created: number()? };
    Some((header, u32::from_le_bytes(take(&mut rest)?)))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// So many records follow.
    Lines {
        entries: u64,
        /// Milliseconds since the epoch.
        written: u64,
    },
    /// The lines since the last seal are a batch.
    Seal { sequence: u64, entries: u64 },
}

/// The first bytes of a frame, with as much of it checked as can be without the lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) meaning: Meaning,
    /// Bytes of the lines that follow; none after a seal.
    pub(super) lines: u64,
    /// The checksum that the frame carries, and the one of what of it was read so far.
    expected: u32,
    pub(super) crc: u32,
}

impl Head {
    /// `None`: no frame starts so.
    pub(super) fn decode(bytes: &[u8; HEAD]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let length = u32::from_le_bytes(take(&mut rest)?);
        let expected = u32::from_le_bytes(take(&mut rest)?);
        let crc = crc32c::crc32c(rest);
        let [kind] = take(&mut rest)?;
        let first = u64::from_le_bytes(take(&mut rest)?);
        let second = u64::from_le_bytes(take(&mut rest)?);
        let lines = u64::from(length.checked_sub(FIXED_BYTES)?);
        let meaning = match kind {
            // A line is a byte at least.
            KIND_LINES if (1..=lines).contains(&first) => {
                Meaning::Lines { entries: first, written: second }
            }
            KIND_SEAL if lines == 0 && second > 0 => {
                Meaning::Seal { sequence: first, entries: second }
            }
            _ => return None,
        };
        Some(Self { meaning, lines, expected, crc })
    }

    /// Whether the checksum is right, once [`Self::crc`] covers the lines too.
    pub(super) fn is_whole(&self) -> bool {
        self.crc == self.expected
    }
}

/// What stands before lines; `None` if they are too long for a frame.
pub(super) fn lines<'a>(
    entries: u64,
    written: u64,
    parts: impl Iterator<Item = &'a [u8]>,
) -> Option<[u8; HEAD]> {
    let fixed = fixed(KIND_LINES, entries, written);
    let (mut length, mut crc) = (FIXED_BYTES, crc32c::crc32c(&fixed));
    for part in parts {
        length = length.checked_add(u32::try_from(part.len()).ok()?)?;
        crc = crc32c::crc32c_append(crc, part);
    }
    Some(head(length, crc, &fixed))
}

/// A whole seal.
pub(super) fn seal(sequence: u64, entries: u64) -> [u8; HEAD] {
    let fixed = fixed(KIND_SEAL, sequence, entries);
    head(FIXED_BYTES, crc32c::crc32c(&fixed), &fixed)
}

/// The place in `block` of a seal of a batch that has this sequence or a later one, wherever it may start, with the
/// sequence and the records that it says.
pub(super) fn find_seal(block: &[u8], sequence: u64) -> Option<(usize, u64, u64)> {
    block.windows(HEAD).enumerate().find_map(|(place, window)| {
        // The length alone tells most places.
        if !window.starts_with(&FIXED_BYTES.to_le_bytes()) {
            return None;
        }
        let head = window.first_chunk().and_then(Head::decode).filter(Head::is_whole)?;
        match head.meaning {
            Meaning::Seal { sequence: found, entries } if found >= sequence => {
                Some((place, found, entries))
            }
            _ => None,
        }
    })
}

fn fixed(kind: u8, first: u64, second: u64) -> [u8; FIXED_BYTES as usize] {
    let mut fixed = [kind; FIXED_BYTES as usize];
    let numbers = first.to_le_bytes().into_iter().chain(second.to_le_bytes());
    fixed.iter_mut().skip(1).zip(numbers).for_each(|(place, byte)| *place = byte);
    fixed
}

fn head(length: u32, crc: u32, fixed: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let bytes = length.to_le_bytes().into_iter().chain(crc.to_le_bytes());
    head.iter_mut().zip(bytes.chain(fixed.iter().copied())).for_each(|(place, byte)| *place = byte);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_no_bit_of_it_may_change() {
        let header = Header { client: 7 << 100, number: 3, sequence: 9, created: 1 };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode(&bytes).unwrap_err();
            match bit / 8 {
                0..8 => assert_eq!(error, HeaderError::Foreign),
                8..12 => assert!(matches!(error, HeaderError::Version(_))),
                _ => assert_eq!(error, HeaderError::Damaged),
            }
        }
        for length in 0..bytes.len() {
            assert_eq!(Header::decode(&bytes[..length]), Err(HeaderError::Torn));
        }
    }

    #[test]
    fn a_seal_is_found_wherever_it_starts_unless_its_batch_is_an_earlier_one() {
        let mut block = vec![17, 0, 0, 0, 1];
        block.extend_from_slice(&seal(4, 10));
        assert_eq!(find_seal(&block, 4), Some((5, 4, 10)));
        assert_eq!(find_seal(&block, 5), None);
        assert_eq!(find_seal(&block[..29], 4), None);
        block[20] ^= 1;
        assert_eq!(find_seal(&block, 4), None);
    }

    #[test]
    fn lines_must_be_there_for_every_record() {
        for (entries, good) in [(0, false), (1, true), (4, true), (5, false)] {
            let head = lines(entries, 1, [b"a\nb\n".as_slice()].into_iter()).unwrap();
            assert_eq!(Head::decode(&head).is_some(), good, "{entries}");
        }
    }
}
