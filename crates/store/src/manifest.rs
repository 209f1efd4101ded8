//! Names the segments that count, and says up to where the write-ahead log is in them.
//!
//! One JSON file, `manifest.json`, replaced as a whole: every change of the segment set is one rename. A Parquet file
//! that it does not name is the rest of a flush that a crash cut off, and is removed at the next start.

use std::{collections::BTreeMap, io, path::Path};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::{files, idempotency::Client, project::Project};

/// The format that is written. A store with a newer one is not opened.
pub(crate) const FORMAT_VERSION: u32 = 1;

const FILE_NAME: &str = "manifest.json";

/// The content of the manifest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format_version: u32,
    /// No record that was stored has this sequence or a higher one, but for those in the log.
    pub(crate) next_sequence: u64,
    /// Number of the next segment file.
    pub(crate) next_segment: u64,
    pub(crate) projects: BTreeMap<Project, ProjectEntry>,
    /// Batches that were stored, the ones that are still only in the log perhaps among them.
    pub(crate) clients: Vec<Client>,
}

/// What the manifest says of one project.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProjectEntry {
    /// Every record with a lower sequence is in a segment.
    pub(crate) flushed_sequence: u64,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// What the manifest says of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    /// Path below the directory of segments: `project/day/number.parquet`.
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// CRC32C of the whole file.
    pub(crate) crc32c: u32,
    pub(crate) rows: u64,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    pub(crate) sequence_min: u64,
    pub(crate) sequence_max: u64,
}

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is no manifest.
    #[error(
        "manifest.json can't be read; restore it from a backup, the segments and the log are not touched"
    )]
    Form(#[from] serde_json::Error),
    /// There are segments, but nothing that names them.
    #[error(
        "manifest.json is missing, but there are segments such as {0:?}; restore it from a backup, or move the \
         directory `segments` away to start without them"
    )]
    Missing(std::path::PathBuf),
    /// The store was written by a newer version.
    #[error("manifest.json has format {0}, this version reads up to {FORMAT_VERSION}")]
    Newer(u32),
}

impl Manifest {
    /// Reads the manifest of a data directory; `None` if there is none.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let text = match fs::read(directory.join(FILE_NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let manifest: Self = serde_json::from_slice(&text)?;
        if manifest.format_version > FORMAT_VERSION {
            return Err(ManifestError::Newer(manifest.format_version));
        }
        Ok(Some(manifest))
    }

    /// The manifest of an empty store.
    pub(crate) fn empty() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            next_sequence: 1,
            next_segment: 1,
            ..Self::default()
        }
    }

    /// Writes the manifest; when this returns, it is durable.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        files::replace(&directory.join(FILE_NAME), &serde_json::to_vec_pretty(self)?)
    }
}
