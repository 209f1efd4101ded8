//! What a filter means, as plainly as it can be said.

use millpond_query::{Comparison, Condition, Field, Filter, Test};
use millpond_record::{
    LogRecord, TextAttribute, Timestamp,
    json::{Object, Reader, Scalar},
};

/// A JSON value; numbers are their digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    /// As its text.
    Array(String),
    Object(Vec<(String, Json)>, String),
}

impl Json {
    fn read(text: &str) -> Self {
        if text.starts_with('{') {
            let object = Object::from_normalised(text);
            let members =
                object.members().map(|(key, value)| (key.into_owned(), Self::read(value)));
            return Self::Object(members.collect(), text.to_owned());
        }
        match Scalar::read(text).unwrap() {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Number(digits) => Self::Number(digits.to_owned()),
            Scalar::String(value) => Self::String(value.into_owned()),
            Scalar::Nested(text) => Self::Array(text.to_owned()),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) | Self::String(text) | Self::Array(text) | Self::Object(_, text) => {
                text.clone()
            }
        }
    }

    /// Without what JSON does not care for: the order of members. Keys that are there twice keep theirs.
    pub fn sorted(&self) -> Self {
        let Self::Object(members, _) = self else { return self.clone() };
        let mut members: Vec<_> =
            members.iter().map(|(key, value)| (key.clone(), value.sorted())).collect();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self::Object(members, String::new())
    }
}

/// A record, and its objects as values.
pub struct Known<'a> {
    pub record: LogRecord<'a>,
    pub fields: Json,
    pub exception: Option<Json>,
}

impl<'a> Known<'a> {
    pub fn new(record: LogRecord<'a>) -> Self {
        let fields = Json::read(record.fields.as_str());
        let exception = record.exception.as_ref().map(|exception| Json::read(exception.as_str()));
        Self { record, fields, exception }
    }

    /// The values of a field: one, none, or one for each tag.
    pub fn values(&self, field: &Field) -> Vec<Json> {
        let string = |text: &str| vec![Json::String(text.to_owned())];
        let number = |number: u32| vec![Json::Number(number.to_string())];
        match field {
            Field::Words | Field::Text(TextAttribute::Message) => string(self.record.message()),
            Field::Text(attribute) => match self.record.text(*attribute) {
                Some(text) => string(text),
                None => at(&self.fields, attribute.name()).into_iter().cloned().collect(),
            },
            Field::Level => string(self.record.severity.level().name()),
            Field::SeverityNumber => number(self.record.severity.number().into()),
            Field::StepIndex => self.record.step_index.map(number).unwrap_or_default(),
            Field::Tags => {
                self.record.tags.iter().map(|tag| Json::String(tag.to_string())).collect()
            }
            Field::Template => string(&template(self.record.message())),
            Field::Exception(path) => {
                let exception = self.exception.as_ref();
                exception.and_then(|exception| at(exception, path)).into_iter().cloned().collect()
            }
            Field::Path(path) => at(&self.fields, path).into_iter().cloned().collect(),
            Field::Fields => leaves(&self.fields),
            Field::Time => panic!("a time is no value"),
        }
    }
}

/// All values in a value.
fn leaves(value: &Json) -> Vec<Json> {
    match value {
        Json::Object(members, _) => members.iter().flat_map(|(_, value)| leaves(value)).collect(),
        Json::Array(text) => {
            let mut found = Vec::new();
            let mut reader = Reader::new(text);
            reader.take(b'[');
            while !matches!(reader.peek(), None | Some(b']')) {
                let start = reader.offset();
                reader.skip_value().unwrap();
                found.extend(leaves(&Json::read(&text[start..reader.offset()])));
                reader.take(b',');
            }
            found
        }
        value => vec![value.clone()],
    }
}

/// The member at a path: the one whose key is the whole path, or else what is further inside, longer keys first.
fn at<'j>(value: &'j Json, path: &str) -> Option<&'j Json> {
    let Json::Object(members, _) = value else { return None };
    if let Some((_, value)) = members.iter().find(|(key, _)| key == path) {
        return Some(value);
    }
    let mut inside: Vec<_> = members
        .iter()
        .filter(|(key, _)| {
            path.len() > key.len()
                && path.starts_with(key.as_str())
                && path[key.len()..].starts_with('.')
        })
        .collect();
    inside.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    inside.into_iter().find_map(|(key, value)| at(value, &path[key.len() + 1..]))
}

/// The message with a mark in the place of each word with a digit.
fn template(message: &str) -> String {
    let mut template = String::new();
    let mut word = String::new();
    for character in message.chars().map(Some).chain([None]) {
        if let Some(part) = character.filter(|character| character.is_alphanumeric()) {
            word.push(part);
            continue;
        }
        // The engine's own mark is one as well.
        let varies = word.chars().any(|c| c.is_numeric());
        template += if varies { "<*>" } else { &word };
        word.clear();
        template.extend(character);
    }
    template.replace('\u{10000}', "<*>")
}

/// Whether a filter selects a record.
pub fn selects(filter: &Filter, known: &Known<'_>) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(parts) => parts.iter().all(|part| selects(part, known)),
        Filter::Or(parts) => parts.iter().any(|part| selects(part, known)),
        Filter::Not(part) => !selects(part, known),
        Filter::Is(condition) => holds(condition, known),
    }
}

fn holds(Condition { field, test }: &Condition, known: &Known<'_>) -> bool {
    match (field, test) {
        (Field::Level, Test::Level(comparison, level)) => {
            comparison.holds(known.record.severity.level().cmp(level))
        }
        (Field::Time, Test::Exists) => true,
        (Field::Time, Test::Compare(comparison, text)) => {
            comparison.holds(known.record.time.cmp(&Timestamp::parse(text).unwrap()))
        }
        (field, test) => known.values(field).iter().any(|value| passes(test, value)),
    }
}

fn passes(test: &Test, value: &Json) -> bool {
    match (test, value) {
        (Test::Exists, _) => true,
        (Test::Compare(comparison, wanted), Json::Number(digits)) => {
            compare(digits, wanted).is_some_and(|order| comparison.holds(order))
        }
        (Test::Compare(Comparison::Equal, wanted), value) => value.text() == *wanted,
        (Test::Compare(comparison, wanted), Json::String(text)) => {
            comparison.holds(compare(text, wanted).unwrap_or_else(|| text.cmp(wanted)))
        }
        (Test::Compare(..), _) => false,
        (Test::Pattern(pattern), value) => has_form(&pattern.pieces, &value.text(), true),
        (Test::Regex(pattern), value) => {
            regex::Regex::new(pattern).unwrap().is_match(&value.text())
        }
        (Test::Words { text, prefix }, value) => has_words(text, *prefix, &value.text()),
        (Test::Level(..), _) => panic!("{test:?} of a value"),
    }
}

/// Two numbers; `None` if one is none.
fn compare(left: &str, right: &str) -> Option<std::cmp::Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    float(left)?.partial_cmp(&float(right)?)
}

/// The number that a text is; words such as `inf` are none.
pub fn float(text: &str) -> Option<f64> {
    let digits = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    text.parse().ok().filter(|_| digits)
}

/// Tries every place for every piece.
fn has_form(pieces: &[String], text: &str, first: bool) -> bool {
    match pieces {
        [] => false,
        [last] if first => text == last,
        [last] => text.ends_with(last.as_str()),
        [piece, rest @ ..] if first => {
            text.strip_prefix(piece.as_str()).is_some_and(|behind| has_form(rest, behind, false))
        }
        [piece, rest @ ..] => text
            .match_indices(piece.as_str())
            .any(|(at, _)| has_form(rest, &text[at + piece.len()..], false)),
    }
}

fn has_words(wanted: &str, prefix: bool, text: &str) -> bool {
    let words = |text: &str| -> Vec<Vec<char>> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| word.chars().map(fold).collect()).collect()
    };
    let (text, wanted) = (words(text), words(wanted));
    text.windows(wanted.len()).any(|window| {
        window.iter().zip(&wanted).enumerate().all(|(place, (word, wanted))| {
            let goes_on = prefix && place + 1 == window.len();
            if goes_on { word.starts_with(wanted) } else { word == wanted }
        })
    })
}

/// One character for all that are the same letter in some case.
fn fold(character: char) -> char {
    fn single(mut mapped: impl Iterator<Item = char>, or: char) -> char {
        let first = mapped.next().unwrap_or(or);
        if mapped.next().is_some() { or } else { first }
    }
    let lower = single(character.to_lowercase(), character);
    let upper = single(lower.to_uppercase(), lower);
    single(upper.to_lowercase(), upper)
}
