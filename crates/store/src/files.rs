//! File-system steps whose order matters for durability.

use std::{
    io::{self, Write},
    path::Path,
};

use fs_err::{self as fs, File};

/// Makes the entries of a directory durable: after creating, renaming or removing a file in it.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a file as a whole: after a crash it holds the old or the new content, never a part.
///
/// # Errors
/// The file, or the temporary one beside it, can't be written; the old content stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = write_synced(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // On a full disk its bytes are needed elsewhere. If it can't be removed either, the next try replaces it.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Gives a file another name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whether the error says that there is no room: device full, quota or file-size limit reached.
pub(crate) fn no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
