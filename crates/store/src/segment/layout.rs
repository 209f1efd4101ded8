//! What the footer of a segment tells: where columns and filters are, and what each row group has.

use std::{collections::HashSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use millpond_record::Timestamp;
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    file::{
        metadata::{KeyValue, PageIndexPolicy},
        statistics::Statistics,
    },
};
use serde::{Deserialize, Serialize};

use super::{SegmentError, write::NO_DICTIONARY};
use crate::{
    limits::FILTER_ROWS,
    schema::{place, schema},
    shred::{FieldColumn, Kind},
};

/// What the footer of a file says.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(super) metadata: ArrowReaderMetadata,
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
    pub(super) filter_rows: usize,
    /// Offset and size of each row group's filters.
    pub(super) filters: Vec<(u64, usize)>,
}

/// The part of [`Layout`] that is written into the file, as JSON under the key [`LAYOUT_KEY`].
#[derive(Debug, Serialize, Deserialize)]
struct WrittenLayout {
    format_version: u32,
    fields: Vec<FieldColumn>,
    rest_keys: Option<Vec<String>>,
    #[serde(default = "filter_rows_of_version_2")]
    filter_rows: usize,
    filters: Vec<(u64, usize)>,
}

const LAYOUT_KEY: &str = "millpond.layout";
const LAYOUT_VERSION: u32 = 3;

/// Version 2 did not say it.
fn filter_rows_of_version_2() -> usize {
    8192
}

impl Footer {
    pub(super) fn read(content: &Bytes) -> Result<Self, SegmentError> {
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

    /// The row groups with the least and greatest time of each; those of the file where it does not tell.
    pub(super) fn row_groups(&self, of_file: (i64, i64)) -> Vec<RowGroup> {
        let groups = self.metadata.metadata().row_groups().iter().map(|group| {
            let (time_min, time_max) = match group.column(place::TIME).statistics() {
                Some(Statistics::Int64(statistics)) => {
                    statistics.min_opt().copied().zip(statistics.max_opt().copied())
                }
                _ => None,
            }
            .unwrap_or(of_file);
            RowGroup {
                rows: usize::try_from(group.num_rows()).unwrap_or_default(),
                time_min: Timestamp::from_nanos(time_min),
                time_max: Timestamp::from_nanos(time_max),
            }
        });
        groups.collect()
    }

    /// Number of rows of a row group.
    pub(super) fn rows(&self, row_group: usize) -> usize {
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

    /// What the footer says of it.
    pub(super) fn to_metadata(&self) -> serde_json::Result<KeyValue> {
        let written = WrittenLayout {
            format_version: LAYOUT_VERSION,
            fields: self.fields.iter().map(|(column, _)| column.clone()).collect(),
            rest_keys: self.rest_keys.clone(),
            filter_rows: self.filter_rows,
            filters: self.filters.clone(),
        };
        Ok(KeyValue::new(LAYOUT_KEY.to_owned(), serde_json::to_string(&written)?))
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

/// The bounds of a row group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowGroup {
    pub(crate) rows: usize,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
}
