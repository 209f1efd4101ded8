//! Parquet segments: sorted, immutable files of one project and one day.
//!
//! Any Parquet reader opens them. Rows are sorted by (time, sequence). Every file is named by the manifest with its
//! size and CRC32C; a file that does not match is damaged: it is left as it is, reported, and not read.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::{
    array::{AsArray, RecordBatch, UInt32Array},
    compute,
    datatypes::{TimestampNanosecondType, UInt64Type},
    error::ArrowError,
};
use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
        },
    },
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::PageIndexPolicy,
        properties::{EnabledStatistics, WriterProperties},
        statistics::Statistics,
    },
    schema::types::ColumnPath,
};

use crate::{
    files,
    limits::{PAGE_ROWS, ROW_GROUP_ROWS},
    manifest::{SegmentEntry, segment_file},
    project::Project,
    schema::{column, place, schema},
};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Columns whose values hardly repeat: a dictionary would only cost.
const NO_DICTIONARY: [&str; 6] =
    ["message", "trace_id", "span_id", "request_id", column::EXCEPTION, column::FIELDS];

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
    #[error("the file's checksum is {found:08x}, expected {expected:08x}")]
    Checksum { found: u32, expected: u32 },
    /// Found out before, or just now.
    #[error("{0}")]
    Damaged(String),
}

/// A segment that queries read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) entry: SegmentEntry,
    path: PathBuf,
    /// Set by the first read.
    opened: Mutex<Opened>,
}

/// The footer, or what is wrong with the file; `None` before the first read.
type Opened = Option<Result<Arc<ArrowReaderMetadata>, String>>;

impl Segment {
    pub(crate) fn new(directory: &Path, entry: SegmentEntry) -> Self {
        Self { path: directory.join(&entry.file), entry, opened: Mutex::default() }
    }

    pub(crate) fn time_min(&self) -> Timestamp {
        Timestamp::from_nanos(self.entry.time_min)
    }

    pub(crate) fn time_max(&self) -> Timestamp {
        Timestamp::from_nanos(self.entry.time_max)
    }

    /// The footer. The first call reads the whole file once, to check it.
    fn open(&self) -> Result<Arc<ArrowReaderMetadata>, SegmentError> {
        let mut opened = self.opened();
        match &*opened {
            Some(Ok(metadata)) => return Ok(Arc::clone(metadata)),
            Some(Err(reason)) => return Err(SegmentError::Damaged(reason.clone())),
            None => {}
        }
        let metadata =
            self.check().map(Arc::new).map_err(|error| self.judge(&mut opened, error))?;
        *opened = Some(Ok(Arc::clone(&metadata)));
        Ok(metadata)
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

    fn check(&self) -> Result<ArrowReaderMetadata, SegmentError> {
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
        let file = File::open(&self.path)?.into_file();
        Ok(ArrowReaderMetadata::load(
            &file,
            ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional),
        )?)
    }

    /// Reads columns of one row group: all rows, or those at the given ascending places.
    pub(crate) fn read(
        &self,
        row_group: usize,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<RecordBatch, SegmentError> {
        let metadata = self.open()?;
        // The file was whole when it was opened; a disk may fail later.
        self.read_opened(&metadata, row_group, columns, rows)
            .map_err(|error| self.judge(&mut self.opened(), error))
    }

    fn read_opened(
        &self,
        metadata: &ArrowReaderMetadata,
        row_group: usize,
        columns: &[usize],
        rows: Option<&[u32]>,
    ) -> Result<RecordBatch, SegmentError> {
        // A file of its own for each reader: readers move the file's position.
        let file = File::open(&self.path)?.into_file();
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            file,
            ArrowReaderMetadata::clone(metadata),
        );
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let total = builder.metadata().row_group(row_group).num_rows();
        let total = usize::try_from(total).unwrap_or_default();
        if let Some(rows) = rows {
            let ranges = rows.iter().map(|&row| row as usize..row as usize + 1);
            builder =
                builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, total));
        }
        let reader = builder
            .with_row_groups(vec![row_group])
            .with_projection(mask)
            .with_batch_size(total.max(1))
            .build()?;
        let projected = Arc::new(schema().project(&sorted(columns))?);
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        let batch = compute::concat_batches(&projected, &batches)?;
        // Parquet gives the columns in the order of the file.
        let order: Vec<usize> = columns
            .iter()
            .filter_map(|&place| projected.index_of(schema().field(place).name()).ok())
            .collect();
        Ok(batch.project(&order)?)
    }

    /// The row groups with the least and greatest time of each.
    pub(crate) fn row_groups(&self) -> Result<Vec<RowGroup>, SegmentError> {
        let metadata = self.open()?;
        let metadata = metadata.metadata();
        let groups = metadata.row_groups().iter().map(|group| {
            let bounds = |column: usize| match group.column(column).statistics() {
                Some(Statistics::Int64(statistics)) => {
                    statistics.min_opt().copied().zip(statistics.max_opt().copied())
                }
                _ => None,
            };
            let (time_min, time_max) =
                bounds(place::TIME).unwrap_or((self.entry.time_min, self.entry.time_max));
            RowGroup {
                rows: usize::try_from(group.num_rows()).unwrap_or_default(),
                time_min: Timestamp::from_nanos(time_min),
                time_max: Timestamp::from_nanos(time_max),
            }
        });
        Ok(groups.collect())
    }
}

/// The bounds of a row group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowGroup {
    pub(crate) rows: usize,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
}

fn sorted(columns: &[usize]) -> Vec<usize> {
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Sorts rows by (time, sequence).
pub(crate) fn sort(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>().values();
    let sequences = rows.column(place::SEQUENCE).as_primitive::<UInt64Type>().values();
    if times.iter().zip(sequences).is_sorted() {
        return Ok(rows.clone());
    }
    let mut order: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|&row| {
        (times.get(row as usize).copied(), sequences.get(row as usize).copied())
    });
    let order = UInt32Array::from(order);
    compute::take_record_batch(rows, &order)
}

/// Cuts sorted rows where the day (UTC) changes; gives each day's name and rows.
pub(crate) fn by_day(rows: &RecordBatch) -> Vec<(String, RecordBatch)> {
    let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>().values();
    let mut days = Vec::new();
    let mut start = 0;
    for same_day in
        times.chunk_by(|a, b| a.div_euclid(NANOS_PER_DAY) == b.div_euclid(NANOS_PER_DAY))
    {
        let first = same_day.first().copied().unwrap_or_default();
        let day =
            Timestamp::from_nanos(first).to_string().chars().take_while(|&c| c != 'T').collect();
        days.push((day, rows.slice(start, same_day.len())));
        start += same_day.len();
    }
    days
}

/// Writes sorted rows of one day as a segment; when this returns, the file is durable.
pub(crate) fn write(
    directory: &Path,
    project: &Project,
    day: &str,
    number: u64,
    rows: &RecordBatch,
) -> Result<SegmentEntry, SegmentError> {
    let file_name = segment_file(project, day, number);
    let path = directory.join(&file_name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
        for ancestor in [Some(parent), parent.parent(), Some(directory)].into_iter().flatten() {
            files::sync_directory(ancestor)?;
        }
    }
    let mut encoded = Vec::with_capacity(rows.num_rows() * 64);
    let mut writer = ArrowWriter::try_new(&mut encoded, Arc::clone(schema()), Some(properties()))?;
    writer.write(rows)?;
    writer.close()?;

    files::replace(&path, &encoded)?;
    let times = rows.column(place::TIME).as_primitive::<TimestampNanosecondType>();
    let sequences = rows.column(place::SEQUENCE).as_primitive::<UInt64Type>();
    Ok(SegmentEntry {
        file: file_name,
        bytes: encoded.len() as u64,
        crc32c: crc32c::crc32c(&encoded),
        rows: rows.num_rows() as u64,
        time_min: compute::min(times).unwrap_or_default(),
        time_max: compute::max(times).unwrap_or_default(),
        sequence_min: compute::min(sequences).unwrap_or_default(),
        sequence_max: compute::max(sequences).unwrap_or_default(),
    })
}

fn properties() -> WriterProperties {
    let zstd = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("millpond ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(1024)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in [column::SEQUENCE, column::TIME, column::OBSERVED_TIME] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    for name in NO_DICTIONARY {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    properties.build()
}
