//! A body that is one JSON value, and its members as their text.

use std::borrow::Cow;

use millpond_record::{
    Timestamp, TimestampError,
    json::{Reader, Scalar},
};

use crate::output::BodyError;

/// The text if it is one JSON value and nothing else.
pub(crate) fn whole(text: &str) -> Result<&str, BodyError> {
    let mut reader = Reader::new(text);
    let read = reader.skip_value().and_then(|()| match reader.peek() {
        None => Ok(text.trim()),
        Some(_) => Err(reader.error("the end of the body")),
    });
    read.map_err(|error| BodyError::Json(error.into()))
}

/// The text of a string, the digits of a number, and everything else as JSON.
pub(crate) fn text_of(value: &str) -> Cow<'_, str> {
    match Scalar::read(value) {
        Some(Scalar::String(text)) => text,
        _ => Cow::Borrowed(value),
    }
}

/// A value that says something.
pub(crate) fn said(value: &str) -> Option<&str> {
    (value != "null").then_some(value)
}

/// The time that a value says.
pub(crate) fn time_of(value: &str) -> Result<Timestamp, TimestampError> {
    let text = text_of(value);
    if value.starts_with('"') { Timestamp::parse(&text) } else { Timestamp::parse_number(&text) }
}

/// The beginning of a value, to be shown to whoever sent it.
pub(crate) fn shown(value: &str) -> String {
    value.chars().take(32).collect()
}
