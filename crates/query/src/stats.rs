//! The syntax tree of a whole query: a filter, and what is made of the records that pass.
//!
//! A query is in one form whatever order its pipes were written in: filter, then statistics, then an order, then a
//! limit, then a choice of columns.

use std::{borrow::Cow, fmt};

use crate::{Field, Filter, Interval};

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which records.
    pub filter: Filter,
    /// What is counted; without it the answer is records.
    pub stats: Option<Stats>,
    /// The order of the answer, most important first. Empty: records newest first, statistics by their first columns.
    pub sort: Vec<SortKey>,
    /// The columns of the answer; empty for all.
    pub fields: Vec<Field>,
    /// At most so many rows.
    pub limit: Option<usize>,
}

impl From<Filter> for Query {
    fn from(filter: Filter) -> Self {
        Self { filter, stats: None, sort: Vec::new(), fields: Vec::new(), limit: None }
    }
}

/// Counts of records in groups. The columns of the answer are the groups, then the functions.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// What is counted. At least one.
    pub functions: Vec<StatsColumn>,
    /// What makes a group; empty for one group of all.
    pub by: Vec<Group>,
    /// Only groups in which every `by` field has a value, as `top` wants it.
    pub without_missing: bool,
}

impl Stats {
    /// The names of the answer's columns: the groups, then the functions.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        let groups = self.by.iter().map(Group::name);
        groups.chain(self.functions.iter().map(|column| column.name.clone())).collect()
    }

    /// Counts of records by some groups.
    #[must_use]
    pub fn count_by(by: Vec<Group>) -> Self {
        Self { functions: vec![Function::Count.into()], by, without_missing: false }
    }
}

/// A function and the name of its column.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsColumn {
    /// What is counted.
    pub function: Function,
    /// Name of the column: what was said behind `as`, else the function as it is written; `count` for `count()`.
    pub name: String,
}

impl From<Function> for StatsColumn {
    fn from(function: Function) -> Self {
        let name = match function {
            Function::Count => "count".to_owned(),
            Function::Rate => "rate".to_owned(),
            _ => function.to_string(),
        };
        Self { function, name }
    }
}

/// A function over the records of a group. Records in which the field has no value, or none that is a number where one
/// is needed, are left out; a function of nothing is null, a count of nothing 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// Number of records.
    Count,
    /// Number of records in which the field has a value.
    CountOf(Field),
    /// Number of different values, exact.
    CountDistinct(Field),
    /// Sum of the values.
    Sum(Field),
    /// Their mean.
    Avg(Field),
    /// The least.
    Min(Field),
    /// The greatest.
    Max(Field),
    /// A percentile from 0 to 100, interpolated between the two nearest values (SQL's `percentile_cont`). In
    /// hundredths of a percent: p99.9 is 9990.
    Percentile(u16, Field),
    /// Records per second of the group's `bin`, or of the asked time range.
    Rate,
}

impl Function {
    /// Its name: `count`, `sum`, `p99.9`.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Count | Self::CountOf(_) => "count",
            Self::CountDistinct(_) => "count_distinct",
            Self::Sum(_) => "sum",
            Self::Avg(_) => "avg",
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::Percentile(hundredths, _) => return Cow::Owned(percentile_name(*hundredths)),
            Self::Rate => "rate",
        })
    }

    /// The field that it looks at.
    #[must_use]
    pub fn field(&self) -> Option<&Field> {
        match self {
            Self::Count | Self::Rate => None,
            Self::CountOf(field)
            | Self::CountDistinct(field)
            | Self::Sum(field)
            | Self::Avg(field)
            | Self::Min(field)
            | Self::Max(field)
            | Self::Percentile(_, field) => Some(field),
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.field().map(Field::name).unwrap_or_default())
    }
}

/// `p95`, `p99.9`.
fn percentile_name(hundredths: u16) -> String {
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match part {
        0 => format!("p{whole}"),
        _ => format!("p{whole}.{}", format!("{part:02}").trim_end_matches('0')),
    }
}

/// What makes a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Group {
    /// The value of a field: one group for each, and one for the records that have none.
    Field(Field),
    /// The time, cut down to a width counted from the epoch.
    Bin(Interval),
}

impl Group {
    /// Name of the group's column.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Field(field) => field.name().into_owned(),
            Self::Bin(_) => "bin".to_owned(),
        }
    }
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What is compared. Numbers stand before texts, and what is missing comes last either way.
    pub by: SortBy,
    /// Greatest first.
    pub descending: bool,
}

/// What an order compares.
#[derive(Clone, Debug, PartialEq)]
pub enum SortBy {
    /// A column of the statistics, by its place.
    Column(usize),
    /// A field of the records.
    Field(Field),
}
