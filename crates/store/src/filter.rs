//! A query's filter -> a DataFusion expression over the columns of a record.
//!
//! Every expression made here is true or false for each row, never null: `NOT` selects what lacks the field as well.

use std::{cmp::Ordering, hash::Hash, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringArray},
    datatypes::{DataType, UInt32Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        col, lit, not,
    },
};
use millpond_query::{Comparison, Condition, Field, Filter, Test, TimeRange, words};
use millpond_record::{
    Level, Severity, TextAttribute, Timestamp,
    json::{Object, Scalar},
};
use regex::Regex;

use crate::schema::column;

/// The filter as an expression.
pub(crate) fn expression(filter: &Filter) -> Result<Expr> {
    Ok(match filter {
        Filter::All => lit(true),
        Filter::And(parts) => joined(parts, Expr::and)?,
        Filter::Or(parts) => joined(parts, Expr::or)?,
        Filter::Not(part) => not(expression(part)?),
        Filter::Is(condition) => self::condition(condition)?,
    })
}

fn joined(parts: &[Filter], join: fn(Expr, Expr) -> Expr) -> Result<Expr> {
    let parts = parts.iter().map(expression).collect::<Result<Vec<_>>>()?;
    Ok(balanced(parts, join).unwrap_or_else(|| lit(true)))
}

/// Joins expressions as a balanced tree: a list of a thousand is ten levels deep, not a thousand, and everything that
/// walks expressions recurses.
pub(crate) fn balanced(mut parts: Vec<Expr>, join: fn(Expr, Expr) -> Expr) -> Option<Expr> {
    if parts.len() < 2 {
        return parts.pop();
    }
    let right = parts.split_off(parts.len() / 2);
    let (left, right) = (balanced(parts, join), balanced(right, join));
    left.zip(right).map(|(left, right)| join(left, right))
}

/// The time range as an expression; `None` if it is all of time.
pub(crate) fn within(range: TimeRange) -> Option<Expr> {
    let from = (range.from > Timestamp::MIN).then(|| col(column::TIME).gt_eq(time(range.from)));
    let to = (range.to < Timestamp::MAX).then(|| col(column::TIME).lt(time(range.to)));
    match (from, to) {
        (Some(from), Some(to)) => Some(from.and(to)),
        (from, to) => from.or(to),
    }
}

fn time(time: Timestamp) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(time.nanos()), Some("UTC".into())))
}

fn condition(condition: &Condition) -> Result<Expr> {
    let Condition { field, test } = condition;
    Ok(match (field, test) {
        (Field::Time, Test::Compare(comparison, text)) => match Timestamp::parse(text) {
            Ok(value) => compare(col(column::TIME), *comparison, time(value)),
            Err(error) => return exec_err!("{error}"),
        },
        (Field::Time | Field::Level, Test::Exists) => lit(true),
        (Field::Level, Test::Level(comparison, level)) => compare_level(*comparison, *level),
        (Field::Text(attribute), test) => text_attribute(*attribute, test, condition)?,
        _ => matcher(condition, vec![col(column_name(field))])?,
    })
}

/// A test of an attribute; where a record does not have it, of the member of `fields` with its name.
fn text_attribute(attribute: TextAttribute, test: &Test, condition: &Condition) -> Result<Expr> {
    let here = || col(attribute.name());
    let passes = match test {
        // The common case as a plain comparison of a column, which statistics can answer.
        Test::Compare(Comparison::Equal, text) => here().eq(lit(text.as_str())),
        Test::Exists => lit(true),
        _ => matcher(condition, vec![here()])?,
    };
    if matches!(attribute, TextAttribute::Message | TextAttribute::Service) {
        // Every record has these.
        return Ok(passes);
    }
    let in_fields =
        Condition { field: Field::Path(attribute.name().to_owned()), test: test.clone() };
    let passes_in_fields = matcher(&in_fields, vec![col(column::FIELDS)])?;
    Ok(here().is_not_null().and(passes).or(here().is_null().and(passes_in_fields)))
}

fn column_name(field: &Field) -> &'static str {
    match field {
        Field::Words => TextAttribute::Message.name(),
        Field::Time => column::TIME,
        Field::Level => column::LEVEL,
        Field::Text(attribute) => attribute.name(),
        Field::StepIndex => column::STEP_INDEX,
        Field::Tags => column::TAGS,
        Field::Path(_) => column::FIELDS,
    }
}

fn compare(left: Expr, comparison: Comparison, right: Expr) -> Expr {
    match comparison {
        Comparison::Equal => left.eq(right),
        Comparison::Less => left.lt(right),
        Comparison::LessOrEqual => left.lt_eq(right),
        Comparison::Greater => left.gt(right),
        Comparison::GreaterOrEqual => left.gt_eq(right),
    }
}

/// A level is four severity numbers.
fn compare_level(comparison: Comparison, level: Level) -> Expr {
    let number = || col(column::SEVERITY_NUMBER);
    let first = Severity::from(level).number();
    let last = first + 3;
    match comparison {
        Comparison::Equal => number().gt_eq(lit(first)).and(number().lt_eq(lit(last))),
        Comparison::Less => number().lt(lit(first)),
        Comparison::LessOrEqual => number().lt_eq(lit(last)),
        Comparison::Greater => number().gt(lit(last)),
        Comparison::GreaterOrEqual => number().gt_eq(lit(first)),
    }
}

fn matcher(condition: &Condition, arguments: Vec<Expr>) -> Result<Expr> {
    Ok(ScalarUDF::new_from_impl(Matcher::new(condition)?).call(arguments))
}

/// Tests one column against one condition.
#[derive(Debug)]
struct Matcher {
    condition: Condition,
    /// For a test of words.
    words: Option<Words>,
    signature: Signature,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.condition == other.condition
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Filter::Is(self.condition.clone()).to_string().hash(state);
    }
}

impl Matcher {
    fn new(condition: &Condition) -> Result<Self> {
        let words = match &condition.test {
            Test::Words { text, prefix } => Some(Words::new(text, *prefix)?),
            _ => None,
        };
        Ok(Self {
            condition: condition.clone(),
            words,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    fn matches_text(&self, value: &str) -> bool {
        match &self.condition.test {
            Test::Words { .. } => self.words.as_ref().is_some_and(|words| words.stand_in(value)),
            Test::Compare(Comparison::Equal, text) => value == text,
            Test::Compare(comparison, text) => comparison.holds(order(value, text)),
            Test::Prefix(text) => value.starts_with(text.as_str()),
            Test::Exists => true,
            Test::Level(..) => false,
        }
    }

    /// A value of `fields`, which knows whether it is a number.
    fn matches_scalar(&self, value: &Scalar<'_>) -> bool {
        match (&self.condition.test, value) {
            (Test::Exists, _) => true,
            (Test::Compare(comparison, text), Scalar::Number(number)) => {
                match compare_numbers(number, text) {
                    Some(ordering) => comparison.holds(ordering),
                    None => false,
                }
            }
            (Test::Compare(comparison, _), Scalar::Null | Scalar::Bool(_) | Scalar::Nested(_))
                if *comparison != Comparison::Equal =>
            {
                false
            }
            _ => self.matches_text(value.text()),
        }
    }

    fn evaluate(&self, column: &ArrayRef) -> Result<BooleanArray> {
        let rows = 0..column.len();
        Ok(match &self.condition.field {
            Field::Path(path) => strings(column)?
                .iter()
                .map(|text| {
                    let object = Object::from_normalised(text?);
                    object.get(path).map(|value| self.matches_scalar(&value))
                })
                .map(Option::unwrap_or_default)
                .map(Some)
                .collect(),
            Field::Tags => {
                let lists = column.as_list::<i32>();
                rows.map(|row| {
                    let any = lists.is_valid(row)
                        && strings(&lists.value(row))?
                            .iter()
                            .flatten()
                            .any(|tag| self.matches_text(tag));
                    Ok(Some(any))
                })
                .collect::<Result<_>>()?
            }
            Field::StepIndex => {
                let steps = column.as_primitive::<UInt32Type>();
                steps
                    .iter()
                    .map(|step| {
                        Some(step.is_some_and(|step| self.matches_number(&step.to_string())))
                    })
                    .collect()
            }
            Field::Words | Field::Text(_) | Field::Time | Field::Level => strings(column)?
                .iter()
                .map(|text| Some(text.is_some_and(|text| self.matches_text(text))))
                .collect(),
        })
    }

    fn matches_number(&self, number: &str) -> bool {
        self.matches_scalar(&Scalar::Number(number))
    }
}

fn strings(column: &ArrayRef) -> Result<&StringArray> {
    match column.as_string_opt::<i32>() {
        Some(strings) => Ok(strings),
        None => exec_err!("expected a column of strings, found {}", column.data_type()),
    }
}

impl ScalarUDFImpl for Matcher {
    fn name(&self) -> &'static str {
        "matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        match columns.first() {
            Some(column) => Ok(ColumnarValue::Array(Arc::new(self.evaluate(column)?))),
            None => exec_err!("`matches` needs a column"),
        }
    }
}

/// Looks for words that stand one after the other, in any case.
#[derive(Debug)]
struct Words {
    /// The words and what is between them. Without what must stand around them, so that the engine can look for
    /// their letters and skip the rest of the text.
    core: Regex,
    /// Whether the last word may go on.
    prefix: bool,
}

impl Words {
    fn new(text: &str, prefix: bool) -> Result<Self> {
        let parts: Vec<String> = words(text).map(regex::escape).collect();
        let pattern = format!("(?i){}", parts.join(r"[^\p{Alphabetic}\p{N}]+"));
        let core = Regex::new(&pattern)
            .map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
        Ok(Self { core, prefix })
    }

    fn stand_in(&self, value: &str) -> bool {
        let outside = |character: Option<char>| character.is_none_or(|c| !c.is_alphanumeric());
        let mut start = 0;
        while let Some(found) = self.core.find_at(value, start) {
            let before = value.get(..found.start()).and_then(|text| text.chars().next_back());
            let mut from_here = value.get(found.start()..).unwrap_or_default().chars();
            let after = value.get(found.end()..).and_then(|text| text.chars().next());
            if outside(before) && (self.prefix || outside(after)) {
                return true;
            }
            start = found.start() + from_here.next().map_or(1, char::len_utf8);
        }
        false
    }
}

/// Numbers compare as numbers, everything else as text.
fn order(value: &str, text: &str) -> Ordering {
    compare_numbers(value, text).unwrap_or_else(|| value.cmp(text))
}

/// Compares two decimal numbers: exactly where both are whole numbers, as floats otherwise.
fn compare_numbers(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_whole_words_in_any_case_with_anything_between_them() {
        for (text, prefix, value, expected) in [
            ("did not respond", false, "upstream DID NOT  respond!", true),
            ("did not respond", false, "did not responded", false),
            ("respond", true, "responded", true),
            ("pond", false, "respond", false),
            ("user_1", false, "user 1 left", true),
            ("größe", false, "GRÖSSE GRÖßE", true),
            ("a", false, "", false),
            ("日本", false, "日本", true),
            ("10.0.0.1", false, "from 10.0.0.1:80", true),
            ("10.0.0.1", false, "from 110.0.0.1", false),
            ("ab", false, "xab ab", true),
            ("ß", false, "aß ßa ß", true),
        ] {
            assert_eq!(
                Words::new(text, prefix).unwrap().stand_in(value),
                expected,
                "{text} in {value}"
            );
        }
    }

    #[test]
    fn numbers_compare_as_numbers_and_exactly() {
        assert_eq!(compare_numbers("9", "10"), Some(Ordering::Less));
        assert_eq!(
            compare_numbers("9007199254740993", "9007199254740992"),
            Some(Ordering::Greater)
        );
        assert_eq!(compare_numbers("1e3", "1000"), Some(Ordering::Equal));
        assert_eq!(compare_numbers("x", "10"), None);
        assert_eq!(order("b", "a"), Ordering::Greater);
    }
}
