//! The values that a field has in rows of a unit: as they are counted, grouped and sorted.

use std::{borrow::Cow, cmp::Ordering, sync::Arc};

use arrow::{
    array::{Array, AsArray, BooleanBufferBuilder},
    buffer::BooleanBuffer,
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type},
};
use compact_str::CompactString;
use millpond_query::Field;
use millpond_record::{
    Level, Severity, TextAttribute, Timestamp,
    json::{Object, Scalar},
};

use crate::{
    QueryError,
    bitmap::is_few,
    columns::{Column, Shared, hash},
    matches::decimal,
    members::Contested,
    schema::place,
    select::{columns_of, rest_may_have},
    template::{shown, template},
    unit::Unit,
};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Text(CompactString),
    Time(i64),
    Level(Level),
}

impl Value {
    /// The value of a text or of a number's digits. Numbers beyond what integers and floats can tell apart stay texts.
    fn of(scalar: &Scalar<'_>) -> Self {
        match scalar {
            Scalar::Number(text) => match Number::parse(text) {
                Some(Number::Int(whole)) => Self::Int(whole),
                Some(Number::Float(float)) if text.contains(['.', 'e', 'E']) => Self::Float(float),
                _ => Self::Text((*text).into()),
            },
            other => Self::Text(other.text().into()),
        }
    }

    /// What it takes beside itself, in bytes.
    pub(crate) fn bytes_beside(&self) -> usize {
        match self {
            Self::Text(text) if text.is_heap_allocated() => text.capacity(),
            _ => 0,
        }
    }

    /// As a number, if it is one, or a text of one.
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Self::Int(whole) | Self::Time(whole) => Some(Number::Int(*whole)),
            Self::Float(float) => Some(Number::Float(*float)),
            Self::Text(text) => Number::parse(text),
            Self::Level(_) => None,
        }
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// Numbers, also those that are texts, before texts; levels by how serious they are.
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Level(level), Self::Level(other)) = (self, other) {
            return level.cmp(other);
        }
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.cmp(&b).then_with(|| self.text().cmp(&other.text())),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text().cmp(&other.text()),
        }
    }
}

impl Value {
    /// By which values are told to be the same: `10` and `10.0` are.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Int(whole) => Cow::Owned(whole.to_string()),
            Self::Float(float) if float.trunc() == *float && float.abs() < WHOLE_FLOATS_END => {
                #[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
                let whole = *float as i64;
                Cow::Owned(whole.to_string())
            }
            Self::Float(float) => Cow::Owned(zmij::Buffer::new().format(*float).to_owned()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Time(nanos) => Cow::Owned(Timestamp::from_nanos(*nanos).to_string()),
            Self::Level(level) => Cow::Borrowed(level.name()),
        }
    }
}

/// A number: exact where it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The number that a text is: digits, a sign, a point, an exponent; nothing else is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Int(whole));
        }
        decimal(text).filter(|number| number.is_finite()).map(Self::Float)
    }

    #[allow(clippy::cast_precision_loss, reason = "where floats are asked for")]
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }

    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) if a == b => Ordering::Equal,
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Int(a), Self::Float(b)) => compare_exactly(*a, *b),
            (Self::Float(a), Self::Int(b)) => compare_exactly(*b, *a).reverse(),
        }
    }
}

/// 2^63: floats below are in the range of whole numbers of 64 bits.
const WHOLE_FLOATS_END: f64 = 9_223_372_036_854_775_808.0;

/// Compares without rounding the whole number: an order in which rounding makes numbers equal is none.
fn compare_exactly(whole: i64, float: f64) -> Ordering {
    if float.is_nan() || float >= WHOLE_FLOATS_END {
        return Ordering::Less;
    }
    if float < -WHOLE_FLOATS_END {
        return Ordering::Greater;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it is in range, and its fraction is looked at next"
    )]
    let cut = float as i64;
    whole.cmp(&cut).then_with(|| 0.0.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}

/// Rows of a unit, ascending; a row may be there more than once.
#[derive(Clone, Debug)]
pub(crate) enum RowList {
    All(usize),
    Some(Vec<u32>),
}

impl RowList {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(rows) => rows.len(),
        }
    }

    /// The rows, among all of a unit.
    fn marked(&self, rows: usize) -> BooleanBuffer {
        match self {
            Self::All(_) => BooleanBuffer::new_set(rows),
            Self::Some(listed) => {
                let mut marked = BooleanBufferBuilder::new(rows);
                marked.append_n(rows, false);
                for &row in listed {
                    marked.set_bit(row as usize, true);
                }
                marked.finish()
            }
        }
    }

    /// The row at a place of the list.
    pub(crate) fn row(&self, at: usize) -> usize {
        match self {
            Self::All(_) => at,
            Self::Some(rows) => rows.get(at).map_or(usize::MAX, |&row| row as usize),
        }
    }
}

/// Reads the values of a field in a list of rows.
pub(crate) struct Values<'a> {
    pub(crate) rows: &'a RowList,
    /// The first that has a value of a row gives it.
    pub(crate) parts: Vec<Part>,
}

/// Where values come from.
pub(crate) enum Part {
    /// A column of texts, numbers or booleans.
    Column(Shared),
    /// The same, but only of the listed rows.
    Listed(Column),
    Times(Shared),
    Levels(Shared),
    Severities(Shared),
    Steps(Shared),
    Templates(Shared),
    /// Messages, of which the template is asked for.
    TemplatesOf(Shared),
    /// Objects, and the path of the member that is asked for.
    Members(Shared, String),
}

impl<'a> Values<'a> {
    pub(crate) fn new(unit: &Unit, field: &Field, rows: &'a RowList) -> Result<Self, QueryError> {
        let mut values = Self { rows, parts: Vec::new() };
        match field {
            Field::Time => values.parts.push(Part::Times(unit.column(place::TIME)?)),
            Field::Level => values.parts.push(Part::Levels(unit.column(place::SEVERITY_NUMBER)?)),
            Field::SeverityNumber => {
                values.parts.push(Part::Severities(unit.column(place::SEVERITY_NUMBER)?));
            }
            Field::StepIndex => values.parts.push(Part::Steps(unit.column(place::STEP_INDEX)?)),
            // Rows are listed once for each of their tags, by `tags`; all fields are only looked into.
            Field::Tags | Field::Fields => {}
            Field::Template => values.templates(unit)?,
            Field::Exception(path) => {
                if !unit.is_empty(place::EXCEPTION) {
                    values.parts.push(Part::Members(unit.column(place::EXCEPTION)?, path.clone()));
                }
            }
            Field::Words => values.column(unit, place::MESSAGE)?,
            Field::Text(attribute) => {
                let place = place::TEXTS + *attribute as usize;
                values.column(unit, place)?;
                let always = matches!(attribute, TextAttribute::Message | TextAttribute::Service);
                if !always && !unit.is_full(place) {
                    values.path(unit, attribute.name())?;
                }
            }
            Field::Path(path) => values.path(unit, path)?,
        }
        Ok(values)
    }

    fn column(&mut self, unit: &Unit, place: usize) -> Result<(), QueryError> {
        if unit.is_empty(place) {
            return Ok(());
        }
        let is_few =
            |rows: &Vec<u32>| is_few(rows.len(), unit.rows) && rows.is_sorted_by(|a, b| a < b);
        match self.rows {
            RowList::Some(rows) if is_few(rows) && unit.cached(place).is_none() => {
                self.parts.push(Part::Listed(unit.column_at(place, rows)?));
            }
            _ => self.parts.push(Part::Column(unit.column(place)?)),
        }
        Ok(())
    }

    fn path(&mut self, unit: &Unit, path: &str) -> Result<(), QueryError> {
        if let Some(contested) = Contested::of(unit, path, &self.rows.marked(unit.rows))? {
            let fields = Arc::new(Column::Text(contested.spread(unit.rows)));
            self.parts.push(Part::Members(fields, path.to_owned()));
        }
        for (_, place) in columns_of(unit, path) {
            self.column(unit, place)?;
        }
        if rest_may_have(unit, path) {
            self.parts.push(Part::Members(unit.column(place::FIELDS)?, path.to_owned()));
        }
        Ok(())
    }

    fn templates(&mut self, unit: &Unit) -> Result<(), QueryError> {
        if let Some(place) = unit.layout().template {
            let column = unit.column(place)?;
            let full = matches!(&*column, Column::Dictionary(dictionary)
                if !dictionary.codes.contains(&dictionary.missing()));
            self.parts.push(Part::Templates(column));
            if full {
                return Ok(());
            }
        }
        self.parts.push(Part::TemplatesOf(unit.column(place::MESSAGE)?));
        Ok(())
    }

    /// The only part, if there is one: then it can be read as a whole.
    pub(crate) fn single(&self) -> Option<&Part> {
        match self.parts.as_slice() {
            [part] => Some(part),
            _ => None,
        }
    }

    /// The value at a place of the list.
    pub(crate) fn value(&self, at: usize) -> Option<Value> {
        self.parts.iter().find_map(|part| part.value(at, self.rows.row(at)))
    }

    pub(crate) fn number(&self, at: usize) -> Option<Number> {
        // The first value decides, also if it is no number.
        self.parts.iter().find_map(|part| part.number(at, self.rows.row(at))).flatten()
    }

    /// The hash of the value at a place of the list.
    pub(crate) fn hash(&self, at: usize) -> Option<u128> {
        self.parts.iter().find_map(|part| part.hash(at, self.rows.row(at)))
    }
}

impl Part {
    pub(crate) fn value(&self, at: usize, row: usize) -> Option<Value> {
        match self {
            Self::Column(column) => of_column(column, row),
            Self::Listed(column) => of_column(column, at),
            Self::Times(column) => time_at(column, row).map(Value::Time),
            Self::Levels(column) => {
                severity_at(column, row).map(|number| Value::Level(level(number)))
            }
            Self::Severities(column) => {
                severity_at(column, row).map(|number| Value::Int(number.into()))
            }
            Self::Steps(column) => step_at(column, row).map(|step| Value::Int(step.into())),
            Self::Templates(column) => column.text(row).map(|text| Value::Text(shown(text).into())),
            Self::TemplatesOf(column) => {
                column.text(row).map(|text| Value::Text(template(text).into()))
            }
            Self::Members(column, path) => {
                let object = Object::from_normalised(column.text(row)?);
                object.get(path).map(|value| Value::of(&value))
            }
        }
    }

    /// `None`: no value; `Some(None)`: a value that is no number.
    fn number(&self, at: usize, row: usize) -> Option<Option<Number>> {
        let of = |column: &Column, row: usize| match column {
            Column::Int(array) => array.is_valid(row).then(|| Some(Number::Int(array.value(row)))),
            Column::Float(array) => {
                array.is_valid(row).then(|| Some(Number::Float(array.value(row))))
            }
            Column::Bool(array) => array.is_valid(row).then_some(None),
            _ => column.text(row).map(Number::parse),
        };
        match self {
            Self::Column(column) => of(column, row),
            Self::Listed(column) => of(column, at),
            _ => self.value(at, row).map(|value| value.number()),
        }
    }

    fn hash(&self, at: usize, row: usize) -> Option<u128> {
        let of = |column: &Column, row: usize| match column {
            Column::Dictionary(dictionary) => {
                let code = *dictionary.codes.get(row)? as usize;
                dictionary.hashes().get(code).copied()
            }
            Column::Text(_) => column.text(row).map(hash),
            _ => of_column(column, row).map(|value| hash(&value.text())),
        };
        match self {
            Self::Column(column) => of(column, row),
            Self::Listed(column) => of(column, at),
            _ => self.value(at, row).map(|value| hash(&value.text())),
        }
    }
}

fn of_column(column: &Column, row: usize) -> Option<Value> {
    match column {
        Column::Int(array) => array.is_valid(row).then(|| Value::Int(array.value(row))),
        Column::Float(array) => array.is_valid(row).then(|| Value::Float(array.value(row))),
        Column::Bool(array) => {
            array.is_valid(row).then(|| Value::Text(array.value(row).to_string().into()))
        }
        _ => column.text(row).map(|text| Value::Text(text.into())),
    }
}

fn time_at(column: &Column, row: usize) -> Option<i64> {
    let Column::Other(array) = column else { return None };
    array.as_primitive::<TimestampNanosecondType>().values().get(row).copied()
}

fn severity_at(column: &Column, row: usize) -> Option<u8> {
    let Column::Other(array) = column else { return None };
    array.as_primitive::<UInt8Type>().values().get(row).copied()
}

fn step_at(column: &Column, row: usize) -> Option<u32> {
    let Column::Other(array) = column else { return None };
    let steps = array.as_primitive::<UInt32Type>();
    steps.is_valid(row).then(|| steps.value(row))
}

pub(crate) fn level(severity_number: u8) -> Level {
    Severity::from_number(severity_number).map_or(Level::Info, Severity::level)
}

/// Each place of the list once for each different tag of its row, and once if there is none.
pub(crate) fn tags(
    unit: &Unit,
    rows: &RowList,
) -> Result<Vec<(usize, Option<String>)>, QueryError> {
    let mut tags = Vec::new();
    let column = unit.column(place::TAGS)?;
    let Column::Other(array) = &*column else { return Ok(tags) };
    let lists = array.as_list::<i32>();
    for at in 0..rows.len() {
        let row = rows.row(at);
        if !lists.is_valid(row) {
            tags.push((at, None));
            continue;
        }
        let mut seen: Vec<String> = Vec::new();
        for tag in lists.value(row).as_string::<i32>().iter().flatten() {
            if !seen.iter().any(|known| known == tag) {
                tags.push((at, Some(tag.to_owned())));
                seen.push(tag.to_owned());
            }
        }
    }
    Ok(tags)
}
