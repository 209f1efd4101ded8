//! Arrow -> JSON: the columns and rows of statistics.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{
        DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
    util::display::array_value_to_string,
};
use millpond_record::{Timestamp, json::write_string};
use serde_json::{Value, json};

/// What a column holds, as people call it.
pub(super) fn type_name(of: &DataType) -> &'static str {
    match of {
        DataType::Boolean => "boolean",
        DataType::Timestamp(..) => "time",
        DataType::List(_) | DataType::LargeList(_) => "array",
        DataType::Dictionary(_, values) => type_name(values),
        of if of.is_integer() => "integer",
        of if of.is_numeric() => "number",
        _ => "string",
    }
}

/// The names of the columns and what they hold.
pub(super) fn columns(rows: &RecordBatch) -> Value {
    let columns = rows
        .schema()
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": type_name(field.data_type()) }))
        .collect::<Vec<_>>();
    columns.into()
}

/// Writes an array of rows, each an array of values.
pub(super) fn write_rows(out: &mut String, rows: &RecordBatch) {
    out.push('[');
    for row in 0..rows.num_rows() {
        out.push_str(if row > 0 { ",[" } else { "[" });
        for (place, column) in rows.columns().iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(&value(column, row).to_string());
        }
        out.push(']');
    }
    out.push(']');
}

/// One value. What JSON has no word for, such as infinity, becomes null; a number that it has no room for, a text.
pub(crate) fn value(column: &dyn Array, row: usize) -> Value {
    macro_rules! number {
        ($of:ty) => {
            column.as_primitive::<$of>().value(row).into()
        };
    }
    macro_rules! time {
        ($of:ty, $nanos:expr) => {
            time(column.as_primitive::<$of>().value(row), $nanos)
        };
    }
    if row >= column.len() || column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Timestamp(TimeUnit::Second, _) => time!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => time!(TimestampMillisecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => time!(TimestampMicrosecondType, 1000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => time!(TimestampNanosecondType, 1),
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            (0..values.len()).map(|place| value(&values, place)).collect()
        }
        DataType::Dictionary(..) => {
            let keys = column.as_any_dictionary();
            let key = keys.normalized_keys().get(row).copied().unwrap_or(usize::MAX);
            value(keys.values(), key)
        }
        _ => array_value_to_string(column, row).map_or(Value::Null, Value::from),
    }
}

fn time(count: i64, nanos: i64) -> Value {
    Timestamp::from_nanos(count.saturating_mul(nanos)).to_string().into()
}

/// The statistics as far as they are written before the members that follow them.
pub(super) fn write(rows: &RecordBatch) -> String {
    let mut body = String::with_capacity(64 + 64 * rows.num_rows());
    body.push('{');
    write_string(&mut body, "columns");
    body.push(':');
    body.push_str(&columns(rows).to_string());
    body.push_str(",\"rows\":");
    write_rows(&mut body, rows);
    body
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray,
        TimestampNanosecondArray, UInt64Array,
    };

    use super::*;

    fn written(name: &str, column: ArrayRef) -> Value {
        let rows = RecordBatch::try_from_iter([(name, column)]).unwrap();
        serde_json::from_str(&(write(&rows) + "}")).unwrap()
    }

    #[test]
    fn every_kind_of_column_becomes_json() {
        let time = TimestampNanosecondArray::from(vec![Some(1), None]).with_timezone("UTC");
        let dictionary: DictionaryArray<Int64Type> = ["a", "b", "a"].into_iter().collect();
        for (column, kind, rows) in [
            (
                Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef,
                "integer",
                json!([[i64::MAX], [null]]),
            ),
            (Arc::new(UInt64Array::from(vec![u64::MAX])), "integer", json!([[u64::MAX]])),
            (
                Arc::new(Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY])),
                "number",
                json!([[0.5], [null], [null]]),
            ),
            (Arc::new(StringArray::from(vec!["a\"b"])), "string", json!([["a\"b"]])),
            (Arc::new(BooleanArray::from(vec![true])), "boolean", json!([[true]])),
            (Arc::new(time), "time", json!([["1970-01-01T00:00:00.000000001Z"], [null]])),
            (Arc::new(dictionary), "string", json!([["a"], ["b"], ["a"]])),
        ] {
            let written = written("x", column);
            assert_eq!(written["columns"], json!([{ "name": "x", "type": kind }]));
            assert_eq!(written["rows"], rows);
        }
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        let written = written("x", Arc::new(Int64Array::from(Vec::<i64>::new())));
        assert_eq!(written["rows"], json!([]));
    }
}
