//! Takes over the directories of dead processes. Nothing that it finds can stop it: what it can't read it names, and
//! leaves alone what it does not know.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    SpoolError, client_number,
    disk::Disk,
    frame::{self, HEAD_BYTES, HEADER_BYTES, Header, HeaderError},
    index::Directory,
    lock::{LOCK, Lock, Taken},
    segment::{self, Content, Segment, Tail},
    writer::file_name,
};

/// What dead processes left, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Clients whose batches will be handed out.
    pub clients: u64,
    /// Records of these.
    pub records: u64,
    /// Size of their files.
    pub bytes: u64,
    /// Bytes that were given up: frames that a crash cut, and damage.
    pub torn_bytes: u64,
    /// Records of batches that were given up for damage, as far as whole frames tell: at least so many. They are not
    /// among [`records`](Self::records). As long as other batches keep their files, each start finds them again.
    pub lost_records: u64,
    /// What was damaged or could not be read, a sentence for each.
    pub damaged: Vec<String>,
    /// Directories that were not looked at, because there were too many. [`Spool::adopt`](super::Spool::adopt) takes
    /// them once there is room.
    pub left: u64,
}

impl Recovery {
    /// Takes over at most `directories_max` directories below `base`, oldest client first.
    pub(super) fn run(
        &mut self,
        base: &Path,
        own: &str,
        directories_max: usize,
        disk: &Disk,
    ) -> Vec<Directory> {
        let mut adopted = Vec::new();
        for (path, client) in self.candidates(base, own) {
            if adopted.len() >= directories_max {
                self.left += 1;
                continue;
            }
            match self.directory(&path, &client, disk) {
                Ok(directory) => adopted.extend(directory),
                // Its owner was about to remove it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.name(&path, &error),
            }
        }
        adopted.sort_by_key(|(created, _)| *created);
        self.clients += adopted.len() as u64;
        adopted.into_iter().map(|(_, directory)| directory).collect()
    }

    /// The directories of other clients, the one that was changed first in front.
    fn candidates(&mut self, base: &Path, own: &str) -> Vec<(PathBuf, String)> {
        let mut candidates = Vec::new();
        let entries = entries(base).unwrap_or_else(|error| {
            self.name(base, &error);
            Vec::new()
        });
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let directory = path.symlink_metadata().ok().filter(fs::Metadata::is_dir);
            match directory {
                Some(directory) if client_number(&name).is_some() => {
                    let changed = directory.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    candidates.push((changed, name, path));
                }
                // It was there a moment ago: a client that ends removes its own.
                None if !path.exists() => {}
                _ => self.name(&path, &"not the directory of a client"),
            }
        }
        candidates.retain(|(_, name, _)| name != own);
        candidates.sort();
        candidates.into_iter().map(|(_, name, path)| (path, name)).collect()
    }

    /// Takes over one directory, with the time at which its oldest segment was begun. Removes it if nothing is in it.
    fn directory(
        &mut self,
        path: &Path,
        client: &str,
        disk: &Disk,
    ) -> io::Result<Option<(u64, Directory)>> {
        let Taken::Ours(lock) = Lock::take(path)? else { return Ok(None) };
        let mut directory = Directory {
            client: client.into(),
            path: path.to_owned(),
            segments: VecDeque::new(),
            lock: Some(lock),
            has_foreign: false,
        };
        let mut created = u64::MAX;
        let mut torn: Option<(PathBuf, u64)> = None;
        let mut sequence = 0;
        for path in entries(path)? {
            if path.file_name().is_some_and(|name| name == LOCK) {
                continue;
            }
            // Only the last one may end in the middle of a frame without anything being wrong.
            if let Some((path, bytes)) = torn.take() {
                self.name(&path, &format_args!("{bytes} bytes at its end are given up"));
            }
            match self.segment(&path, client, sequence, disk) {
                Ok(Found { header, segment, torn_bytes }) => {
                    created = created.min(header.map_or(u64::MAX, |header| header.created));
                    sequence = segment.batches.back().map_or(sequence, |batch| batch.sequence);
                    torn = (torn_bytes > 0).then_some((path, torn_bytes));
                    directory.segments.push_back(segment);
                }
                Err(reason) => {
                    directory.has_foreign = true;
                    self.name(&path, &reason);
                }
            }
        }
        Ok(self.accept(directory, disk).map(|directory| (created, directory)))
    }

    /// Counts what was found; `None` if nothing is to be sent.
    fn accept(&mut self, mut directory: Directory, disk: &Disk) -> Option<Directory> {
        let batches = || directory.segments.iter().flat_map(|segment| &segment.batches);
        if batches().next().is_some() {
            self.records += batches().map(|batch| batch.entries).sum::<u64>();
            self.bytes += directory.segments.iter().map(|segment| segment.bytes).sum::<u64>();
            return Some(directory);
        }
        let removed = directory.segments.iter().try_for_each(|segment| disk.remove(&segment.path));
        if let Err(error) = removed.and_then(|()| directory.remove(disk)) {
            self.name(&directory.path, &error);
        }
        None
    }

    /// Reads one segment whose batches come after `sequence`. The error says why it is none of ours.
    fn segment(
        &mut self,
        path: &Path,
        client: &str,
        sequence: u64,
        disk: &Disk,
    ) -> Result<Found, String> {
        let file = open(path).map_err(|error| error.to_string())?;
        let header = segment::header(&mut &file).map_err(|error| error.to_string())?;
        let (header, content) = match header {
            Ok(header) => {
                let is_here = Some(header.client) == client_number(client)
                    && path
                        .file_name()
                        .is_some_and(|name| name == file_name(header.number).as_str());
                // So large that it could not be counted on is not one that a writer came to.
                let follows = (sequence + 1..1 << 63).contains(&header.sequence);
                if !is_here || !follows {
                    return Err("a segment from elsewhere".to_owned());
                }
                (Some(header), segment::content(&file, &header).map_err(|error| error.to_string())?)
            }
            Err(HeaderError::Foreign) => return Err("not a segment".to_owned()),
            Err(HeaderError::Version(version)) => {
                return Err(format!("a segment of the unknown version {version}"));
            }
            Err(error @ (HeaderError::Torn | HeaderError::Damaged)) => {
                let tail = if error == HeaderError::Torn { Tail::Torn } else { Tail::Damaged };
                let mut content = Content::new(0, tail);
                if tail == Tail::Damaged {
                    content.damaged_from = Some(0);
                    content.lost_records =
                        segment::records(&file).map_err(|error| error.to_string())?;
                }
                (None, content)
            }
        };
        self.found(path, &file, header, content, disk)
    }

    fn found(
        &mut self,
        path: &Path,
        file: &File,
        header: Option<Header>,
        mut content: Content,
        disk: &Disk,
    ) -> Result<Found, String> {
        let bytes = || file.metadata().map(|file| file.len()).map_err(|error| error.to_string());
        let size = bytes()?;
        let batches = content.batches.iter().chain(&content.unsealed);
        let kept = batches.map(|batch| batch.bytes).sum::<u64>();
        let lost = size.saturating_sub(kept + header.map_or(0, |_| HEADER_BYTES));
        let is_torn = content.tail == Tail::Torn;
        let torn_bytes = if is_torn { size.saturating_sub(content.good_bytes) } else { 0 };
        self.torn_bytes += lost;
        self.lost_records = self.lost_records.saturating_add(content.lost_records);
        if let Some(offset) = content.damaged_from {
            let (bytes, records) = (lost.saturating_sub(torn_bytes), content.lost_records);
            let what = format_args!(
                "damaged, {bytes} bytes from byte {offset} on are given up, with at least {records} records"
            );
            self.name(path, &what);
        }
        // What could not be written says no more than the end of the file does, to which nobody writes.
        if content.tail != Tail::Damaged
            && let Err(error) = repair(&mut content, file, path, disk)
        {
            self.damaged.push(error.to_string());
        }
        let segment = Segment {
            path: path.to_owned(),
            number: header.map_or(0, |header| header.number),
            bytes: bytes()?,
            batches: content.batches.into_iter().chain(content.unsealed).collect(),
            active: false,
        };
        Ok(Found { header, segment, torn_bytes })
    }

    fn name(&mut self, path: &Path, what: &dyn std::fmt::Display) {
        self.damaged.push(format!("{}: {what}", path.display()));
    }
}

/// A file of ours.
struct Found {
    /// `None` if it can't be read.
    header: Option<Header>,
    segment: Segment,
    /// Bytes that were given up at its end, without anything good behind them.
    torn_bytes: u64,
}

/// What is in a directory, sorted by name.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// For reading, and for appending if that is allowed. Never follows into something that is no file.
fn open(path: &Path) -> io::Result<File> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    options.clone().append(true).open(path).or_else(|_| options.open(path))
}

/// Cuts off half a frame, and fixes with a seal what the last batch is.
fn repair(content: &mut Content, file: &File, path: &Path, disk: &Disk) -> Result<(), SpoolError> {
    if content.tail == Tail::Torn {
        disk.truncate(file, content.good_bytes, path)?;
    }
    let Some(batch) = &mut content.unsealed else { return Ok(()) };
    let seal = frame::seal(batch.sequence, batch.entries);
    let sealed = disk.write(file, &seal, path).and_then(|()| disk.sync(file, path));
    if sealed.is_err() {
        // Should half a seal stay, it is cut off by whoever comes next.
        let _ = disk.truncate(file, content.good_bytes, path);
        return sealed;
    }
    batch.bytes += HEAD_BYTES;
    Ok(())
}
