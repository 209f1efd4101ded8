//! Reads segments: finds the batches of one that a dead process left, and reads a batch when it is taken. Keeps
//! where a batch is, never its lines.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::frame::{self, HEAD_BYTES, HEADER_BYTES, Head, Header, HeaderError, Meaning};

/// A piece of a file on its way through a checksum.
const BLOCK_BYTES: usize = 64 << 10;

/// The smallest batch: lines of one byte, and their seal.
const BATCH_BYTES_MIN: u64 = HEAD_BYTES + 1 + HEAD_BYTES;

/// Where a sealed batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) entries: u64,
    /// Of its first frame.
    pub(super) offset: u64,
    /// Of all its frames, its seal included if it has one.
    pub(super) bytes: u64,
    /// When its last lines were written, in milliseconds since the epoch.
    pub(super) written: u64,
    pub(super) taken: bool,
}

/// A file and the batches in it that are not acknowledged.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) number: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    pub(super) batches: VecDeque<Place>,
    /// More may be written to it.
    pub(super) active: bool,
}

/// What a segment holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) batches: Vec<Place>,
    /// The lines behind the last seal, as the batch that they are once they are sealed.
    pub(super) unsealed: Option<Place>,
    /// Bytes up to the end of the last good frame.
    pub(super) good_bytes: u64,
    /// Where damage begins that has a seal behind it.
    pub(super) damaged_from: Option<u64>,
    /// Records of the batches that are given up, as far as whole frames tell.
    pub(super) lost_records: u64,
    pub(super) tail: Tail,
}

/// What is behind the last good frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    /// A frame that was not written to its end, as far as one can tell: no seal follows.
    Torn,
    /// Something that had been whole, and of which nothing can be made out for certain.
    Damaged,
}

/// Reads the header of an opened segment.
pub(super) fn header(file: &mut impl Read) -> io::Result<Result<Header, HeaderError>> {
    let mut start = Vec::with_capacity(HEADER_BYTES as usize);
    file.take(HEADER_BYTES).read_to_end(&mut start)?;
    Ok(Header::decode(&start))
}

/// Records of the whole frames of a segment whose header is not to be read, up to the first bad one.
pub(super) fn records(file: impl Read + Seek) -> io::Result<u64> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, file);
    file.seek(SeekFrom::Start(HEADER_BYTES))?;
    let mut records = 0_u64;
    while let Some(Frame::Whole { meaning, .. }) = frame(&mut file, &mut io::sink())? {
        if let Meaning::Lines { entries, .. } = meaning {
            records = records.saturating_add(entries);
        }
    }
    Ok(records)
}

/// Reads what is behind the header: all batches that are whole for certain.
///
/// # Errors
/// The file can't be read to its end, which says nothing about what was written to it.
pub(super) fn content(file: impl Read + Seek, header: &Header) -> io::Result<Content> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, file);
    file.seek(SeekFrom::Start(HEADER_BYTES))?;
    let mut content = Content::new(HEADER_BYTES, Tail::Nothing);
    let mut sequence = header.sequence;
    // The sequence of the first damaged batch, and how many are in front of it.
    let mut first_damaged = None;
    loop {
        match step(&mut file, &mut content, sequence)? {
            Step::Lines => continue,
            Step::Sealed => {
                sequence = sequence.saturating_add(1);
                continue;
            }
            Step::End => return Ok(content),
            Step::Bad => {}
        }
        let (floor, sound) = first_damaged.unwrap_or((sequence, content.batches.len()));
        let Some(seal) = next_seal(&mut file, content.good_bytes, floor)? else {
            content.tail = Tail::Torn;
            return Ok(content);
        };
        let start = content.unsealed.as_ref().map_or(content.good_bytes, |lines| lines.offset);
        content.damaged_from.get_or_insert(start);
        if !seal.is_credible(start, sequence) {
            content.give_up(sound);
            return Ok(content);
        }
        first_damaged = Some((floor, sound));
        resume(&mut file, &mut content, sequence, &seal)?;
        sequence = seal.sequence.saturating_add(1);
    }
}

impl Content {
    pub(super) fn new(good_bytes: u64, tail: Tail) -> Self {
        let (batches, lost_records) = (Vec::new(), 0);
        Self { batches, unsealed: None, good_bytes, damaged_from: None, lost_records, tail }
    }

    /// Keeps these first batches. The seals behind contradict each other, so that none of them is to be believed.
    fn give_up(&mut self, sound: usize) {
        self.batches.truncate(sound);
        self.unsealed = None;
        self.lost_records = 0;
        self.tail = Tail::Damaged;
    }
}

/// A seal that was found behind damage.
struct Seal {
    /// Of its first byte.
    offset: u64,
    sequence: u64,
    entries: u64,
}

impl Seal {
    /// Whether the batches from `sequence` to this one can be what was written from `start` on: none of them was seen
    /// before, and there is room for each and for every record of the last.
    fn is_credible(&self, start: u64, sequence: u64) -> bool {
        let room = self.offset.saturating_sub(start);
        let others = self.sequence.checked_sub(sequence);
        let others_bytes = others.and_then(|others| others.checked_mul(BATCH_BYTES_MIN));
        let bytes = others_bytes.and_then(|bytes| bytes.checked_add(self.entries));
        bytes.is_some_and(|bytes| bytes <= room)
    }
}

/// Goes on behind the first seal behind the damage, where the next batch begins. That of the seal itself is whole if
/// all that was damaged is the seal before it.
fn resume(
    file: &mut (impl BufRead + Seek),
    content: &mut Content,
    sequence: u64,
    seal: &Seal,
) -> io::Result<()> {
    let before = content.unsealed.take().map_or(0, |lines| lines.entries);
    let end = seal.offset + HEAD_BYTES;
    let follows = before > 0 && sequence.checked_add(1) == Some(seal.sequence);
    // No lines are as short as a seal: if a frame begins here, it was one.
    let whole = if follows { batch(file, content.good_bytes + HEAD_BYTES, seal)? } else { None };
    let lost = if whole.is_some() {
        before
    } else if seal.sequence == sequence {
        seal.entries
    } else {
        before.saturating_add(seal.entries)
    };
    content.batches.extend(whole);
    content.lost_records = content.lost_records.saturating_add(lost);
    content.good_bytes = end;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// The batch that begins at the offset, if it is whole and its seal is this one.
fn batch(file: &mut (impl BufRead + Seek), offset: u64, seal: &Seal) -> io::Result<Option<Place>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut content = Content::new(offset, Tail::Nothing);
    loop {
        match step(file, &mut content, seal.sequence)? {
            Step::Lines => {}
            Step::Sealed if content.good_bytes == seal.offset + HEAD_BYTES => {
                return Ok(content.batches.pop());
            }
            Step::Sealed | Step::End | Step::Bad => return Ok(None),
        }
    }
}

enum Step {
    Lines,
    Sealed,
    End,
    Bad,
}

/// Takes in one frame. A bad one changes nothing.
fn step(file: &mut impl BufRead, content: &mut Content, sequence: u64) -> io::Result<Step> {
    let Some(frame) = frame(file, &mut io::sink())? else { return Ok(Step::Bad) };
    let Frame::Whole { meaning, bytes } = frame else { return Ok(Step::End) };
    let offset = content.good_bytes;
    let step = match meaning {
        Meaning::Lines { entries, written } => {
            let none = Place { sequence, entries: 0, offset, bytes: 0, written, taken: false };
            let before = content.unsealed.as_ref().unwrap_or(&none);
            let Some(entries) = before.entries.checked_add(entries) else { return Ok(Step::Bad) };
            let bytes = before.bytes + bytes;
            content.unsealed = Some(Place { entries, bytes, written, ..before.clone() });
            Step::Lines
        }
        Meaning::Seal { sequence: sealed, entries } => {
            let fits = |lines: &mut Place| lines.entries == entries && sealed == sequence;
            let Some(mut batch) = content.unsealed.take_if(fits) else { return Ok(Step::Bad) };
            batch.bytes += bytes;
            content.batches.push(batch);
            Step::Sealed
        }
    };
    content.good_bytes += bytes;
    Ok(step)
}

enum Frame {
    Whole { meaning: Meaning, bytes: u64 },
    End,
}

/// Reads one frame and copies its lines; `None` for a bad one, with the lines in an unknown state.
fn frame(file: &mut impl BufRead, lines: &mut impl io::Write) -> io::Result<Option<Frame>> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    if file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)? == 0 {
        return Ok(Some(Frame::End));
    }
    let Some(mut head) = head.first_chunk().and_then(Head::decode) else { return Ok(None) };
    let mut missing = head.lines;
    while missing > 0 {
        let block = match file.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            block => block?,
        };
        let wanted = block.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        let Some(block) = block.get(..wanted).filter(|block| !block.is_empty()) else {
            return Ok(None);
        };
        head.crc = crc32c::crc32c_append(head.crc, block);
        lines.write_all(block)?;
        file.consume(wanted);
        missing -= wanted as u64;
    }
    let whole = Frame::Whole { meaning: head.meaning, bytes: HEAD_BYTES + head.lines };
    Ok(head.is_whole().then_some(whole))
}

/// The first seal of this batch or of a later one, wherever it may be behind the offset.
fn next_seal(
    file: &mut (impl Read + Seek),
    mut offset: u64,
    sequence: u64,
) -> io::Result<Option<Seal>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut block = Vec::new();
    loop {
        if file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)? == 0 {
            return Ok(None);
        }
        if let Some((place, sequence, entries)) = frame::find_seal(&block, sequence) {
            return Ok(Some(Seal { offset: offset + place as u64, sequence, entries }));
        }
        // The start of one that the next block ends.
        let kept = block.len().min(HEAD_BYTES as usize - 1);
        let searched = block.len() - kept;
        block.drain(..searched);
        offset += searched as u64;
    }
}

/// Reads the lines of a batch. `None` if they are not what was sealed.
pub(super) fn read(path: &Path, place: &Place) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(place.offset))?;
    let capacity = usize::try_from(place.bytes).unwrap_or_default();
    let mut file = BufReader::new(file.take(place.bytes));
    let (mut lines, mut entries) = (Vec::with_capacity(capacity), 0_u64);
    loop {
        match frame(&mut file, &mut lines)? {
            Some(Frame::Whole { meaning: Meaning::Lines { entries: more, .. }, .. }) => {
                entries = entries.saturating_add(more);
            }
            Some(Frame::Whole { meaning: Meaning::Seal { sequence, entries: sealed }, .. }) => {
                let right = sequence == place.sequence && sealed == entries;
                return Ok((right && entries == place.entries).then_some(lines));
            }
            // The end of the segment was its seal.
            Some(Frame::End) => return Ok((entries == place.entries).then_some(lines)),
            None => return Ok(None),
        }
    }
}

/// Whether trying again can't help: the file is gone, or cut, or the disk can't read it.
pub(super) fn is_lost(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        return true;
    }
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}
