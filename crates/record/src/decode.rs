//! One JSON object -> one [`LogRecord`], or the reason why not.

use std::borrow::Cow;

use crate::{
    LogRecord, RecordKey, Severity, TextAttribute, Timestamp, UNKNOWN_SERVICE, UnknownLevel,
    json::{Copied, Object, ObjectBuilder, Reader, SyntaxError},
    limits::{ATTRIBUTE_BYTES_MAX, DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, TAGS_MAX},
};

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<'a> {
    /// It is a record.
    Record(Box<LogRecord<'a>>),
    /// It is well-formed JSON, but no record.
    Rejected(Rejection),
}

/// Why a record was rejected: what is wrong and what was expected, in words for the person who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(pub String);

/// Reads the next value of `reader` as a record. `observed` is the time at which it arrived; it is also the event
/// time of a record that has none.
///
/// # Errors
/// The text is no JSON; a record that is only wrong in content is [`Decoded::Rejected`], and the reader stands
/// behind it.
pub fn decode<'a>(
    reader: &mut Reader<'a>,
    observed: Timestamp,
) -> Result<Decoded<'a>, SyntaxError> {
    let first = reader.peek();
    let start = reader.offset();
    if first != Some(b'{') {
        reader.skip_value()?;
        let found = reader.slice(start, reader.offset()).chars().take(32).collect::<String>();
        return Ok(Decoded::Rejected(Rejection(format!(
            "record is `{found}`, expected an object"
        ))));
    }
    let mut decoder = Decoder::new(observed);
    decoder.object(reader)?;
    let bytes = reader.offset() - start;
    if bytes > RECORD_BYTES_MAX {
        decoder.reject(format!("record is {bytes} bytes, expected at most {RECORD_BYTES_MAX}"));
    }
    Ok(decoder.finish())
}

struct Decoder<'a> {
    record: LogRecord<'a>,
    fields: ObjectBuilder,
    time: Option<Timestamp>,
    observed_time: Option<Timestamp>,
    level: Option<Severity>,
    severity_number: Option<Severity>,
    /// The first thing that was wrong; the rest of the record is then only read over.
    rejection: Option<Rejection>,
}

impl<'a> Decoder<'a> {
    fn new(observed: Timestamp) -> Self {
        Self {
            record: LogRecord::empty(observed),
            fields: ObjectBuilder::default(),
            time: None,
            observed_time: None,
            level: None,
            severity_number: None,
            rejection: None,
        }
    }

    fn reject(&mut self, reason: String) {
        self.rejection.get_or_insert(Rejection(reason));
    }

    fn object(&mut self, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        reader.require(b'{', "`{`")?;
        if reader.take(b'}') {
            return Ok(());
        }
        loop {
            let key = reader.key()?;
            if self.rejection.is_some() {
                reader.skip_value()?;
            } else {
                self.member(&key, reader)?;
            }
            if !reader.take(b',') {
                return reader.require(b'}', "`,` or `}`");
            }
        }
    }

    /// A key that says something about the record goes there, if its value has a shape that fits and nothing said
    /// it before; everything else is kept as a field. Of fields with one key, whether beside or in `fields`, the last
    /// counts.
    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        let next = reader.peek();
        let scalar = !matches!(next, Some(b'{' | b'['));
        match RecordKey::of(key) {
            Some(RecordKey::Time) if scalar && self.time.is_none() => {
                self.time = self.timestamp(key, reader)?;
            }
            Some(RecordKey::ObservedTime) if scalar && self.observed_time.is_none() => {
                self.observed_time = self.timestamp(key, reader)?;
            }
            Some(RecordKey::Level) if scalar && self.level.is_none() => self.level(reader)?,
            Some(RecordKey::SeverityNumber) if scalar && self.severity_number.is_none() => {
                self.severity_number(reader)?;
            }
            Some(RecordKey::Text(attribute)) if self.record.text(attribute).is_none() => {
                if scalar {
                    self.text(attribute, key, reader)?;
                } else if attribute == TextAttribute::Message {
                    let mut text = String::new();
                    let copied = reader.copy_value(&mut text)?;
                    self.check_depth(key, copied);
                    self.record.set_text(attribute, text);
                } else {
                    self.field(key, reader)?;
                }
            }
            Some(RecordKey::StepIndex) if self.record.step_index.is_none() => {
                self.step_index(key, reader)?;
            }
            Some(RecordKey::Tags) if self.record.tags.is_empty() && next != Some(b'{') => {
                self.tags(reader)?;
            }
            Some(RecordKey::Exception) if self.record.exception.is_none() => {
                self.exception(key, reader)?;
            }
            Some(RecordKey::Fields) if next == Some(b'{') => {
                self.merge_fields(reader, key == "metadata")?;
            }
            Some(RecordKey::Fields) if next == Some(b'n') => reader.skip_value()?,
            _ => self.field(key, reader)?,
        }
        Ok(())
    }

    fn field(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        if self.fields.len() >= FIELDS_MAX {
            self.reject(format!("record has more fields than {FIELDS_MAX}"));
            return reader.skip_value();
        }
        let copied = self.fields.copy(key, reader)?;
        self.check_depth(key, copied);
        Ok(())
    }

    /// LogTide's clients put an exception among the `metadata`, in the shape that a record has it in.
    fn merge_fields(
        &mut self,
        reader: &mut Reader<'a>,
        with_exception: bool,
    ) -> Result<(), SyntaxError> {
        reader.require(b'{', "`{`")?;
        if reader.take(b'}') {
            return Ok(());
        }
        loop {
            let key = reader.key()?;
            let is_exception = with_exception && key == "exception" && reader.peek() == Some(b'{');
            if is_exception && self.record.exception.is_none() {
                self.exception(&key, reader)?;
            } else {
                self.field(&key, reader)?;
            }
            if !reader.take(b',') {
                return reader.require(b'}', "`,` or `}`");
            }
        }
    }

    fn check_depth(&mut self, key: &str, copied: Copied) {
        if copied == Copied::TooDeep {
            self.reject(format!("`{}` is nested deeper than {DEPTH_MAX}", shortened(key)));
        }
    }

    /// Reads the next value, which is no object or array, as the text that a person would type for it.
    fn scalar(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, SyntaxError> {
        if reader.peek() == Some(b'"') {
            return reader.string().map(Some);
        }
        let start = reader.offset();
        reader.skip_value()?;
        let token = reader.slice(start, reader.offset());
        Ok((token != "null").then_some(Cow::Borrowed(token)))
    }

    fn timestamp(
        &mut self,
        key: &str,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Timestamp>, SyntaxError> {
        let number = reader.peek() != Some(b'"');
        let Some(text) = Self::scalar(reader)? else { return Ok(None) };
        let parsed = if number { Timestamp::parse_number(&text) } else { Timestamp::parse(&text) };
        match parsed {
            Ok(time) => Ok(Some(time)),
            Err(error) => {
                self.reject(format!("`{key}`: {error}"));
                Ok(None)
            }
        }
    }

    fn level(&mut self, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        let Some(text) = Self::scalar(reader)? else { return Ok(()) };
        match Severity::from_name(&text) {
            Ok(severity) => self.level = Some(severity),
            Err(error) => self.reject(error.to_string()),
        }
        Ok(())
    }

    fn severity_number(&mut self, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        let Some(text) = Self::scalar(reader)? else { return Ok(()) };
        match text.parse().ok().map(|number: u8| (number, Severity::from_number(number))) {
            // 0 is OpenTelemetry's "unspecified".
            Some((0, _)) => {}
            Some((_, Some(severity))) => self.severity_number = Some(severity),
            _ => self
                .reject(UnknownLevel(format!("severity_number {}", shortened(&text))).to_string()),
        }
        Ok(())
    }

    fn text(
        &mut self,
        attribute: TextAttribute,
        key: &str,
        reader: &mut Reader<'a>,
    ) -> Result<(), SyntaxError> {
        let Some(text) = Self::scalar(reader)? else { return Ok(()) };
        if attribute != TextAttribute::Message && text.len() > ATTRIBUTE_BYTES_MAX {
            self.reject(format!(
                "`{key}` is {} bytes, expected at most {ATTRIBUTE_BYTES_MAX}",
                text.len()
            ));
        } else if !(attribute == TextAttribute::Service && text.is_empty()) {
            self.record.set_text(attribute, text);
        }
        Ok(())
    }

    fn step_index(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        let mut ahead = reader.clone();
        match ahead.number().ok().and_then(|digits| digits.parse().ok()) {
            Some(index) => {
                self.record.step_index = Some(index);
                *reader = ahead;
                Ok(())
            }
            None => self.field(key, reader),
        }
    }

    fn tags(&mut self, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        if !reader.take(b'[') {
            let tag = Self::scalar(reader)?;
            self.tag(tag);
            return Ok(());
        }
        if reader.take(b']') {
            return Ok(());
        }
        loop {
            let tag = if matches!(reader.peek(), Some(b'{' | b'[')) {
                let mut text = String::new();
                let copied = reader.copy_value(&mut text)?;
                self.check_depth("tags", copied);
                Some(Cow::Owned(text))
            } else {
                Self::scalar(reader)?
            };
            self.tag(tag);
            if !reader.take(b',') {
                return reader.require(b']', "`,` or `]`");
            }
        }
    }

    fn tag(&mut self, tag: Option<Cow<'a, str>>) {
        let Some(tag) = tag else { return };
        if self.record.tags.len() >= TAGS_MAX {
            self.reject(format!("record has more tags than {TAGS_MAX}"));
        } else if tag.len() > ATTRIBUTE_BYTES_MAX {
            self.reject(format!(
                "a tag is {} bytes, expected at most {ATTRIBUTE_BYTES_MAX}",
                tag.len()
            ));
        } else {
            self.record.tags.push(tag);
        }
    }

    fn exception(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), SyntaxError> {
        match reader.peek() {
            Some(b'{') => {
                let mut text = String::new();
                let copied = reader.copy_value(&mut text)?;
                self.check_depth(key, copied);
                self.record.exception = Some(Object::from_normalised(text));
            }
            Some(b'"') => {
                let mut exception = ObjectBuilder::default();
                exception.string("message", &reader.string()?);
                self.record.exception = Some(exception.finish());
            }
            Some(b'n') => reader.skip_value()?,
            _ => self.field(key, reader)?,
        }
        Ok(())
    }

    fn finish(self) -> Decoded<'a> {
        if let Some(rejection) = self.rejection {
            return Decoded::Rejected(rejection);
        }
        let mut record = self.record;
        if record.text(TextAttribute::Message).is_none() {
            return Decoded::Rejected(Rejection(
                "`message` is missing, expected a string".to_owned(),
            ));
        }
        if record.text(TextAttribute::Service).is_none() {
            record.set_text(TextAttribute::Service, UNKNOWN_SERVICE);
        }
        record.time = self.time.unwrap_or(record.time);
        record.observed_time = self.observed_time.unwrap_or(record.observed_time);
        record.severity = match (self.level, self.severity_number) {
            (Some(named), Some(numbered)) if named.level() != numbered.level() => named,
            (named, numbered) => numbered.or(named).unwrap_or(record.severity),
        };
        record.fields = self.fields.finish();
        Decoded::Record(Box::new(record))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> String {
        match decode(&mut Reader::new(json), Timestamp::from_nanos(7)).unwrap() {
            Decoded::Record(record) => record.fields.as_str().to_owned(),
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        }
    }

    #[test]
    fn of_fields_with_one_key_the_last_counts() {
        assert_eq!(fields(r#"{"message":"m","a":1,"fields":{"a":2}}"#), r#"{"a":2}"#);
        assert_eq!(fields(r#"{"message":"m","fields":{"a":2,"b":[]},"a":1}"#), r#"{"b":[],"a":1}"#);
        assert_eq!(fields(r#"{"message":"m","\u0061":1,"a":{"a":2},"a":"x"}"#), r#"{"a":"x"}"#);
    }

    #[test]
    fn an_exception_among_the_metadata_is_that_of_the_record() {
        let json = r#"{"message":"m","metadata":{"a":1,"exception":{"type":"T"}}}"#;
        let Decoded::Record(record) =
            decode(&mut Reader::new(json), Timestamp::from_nanos(7)).unwrap()
        else {
            panic!("no record")
        };
        assert_eq!(record.exception.unwrap().as_str(), r#"{"type":"T"}"#);
        assert_eq!(record.fields.as_str(), r#"{"a":1}"#);
        let both = r#"{"message":"m","exception":{"type":"T"},"metadata":{"exception":{"x":1}}}"#;
        assert_eq!(fields(both), r#"{"exception":{"x":1}}"#);
        let text = r#"{"message":"m","metadata":{"exception":"text"}}"#;
        assert_eq!(fields(text), r#"{"exception":"text"}"#);
        let ours = r#"{"message":"m","fields":{"exception":{"type":"T"}}}"#;
        assert_eq!(fields(ours), r#"{"exception":{"type":"T"}}"#);
    }

    #[test]
    fn a_key_of_the_record_that_comes_again_is_kept_as_a_field() {
        assert_eq!(
            fields(r#"{"message":"m","service":"s","message":"n","message":"o"}"#),
            r#"{"message":"o"}"#
        );
    }
}
