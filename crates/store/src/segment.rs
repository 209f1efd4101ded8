//! Parquet segments: sorted, immutable files of one project and one day (or several, see the module `days`).
//!
//! # Format, version 2
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
//! { "format_version": 2,
//!   "fields": [ { "name": "fields.http.status", "path": ["http", "status"], "kind": "int", "repeats": true }, … ],
//!                           in the order of their columns, which stand behind `template`; `repeats`: has a dictionary
//!   "rest_keys": ["a", …],  the first keys in the column `fields`; null: too many to name
//!   "filter_rows": 2048,    rows that share a filter
//!   "filters": [[offset, bytes], …] }                      one for each row group
//! ```
//! Version 1 has no layout, no templates, no filters, and all members in `fields`.
//!
//! Every file is named by the manifest with its size and CRC32C; a file that does not match is damaged: it is left as
//! it is, reported, and not read.

use std::{
    collections::HashSet,
    io::{BufReader, ErrorKind, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Int32Builder, Int32DictionaryArray, RecordBatch,
        RecordBatchOptions, StringArray, StringBuilder, UInt32Array,
    },
    compute,
    datatypes::{DataType, Field, Schema, TimestampNanosecondType, UInt64Type},
    error::ArrowError,
};
use bytes::Bytes;
use fs_err::{self as fs, File};
use hashbrown::HashMap;
use millpond_query::words;
use millpond_record::{TextAttribute, Timestamp};
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
        metadata::{KeyValue, PageIndexPolicy},
        properties::{EnabledStatistics, WriterProperties},
        reader::{ChunkReader, Length},
        statistics::Statistics,
    },
    schema::types::ColumnPath,
};
use serde::{Deserialize, Serialize};

use crate::{
    files,
    filters::{self, PageFilters, value_key, word_key},
    limits::{FILTER_ROWS, PAGE_BYTES, PAGE_ROWS, ROW_GROUP_ROWS, TEMPLATES_MAX},
    manifest::{SegmentEntry, segment_file},
    project::Project,
    schema::{column, place, schema},
    shred::{self, FieldColumn, Kind, shred},
    template::{MARK, split},
};

/// Columns whose values hardly repeat: a dictionary would only cost.
const NO_DICTIONARY: [&str; 6] =
    ["message", "trace_id", "span_id", "request_id", column::EXCEPTION, column::FIELDS];

/// Of these, those with texts: with the length of each text before it they compress better, ids without it.
const TEXTS: [&str; 3] = ["message", column::EXCEPTION, column::FIELDS];

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
        let footer = self.open()?;
        let metadata = footer.metadata.metadata();
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

/// What the footer of a file says.
#[derive(Debug)]
pub(crate) struct Footer {
    metadata: ArrowReaderMetadata,
    pub(crate) layout: Layout,
}

/// Where in a file to find what is not a column of [`schema`].
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// The column of the templates.
    pub(crate) template: Option<usize>,
    /// The columns of members of `fields`, with their places.
    pub(crate) fields: Vec<(FieldColumn, usize)>,
    /// The first keys of what is in no column; `None`: not known.
    pub(crate) rest_keys: Option<Vec<String>>,
    /// Rows that share a filter.
    filter_rows: usize,
    /// Offset and size of each row group's filters.
    filters: Vec<(u64, usize)>,
}

/// The part of [`Layout`] that is written into the file, as JSON under the key [`LAYOUT_KEY`].
#[derive(Debug, Serialize, Deserialize)]
struct WrittenLayout {
    format_version: u32,
    fields: Vec<FieldColumn>,
    rest_keys: Option<Vec<String>>,
    filter_rows: usize,
    filters: Vec<(u64, usize)>,
}

const LAYOUT_KEY: &str = "millpond.layout";
const LAYOUT_VERSION: u32 = 2;

impl Footer {
    fn read(content: &Bytes) -> Result<Self, SegmentError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(content, options.clone())?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let text = pairs
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == LAYOUT_KEY))
            .and_then(|pair| pair.value.as_deref());
        let Some(text) = text else { return Ok(Self { metadata, layout: Layout::default() }) };
        let written: WrittenLayout =
            serde_json::from_str(text).map_err(|error| SegmentError::Layout(error.to_string()))?;
        if written.format_version > LAYOUT_VERSION {
            let version = written.format_version;
            return Err(SegmentError::Layout(format!(
                "version {version}, this program reads {LAYOUT_VERSION}"
            )));
        }
        let layout = Layout {
            filter_rows: written.filter_rows,
            filters: written.filters,
            ..Layout::new(written.fields, written.rest_keys)
        };
        // Strings that repeat are read with their dictionary.
        let repeating = layout.dictionaries();
        let types = metadata.schema().fields().iter().enumerate().map(|(place, field)| {
            if repeating.contains(&place) {
                Field::clone(field).with_data_type(dictionary_type())
            } else {
                Field::clone(field)
            }
        });
        let hinted = Arc::new(Schema::new(types.collect::<Vec<_>>()));
        let metadata = ArrowReaderMetadata::try_new(
            Arc::clone(metadata.metadata()),
            options.with_schema(hinted),
        )?;
        Ok(Self { metadata, layout })
    }

    /// Number of rows of a row group.
    fn rows(&self, row_group: usize) -> usize {
        let groups = self.metadata.metadata().row_groups();
        groups
            .get(row_group)
            .map_or(0, |group| usize::try_from(group.num_rows()).unwrap_or_default())
    }

    /// Whether a column has no value in a row group, as far as the file tells. Parquet counts the leaves of columns; of
    /// ours each has one.
    pub(crate) fn is_empty(&self, row_group: usize, column: usize) -> bool {
        let group = self.metadata.metadata().row_groups().get(row_group);
        group.is_some_and(|group| {
            let nulls = group
                .columns()
                .get(column)
                .and_then(|chunk| chunk.statistics())
                .and_then(Statistics::null_count_opt);
            nulls == u64::try_from(group.num_rows()).ok()
        })
    }

    /// Whether a column has a value in every row of a row group, as far as the file tells.
    pub(crate) fn is_full(&self, row_group: usize, column: usize) -> bool {
        let group = self.metadata.metadata().row_groups().get(row_group);
        group.is_some_and(|group| {
            group
                .columns()
                .get(column)
                .and_then(|chunk| chunk.statistics())
                .and_then(Statistics::null_count_opt)
                == Some(0)
        })
    }
}

impl Layout {
    /// The layout that this version writes.
    pub(crate) fn new(fields: Vec<FieldColumn>, rest_keys: Option<Vec<String>>) -> Self {
        Self {
            template: Some(place::TEMPLATE),
            fields: fields.into_iter().zip(place::TEMPLATE + 1..).collect(),
            rest_keys,
            filter_rows: FILTER_ROWS,
            filters: Vec::new(),
        }
    }

    /// Places of the columns that are read with a dictionary.
    fn dictionaries(&self) -> HashSet<usize> {
        let base = schema().fields().iter().enumerate().filter(|(_, field)| {
            *field.data_type() == DataType::Utf8 && !NO_DICTIONARY.contains(&field.name().as_str())
        });
        let own =
            self.fields.iter().filter(|(column, _)| column.kind == Kind::String && column.repeats);
        base.map(|(place, _)| place)
            .chain(self.template)
            .chain(own.map(|(_, place)| *place))
            .collect()
    }
}

pub(crate) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
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
    sorted.dedup();
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

/// Writes sorted rows, one part of [`crate::days::by_day`], as a segment; when this returns, the file is durable.
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
    let encoded = encode(rows)?;
    files::replace(&path, &encoded)?;
    let entry = SegmentEntry {
        file: file_name,
        bytes: encoded.len() as u64,
        crc32c: crc32c::crc32c(&encoded),
        ..SegmentEntry::default()
    };
    Ok(entry.describing(rows))
}

/// The bytes of the file.
fn encode(rows: &RecordBatch) -> Result<Vec<u8>, SegmentError> {
    let shredded = shred(rows.column(place::FIELDS).as_string::<i32>());
    let messages = rows.column(place::MESSAGE).as_string::<i32>();
    let (templates, mut keys) = templates(messages);
    add_ids(rows, &mut keys);

    let mut fields: Vec<Field> =
        schema().fields().iter().map(|field| Field::clone(field)).collect();
    let mut arrays = rows.columns().to_vec();
    if let Some(rest) = arrays.get_mut(place::FIELDS) {
        *rest = Arc::new(shredded.rest);
    }
    fields.push(Field::new(column::TEMPLATE, dictionary_type(), true));
    arrays.push(templates);
    let mut own = Vec::new();
    for (column, array) in shredded.columns {
        fields.push(Field::new(&column.name, column.kind.data_type(), true));
        arrays.push(array);
        own.push(column);
    }
    let file_schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&file_schema), arrays)?;
    let mut encoded = Vec::with_capacity(rows.num_rows() * 64);
    let mut writer = ArrowWriter::try_new(&mut encoded, file_schema, Some(properties(&own)))?;
    writer.write(&batch)?;
    writer.flush()?;
    let mut filters = Vec::new();
    for pages in keys.chunks_mut(ROW_GROUP_ROWS / FILTER_ROWS) {
        let block = filters::encode(pages);
        filters.push((writer.bytes_written() as u64, block.len()));
        writer.write_all(&block)?;
    }
    let layout = WrittenLayout {
        format_version: LAYOUT_VERSION,
        fields: own,
        rest_keys: shredded.rest_keys,
        filter_rows: FILTER_ROWS,
        filters,
    };
    let layout =
        serde_json::to_string(&layout).map_err(|error| SegmentError::Layout(error.to_string()))?;
    writer.append_key_value_metadata(KeyValue::new(LAYOUT_KEY.to_owned(), layout));
    writer.close()?;
    Ok(encoded)
}

/// The template of each message, if there are not too many, and for each page the keys of all words that are in none.
pub(crate) fn templates(messages: &StringArray) -> (ArrayRef, Vec<Vec<u64>>) {
    let mut pages = vec![Vec::new(); messages.len().div_ceil(FILTER_ROWS)];
    let mut known: HashMap<String, i32> = HashMap::new();
    let mut values = StringBuilder::new();
    let mut places = Int32Builder::with_capacity(messages.len());
    let mut template = String::new();
    for (row, message) in messages.iter().enumerate() {
        let message = message.unwrap_or_default();
        let Some(keys) = pages.get_mut(row / FILTER_ROWS) else { continue };
        template.clear();
        split(message, &mut template, |word| keys.push(word_key(word)));
        let place = match known.get(&template) {
            Some(&place) => Some(place),
            None if known.len() < TEMPLATES_MAX => {
                let place = i32::try_from(known.len()).unwrap_or_default();
                values.append_value(&template);
                known.insert(template.clone(), place);
                Some(place)
            }
            None => {
                let rest = words(&template).filter(|word| !word.starts_with(MARK));
                keys.extend(rest.map(word_key));
                None
            }
        };
        places.append_option(place);
    }
    let array = Int32DictionaryArray::try_new(places.finish(), Arc::new(values.finish()));
    let array = array.map_or_else(
        |_| arrow::array::new_null_array(&dictionary_type(), messages.len()),
        |array| Arc::new(array) as ArrayRef,
    );
    (array, pages)
}

/// Attributes whose values are in the filters.
pub(crate) const FILTERED: [TextAttribute; 6] = [
    TextAttribute::TraceId,
    TextAttribute::SpanId,
    TextAttribute::RequestId,
    TextAttribute::SessionId,
    TextAttribute::UserId,
    TextAttribute::FlowId,
];

fn add_ids(rows: &RecordBatch, pages: &mut [Vec<u64>]) {
    for attribute in FILTERED {
        let ids = rows.column(place::TEXTS + attribute as usize).as_string::<i32>();
        if ids.null_count() == ids.len() {
            continue;
        }
        for (row, id) in ids.iter().enumerate() {
            if let Some((id, keys)) = id.zip(pages.get_mut(row / FILTER_ROWS)) {
                keys.push(value_key(id));
            }
        }
    }
}

fn properties(own: &[FieldColumn]) -> WriterProperties {
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
    let unique = own.iter().filter(|column| column.kind == Kind::String && !column.repeats);
    let unique = unique.map(|column| column.name.as_str());
    for name in NO_DICTIONARY.into_iter().chain(unique) {
        let path = ColumnPath::new(vec![name.to_owned()]);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_data_page_size_limit(path.clone(), PAGE_BYTES);
        if !TEXTS.contains(&name) {
            properties = properties.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        }
    }
    properties.build()
}
