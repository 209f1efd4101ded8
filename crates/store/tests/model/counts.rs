//! What statistics mean, as plainly as it can be said; and what the store answers, in the same form.

use std::{cmp::Ordering, collections::BTreeMap};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType},
};
use millpond_query::{Field, Function, Group, TimeRange};
use millpond_store::Aggregate;

use crate::naive::{Json, Known, float};

/// A value of an answer.
#[derive(Clone, Debug)]
pub enum Cell {
    Missing,
    Text(String),
    /// Computed: equal if nearly so.
    Float(f64),
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Missing, _) | (_, Self::Missing) => false,
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9),
                _ => false,
            },
        }
    }
}

impl Cell {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Text(text) => float(text).filter(|number| number.is_finite()),
            Self::Float(float) => Some(*float),
        }
    }

    /// Numbers before texts, what is missing last either way.
    fn order(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Missing, Self::Missing) => Ordering::Equal,
            (Self::Missing, _) => Ordering::Greater,
            (_, Self::Missing) => Ordering::Less,
            (Self::Text(a), Self::Text(b)) => turned(order_of(a, b)),
            (a, b) => turned(a.number().partial_cmp(&b.number()).unwrap()),
        }
    }
}

/// The order of two values by their texts.
pub fn order_of(a: &str, b: &str) -> Ordering {
    let whole = |text: &str| text.parse::<i128>().ok().filter(|n| i64::try_from(*n).is_ok());
    let finite = |text: &str| float(text).filter(|number| number.is_finite());
    let numbers = match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => match (finite(a), finite(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        },
    };
    numbers.then_with(|| a.cmp(b))
}

/// The text by which a value makes a group: numbers that are the same have the same.
pub fn key(value: &Json) -> String {
    match value {
        Json::Number(digits) => match float(digits) {
            _ if digits.parse::<i64>().is_ok() => digits.parse::<i64>().unwrap().to_string(),
            Some(number)
                if number.is_finite()
                    && !digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') =>
            {
                float_key(number)
            }
            _ => digits.clone(),
        },
        other => other.text(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::float_cmp, reason = "only where it is exact")]
pub fn float_key(number: f64) -> String {
    if number.trunc() == number && number.abs() < 9e18 {
        return (number as i64).to_string();
    }
    zmij::Buffer::new().format(number).to_owned()
}

/// A number of a value, if it is one, or a text of one.
fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(text) | Json::String(text) => float(text).filter(|number| number.is_finite()),
        _ => None,
    }
}

/// The rows that statistics of some records have.
pub fn expected(request: &Aggregate, records: &[(u64, &Known<'_>)]) -> Vec<Vec<Cell>> {
    let stats = &request.stats;
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<&Known<'_>>> = BTreeMap::new();
    if stats.by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for (_, known) in records {
        let mut keys: Vec<Vec<Option<String>>> = vec![Vec::new()];
        for group in &stats.by {
            let values = group_values(group, known);
            let mut longer = Vec::new();
            for key in &keys {
                longer
                    .extend(values.iter().map(|value| [key.as_slice(), &[value.clone()]].concat()));
            }
            keys = longer;
        }
        for key in keys {
            if !stats.without_missing || key.iter().all(Option::is_some) {
                groups.entry(key).or_default().push(known);
            }
        }
    }
    let mut rows: Vec<Vec<Cell>> = groups
        .into_iter()
        .map(|(key, records)| {
            let key = key.into_iter().map(|value| value.map_or(Cell::Missing, Cell::Text));
            let functions = stats.functions.iter();
            key.chain(functions.map(|column| apply(&column.function, &records, request))).collect()
        })
        .collect();
    let names: Vec<bool> =
        stats.by.iter().map(|group| *group == Group::Field(Field::Level)).collect();
    rows.sort_by(|a, b| {
        let all = (0..a.len()).map(|place| (place, false));
        let orders = request.sort.iter().copied().chain(all).map(|(place, descending)| {
            if names.get(place) == Some(&true) {
                let (a, b) = (level(&a[place]), level(&b[place]));
                return if descending { b.cmp(&a) } else { a.cmp(&b) };
            }
            a[place].order(&b[place], descending)
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    rows.truncate(request.limit);
    rows
}

fn level(cell: &Cell) -> millpond_record::Level {
    let Cell::Text(name) = cell else { panic!("{cell:?} is no level") };
    name.parse().unwrap()
}

fn group_values(group: &Group, known: &Known<'_>) -> Vec<Option<String>> {
    let time = known.record.time;
    let mut values = match group {
        Group::Bin(interval) => vec![interval.floor(time).nanos().to_string()],
        Group::Field(Field::Time) => vec![time.nanos().to_string()],
        Group::Field(field) => known.values(field).iter().map(key).collect(),
    };
    values.sort();
    values.dedup();
    if values.is_empty() { vec![None] } else { values.into_iter().map(Some).collect() }
}

#[allow(clippy::cast_precision_loss, reason = "compared with a tolerance")]
fn apply(function: &Function, records: &[&Known<'_>], request: &Aggregate) -> Cell {
    let count = |count: usize| Cell::Text(count.to_string());
    if *function == Function::Rate {
        let widths = request.stats.by.iter().find_map(|group| match group {
            Group::Bin(interval) => Some(interval.nanos()),
            Group::Field(_) => None,
        });
        let TimeRange { from, to } = request.range;
        let nanos = widths.unwrap_or_else(|| to.nanos() - from.nanos());
        return Cell::Float(records.len() as f64 / (nanos as f64 / 1e9));
    }
    let Some(field) = function.field() else { return count(records.len()) };
    if *field == Field::Time {
        let times = records.iter().map(|known| known.record.time.nanos());
        let time = match function {
            Function::Min(_) => times.min(),
            _ => times.max(),
        };
        return time.map_or(Cell::Missing, |time| Cell::Text(time.to_string()));
    }
    let values: Vec<Vec<Json>> = records.iter().map(|known| known.values(field)).collect();
    let mut numbers: Vec<f64> = values.iter().flatten().filter_map(number).collect();
    numbers.sort_by(f64::total_cmp);
    let sum: f64 = numbers.iter().sum();
    match function {
        Function::CountOf(_) => count(values.iter().filter(|values| !values.is_empty()).count()),
        Function::CountDistinct(_) => {
            let different: std::collections::BTreeSet<String> =
                values.iter().flatten().map(key).collect();
            count(different.len())
        }
        _ if numbers.is_empty() => Cell::Missing,
        Function::Sum(_) => Cell::Float(sum),
        Function::Avg(_) => Cell::Float(sum / numbers.len() as f64),
        Function::Min(_) => Cell::Float(numbers[0]),
        Function::Max(_) => Cell::Float(numbers[numbers.len() - 1]),
        Function::Percentile(hundredths, _) => Cell::Float(percentile(&numbers, *hundredths)),
        Function::Count | Function::Rate => panic!("{function} has no field"),
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places among few numbers"
)]
fn percentile(sorted: &[f64], hundredths: u16) -> f64 {
    let place = f64::from(hundredths) / 10_000.0 * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The rows of an answer.
pub fn answered(rows: &RecordBatch) -> Vec<Vec<Cell>> {
    let columns: Vec<Vec<Cell>> = rows.columns().iter().map(cells).collect();
    (0..rows.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

fn cells(array: &ArrayRef) -> Vec<Cell> {
    let cell = |row: usize| match array.data_type() {
        _ if array.is_null(row) => Cell::Missing,
        DataType::Int64 => Cell::Text(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Float64 => Cell::Text(float_key(array.as_primitive::<Float64Type>().value(row))),
        DataType::Timestamp(..) => {
            Cell::Text(array.as_primitive::<TimestampNanosecondType>().value(row).to_string())
        }
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        other => panic!("a column of {other}"),
    };
    (0..array.len()).map(cell).collect()
}
