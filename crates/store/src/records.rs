//! Rows -> records, the way out.

use std::borrow::Cow;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type},
};
use millpond_query::Cursor;
use millpond_record::{Level, LogRecord, Severity, TextAttribute, Timestamp, json::Object};

use crate::schema::place;

/// The records of rows that have the columns of [`crate::schema`], each with its place.
pub fn records(rows: &RecordBatch) -> impl Iterator<Item = (Cursor, LogRecord<'_>)> {
    let sequences = rows.column(place::SEQUENCE).as_primitive::<UInt64Type>();
    (0..rows.num_rows()).map(move |row| {
        let record = record(rows, row);
        (Cursor { time: record.time, sequence: sequences.value(row) }, record)
    })
}

fn record(rows: &RecordBatch, row: usize) -> LogRecord<'_> {
    let text = |place: usize| {
        let column = rows.column(place).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    let time = |place: usize| {
        Timestamp::from_nanos(
            rows.column(place).as_primitive::<TimestampNanosecondType>().value(row),
        )
    };
    let severity = rows.column(place::SEVERITY_NUMBER).as_primitive::<UInt8Type>().value(row);
    let severity = Severity::from_number(severity).unwrap_or(Severity::from(Level::Info));
    let mut record = LogRecord::new(time(place::TIME), severity, "");
    record.observed_time = time(place::OBSERVED_TIME);
    for (offset, attribute) in TextAttribute::ALL.into_iter().enumerate() {
        if let Some(value) = text(place::TEXTS + offset) {
            record.set_text(attribute, value);
        }
    }
    let steps = rows.column(place::STEP_INDEX).as_primitive::<UInt32Type>();
    record.step_index = steps.is_valid(row).then(|| steps.value(row));
    let tags = rows.column(place::TAGS).as_list::<i32>();
    if tags.is_valid(row) {
        let tags = tags.value(row);
        record.tags = tags
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(|tag| Cow::Owned(tag.to_owned()))
            .collect();
    }
    record.exception = text(place::EXCEPTION).map(Object::from_normalised);
    record.fields = text(place::FIELDS).map(Object::from_normalised).unwrap_or_default();
    record
}
