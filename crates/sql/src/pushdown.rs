//! What of a statement's conditions the store can be asked.
//!
//! A condition of SQL is true, false or unknown; a filter of the store selects a record or does not. What is handed
//! down selects at least each record for which the condition is true. Where the two are not the same, DataFusion asks
//! again: a text attribute that a record lacks is looked for in its `fields` by the store, and numbers compare as
//! numbers there.

use datafusion::{
    arrow::datatypes::{DataType, Schema},
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Like, Operator, expr::InList},
};
use millpond_query::{Comparison, Condition, Field, Filter, Pattern, Test, TimeRange};
use millpond_record::{Level, TextAttribute, Timestamp};
use millpond_store::column;

use crate::functions::Member;

/// A condition in the store's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pushed {
    /// Selects at least the records for which the condition is true.
    pub(crate) filter: Filter,
    /// Selects no others.
    pub(crate) exact: bool,
    /// The condition is never unknown.
    total: bool,
}

/// What a comparison looks at, and how its values compare.
struct Subject {
    field: Field,
    kind: Kind,
    /// The store's field has the values of the column and no others.
    exact: bool,
    /// Each record has a value.
    total: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Level,
    Text,
    /// A text that may be a number in some records.
    Member,
    Integer,
    Float,
    Tags,
}

/// The times that a condition on `time` alone allows; exactly these.
pub(crate) fn range(condition: &Expr) -> Option<TimeRange> {
    let all = TimeRange::ALL;
    // A range does not say whether its end was meant to be excluded at the end of time.
    let next = |nanos: i64| nanos.checked_add(1).filter(|&nanos| nanos < i64::MAX);
    let at = Timestamp::from_nanos;
    match condition {
        Expr::BinaryExpr(binary) => {
            let (subject, operator, nanos) = match (time(&binary.left), time(&binary.right)) {
                (None, Some(nanos)) => (&binary.left, binary.op, nanos),
                (Some(nanos), None) => (&binary.right, binary.op.swap()?, nanos),
                _ => return None,
            };
            if !is_column(subject, column::TIME) {
                return None;
            }
            Some(match operator {
                Operator::GtEq => TimeRange { from: at(nanos), ..all },
                Operator::Gt => TimeRange { from: at(next(nanos)?), ..all },
                Operator::Lt if nanos < i64::MAX => TimeRange { to: at(nanos), ..all },
                Operator::LtEq => TimeRange { to: at(next(nanos)?), ..all },
                Operator::Eq => TimeRange { from: at(nanos), to: at(next(nanos)?) },
                _ => return None,
            })
        }
        Expr::Between(between) if !between.negated && is_column(&between.expr, column::TIME) => {
            let to = next(time(&between.high)?)?;
            Some(TimeRange { from: at(time(&between.low)?), to: at(to) })
        }
        _ => None,
    }
}

/// The records that are in both.
pub(crate) fn both(one: TimeRange, other: TimeRange) -> TimeRange {
    TimeRange { from: one.from.max(other.from), to: one.to.min(other.to) }
}

/// The condition in the store's words, as far as it has any.
pub(crate) fn filter(condition: &Expr, schema: &Schema) -> Option<Pushed> {
    match condition {
        Expr::Alias(alias) => filter(&alias.expr, schema),
        Expr::Not(inner) => filter(inner, schema).and_then(not),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (filter(left, schema), filter(right, schema)) {
                (Some(left), Some(right)) => Some(Pushed {
                    filter: left.filter.and(right.filter),
                    exact: left.exact && right.exact,
                    total: left.total && right.total,
                }),
                (Some(one), None) | (None, Some(one)) => {
                    Some(Pushed { filter: one.filter, exact: false, total: false })
                }
                (None, None) => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(or(vec![filter(left, schema)?, filter(right, schema)?]))
        }
        Expr::BinaryExpr(binary) => comparison(binary, schema),
        Expr::InList(list) => in_list(list, schema),
        Expr::Like(like) => pattern(like, schema),
        Expr::IsNotNull(inner) => {
            let subject = subject(inner, schema)?;
            let exact = subject.exact;
            Some(Pushed { filter: is(subject.field, Test::Exists), exact, total: true })
        }
        Expr::ScalarFunction(call) if call.name() == "array_has" => match call.args.as_slice() {
            [tags, tag] if is_column(tags, column::TAGS) => {
                let tags =
                    Subject { field: Field::Tags, kind: Kind::Tags, exact: true, total: false };
                compare(tags, Operator::Eq, literal(tag)?)
            }
            _ => None,
        },
        _ => None,
    }
}

fn is(field: Field, test: Test) -> Filter {
    Filter::Is(Condition { field, test })
}

/// Where the condition is not true, it is false or unknown; only without the latter its opposite is true.
fn not(inner: Pushed) -> Option<Pushed> {
    let filter = Filter::Not(Box::new(inner.filter));
    inner.exact.then_some(Pushed { filter, exact: inner.total, total: inner.total })
}

fn or(parts: Vec<Pushed>) -> Pushed {
    let exact = parts.iter().all(|part| part.exact);
    let total = parts.iter().all(|part| part.total);
    let mut filters: Vec<Filter> = Vec::new();
    for part in parts {
        match part.filter {
            Filter::Or(more) => filters.extend(more),
            one => filters.push(one),
        }
    }
    let filter = if filters.len() == 1 { filters.pop() } else { None };
    Pushed { filter: filter.unwrap_or(Filter::Or(filters)), exact, total }
}

fn comparison(binary: &BinaryExpr, schema: &Schema) -> Option<Pushed> {
    let (subject, operator, value) =
        match (subject(&binary.left, schema), subject(&binary.right, schema)) {
            (Some(subject), None) => (subject, binary.op, literal(&binary.right)?),
            (None, Some(subject)) => (subject, binary.op.swap()?, literal(&binary.left)?),
            _ => return None,
        };
    compare(subject, operator, value)
}

fn compare(subject: Subject, operator: Operator, value: &ScalarValue) -> Option<Pushed> {
    let comparison = match operator {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => return not(compare(subject, Operator::Eq, value)?),
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        Operator::RegexMatch if subject.kind == Kind::Text => {
            let test = Test::Regex(value.try_as_str()??.to_owned());
            return Some(Pushed { filter: is(subject.field, test), exact: false, total: false });
        }
        _ => return None,
    };
    let filter = match subject.kind {
        Kind::Level => is(subject.field, level(comparison, value)?),
        Kind::Text | Kind::Member | Kind::Tags => {
            is(subject.field, text(comparison, value, subject.kind)?)
        }
        Kind::Integer => is(subject.field, Test::Compare(comparison, integer(value)?)),
        Kind::Float => float(&subject.field, comparison, value)?,
    };
    Some(Pushed { filter, exact: subject.exact, total: subject.total })
}

/// The order of levels is by severity in the store and by letters in SQL: only equality is the same.
fn level(comparison: Comparison, value: &ScalarValue) -> Option<Test> {
    let name = value.try_as_str()??;
    let level = Level::ALL.into_iter().find(|level| level.name() == name)?;
    (comparison == Comparison::Equal).then_some(Test::Level(comparison, level))
}

fn text(comparison: Comparison, value: &ScalarValue, kind: Kind) -> Option<Test> {
    let text = value.try_as_str()??;
    // The store compares numbers as numbers.
    let ordered =
        kind == Kind::Text && text.parse::<f64>().is_err() && text.parse::<i128>().is_err();
    (comparison == Comparison::Equal || ordered).then(|| Test::Compare(comparison, text.to_owned()))
}

fn integer(value: &ScalarValue) -> Option<String> {
    use ScalarValue as V;
    let whole = matches!(
        value,
        V::Int8(Some(_))
            | V::Int16(Some(_))
            | V::Int32(Some(_))
            | V::Int64(Some(_))
            | V::UInt8(Some(_))
            | V::UInt16(Some(_))
            | V::UInt32(Some(_))
            | V::UInt64(Some(_))
    );
    whole.then(|| value.to_string())
}

/// Bounds that belong to it, whatever the sign of a zero; and as an order, since equality of a string is that of texts.
fn float(field: &Field, comparison: Comparison, value: &ScalarValue) -> Option<Filter> {
    let number = match value {
        ScalarValue::Float64(Some(number)) => *number,
        ScalarValue::Float32(Some(number)) => f64::from(*number),
        _ => return None,
    };
    // With a point or an exponent, so that it compares as a float with everything.
    let written = format!("{number:?}");
    let bound = |comparison| is(field.clone(), Test::Compare(comparison, written.clone()));
    number.is_finite().then(|| match comparison {
        Comparison::Less | Comparison::LessOrEqual => bound(Comparison::LessOrEqual),
        Comparison::Greater | Comparison::GreaterOrEqual => bound(Comparison::GreaterOrEqual),
        Comparison::Equal => bound(Comparison::GreaterOrEqual).and(bound(Comparison::LessOrEqual)),
    })
}

fn in_list(list: &InList, schema: &Schema) -> Option<Pushed> {
    let parts = list
        .list
        .iter()
        .map(|value| compare(subject(&list.expr, schema)?, Operator::Eq, literal(value)?));
    let parts: Vec<Pushed> = parts.collect::<Option<_>>()?;
    if parts.is_empty() {
        return None;
    }
    if list.negated { not(or(parts)) } else { Some(or(parts)) }
}

/// `LIKE` without single places and escapes: texts with anything between them.
fn pattern(like: &Like, schema: &Schema) -> Option<Pushed> {
    let subject = subject(&like.expr, schema)?;
    let text = literal(&like.pattern)?.try_as_str()??;
    let plain = !like.case_insensitive && like.escape_char.is_none() && !text.contains(['_', '\\']);
    if !plain || !matches!(subject.kind, Kind::Text | Kind::Member) {
        return None;
    }
    let mut pieces: Vec<String> = text.split('%').map(str::to_owned).collect();
    let last = pieces.len() - 1;
    let mut places = 0..;
    pieces.retain(|piece| {
        let outer = places.next().is_some_and(|at| at == 0 || at == last);
        outer || !piece.is_empty()
    });
    let test = match pieces.len() {
        1 => Test::Compare(Comparison::Equal, text.to_owned()),
        _ if pieces.iter().all(String::is_empty) => Test::Exists,
        _ => Test::Pattern(Pattern { pieces }),
    };
    let pushed =
        Pushed { filter: is(subject.field, test), exact: subject.exact, total: subject.total };
    if like.negated { not(pushed) } else { Some(pushed) }
}

/// The store's field behind an expression.
fn subject(expression: &Expr, schema: &Schema) -> Option<Subject> {
    match expression {
        Expr::Column(name) => column_subject(name.name(), schema),
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            (name @ (Member::TEXT | Member::NUMBER), [fields, path])
                if is_column(fields, column::FIELDS) =>
            {
                let field = Field::Path(literal(path)?.try_as_str()??.to_owned());
                let kind = if name == Member::NUMBER { Kind::Float } else { Kind::Member };
                Some(Subject { field, kind, exact: false, total: false })
            }
            _ => None,
        },
        _ => None,
    }
}

fn column_subject(name: &str, schema: &Schema) -> Option<Subject> {
    if let Some(attribute) = TextAttribute::named(name) {
        let always = matches!(attribute, TextAttribute::Service | TextAttribute::Message);
        let field = Field::Text(attribute);
        return Some(Subject { field, kind: Kind::Text, exact: always, total: always });
    }
    match name {
        column::LEVEL => {
            Some(Subject { field: Field::Level, kind: Kind::Level, exact: true, total: true })
        }
        column::SEVERITY_NUMBER => Some(Subject {
            field: Field::SeverityNumber,
            kind: Kind::Integer,
            exact: true,
            total: true,
        }),
        column::STEP_INDEX => Some(Subject {
            field: Field::StepIndex,
            kind: Kind::Integer,
            exact: true,
            total: false,
        }),
        _ => {
            let field = Field::Path(name.strip_prefix("fields.")?.to_owned());
            let kind = match schema.field_with_name(name).ok()?.data_type() {
                DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Dictionary(..) => Kind::Member,
                DataType::Float32 | DataType::Float64 => Kind::Float,
                whole if whole.is_integer() => Kind::Integer,
                _ => return None,
            };
            Some(Subject { field, kind, exact: false, total: false })
        }
    }
}

fn is_column(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Column(found) if found.name() == name)
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn time(expression: &Expr) -> Option<i64> {
    match literal(expression)? {
        ScalarValue::TimestampNanosecond(nanos, Some(_)) => *nanos,
        _ => None,
    }
}
