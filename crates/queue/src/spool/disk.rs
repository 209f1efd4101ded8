//! The steps on files that may fail, each with a name for its failure. Tests make them fail here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use super::SpoolError;

/// Tests can't cut the power: syncs would show nothing and take most of their time.
const IS_SYNCED: bool = !cfg!(test);

/// The disk. In tests one that can fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<super::tests::Faults>,
}

impl Disk {
    /// Makes a file that only its owner may read, for appending.
    pub(super) fn create(&self, path: &Path) -> Result<File, SpoolError> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.fault(Step::Create)
            .and_then(|()| options.open(path))
            .map_err(SpoolError::io("create", path))
    }

    /// Writes at the end of the file.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "in tests it has the faults"))]
    pub(super) fn write(
        &self,
        mut file: &File,
        bytes: &[u8],
        path: &Path,
    ) -> Result<(), SpoolError> {
        #[cfg(test)]
        let bytes = match self.faults.room(bytes) {
            Ok(bytes) => bytes,
            Err((part, error)) => {
                file.write_all(part).and(Err(error)).map_err(SpoolError::io("write to", path))?
            }
        };
        file.write_all(bytes).map_err(SpoolError::io("write to", path))
    }

    pub(super) fn truncate(&self, file: &File, bytes: u64, path: &Path) -> Result<(), SpoolError> {
        self.fault(Step::Truncate)
            .and_then(|()| file.set_len(bytes))
            .map_err(SpoolError::io("truncate", path))
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), SpoolError> {
        self.fault(Step::Sync)
            .and_then(|()| if IS_SYNCED { file.sync_data() } else { Ok(()) })
            .map_err(SpoolError::io("sync", path))
    }

    /// Makes a directory that only its owner may enter.
    pub(super) fn create_directory(&self, path: &Path, recursive: bool) -> Result<(), SpoolError> {
        let mut builder = DirBuilder::new();
        builder.recursive(recursive);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        self.fault(Step::Create)
            .and_then(|()| builder.create(path))
            .map_err(SpoolError::io("create", path))
    }

    /// Makes the entries of a directory durable: after creating a file in it. A file that was removed may come back:
    /// its batches are sent again under their keys.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<(), SpoolError> {
        self.fault(Step::Sync)
            .and_then(|()| if IS_SYNCED { sync_directory(path) } else { Ok(()) })
            .map_err(SpoolError::io("sync", path))
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), SpoolError> {
        match self.fault(Step::Remove).and_then(|()| fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "in tests it has the faults")]
    fn fault(&self, _: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn fault(&self, step: Step) -> io::Result<()> {
        self.faults.at(step)
    }
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Truncate,
    Sync,
    Remove,
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere directories can't be opened, and the file system keeps their entries by itself.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
