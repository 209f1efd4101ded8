//! Names the segments that count, and says up to where the write-ahead log is in them.
//!
//! One JSON file, `manifest.json`, replaced as a whole: every change of the segment set is one rename.
//!
//! # Files that it does not name
//! A segment file that the manifest does not name does not count. It is removed at the next start if its number says
//! that it is the rest of something that a crash cut off: `next_segment` or a higher one (written after this
//! manifest), or one of `disposable` (being written, or no longer needed, when this manifest was). Any other file is
//! nobody's leftover, and is left alone.
//!
//! # Format
//! ```text
//! { "format_version": 2, "next_sequence": u64, "next_segment": u64, "disposable": [u64],
//!   "projects": { NAME: { "flushed_sequence": u64, "retention": { "age_seconds": u64?, "bytes": u64? },
//!                         "segments": [{ "file", "bytes", "crc32c", "rows", "time_min", "time_max",
//!                                        "sequence_min", "sequence_max", "decoded_bytes"? }] } },
//!   "clients": [{ "project", "client", "last_seen": i64, "stored": [[first u64, last u64]] }] }
//! ```
//! Version 1 has no `disposable` and no `retention`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute,
    datatypes::{TimestampNanosecondType, UInt64Type},
};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::{Retention, files, idempotency::Client, project::Project, schema::place};

/// The format that is written. A store with a newer one is not opened.
pub(crate) const FORMAT_VERSION: u32 = 2;

pub(crate) const FILE_NAME: &str = "manifest.json";

/// The content of the manifest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format_version: u32,
    /// No record that was stored has this sequence or a higher one, but for those in the log.
    pub(crate) next_sequence: u64,
    /// Number of the next segment file.
    pub(crate) next_segment: u64,
    /// Numbers of segment files that may be there and do not count; see the module.
    #[serde(default)]
    pub(crate) disposable: BTreeSet<u64>,
    pub(crate) projects: BTreeMap<Project, ProjectEntry>,
    /// Batches that were stored, the ones that are still only in the log perhaps among them.
    pub(crate) clients: Vec<Client>,
}

/// What the manifest says of one project.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProjectEntry {
    /// Every record with a lower sequence is in a segment, or was deleted.
    pub(crate) flushed_sequence: u64,
    #[serde(default)]
    pub(crate) retention: Retention,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// What the manifest says of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What its rows take in memory, in bytes, about; 0 if an older version wrote it and did not tell.
    #[serde(default)]
    pub(crate) decoded_bytes: u64,
}

impl SegmentEntry {
    /// The number in the file's name, unique in the store.
    pub(crate) fn number(&self) -> Option<u64> {
        file_number(Path::new(&self.file))
    }

    /// With what it says of its rows taken from them.
    pub(crate) fn describing(mut self, rows: &RecordBatch) -> Self {
        let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>();
        let sequences = rows.column(place::SEQUENCE).as_primitive::<UInt64Type>();
        self.rows = rows.num_rows() as u64;
        self.time_min = compute::min(times).unwrap_or_default();
        self.time_max = compute::max(times).unwrap_or_default();
        self.sequence_min = compute::min(sequences).unwrap_or_default();
        self.sequence_max = compute::max(sequences).unwrap_or_default();
        self.decoded_bytes = decoded_bytes(rows) as u64;
        self
    }

    /// The day (UTC) of its rows, or the start that their days have in common, as in the path.
    pub(crate) fn day(&self) -> &str {
        self.file.split('/').nth(1).unwrap_or_default()
    }
}

/// What rows take in memory, in bytes: of a slice, only what it shows.
pub(crate) fn decoded_bytes(rows: &RecordBatch) -> usize {
    let bytes = |array: &dyn Array| {
        let data = array.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
    };
    let columns = rows.columns().iter().map(|column| match column.as_list_opt::<i32>() {
        // A slice of lists holds the values of all.
        Some(lists) => {
            let ends = lists.value_offsets();
            let first = ends.first().map_or(0, |&first| first as usize);
            let last = ends.last().map_or(0, |&last| last as usize);
            bytes(&lists.values().slice(first, last - first)) + size_of_val(ends)
        }
        None => bytes(column),
    });
    columns.sum()
}

/// Path of a segment below the directory of segments.
pub(crate) fn segment_file(project: &Project, day: &str, number: u64) -> String {
    format!("{project}/{day}/{number:012}.parquet")
}

/// The number in the name of a segment file, or of the temporary file beside it.
pub(crate) fn file_number(path: &Path) -> Option<u64> {
    let ours = path.extension().is_some_and(|ending| ending == "parquet" || ending == "tmp");
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).filter(|_| ours)
}

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is no manifest.
    #[error(
        "manifest.json can't be read; restore it from a backup, or let `millpond repair` make one from the segments and \
         the log, which are not touched"
    )]
    Form(#[from] serde_json::Error),
    /// There are segments or log files, but nothing that says which of them count.
    #[error(
        "manifest.json is missing, but there are records in {0:?}; this may be a copy that was cut off: make it anew, \
         restore the manifest from a backup, let `millpond repair` make one, or move the directories `segments` and \
         `wal` away to start without them"
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

    /// Whether a file that it does not name is what a crash left, and nobody's loss.
    pub(crate) fn is_leftover(&self, path: &Path) -> bool {
        file_number(path)
            .is_some_and(|number| number >= self.next_segment || self.disposable.contains(&number))
    }

    /// Writes the manifest; when this returns, it is durable.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        files::replace(&directory.join(FILE_NAME), &serde_json::to_vec(self)?)
    }
}
