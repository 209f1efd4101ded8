//! What a scan reads is what the records have.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt64Type},
};
use futures::TryStreamExt;
use millpond_query::{Field, Filter, TimeRange};
use millpond_store::{EmbeddedStore, Scan, Store};

use crate::{
    counts::{float_key, key},
    naive::{Json, Known, float},
    support::project,
};

/// Reads some columns of the record itself and all of members of `fields`.
pub async fn check(
    store: &EmbeddedStore,
    filter: &Filter,
    range: TimeRange,
    selected: &[(u64, &Known<'_>)],
) {
    let columns = store.columns(&project());
    let mut asked: Vec<String> =
        ["message", "user_id", "time", "severity_number", "sequence"].map(str::to_owned).to_vec();
    asked.extend(
        columns
            .fields()
            .iter()
            .map(|field| field.name())
            .filter(|name| name.starts_with("fields."))
            .cloned(),
    );
    let request = Scan { filter: filter.clone(), range, columns: asked.clone() };
    let pieces: Vec<_> =
        store.scan(&project(), &request).await.unwrap().try_collect().await.unwrap();
    let mut found: BTreeMap<u64, Vec<Option<String>>> = BTreeMap::new();
    for piece in &pieces {
        let sequences = piece.column_by_name("sequence").unwrap().as_primitive::<UInt64Type>();
        for row in 0..piece.num_rows() {
            let values = piece.columns().iter().map(|column| text(column, row)).collect();
            assert_eq!(found.insert(sequences.value(row), values), None, "a row is there twice");
        }
    }
    let types: Vec<DataType> = asked
        .iter()
        .map(|name| columns.field_with_name(name).unwrap().data_type().clone())
        .collect();
    let expected: BTreeMap<u64, Vec<Option<String>>> = selected
        .iter()
        .map(|(sequence, known)| {
            let values =
                asked.iter().zip(&types).map(|(name, of)| expected(*sequence, known, name, of));
            (*sequence, values.collect())
        })
        .collect();
    for (sequence, expected) in &expected {
        assert_eq!(found.get(sequence), Some(expected), "{asked:?} {types:?} of {filter}");
    }
    assert_eq!(found.len(), expected.len(), "{filter}");
}

fn text(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::Float64 => float_key(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampNanosecondType>().value(row).to_string()
        }
        other => panic!("a column of {other}"),
    })
}

/// The value as the column's type can have it.
fn expected(sequence: u64, known: &Known<'_>, name: &str, of: &DataType) -> Option<String> {
    let record = &known.record;
    let value = match name {
        "sequence" => return Some(sequence.to_string()),
        "time" => return Some(record.time.nanos().to_string()),
        "severity_number" => return Some(record.severity.number().to_string()),
        "message" => return Some(record.message().to_owned()),
        "user_id" => {
            return record.text(millpond_record::TextAttribute::UserId).map(str::to_owned);
        }
        name => {
            let path = name.strip_prefix("fields.").unwrap();
            known.values(&Field::Path(path.to_owned())).into_iter().next()?
        }
    };
    let number = match &value {
        Json::Number(text) | Json::String(text) => Some(text),
        _ => None,
    };
    match of {
        DataType::Int64 => {
            number.and_then(|text| text.parse::<i64>().ok()).map(|whole| whole.to_string())
        }
        DataType::Float64 => {
            number.and_then(|text| float(text)).filter(|f| f.is_finite()).map(float_key)
        }
        DataType::Boolean => value.text().parse::<bool>().ok().map(|value| value.to_string()),
        _ => Some(key(&value)),
    }
}
