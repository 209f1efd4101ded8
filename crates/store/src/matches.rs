//! What a filter means for one value and for one record.
//!
//! A record without the field passes no test of it; `NOT` selects it as well.

use std::{
    borrow::Cow,
    cmp::Ordering,
    ops::Range,
    sync::{Arc, OnceLock},
};

use memchr::memmem;
use millpond_query::{Comparison, Condition, Field, Filter, Pattern, Test, words};
use millpond_record::{
    LogRecord, TextAttribute, Timestamp,
    json::{Object, Scalar},
};
use regex::{Regex, bytes};

use crate::{QueryError, asked::Asked, template::template};

/// A filter that is ready to be evaluated on one record after the other, as a live tail does.
#[derive(Clone, Debug)]
pub struct Matcher(Node);

impl Matcher {
    /// Prepares a filter.
    ///
    /// # Errors
    /// A text of the filter can't be compiled.
    pub fn new(filter: &Filter) -> Result<Self, QueryError> {
        Node::new(filter).map(Self)
    }

    /// Whether a record passes.
    #[must_use]
    pub fn selects(&self, record: &LogRecord<'_>) -> bool {
        self.0.selects(record)
    }
}

/// A filter whose conditions are ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    All,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Is(Box<Tester>),
}

impl Node {
    pub(crate) fn new(filter: &Filter) -> Result<Self, QueryError> {
        let all = |parts: &[Filter]| parts.iter().map(Self::new).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::All => Self::All,
            Filter::And(parts) => Self::And(all(parts)?),
            Filter::Or(parts) => Self::Or(all(parts)?),
            Filter::Not(part) => Self::Not(Box::new(Self::new(part)?)),
            Filter::Is(condition) => Self::Is(Box::new(Tester::new(condition)?)),
        })
    }

    fn selects(&self, record: &LogRecord<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.selects(record)),
            Self::Or(parts) => parts.iter().any(|part| part.selects(record)),
            Self::Not(part) => !part.selects(record),
            Self::Is(tester) => tester.selects(record),
        }
    }
}

/// A condition that is ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Tester {
    pub(crate) field: Field,
    pub(crate) test: Test,
    compiled: Compiled,
    /// What templates can tell of the words, made for the first unit that is asked.
    pub(crate) asked: OnceLock<Arc<Asked>>,
}

/// What of a test is worth preparing.
#[derive(Clone, Debug)]
enum Compiled {
    Nothing,
    Words(Words),
    Regex(Regex),
    Time(Timestamp),
    /// For a text that must be in the value, wherever.
    Finder(Box<memmem::Finder<'static>>),
}

/// A test of whole numbers, as a range and whether it is what is outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IntTest<'a> {
    /// From the first to the second, both included.
    Within(i64, i64),
    Never,
    /// Compared as floats: the text is no whole number.
    Float(Comparison, f64),
    Text(&'a Tester),
}

impl IntTest<'_> {
    pub(crate) fn holds(self, value: i64) -> bool {
        match self {
            Self::Within(first, last) => first <= value && value <= last,
            Self::Never => false,
            #[allow(
                clippy::cast_precision_loss,
                reason = "numbers that are not whole compare as floats"
            )]
            Self::Float(comparison, wanted) => {
                (value as f64).partial_cmp(&wanted).is_some_and(|order| comparison.holds(order))
            }
            Self::Text(tester) => tester.matches(&Scalar::Number(&value.to_string())),
        }
    }
}

impl Tester {
    pub(crate) fn new(condition: &Condition) -> Result<Self, QueryError> {
        let invalid = |error: &dyn std::fmt::Display| QueryError::Invalid(error.to_string());
        let compiled = match (&condition.field, &condition.test) {
            (_, Test::Words { text, prefix }) => {
                Compiled::Words(Words::new(text, *prefix).map_err(|error| invalid(&error))?)
            }
            (_, Test::Regex(pattern)) => {
                Compiled::Regex(Regex::new(pattern).map_err(|error| invalid(&error))?)
            }
            (_, Test::Pattern(Pattern { pieces })) => match pieces.as_slice() {
                [start, text, end] if start.is_empty() && end.is_empty() && !text.is_empty() => {
                    Compiled::Finder(Box::new(memmem::Finder::new(text.as_str()).into_owned()))
                }
                _ => Compiled::Nothing,
            },
            (Field::Time, Test::Compare(_, text)) => {
                Compiled::Time(Timestamp::parse(text).map_err(|error| invalid(&error))?)
            }
            _ => Compiled::Nothing,
        };
        let (field, test) = (condition.field.clone(), condition.test.clone());
        Ok(Self { field, test, compiled, asked: OnceLock::new() })
    }

    /// Whether a record passes.
    pub(crate) fn selects(&self, record: &LogRecord<'_>) -> bool {
        match &self.field {
            Field::Time => self.matches_time(record.time),
            Field::Level => self.matches_level(record.severity.number()),
            Field::Tags => record.tags.iter().any(|tag| self.matches_text(tag)),
            Field::Words => self.matches_text(record.message()),
            Field::SeverityNumber => self.matches_number(record.severity.number().into()),
            Field::StepIndex => record.step_index.is_some_and(|step| self.matches_number(step)),
            Field::Fields => self.matches_any(&record.fields),
            field => value(record, field).is_some_and(|value| self.matches(&value)),
        }
    }

    pub(crate) fn matches_time(&self, time: Timestamp) -> bool {
        match (&self.test, &self.compiled) {
            (Test::Compare(comparison, _), Compiled::Time(value)) => {
                comparison.holds(time.cmp(value))
            }
            (test, _) => *test == Test::Exists,
        }
    }

    /// A level is four severity numbers.
    pub(crate) fn matches_level(&self, severity_number: u8) -> bool {
        let level = millpond_record::Severity::from_number(severity_number)
            .map_or(millpond_record::Level::Info, millpond_record::Severity::level);
        match &self.test {
            Test::Level(comparison, wanted) => comparison.holds(level.cmp(wanted)),
            Test::Exists => true,
            _ => self.matches_text(level.name()),
        }
    }

    pub(crate) fn matches_number(&self, value: u32) -> bool {
        self.matches(&Scalar::Number(&value.to_string()))
    }

    /// Whether a string passes.
    pub(crate) fn matches_text(&self, value: &str) -> bool {
        match (&self.test, &self.compiled) {
            (Test::Words { .. }, Compiled::Words(words)) => words.stand_in(value),
            (Test::Regex(_), Compiled::Regex(regex)) => regex.is_match(value),
            (Test::Compare(Comparison::Equal, text), _) => value == text,
            (Test::Compare(comparison, text), _) => comparison.holds(order(value, text)),
            (Test::Pattern(_), Compiled::Finder(finder)) => finder.find(value.as_bytes()).is_some(),
            (Test::Pattern(pattern), _) => pattern.matches(value),
            (Test::Exists, _) => true,
            _ => false,
        }
    }

    /// Whether a value that knows whether it is a number passes.
    pub(crate) fn matches(&self, value: &Scalar<'_>) -> bool {
        match (&self.test, value) {
            (Test::Exists, _) => true,
            (Test::Compare(comparison, text), Scalar::Number(number)) => {
                compare_numbers(number, text).is_some_and(|ordering| comparison.holds(ordering))
            }
            (Test::Compare(comparison, _), Scalar::Null | Scalar::Bool(_) | Scalar::Nested(_))
                if *comparison != Comparison::Equal =>
            {
                false
            }
            _ => self.matches_text(value.text()),
        }
    }

    /// Whether a value in an object passes, at whatever depth.
    pub(crate) fn matches_any(&self, object: &Object<'_>) -> bool {
        object.any_value(|value| self.matches(value))
    }

    /// What must be in the value, if that is all.
    pub(crate) fn finder(&self) -> Option<&memmem::Finder<'static>> {
        match &self.compiled {
            Compiled::Finder(finder) => Some(finder),
            _ => None,
        }
    }

    /// The test for whole numbers of 64 bits.
    pub(crate) fn int_test(&self) -> IntTest<'_> {
        let Test::Compare(comparison, text) = &self.test else { return IntTest::Text(self) };
        let Ok(wanted) = text.parse::<i128>() else {
            return self
                .compared_float()
                .map_or(IntTest::Never, |(comparison, wanted)| IntTest::Float(comparison, wanted));
        };
        let (first, last) = match comparison {
            Comparison::Equal => (wanted, wanted),
            Comparison::Less => (i128::MIN, wanted.saturating_sub(1)),
            Comparison::LessOrEqual => (i128::MIN, wanted),
            Comparison::Greater => (wanted.saturating_add(1), i128::MAX),
            Comparison::GreaterOrEqual => (wanted, i128::MAX),
        };
        let (least, greatest) = (i128::from(i64::MIN), i128::from(i64::MAX));
        if first > greatest || last < least {
            return IntTest::Never;
        }
        let clamped =
            |number: i128| i64::try_from(number.clamp(least, greatest)).unwrap_or_default();
        IntTest::Within(clamped(first), clamped(last))
    }

    /// The comparison with a number, if it is one; one with a text that is none holds for no number.
    pub(crate) fn compared_float(&self) -> Option<(Comparison, f64)> {
        let Test::Compare(comparison, text) = &self.test else { return None };
        Some((*comparison, decimal(text)?))
    }

    /// The words that are looked for.
    pub(crate) fn words(&self) -> Option<&Words> {
        match &self.compiled {
            Compiled::Words(words) => Some(words),
            _ => None,
        }
    }
}

/// The value of a field that is a text, or a member of an object.
fn value<'a>(record: &'a LogRecord<'_>, field: &Field) -> Option<Scalar<'a>> {
    let text = |text: &'a str| Some(Scalar::String(Cow::Borrowed(text)));
    match field {
        Field::Text(attribute) => match record.text(*attribute) {
            Some(value) => text(value),
            // Every record has these.
            None if matches!(attribute, TextAttribute::Message | TextAttribute::Service) => None,
            None => record.fields.get(attribute.name()),
        },
        Field::Template => Some(Scalar::String(template(record.message()))),
        Field::Exception(path) => record.exception.as_ref()?.get(path),
        Field::Path(path) => record.fields.get(path),
        _ => None,
    }
}

/// Looks for words that stand one after the other, in any case. One regular expression for all of them would be ten
/// times as long in the making: what may stand between them are some hundred ranges of characters.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The first word, wherever; what must stand around it is looked at later, so that the engine can look for letters
    /// and skip the rest of the text.
    first: bytes::Regex,
    /// The others, each where the text starts.
    others: Vec<bytes::Regex>,
    /// Whether the last word may go on.
    prefix: bool,
}

impl Words {
    pub(crate) fn new(text: &str, prefix: bool) -> Result<Self, regex::Error> {
        let mut words = words(text).map(regex::escape);
        let first = bytes::Regex::new(&format!("(?i){}", words.next().unwrap_or_default()))?;
        let others = words.map(|word| bytes::Regex::new(&format!("(?i)^{word}")));
        Ok(Self { first, others: others.collect::<Result<_, _>>()?, prefix })
    }

    pub(crate) fn stand_in(&self, value: &str) -> bool {
        let mut start = 0;
        while let Some(found) = self.find_letters(value.as_bytes(), start) {
            start = found.start + 1;
            if self.are_whole(value, found) {
                return true;
            }
        }
        false
    }

    /// Where their letters are, from `from` on, in UTF-8; more letters may stand around them.
    pub(crate) fn find_letters(&self, value: &[u8], from: usize) -> Option<Range<usize>> {
        let mut from = from;
        while let Some(found) = self.first.find_at(value, from) {
            if let Some(end) = self.end_of_others(value, found.end()) {
                return Some(found.start()..end);
            }
            from = found.start() + 1;
        }
        None
    }

    /// Where the other words end, if they stand from here on, each behind something that is none.
    fn end_of_others(&self, value: &[u8], from: usize) -> Option<usize> {
        let mut end = from;
        for word in &self.others {
            let start = end + between(value.get(end..)?);
            if start == end {
                return None;
            }
            end = start + word.find(value.get(start..)?)?.end();
        }
        Some(end)
    }

    /// Whether what was found at a place is whole words.
    pub(crate) fn are_whole(&self, value: &str, place: Range<usize>) -> bool {
        let outside = |character: Option<char>| character.is_none_or(|c| !c.is_alphanumeric());
        let before = value.get(..place.start).and_then(|text| text.chars().next_back());
        let after = value.get(place.end..).and_then(|text| text.chars().next());
        outside(before) && (self.prefix || outside(after))
    }
}

/// How many bytes at the start of UTF-8 are no word.
fn between(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let width = match byte {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        let character = text.get(at..at + width).and_then(|bytes| str::from_utf8(bytes).ok());
        if character.is_none_or(|text| text.chars().all(char::is_alphanumeric)) {
            break;
        }
        at += width;
    }
    at
}

/// Numbers compare as numbers, everything else as text.
pub(crate) fn order(value: &str, text: &str) -> Ordering {
    compare_numbers(value, text).unwrap_or_else(|| value.cmp(text))
}

/// Compares two decimal numbers: exactly where both are whole numbers, as floats otherwise.
pub(crate) fn compare_numbers(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    decimal(left)?.partial_cmp(&decimal(right)?)
}

/// The decimal number that a text is: digits, signs, a point, an exponent. `inf` and `nan` are words.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
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
            ("one two", false, "one·–·TWO", true),
            ("one two", false, "onetwo one2two", false),
            ("one two", false, "one one  two", true),
            ("one one two", false, "one one one two", true),
            ("one two", true, "one (twofold)", true),
            ("one two", false, "one", false),
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
        assert_eq!(compare_numbers("5", "inf"), None);
        assert_eq!(compare_numbers("Infinity", "5"), None);
        assert_eq!(compare_numbers("1e400", "5"), Some(Ordering::Greater));
        assert_eq!(order("b", "a"), Ordering::Greater);
    }
}
