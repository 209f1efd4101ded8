//! A request body -> its records, in every shape that `POST /api/v1/ingest` takes.

use crate::{
    Decoded, RecordKey, Rejection, TextAttribute, Timestamp, decode,
    json::{Reader, SyntaxError},
};

/// How a body separates its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// `{"logs":[…]}`, an array, one object, or objects one after the other.
    Json,
    /// One JSON object a line. A line that is no JSON costs only itself.
    JsonLines,
}

/// The body as a whole can't be read; none of it was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// There is nothing in it.
    #[error(
        "the body is empty, expected {{\"logs\":[…]}}, an array of records, or one record a line"
    )]
    Empty,
}

enum Shape {
    /// Elements of an array: whether one was read already, and whether an object is open around it.
    Array {
        started: bool,
        inside_object: bool,
    },
    /// Values one after the other.
    Sequence,
    Lines,
    Done,
}

/// An iterator over the records of a body, each with its JSON text as it stands in the body.
pub struct Body<'a> {
    reader: Reader<'a>,
    text: &'a str,
    shape: Shape,
    observed: Timestamp,
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("offset", &self.reader.offset()).finish_non_exhaustive()
    }
}

impl<'a> Body<'a> {
    /// Opens a body that arrived at `observed`.
    ///
    /// # Errors
    /// It is empty, or what is in front of the first record is no JSON.
    pub fn new(text: &'a str, format: BodyFormat, observed: Timestamp) -> Result<Self, BodyError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::new(text);
        let shape = match (reader.peek(), format) {
            (None, _) => return Err(BodyError::Empty),
            (_, BodyFormat::JsonLines) => Shape::Lines,
            (Some(b'['), _) => {
                reader.take(b'[');
                Shape::Array { started: false, inside_object: false }
            }
            (Some(b'{'), _) if enter_logs(&mut reader)? => {
                Shape::Array { started: false, inside_object: true }
            }
            _ => Shape::Sequence,
        };
        Ok(Self { reader, text, shape, observed })
    }

    fn decode(&mut self) -> Result<(Decoded<'a>, &'a str), BodyError> {
        self.reader.peek();
        let start = self.reader.offset();
        let decoded = decode(&mut self.reader, self.observed)?;
        Ok((decoded, self.reader.slice(start, self.reader.offset())))
    }

    fn element(
        &mut self,
        started: bool,
        inside_object: bool,
    ) -> Result<Option<(Decoded<'a>, &'a str)>, BodyError> {
        if self.reader.take(b']') {
            self.shape = Shape::Done;
            if inside_object {
                self.leave_object()?;
            }
            return match self.reader.peek() {
                None => Ok(None),
                Some(_) => Err(self.reader.error("the end of the body").into()),
            };
        }
        if started {
            self.reader.require(b',', "`,` or `]`")?;
        }
        self.shape = Shape::Array { started: true, inside_object };
        self.decode().map(Some)
    }

    /// Reads over the members that follow `logs`.
    fn leave_object(&mut self) -> Result<(), SyntaxError> {
        while self.reader.take(b',') {
            self.reader.key()?;
            self.reader.skip_value()?;
        }
        self.reader.require(b'}', "`,` or `}`")
    }

    fn line(&mut self) -> Option<(Decoded<'a>, &'a str)> {
        self.reader.peek()?;
        let start = self.reader.offset();
        let line = self.text.get(start..)?.lines().next()?;
        let mut reader = Reader::new(line);
        let decoded = decode(&mut reader, self.observed).and_then(|decoded| match reader.peek() {
            None => Ok(decoded),
            Some(_) => Err(reader.error("the end of the line")),
        });
        self.reader.seek(start + line.len());
        Some((
            decoded.unwrap_or_else(|error| Decoded::Rejected(Rejection(error.to_string()))),
            line,
        ))
    }
}

impl<'a> Iterator for Body<'a> {
    type Item = Result<(Decoded<'a>, &'a str), BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.shape {
            Shape::Array { started, inside_object } => self.element(started, inside_object),
            Shape::Sequence if self.reader.peek().is_none() => Ok(None),
            Shape::Sequence => self.decode().map(Some),
            Shape::Lines => Ok(self.line()),
            Shape::Done => Ok(None),
        };
        if next.is_err() {
            self.shape = Shape::Done;
        }
        next.transpose()
    }
}

/// If the object ahead has a `logs` array of objects, leaves the reader inside that array. A record may have a field
/// of that name; then it has a message, or what is in the array are no records.
fn enter_logs(reader: &mut Reader<'_>) -> Result<bool, SyntaxError> {
    let mut ahead = reader.clone();
    ahead.take(b'{');
    if ahead.peek() == Some(b'}') {
        return Ok(false);
    }
    loop {
        let key = ahead.key()?;
        if matches!(RecordKey::of(&key), Some(RecordKey::Text(TextAttribute::Message))) {
            return Ok(false);
        }
        if key == "logs" {
            let mut inside = ahead.clone();
            if inside.take(b'[')
                && (matches!(inside.peek(), Some(b'{' | b']'))
                    || !names_message(&mut ahead.clone())?)
            {
                *reader = inside;
                return Ok(true);
            }
        }
        ahead.skip_value()?;
        if !ahead.take(b',') {
            return Ok(false);
        }
    }
}

/// Whether the members behind the next value have a message among them.
fn names_message(reader: &mut Reader<'_>) -> Result<bool, SyntaxError> {
    reader.skip_value()?;
    while reader.take(b',') {
        if matches!(RecordKey::of(&reader.key()?), Some(RecordKey::Text(TextAttribute::Message))) {
            return Ok(true);
        }
        reader.skip_value()?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str, format: BodyFormat) -> Result<Vec<String>, BodyError> {
        Body::new(text, format, Timestamp::from_nanos(1))?
            .map(|item| {
                Ok(match item?.0 {
                    Decoded::Record(record) => record.message().to_owned(),
                    Decoded::Rejected(rejection) => format!("rejected: {rejection}"),
                })
            })
            .collect()
    }

    #[test]
    fn every_shape_gives_the_same_records() {
        for body in [
            r#"{"logs":[{"message":"a"},{"message":"b"}]}"#,
            r#"{"sdk":{"logs":[]},"logs": [ {"message":"a"} , {"message":"b"} ] , "x":1 }"#,
            r#"[{"message":"a"},{"message":"b"}]"#,
            "{\"message\":\"a\"}\n{\"message\":\"b\"}\n",
            "\u{feff}{\"message\":\"a\"}{\"message\":\"b\"}",
        ] {
            assert_eq!(messages(body, BodyFormat::Json).unwrap(), ["a", "b"], "{body}");
        }
        assert_eq!(
            messages("{\"message\":\"a\"}\r\n\n{\"message\":\"b\"}", BodyFormat::JsonLines)
                .unwrap(),
            ["a", "b"]
        );
        assert!(messages(r#"{"logs":[]}"#, BodyFormat::Json).unwrap().is_empty());
        assert_eq!(
            messages(r#"{"message":"rotated","logs":["a.log"]}"#, BodyFormat::Json).unwrap(),
            ["rotated"]
        );
        assert_eq!(
            messages(r#"{"logs":["a.log"],"message":"rotated"}"#, BodyFormat::Json).unwrap(),
            ["rotated"]
        );
        assert_eq!(messages(r#"{"logs":[5,{"message":"a"}]}"#, BodyFormat::Json).unwrap().len(), 2);
    }

    #[test]
    fn a_bad_record_does_not_cost_its_neighbours() {
        let body = r#"[{"message":"a"},{"level":"info"},5,{"message":"b"}]"#;
        assert_eq!(
            messages(body, BodyFormat::Json).unwrap(),
            [
                "a",
                "rejected: `message` is missing, expected a string",
                "rejected: record is `5`, expected an object",
                "b"
            ]
        );
    }

    #[test]
    fn a_bad_line_does_not_cost_its_neighbours() {
        let lines =
            "{\"message\":\"a\"}\n{\"message\":\n{\"message\":\"b\"} x\n{\"message\":\"c\"}";
        assert_eq!(
            messages(lines, BodyFormat::JsonLines).unwrap(),
            [
                "a",
                "rejected: invalid JSON at byte 11: expected a value, found the end",
                "rejected: invalid JSON at byte 16: expected the end of the line, found `x`",
                "c"
            ]
        );
    }

    #[test]
    fn a_body_that_is_no_json_is_refused_whole() {
        assert_eq!(messages("  \n", BodyFormat::Json), Err(BodyError::Empty));
        assert!(matches!(messages("hello", BodyFormat::Json), Err(BodyError::Syntax(_))));
        assert!(matches!(
            messages(r#"{"logs":[{"message":"a"}"#, BodyFormat::Json),
            Err(BodyError::Syntax(_))
        ));
        assert!(matches!(
            messages(r#"[{"message":"a"},"#, BodyFormat::Json),
            Err(BodyError::Syntax(_))
        ));
        assert!(matches!(
            messages(r#"[{"message":"a"}] x"#, BodyFormat::Json),
            Err(BodyError::Syntax(_))
        ));
        assert!(matches!(
            messages(r#"{"logs":[],"x":}"#, BodyFormat::Json),
            Err(BodyError::Syntax(_))
        ));
    }

    #[test]
    fn the_text_of_each_record_is_given_as_it_stands() {
        let body =
            Body::new(r#"[ {"message" : "a"} , 1 ]"#, BodyFormat::Json, Timestamp::from_nanos(1))
                .unwrap();
        let texts: Vec<_> = body.map(|item| item.unwrap().1).collect();
        assert_eq!(texts, [r#"{"message" : "a"}"#, "1"]);
    }
}
