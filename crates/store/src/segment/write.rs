//! Writes segments.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Int32Builder, Int32DictionaryArray, RecordBatch, StringArray,
        StringBuilder, UInt32Array,
    },
    compute,
    datatypes::{Field, Schema, TimestampNanosecondType, UInt64Type},
    error::ArrowError,
};
use fs_err as fs;
use hashbrown::HashMap;
use millpond_query::words;
use millpond_record::TextAttribute;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    SegmentError,
    layout::{Layout, dictionary_type},
};
use crate::{
    files,
    filters::{self, value_key, word_key},
    limits::{FILTER_ROWS, PAGE_BYTES, PAGE_ROWS, ROW_GROUP_ROWS, TEMPLATES_MAX},
    manifest::{SegmentEntry, segment_file},
    project::Project,
    schema::{column, place, schema},
    shred::{FieldColumn, Kind, shred},
    template::{MARK, split},
};

/// Columns whose values hardly repeat: a dictionary would only cost.
pub(super) const NO_DICTIONARY: [&str; 6] =
    ["message", "trace_id", "span_id", "request_id", column::EXCEPTION, column::FIELDS];

/// Of these, those with texts: with the length of each text before it they compress better, ids without it.
const TEXTS: [&str; 3] = ["message", column::EXCEPTION, column::FIELDS];

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
    let layout = Layout { filters, ..Layout::new(own, shredded.rest_keys) };
    let metadata = layout.to_metadata().map_err(|error| SegmentError::Layout(error.to_string()))?;
    writer.append_key_value_metadata(metadata);
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
