//! The write-ahead log: what makes an acknowledged batch survive a crash.
//!
//! # Invariants
//! - A batch is acknowledged only after its frame is in a file and the file was synced.
//! - A frame never spans files; a file is never appended to by a later process: recovery reads, then a new file starts.
//! - A file is removed only after every frame in it is in segments that a synced manifest names.
//! - After a failed write or sync, the file is cut back to its last good frame and left; while that fails too, the
//!   store takes no more batches.
//!
//! # Format, version 1
//! All integers are little-endian. Files are named `{number:020}.wal`, in the order in which they were started.
//!
//! ```text
//! file   = "MILLPOND" "WAL1"  frame*
//! frame  = magic "MPF1" | length u32, of the body | crc u32, CRC32C of the body | body
//! body   = first_sequence u64    sequence of the first record; the others count on
//!        | observed i64          arrival, nanoseconds since the epoch
//!        | records u32
//!        | raw_bytes u32         size of the records before compression
//!        | project_bytes u8      | project
//!        | client_bytes u16      | client id of the idempotency key, empty if there was none
//!        | client_sequence u64   sequence of the idempotency key
//!        | zstd of the records: each the JSON object that was sent, a line feed behind it
//! ```
//!
//! # Recovery
//! Frames are read in order. Where no whole frame with a right checksum stands, the reader looks for the next one
//! and reports the bytes between: a part of a frame at the end of a file is what a crash cut off, which nobody was
//! promised; anything else is damage, and everything around it is kept.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use millpond_wire::IdempotencyKey;

use crate::{files, limits::WAL_FILE_BYTES, project::Project};

const FILE_MAGIC: &[u8; 12] = b"MILLPONDWAL1";
const FRAME_MAGIC: &[u8; 4] = b"MPF1";
const FRAME_HEAD_BYTES: usize = 12;

/// The records of a frame.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) observed: Timestamp,
    pub(crate) records: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) zstd: Vec<u8>,
}

/// A frame as it is read back.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) first_sequence: u64,
    pub(crate) project: Project,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) payload: Payload,
}

/// A log file that holds these frames.
pub(crate) fn file(frames: &[u8]) -> Vec<u8> {
    [FILE_MAGIC, frames].concat()
}

/// Appends a frame to `out`.
pub(crate) fn write_frame(
    out: &mut Vec<u8>,
    first_sequence: u64,
    project: &Project,
    key: Option<&IdempotencyKey>,
    payload: &Payload,
) {
    let start = out.len();
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&first_sequence.to_le_bytes());
    out.extend_from_slice(&payload.observed.nanos().to_le_bytes());
    out.extend_from_slice(&payload.records.to_le_bytes());
    out.extend_from_slice(&payload.raw_bytes.to_le_bytes());
    // Both lengths are limited where the values are made.
    let project = project.as_str().as_bytes();
    out.push(u8::try_from(project.len()).unwrap_or_default());
    out.extend_from_slice(project);
    let (client, sequence) = key.map_or(("", 0), |key| (key.client.as_str(), key.sequence));
    out.extend_from_slice(&u16::try_from(client.len()).unwrap_or_default().to_le_bytes());
    out.extend_from_slice(client.as_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&payload.zstd);

    let Some((head, body)) =
        out.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(FRAME_HEAD_BYTES))
    else {
        return;
    };
    let length = u32::try_from(body.len()).unwrap_or_default();
    let crc = crc32c::crc32c(body);
    for (place, byte) in
        head.iter_mut().skip(4).zip(length.to_le_bytes().into_iter().chain(crc.to_le_bytes()))
    {
        *place = byte;
    }
}

/// Takes bytes from the front of a slice.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, count: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(count)?).ok()
    }
}

/// Reads the frame at the start of `bytes`; gives it and its size, or `None` if there is no whole one.
fn read_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let mut head = Bytes(bytes);
    if head.take(4)? != FRAME_MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(head.array()?) as usize;
    let crc = u32::from_le_bytes(head.array()?);
    let body = head.take(length)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    let mut body = Bytes(body);
    let first_sequence = u64::from_le_bytes(body.array()?);
    let observed = Timestamp::from_nanos(i64::from_le_bytes(body.array()?));
    let records = u32::from_le_bytes(body.array()?);
    let raw_bytes = u32::from_le_bytes(body.array()?);
    let [project_bytes] = body.array()?;
    let project = body.text(usize::from(project_bytes))?.parse().ok()?;
    let client_bytes = u16::from_le_bytes(body.array()?);
    let client = body.text(usize::from(client_bytes))?.to_owned();
    let sequence = u64::from_le_bytes(body.array()?);
    let key = (!client.is_empty()).then_some(IdempotencyKey { client, sequence });
    let payload = Payload { observed, records, raw_bytes, zstd: body.0.to_vec() };
    Some((Frame { first_sequence, project, key, payload }, FRAME_HEAD_BYTES + length))
}

/// A log file that was closed, or found at the start.
#[derive(Debug)]
pub(crate) struct WalFile {
    pub(crate) path: PathBuf,
    /// Sequence behind the last record in it.
    pub(crate) end_sequence: u64,
    /// It holds something that could not be read.
    pub(crate) damaged: bool,
}

/// Bytes of a log file in which no frame could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the unreadable bytes start.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// Whether they are a frame at the end of the file that a crash cut off, promised to nobody.
    pub torn_tail: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, bytes, .. } = self;
        write!(f, "log {path:?}: {bytes} bytes at {offset} could not be read")
    }
}

/// Lists the log files of a directory in their order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) =
            number.filter(|_| path.extension().is_some_and(|extension| extension == "wal"))
        {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads every frame of a file, in order, and what could not be read.
pub(crate) fn read_file(path: &Path, mut each: impl FnMut(Frame)) -> io::Result<Vec<Damage>> {
    let bytes = fs::read(path)?;
    let mut damages: Vec<Damage> = Vec::new();
    let mut at = if bytes.starts_with(FILE_MAGIC) { FILE_MAGIC.len() } else { 0 };
    let mut readable_end = at;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        if let Some((frame, size)) = read_frame(rest) {
            push_damage(&mut damages, path, readable_end, at, false);
            each(frame);
            at += size;
            readable_end = at;
            continue;
        }
        // Step over this byte to the next place where a frame may start.
        let next = rest.iter().skip(1).position(|&byte| Some(&byte) == FRAME_MAGIC.first());
        at = next.map_or(bytes.len(), |distance| at + 1 + distance);
    }
    let torn = is_torn(bytes.get(readable_end..).unwrap_or_default());
    push_damage(&mut damages, path, readable_end, bytes.len(), torn);
    Ok(damages)
}

/// Whether bytes at the end of a file are a frame that was not written to its end, or no frame at all. A frame that
/// is all there, with a wrong checksum, may have been acknowledged.
fn is_torn(tail: &[u8]) -> bool {
    let mut head = Bytes(tail);
    let magic = head.take(4).is_some_and(|magic| magic == FRAME_MAGIC);
    let length = head.array().map(|length| u32::from_le_bytes(length) as usize);
    !(magic && length.is_some_and(|length| length <= tail.len().saturating_sub(FRAME_HEAD_BYTES)))
}

fn push_damage(damages: &mut Vec<Damage>, path: &Path, start: usize, end: usize, torn_tail: bool) {
    if end > start {
        damages.push(Damage {
            path: path.to_owned(),
            offset: start as u64,
            bytes: (end - start) as u64,
            torn_tail,
        });
    }
}

/// Appends frames to the newest file.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    number: u64,
    /// `None` until the next write starts one.
    current: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    /// Size up to the last synced frame.
    good_bytes: u64,
    /// Sequence behind the last synced record.
    end_sequence: u64,
    /// It may have a part of a frame, or all of one, behind its good bytes.
    torn: bool,
}

impl OpenFile {
    /// Cuts off what is behind the good bytes.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            files::cut(&self.file, self.good_bytes)?;
            self.torn = false;
        }
        Ok(())
    }
}

impl Writer {
    /// A writer whose first file has this number.
    pub(crate) fn new(directory: PathBuf, number: u64) -> Self {
        Self { directory, number, current: None }
    }

    /// Writes frames, the last of which ends before `end_sequence`, and syncs them. On an error none of them is in
    /// the log.
    pub(crate) fn append(&mut self, frames: &[u8], end_sequence: u64) -> io::Result<()> {
        let open = match self.current.take() {
            Some(open) => open,
            None => self.start()?,
        };
        let open = self.current.insert(open);
        open.mend()?;
        match files::write(&mut open.file, frames).and_then(|()| files::sync(&open.file)) {
            Ok(()) => {
                open.good_bytes += frames.len() as u64;
                open.end_sequence = end_sequence;
                Ok(())
            }
            Err(error) => {
                // What part of the frames the disk holds is unknown, and a failed sync may drop pages silently:
                // cut them off and go on in a new file. If they can't be cut off now, the next try begins with it.
                open.torn = true;
                let _ = open.mend();
                Err(error)
            }
        }
    }

    fn start(&mut self) -> io::Result<OpenFile> {
        let path = self.directory.join(format!("{:020}.wal", self.number));
        self.number += 1;
        let mut file = files::start(&path)?;
        let written = files::write(&mut file, FILE_MAGIC)
            .and_then(|()| files::sync_directory(&self.directory));
        if let Err(error) = written {
            // If this fails as well, a file without frames is left, which is read as such.
            let _ = files::remove(&path);
            return Err(error);
        }
        Ok(OpenFile {
            file,
            path,
            good_bytes: FILE_MAGIC.len() as u64,
            end_sequence: 0,
            torn: false,
        })
    }

    /// Closes the current file if it is full, or if `now`; one that could not be cut back stays open.
    pub(crate) fn close_file(&mut self, now: bool) -> Option<WalFile> {
        let open = self
            .current
            .take_if(|open| !open.torn && (now || open.good_bytes >= WAL_FILE_BYTES))?;
        if open.end_sequence == 0 {
            // Its first write failed. On a full disk there would soon be many such; one that stays does no harm.
            let _ = files::remove(&open.path);
            return None;
        }
        Some(WalFile { path: open.path, end_sequence: open.end_sequence, damaged: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first_sequence: u64, content: &str) -> Vec<u8> {
        let payload = Payload {
            observed: Timestamp::from_nanos(5),
            records: 1,
            raw_bytes: content.len() as u32,
            zstd: zstd::bulk::compress(content.as_bytes(), 1).unwrap(),
        };
        let key = IdempotencyKey { client: "c".into(), sequence: 9 };
        let mut out = Vec::new();
        write_frame(&mut out, first_sequence, &"p".parse().unwrap(), Some(&key), &payload);
        out
    }

    fn read(bytes: &[u8]) -> (Vec<u64>, Vec<(u64, u64)>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("00000000000000000001.wal");
        fs::write(&path, bytes).unwrap();
        let mut sequences = Vec::new();
        let damages = read_file(&path, |frame| sequences.push(frame.first_sequence)).unwrap();
        (sequences, damages.iter().map(|damage| (damage.offset, damage.bytes)).collect())
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_every_whole_frame() {
        let frames = [frame(1, "{\"message\":\"a\"}"), frame(2, "{\"message\":\"b\"}")];
        let whole = [FILE_MAGIC.as_slice(), &frames[0], &frames[1]].concat();
        let ends = [FILE_MAGIC.len(), FILE_MAGIC.len() + frames[0].len(), whole.len()];
        for cut in FILE_MAGIC.len()..=whole.len() {
            let (sequences, damages) = read(&whole[..cut]);
            let kept = ends.iter().filter(|&&end| end <= cut).count() - 1;
            assert_eq!(sequences, [1, 2][..kept], "cut at {cut}");
            assert_eq!(damages.is_empty(), ends.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_byte_costs_only_its_frame() {
        let frames = [frame(1, "a"), frame(2, "b"), frame(3, "c")];
        let whole = [FILE_MAGIC.as_slice(), &frames[0], &frames[1], &frames[2]].concat();
        let start = FILE_MAGIC.len() + frames[0].len();
        for offset in start..start + frames[1].len() {
            let mut damaged = whole.clone();
            damaged[offset] ^= 0x40;
            let (sequences, damages) = read(&damaged);
            assert_eq!(sequences, [1, 3], "flipped at {offset}");
            assert_eq!(damages, [(start as u64, frames[1].len() as u64)], "flipped at {offset}");
        }
    }

    #[test]
    fn a_frame_is_read_back_as_it_was_written() {
        let bytes = frame(77, "x");
        let (frame, size) = read_frame(&bytes).unwrap();
        assert_eq!((frame.first_sequence, frame.project.as_str(), size), (77, "p", bytes.len()));
        assert_eq!(frame.key, Some(IdempotencyKey { client: "c".into(), sequence: 9 }));
        assert_eq!((frame.payload.observed.nanos(), frame.payload.records), (5, 1));
    }
}
