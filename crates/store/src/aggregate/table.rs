//! The groups as rows of an answer.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
        TimestampNanosecondArray,
    },
    datatypes::{Field as ArrowField, Schema},
};
use millpond_query::{Field, Function, Group};
use millpond_record::Timestamp;

use super::{state::Partial, width_nanos};
use crate::{
    Aggregate, QueryError,
    values::{Number, Value},
};

const NANOS_PER_SECOND: f64 = 1e9;

/// How many seconds a rate is taken over.
#[allow(clippy::cast_precision_loss, reason = "a rate is a float")]
pub(crate) fn seconds(request: &Aggregate) -> Result<f64, QueryError> {
    let asked = request.stats.functions.iter().any(|column| column.function == Function::Rate);
    let range = request.range;
    let width = width_nanos(&request.stats.by);
    let open = range.from == Timestamp::MIN || range.to == Timestamp::MAX;
    if asked && width.is_none() && open {
        let message = "rate() needs `by bin(…)` or a time range with both ends";
        return Err(QueryError::Invalid(message.to_owned()));
    }
    let nanos = width.unwrap_or_else(|| range.to.nanos().saturating_sub(range.from.nanos()));
    Ok(nanos.max(1) as f64 / NANOS_PER_SECOND)
}

/// The groups with what the functions make of them.
struct Table {
    /// How many values the key of a group has.
    width: usize,
    keys: Vec<Option<Value>>,
    /// For each function a value for each group.
    values: Vec<Vec<Option<Value>>>,
}

/// The rows that a request asks for, as columns.
pub(crate) fn table(
    groups: Partial,
    request: &Aggregate,
    seconds: f64,
) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<usize> = (0..groups.len()).collect();
    let functions = request.stats.functions.iter().zip(groups.states);
    let values = functions.map(|(column, states)| states.values(&column.function, seconds));
    let table = Table { width: groups.width, keys: groups.keys, values: values.collect() };
    let order = |a: &usize, b: &usize| table.compare(*a, *b, &request.sort);
    if request.limit < rows.len() {
        if let Some(last) = request.limit.checked_sub(1) {
            rows.select_nth_unstable_by(last, order);
        }
        rows.truncate(request.limit);
    }
    rows.sort_unstable_by(order);
    table.columns(&rows, request)
}

impl Table {
    /// How many columns there are.
    fn len(&self) -> usize {
        self.width + self.values.len()
    }

    fn value(&self, row: usize, column: usize) -> Option<&Value> {
        let value = match column.checked_sub(self.width) {
            None => self.keys.get(row * self.width + column),
            Some(function) => self.values.get(function)?.get(row),
        };
        value?.as_ref()
    }

    /// By the asked columns, and where these are equal by all, first to last; what is missing comes last.
    fn compare(&self, a: usize, b: usize, sort: &[(usize, bool)]) -> Ordering {
        let all = (0..self.len()).map(|column| (column, false));
        for (column, descending) in sort.iter().copied().chain(all) {
            let order = match (self.value(a, column), self.value(b, column)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(a), Some(b)) if descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn columns(&self, rows: &[usize], request: &Aggregate) -> Result<RecordBatch, QueryError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let columns = request.stats.column_names().into_iter().zip(types(request));
        for (place, (name, of)) in columns.enumerate() {
            let values: Vec<Option<&Value>> =
                rows.iter().map(|&row| self.value(row, place)).collect();
            let array = column(&values, &of);
            fields.push(ArrowField::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }
}

/// What a column of an answer holds.
enum Type {
    Time,
    Text,
    Whole,
    Float,
    /// What its values are.
    Open,
}

fn types(request: &Aggregate) -> Vec<Type> {
    let groups = request.stats.by.iter().map(|group| match group {
        Group::Bin(_) | Group::Field(Field::Time) => Type::Time,
        Group::Field(Field::SeverityNumber | Field::StepIndex) => Type::Whole,
        Group::Field(Field::Path(_)) => Type::Open,
        Group::Field(_) => Type::Text,
    });
    let functions = request.stats.functions.iter().map(|column| match &column.function {
        Function::Count | Function::CountOf(_) | Function::CountDistinct(_) => Type::Whole,
        Function::Avg(_) | Function::Percentile(..) | Function::Rate => Type::Float,
        Function::Min(Field::Time) | Function::Max(Field::Time) => Type::Time,
        Function::Sum(_) | Function::Min(_) | Function::Max(_) => Type::Open,
    });
    groups.chain(functions).collect()
}

/// Whether a value is a number that is the same as a float.
fn is_float(value: &Value) -> bool {
    match value {
        Value::Float(_) => true,
        Value::Int(whole) => whole.unsigned_abs() <= EXACT_FLOATS_MAX,
        _ => false,
    }
}

/// Up to this size every whole number is a float.
const EXACT_FLOATS_MAX: u64 = 1 << 53;

fn column(values: &[Option<&Value>], of: &Type) -> ArrayRef {
    let present = || values.iter().flatten();
    let whole = |value: &Value| match value {
        Value::Int(whole) | Value::Time(whole) => Some(*whole),
        _ => None,
    };
    let of = match of {
        Type::Open
            if present().all(|value| matches!(value, Value::Int(_)))
                && present().next().is_some() =>
        {
            &Type::Whole
        }
        Type::Open if present().all(|value| is_float(value)) && present().next().is_some() => {
            &Type::Float
        }
        Type::Open => &Type::Text,
        other => other,
    };
    match of {
        Type::Time => {
            let times = values.iter().map(|value| value.and_then(whole));
            Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("UTC"))
        }
        Type::Whole => {
            Arc::new(Int64Array::from_iter(values.iter().map(|value| value.and_then(whole))))
        }
        Type::Float => {
            let floats =
                values.iter().map(|value| value.and_then(Value::number).map(Number::float));
            Arc::new(Float64Array::from_iter(floats))
        }
        Type::Text | Type::Open => {
            Arc::new(StringArray::from_iter(values.iter().map(|value| value.map(Value::text))))
        }
    }
}
