//! Parquet segments: sorted, immutable files of one project and one day (or several, see the module `days`).
//!
//! # Format, version 3
//! An Apache Parquet file that any reader opens. Rows are sorted by (time, sequence), in row groups of
//! [`ROW_GROUP_ROWS`] rows, whose pages have up to [`PAGE_ROWS`] rows; all pages are compressed with zstd. Ids, and
//! other texts that do not repeat but `message`, `exception` and `fields`, are encoded with their lengths apart
//! (`DELTA_LENGTH_BYTE_ARRAY`).
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `sequence` | UINT_64 | place in the order of storing; unique in the store |
//! | `time`, `observed_time` | TIMESTAMP(NANOS, UTC) | of the event, and of its arrival |
//! | `severity_number` | UINT_8 | OpenTelemetry's, 1 to 24 |
//! | `level` | STRING | follows from `severity_number` |
//! | `service` … `dataset` | STRING | the text attributes of a record; `service` and `message` always have a value |
//! | `step_index` | UINT_32 | |
//! | `tags` | LIST of STRING | |
//! | `exception` | STRING | a JSON object |
//! | `fields` | STRING | a JSON object of the members of `fields` that have no column of their own |
//! | `template` | STRING | the message with U+10000 in the place of each word with a digit; null: not told, there were too many |
//! | `fields.PATH` | INT_64, DOUBLE, BOOLEAN or STRING | a member of `fields`; a second type of the same path has `#TYPE` behind its name |
//!
//! Behind the last row group stand the [`filters`] of its pages, where no Parquet reader looks. The footer's
//! key-value metadata has `millpond.layout`, a JSON object:
//!
//! ```text
//! { "format_version": 3,
//!   "fields": [ { "name": "fields.http.status", "path": ["http", "status"], "kind": "int", "repeats": true }, … ],
//!                           in the order of their columns, which stand behind `template`; `repeats`: has a dictionary
//!   "rest_keys": ["a", …],  the first keys in the column `fields`; null: too many to name
//!   "filter_rows": 2048,    rows that share a filter
//!   "filters": [[offset, bytes], …] }                      one for each row group
//! ```
//! Version 2 has no `filter_rows`, its filters cover 8192 rows. Version 1 has no layout, no templates, no filters, and all
//! members in `fields`.
//!
//! Every file is named by the manifest with its size and CRC32C; a file that does not match is damaged: it is left as
//! it is, reported, and not read.

mod layout;
mod write;

use std::{
    io::{BufReader, ErrorKind, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions},
    compute,
    datatypes::DataType,
    error::ArrowError,
};
use bytes::Bytes;
use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection},
    },
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

pub(crate) use self::{
    layout::{Footer, Layout, RowGroup},
    write::{FILTERED, sort, templates, write},
};
use crate::{
    filters::PageFilters,
    manifest::SegmentEntry,
    schema::{place, schema},
    shred,
};

/// Why a segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error("the file is {found} bytes, expected {expected}")]
    Size { found: u64, expected: u64 },
    #[error("the file's layout can't be read: {0}")]
    Layout(String),
    #[error("the file's checksum is {found:08x}, expected {expected:08x}")]
    Checksum { found: u32, expected: u32 },
    /// Found out before, or just now.
    #[error("{0}")]
    Damaged(String),
}

/// A segment that queries read.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Unique in this process.
    pub(crate) id: u64,
    pub(crate) entry: SegmentEntry,
    path: PathBuf,
    /// What its rows take in memory, in bytes; 0 if that is not known yet.
    decoded_bytes: AtomicU64,
    /// Set by the first read.
    opened: Mutex<Opened>,
}

/// The footer, or what is wrong with the file; `None` before the first read.
type Opened = Option<Result<Arc<Footer>, String>>;

impl Segment {
    pub(crate) fn new(directory: &Path, entry: SegmentEntry) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let decoded_bytes = AtomicU64::new(entry.decoded_bytes);
        Self {
            id,
            path: directory.join(&entry.file),
            decoded_bytes,
            entry,
            opened: Mutex::default(),
        }
    }

    /// What its rows take in memory, in bytes; 0 if that is not known yet.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes.load(Ordering::Relaxed)
    }

    /// All rows have been read and take so many bytes.
    pub(crate) fn learn_decoded_bytes(&self, bytes: u64) {
        self.decoded_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn time_min(&self) -> Timestamp {
        Timestamp::from_nanos(self.entry.time_min)
    }

    pub(crate) fn time_max(&self) -> Timestamp {
        Timestamp::from_nanos(self.entry.time_max)
    }

    /// The footer. The first call reads the whole file once, to check it.
    fn open(&self) -> Result<Arc<Footer>, SegmentError> {
        let mut opened = self.opened();
        match &*opened {
            Some(Ok(footer)) => return Ok(Arc::clone(footer)),
            Some(Err(reason)) => return Err(SegmentError::Damaged(reason.clone())),
            None => {}
        }
        let footer = self.check().map(Arc::new).map_err(|error| self.judge(&mut opened, error))?;
        *opened = Some(Ok(Arc::clone(&footer)));
        Ok(footer)
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an error that will not pass; one that may, such as too many open files, only goes to who asked.
    fn judge(&self, opened: &mut Opened, error: SegmentError) -> SegmentError {
        let passing = match &error {
            SegmentError::Io(error) => error.kind() != ErrorKind::NotFound,
            SegmentError::Damaged(_) => true,
            _ => false,
        };
        if passing {
            return error;
        }
        tracing::error!(segment = %self.entry.file, %error, "a segment is damaged and is left out of every answer");
        *opened = Some(Err(error.to_string()));
        SegmentError::Damaged(error.to_string())
    }

    /// Why it can't be read, if that was found out.
    pub(crate) fn known_damage(&self) -> Option<String> {
        self.opened().as_ref().and_then(|opened| opened.as_ref().err().cloned())
    }

    fn check(&self) -> Result<Footer, SegmentError> {
        let content = fs::read(&self.path)?;
        if content.len() as u64 != self.entry.bytes {
            return Err(SegmentError::Size {
                found: content.len() as u64,
                expected: self.entry.bytes,
            });
        }
        let found = crc32c::crc32c(&content);
        if found != self.entry.crc32c {
            return Err(SegmentError::Checksum { found, expected: self.entry.crc32c });
        }
        Footer::read(&Bytes::from(content))
    }

    /// Reads columns of [`schema`] of one row group: all rows, or those at the given ascending places.
    pub(crate) fn read(
        &self,
        row_group: usize,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<RecordBatch, SegmentError> {
        let footer = self.open()?;
        let mut wanted: Vec<usize> = columns.to_vec();
        if columns.contains(&place::FIELDS) {
            wanted.extend(footer.layout.fields.iter().map(|(_, place)| *place));
        }
        let arrays = self.arrays(row_group, &wanted, rows)?;
        let projected = columns.iter().zip(&arrays).map(|(&column, array)| {
            if column == place::FIELDS {
                let own: Vec<_> = footer
                    .layout
                    .fields
                    .iter()
                    .map(|(column, _)| column)
                    .zip(arrays.iter().skip(columns.len()).cloned())
                    .collect();
                let rest = compute::cast(array, &DataType::Utf8)?;
                return Ok(Arc::new(shred::rebuild(&own, rest.as_string::<i32>())) as ArrayRef);
            }
            compute::cast(array, schema().field(column).data_type())
        });
        let arrays = projected.collect::<Result<Vec<_>, ArrowError>>()?;
        let count = rows.map_or_else(|| footer.rows(row_group), <[u32]>::len);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let projected = Arc::new(schema().project(columns)?);
        Ok(RecordBatch::try_new_with_options(projected, arrays, &options)?)
    }

    /// Reads columns of the file by their places in it, each as the file has it: all rows, or some.
    pub(crate) fn arrays(
        &self,
        row_group: usize,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<Vec<ArrayRef>, SegmentError> {
        let footer = self.open()?;
        // The file was whole when it was opened; a disk may fail later.
        self.read_opened(&footer, row_group, columns, rows)
            .map_err(|error| self.judge(&mut self.opened(), error))
    }

    fn read_opened(
        &self,
        footer: &Footer,
        row_group: usize,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<Vec<ArrayRef>, SegmentError> {
        let file = Positioned::open(&self.path)?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            file,
            ArrowReaderMetadata::clone(&footer.metadata),
        );
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let total = footer.rows(row_group);
        if let Some(rows) = rows {
            let ranges = rows
                .chunk_by(|a, b| a + 1 == *b)
                .filter_map(|run| Some(*run.first()? as usize..*run.last()? as usize + 1));
            builder =
                builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, total));
        }
        let reader = builder
            .with_row_groups(vec![row_group])
            .with_projection(mask)
            .with_batch_size(total.max(1))
            .build()?;
        let projected = Arc::new(footer.metadata.schema().project(&sorted(columns))?);
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        let batch = match batches.as_slice() {
            [only] => only.clone(),
            _ => compute::concat_batches(&projected, &batches)?,
        };
        // Parquet gives the columns in the order of the file, each once.
        let sorted = sorted(columns);
        let places = columns.iter().filter_map(|column| sorted.binary_search(column).ok());
        Ok(places.map(|place| Arc::clone(batch.column(place))).collect())
    }

    /// The filters of a row group's pages, if there are any.
    pub(crate) fn filters(&self, row_group: usize) -> Result<Option<PageFilters>, SegmentError> {
        let footer = self.open()?;
        let Some(&(offset, bytes)) = footer.layout.filters.get(row_group) else { return Ok(None) };
        let block = Positioned::open(&self.path)?.bytes_at(offset, bytes)?;
        Ok(PageFilters::parse(block, footer.layout.filter_rows))
    }

    /// What the file has.
    pub(crate) fn footer(&self) -> Result<Arc<Footer>, SegmentError> {
        self.open()
    }

    /// The row groups with the least and greatest time of each.
    pub(crate) fn row_groups(&self) -> Result<Vec<RowGroup>, SegmentError> {
        let bounds = (self.entry.time_min, self.entry.time_max);
        Ok(self.open()?.row_groups(bounds))
    }
}

/// A file that several may read at once: every read says where.
#[derive(Debug)]
struct Positioned(std::fs::File);

impl Positioned {
    fn open(path: &Path) -> Result<Self, SegmentError> {
        Ok(Self(File::open(path)?.into_file()))
    }

    fn bytes_at(&self, offset: u64, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.0.metadata().map(|metadata| metadata.len()).unwrap_or_default()
    }
}

impl ChunkReader for Positioned {
    type T = ReadFrom;

    fn get_read(&self, start: u64) -> parquet::errors::Result<ReadFrom> {
        Ok(BufReader::new(From { file: self.0.try_clone()?, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.bytes_at(start, length)?.into())
    }
}

type ReadFrom = BufReader<From>;

/// Reads on from a place.
#[derive(Debug)]
struct From {
    file: std::fs::File,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn sorted(columns: &[usize]) -> Vec<usize> {
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}
