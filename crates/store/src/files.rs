//! File-system steps whose order matters for durability. All that the store writes goes through them, so that a test
//! can let each of them fail; see [`crate::faults`].

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use fs_err::{self as fs, File, OpenOptions};

use crate::faults::step;

/// Makes the entries of a directory durable: after creating, renaming or removing a file in it.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    step(path)?;
    File::open(path)?.sync_all()
}

/// Replaces a file as a whole: after a crash it holds the old or the new content, never a part.
///
/// # Errors
/// The file, or the temporary one beside it, can't be written; the old content stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = write_synced(&temporary, content).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // On a full disk its bytes are needed elsewhere. If it can't be removed either, the next try replaces it.
        let _ = remove(&temporary);
    }
    written?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    step(path)?;
    let mut file = File::create(path)?;
    write(&mut file, content)?;
    sync(&file)
}

/// Starts a file that is only appended to; there must be none of that name.
pub(crate) fn start(path: &Path) -> io::Result<File> {
    step(path)?;
    OpenOptions::new().append(true).create_new(true).open(path)
}

/// Writes all bytes at the place where the file stands.
pub(crate) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = step(file.path()) {
        file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
        return Err(error);
    }
    file.write_all(bytes)
}

/// Makes a file durable, its size and content.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    step(file.path())?;
    file.sync_data()
}

/// Cuts a file, durably.
pub(crate) fn cut(file: &File, bytes: u64) -> io::Result<()> {
    step(file.path())?;
    file.set_len(bytes)?;
    step(file.path())?;
    file.sync_all()
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    step(path)?;
    fs::remove_file(path)
}

/// Gives a file another name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(from)?;
    fs::rename(from, to)
}

/// The path, or the first that is free of those with `~` behind it.
pub(crate) fn free(mut path: PathBuf) -> PathBuf {
    while path.exists() {
        path.as_mut_os_string().push("~");
    }
    path
}

/// Whether the error says that there is no room: device full, quota or file-size limit reached.
pub(crate) fn no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
