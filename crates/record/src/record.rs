//! The log record.

use std::borrow::Cow;

use crate::{Severity, TextAttribute, Timestamp, json::Object};

/// The service of a record that names none (OpenTelemetry's `unknown_service`).
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// One log record, borrowing from the body that it was read from where it can.
///
/// Text attributes are reached by [`LogRecord::text`]; `message` is always there, `service` is [`UNKNOWN_SERVICE`]
/// when nothing named it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord<'a> {
    /// Event time.
    pub time: Timestamp,
    /// When the record was first seen by a collector: the server's clock unless the record says otherwise.
    pub observed_time: Timestamp,
    /// Level and its finer OpenTelemetry number.
    pub severity: Severity,
    /// Place in the record's flow, from 0.
    pub step_index: Option<u32>,
    /// Tags, in the given order.
    pub tags: Vec<Cow<'a, str>>,
    /// Structured exception: `type`, `message`, `stacktrace[]`, `cause`.
    pub exception: Option<Object<'a>>,
    /// Everything else that was said, as one normalised JSON object.
    pub fields: Object<'a>,
    pub(crate) texts: [Option<Cow<'a, str>>; TextAttribute::ALL.len()],
}

impl<'a> LogRecord<'a> {
    /// A record with a message and nothing else.
    #[must_use]
    pub fn new(time: Timestamp, severity: Severity, message: impl Into<Cow<'a, str>>) -> Self {
        let mut record = Self::empty(time);
        record.severity = severity;
        record.set_text(TextAttribute::Message, message);
        record.set_text(TextAttribute::Service, UNKNOWN_SERVICE);
        record
    }

    pub(crate) fn empty(time: Timestamp) -> Self {
        Self {
            time,
            observed_time: time,
            severity: Severity::from(crate::Level::Info),
            step_index: None,
            tags: Vec::new(),
            exception: None,
            fields: Object::default(),
            texts: Default::default(),
        }
    }

    /// The value of a text attribute.
    #[must_use]
    pub fn text(&self, attribute: TextAttribute) -> Option<&str> {
        self.texts.get(attribute as usize).and_then(Option::as_deref)
    }

    /// Sets a text attribute.
    pub fn set_text(&mut self, attribute: TextAttribute, value: impl Into<Cow<'a, str>>) {
        if let Some(text) = self.texts.get_mut(attribute as usize) {
            *text = Some(value.into());
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text(TextAttribute::Message).unwrap_or_default()
    }

    /// The same record, borrowing from nothing.
    #[must_use]
    pub fn into_owned(self) -> LogRecord<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        LogRecord {
            time: self.time,
            observed_time: self.observed_time,
            severity: self.severity,
            step_index: self.step_index,
            tags: self.tags.into_iter().map(owned).collect(),
            exception: self.exception.map(Object::into_owned),
            fields: self.fields.into_owned(),
            texts: self.texts.map(|text| text.map(owned)),
        }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &str {
        self.text(TextAttribute::Service).unwrap_or(UNKNOWN_SERVICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_record_is_the_same_record() {
        let json = r#"{"message":"m","service":"s","time":"2026-01-31T12:00:00Z","level":"error","tags":["a","b"],
            "exception":{"type":"T"},"step_index":2,"trace_id":"t","fields":{"n":1}}"#;
        let mut reader = crate::json::Reader::new(json);
        match crate::decode(&mut reader, Timestamp::from_nanos(7)).unwrap() {
            crate::Decoded::Record(record) => assert_eq!(record.clone().into_owned(), *record),
            other => panic!("{other:?}"),
        }
    }
}
