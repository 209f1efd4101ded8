//! What the sender takes from the queue.

use std::time::Instant;

/// A run of lines that was filled by callers and is read by the sender.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// Lines before this offset were dropped.
    pub(crate) start: usize,
    pub(crate) entries: u64,
    /// When its first line came.
    pub(crate) opened: Instant,
}

impl Chunk {
    pub(crate) fn lines(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Takes the first line out; its length.
    pub(crate) fn drop_first(&mut self) -> usize {
        let lines = self.lines();
        let bytes = lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |at| at + 1);
        self.start += bytes;
        self.entries = self.entries.saturating_sub(1);
        bytes
    }

    /// Leaves the first `entries` lines here and gives the rest.
    fn split_off(&mut self, entries: u64) -> Self {
        let mut ends = self
            .lines()
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1);
        let kept = usize::try_from(entries).unwrap_or(usize::MAX);
        let at = match kept.checked_sub(1) {
            Some(place) => self.start + ends.nth(place).unwrap_or(self.len()),
            None => self.start,
        };
        drop(ends);
        let rest = Self {
            bytes: self.bytes.split_off(at),
            start: 0,
            entries: self.entries.saturating_sub(entries),
            opened: self.opened,
        };
        self.entries = self.entries.min(entries);
        rest
    }
}

/// Lines on their way, in their order. Never empty.
///
/// One that the queue gave ends in [`Queue::settle`](crate::Queue::settle): as long as it exists its records count as
/// queued. One that the [spool](crate::spool) gave is a copy; what counts is its ticket.
#[derive(Debug)]
#[must_use = "its records count as queued until it is settled"]
pub struct Batch {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) entries: u64,
}

impl Batch {
    /// Of so many lines, each of which ends with a newline; `None` if there are none.
    #[must_use]
    pub fn from_lines(bytes: Vec<u8>, entries: u64) -> Option<Self> {
        let chunk = Chunk { bytes, start: 0, entries, opened: Instant::now() };
        (entries > 0).then(|| Self { chunks: vec![chunk], entries })
    }

    /// How many records.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// The lines, in pieces that begin and end at the border of a line.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(Chunk::lines)
    }

    /// The first and the second half.
    ///
    /// # Errors
    /// A batch of one record is given back.
    pub fn split(mut self) -> Result<(Self, Self), Self> {
        if self.entries < 2 {
            return Err(self);
        }
        let mut first = Self { chunks: Vec::new(), entries: self.entries / 2 };
        let mut missing = first.entries;
        let mut rest = std::mem::take(&mut self.chunks).into_iter();
        for mut chunk in rest.by_ref() {
            if chunk.entries <= missing {
                missing -= chunk.entries;
                first.chunks.push(chunk);
                continue;
            }
            let second = chunk.split_off(missing);
            if chunk.entries > 0 {
                first.chunks.push(chunk);
            }
            self.chunks.push(second);
            break;
        }
        self.chunks.extend(rest);
        self.entries -= first.entries;
        Ok((first, self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(chunks: &[Vec<String>]) -> Batch {
        let chunks: Vec<Chunk> = chunks
            .iter()
            .filter(|lines| !lines.is_empty())
            .map(|lines| Chunk {
                bytes: lines.concat().into_bytes(),
                start: 0,
                entries: lines.len() as u64,
                opened: Instant::now(),
            })
            .collect();
        Batch { entries: chunks.iter().map(|chunk| chunk.entries).sum(), chunks }
    }

    fn text(batch: &Batch) -> String {
        batch.parts().map(|part| std::str::from_utf8(part).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_batch_is_split_between_its_middle_lines(
            chunks in proptest::collection::vec(proptest::collection::vec("[a-z]{0,5}\n", 0..6), 1..5),
        ) {
            let lines: Vec<String> = chunks.iter().flatten().cloned().collect();
            let whole = batch(&chunks);
            match whole.split() {
                Err(whole) => prop_assert!(whole.entries() < 2 && text(&whole) == lines.concat()),
                Ok((first, second)) => {
                    let (head, tail) = lines.split_at(lines.len() / 2);
                    prop_assert_eq!((text(&first), text(&second)), (head.concat(), tail.concat()));
                    prop_assert_eq!((first.entries(), second.entries()), (head.len() as u64, tail.len() as u64));
                }
            }
        }
    }
}
