//! Parameters as they come, from a query string or a JSON body, and the values that they stand for. Nothing here asks
//! the time: whoever reads a time that is relative says what time it is.

use std::{fmt, ops::RangeInclusive, time::Duration};

use axum::{
    extract::{FromRequestParts, Path, rejection::PathRejection},
    http::request::Parts,
};
use millpond_query::{Field, Interval, TimeRange};
use millpond_record::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};

use crate::{App, error::ApiError, limits::QUERY_TIME_MAX};

/// Query parameters; one that is not known is an error, because a misspelt filter would select everything.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        serde_html_form::from_str(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|error| ApiError::parameter(error.to_string()))
    }
}

/// For routes that take none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// The one piece of the path that is not fixed, decoded.
#[derive(Debug)]
pub(crate) struct Piece(pub(crate) String);

impl FromRequestParts<App> for Piece {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let piece: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        piece.map(|Path(piece)| Self(piece)).map_err(|rejection| {
            ApiError::parameter(format!("the path: {}", rejection.body_text()))
        })
    }
}

/// One value as its text. In a body it may be a number or a truth value as well.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word(pub(crate) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Word, E> {
        Ok(Word(truth.to_string()))
    }
}

/// The values of a parameter that may be given more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words(pub(crate) Vec<String>);

impl Words {
    /// The values, where one text may also hold several, separated by commas.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|text| text.split(',')).map(str::trim)
    }

    /// The fields of these names.
    pub(crate) fn fields(&self) -> Vec<Field> {
        self.listed().filter(|name| !name.is_empty()).map(Field::named).collect()
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or several")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(value) = values.next_element()? {
            words.push(value);
        }
        Ok(Words(words))
    }
}

/// A time as people and programs write it: RFC 3339, a number since the epoch, or from now: `now`, `now-15m`, `-15m`.
pub(crate) fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Some(time) = from_now(text, now) {
        return Ok(time);
    }
    // A plus that was not escaped arrives as a space.
    let mended = text.rsplit_once(' ').map(|(time, offset)| format!("{time}+{offset}"));
    Timestamp::parse(text)
        .or_else(|error| mended.and_then(|text| Timestamp::parse(&text).ok()).ok_or(error))
        .map_err(|error| {
            ApiError::parameter(format!("{name}: {error}, or a time from now such as `now-15m`"))
        })
}

fn from_now(text: &str, now: Timestamp) -> Option<Timestamp> {
    let offset = text.strip_prefix("now").unwrap_or(text);
    if offset.is_empty() {
        return text.starts_with("now").then_some(now);
    }
    let (back, width) = match offset.strip_prefix('-') {
        Some(width) => (true, width),
        None => (false, offset.strip_prefix('+')?),
    };
    let nanos = width.parse::<Interval>().ok()?.nanos();
    let nanos =
        if back { now.nanos().saturating_sub(nanos) } else { now.nanos().saturating_add(nanos) };
    Some(Timestamp::from_nanos(nanos))
}

/// The asked times; all of them where nothing is said.
pub(crate) fn range(
    from: Option<&Word>,
    to: Option<&Word>,
    now: Timestamp,
) -> Result<TimeRange, ApiError> {
    let from = from.map(|from| time("from", &from.0, now)).transpose()?.unwrap_or(Timestamp::MIN);
    let to = to.map(|to| time("to", &to.0, now)).transpose()?.unwrap_or(Timestamp::MAX);
    between(from, to)
}

/// The times between two, which must not be the wrong way around.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Result<TimeRange, ApiError> {
    if from > to {
        return Err(ApiError::parameter(format!("from: {from} is after `to`, {to}")));
    }
    Ok(TimeRange { from, to })
}

/// A whole number within bounds.
pub(crate) fn number(
    name: &str,
    text: Option<&Word>,
    bounds: RangeInclusive<usize>,
    default: usize,
) -> Result<usize, ApiError> {
    let Some(Word(text)) = text else { return Ok(default) };
    text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        ApiError::parameter(format!("{name}: `{text}`, expected {least} to {most}"))
    })
}

/// `true` or `false`.
pub(crate) fn flag(name: &str, text: Option<&Word>, default: bool) -> Result<bool, ApiError> {
    let Some(Word(text)) = text else { return Ok(default) };
    text.parse()
        .map_err(|_| ApiError::parameter(format!("{name}: `{text}`, expected `true` or `false`")))
}

/// How long a query may run.
pub(crate) fn time_max(timeout_ms: Option<&Word>) -> Result<Duration, ApiError> {
    let most = usize::try_from(QUERY_TIME_MAX.as_millis()).unwrap_or(usize::MAX);
    let millis = number("timeout_ms", timeout_ms, 1..=most, most)?;
    Ok(Duration::from_millis(millis.try_into().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000);

    fn seconds_ago(text: &str) -> Option<i64> {
        let time = time("from", text, NOW).ok()?;
        Some((NOW.nanos() - time.nanos()) / 1_000_000_000)
    }

    #[test]
    fn times_may_be_said_from_now() {
        for (text, expected) in [
            ("now", Some(0)),
            ("now-15m", Some(900)),
            ("-1h", Some(3600)),
            ("now+1m", Some(-60)),
            ("1800000000", Some(0)),
            ("now15m", None),
            ("15m", None),
            ("-", None),
            ("", None),
            ("now-", None),
        ] {
            assert_eq!(seconds_ago(text), expected, "{text}");
        }
    }

    #[test]
    fn an_offset_whose_plus_became_a_space_is_understood() {
        assert_eq!(
            time("from", "2026-01-31T14:02:00 02:00", NOW).unwrap(),
            Timestamp::parse("2026-01-31T12:02:00Z").unwrap()
        );
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct Some2 {
        one: Option<Word>,
        many: Words,
    }

    #[test]
    fn a_body_may_say_numbers_and_lists_where_a_query_string_has_texts() {
        let body: Some2 = serde_json::from_str(r#"{"one":5,"many":["a","b,c"]}"#).unwrap();
        let string: Some2 = serde_html_form::from_str("one=5&many=a&many=b%2Cc").unwrap();
        for asked in [body, string] {
            assert_eq!(asked.one, Some(Word("5".into())));
            assert_eq!(asked.many.listed().collect::<Vec<_>>(), ["a", "b", "c"]);
        }
        assert!(serde_html_form::from_str::<Some2>("one=5&one=6").is_err());
        assert!(serde_html_form::from_str::<Some2>("two=5").is_err());
    }
}
