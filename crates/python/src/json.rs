//! JSON text that was written here -> the engine's writer.

use std::borrow::Cow;

use millpond::{ArrayWriter, ObjectWriter, Value, ValueWriter};
use millpond_record::json::Reader;

/// A value as normalised JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl Value for Json<'_> {
    fn write(&self, out: ValueWriter<'_>) {
        replay(&mut Reader::new(self.0), out);
    }
}

impl<'a> Json<'a> {
    /// The members of an object, written into another one.
    pub(crate) fn members_into(self, object: &mut ObjectWriter<'_>) {
        members(&mut Reader::new(self.0), object);
    }

    /// What an attribute would say for it: the text of a scalar. `None` for null; an object or array is given back.
    pub(crate) fn scalar(self) -> Result<Option<Cow<'a, str>>, Self> {
        match self.0.as_bytes().first() {
            Some(b'{' | b'[') => Err(self),
            Some(b'"') => Ok(Reader::new(self.0).string().ok()),
            Some(b'n') | None => Ok(None),
            _ => Ok(Some(Cow::Borrowed(self.0))),
        }
    }
}

/// The text is our own and well formed, its depth is limited: an error can only end the value early.
///
/// The engine does not ask for what it leaves out: the value of a key that is redacted, what is nested too deep. It is
/// skipped here, or what comes after it would be read from the wrong place.
fn replay(reader: &mut Reader<'_>, out: ValueWriter<'_>) {
    let mut asked = false;
    match reader.peek() {
        Some(b'{') => {
            out.object(|object| {
                asked = true;
                members(reader, object);
            });
            skip_unless(asked, reader);
        }
        Some(b'[') => {
            out.array(|array| {
                asked = true;
                elements(reader, array);
            });
            skip_unless(asked, reader);
        }
        Some(b'"') => {
            if let Ok(text) = reader.string() {
                out.string(&text);
            }
        }
        Some(b'-' | b'0'..=b'9') => {
            if let Ok(digits) = reader.number() {
                number(digits, out);
            }
        }
        word => {
            let _ = reader.skip_value();
            match word {
                Some(b't') => out.bool(true),
                Some(b'f') => out.bool(false),
                _ => out.null(),
            }
        }
    }
}

fn members(reader: &mut Reader<'_>, object: &mut ObjectWriter<'_>) {
    let mut more = reader.take(b'{') && !reader.take(b'}');
    while more {
        let Ok(key) = reader.key() else { return };
        let mut asked = false;
        object.member_with(&key, |out| {
            asked = true;
            replay(reader, out);
        });
        skip_unless(asked, reader);
        more = reader.take(b',');
        if !more {
            reader.take(b'}');
        }
    }
}

fn elements(reader: &mut Reader<'_>, array: &mut ArrayWriter<'_>) {
    let mut more = reader.take(b'[') && !reader.take(b']');
    while more {
        let mut asked = false;
        array.element_with(|out| {
            asked = true;
            replay(reader, out);
        });
        skip_unless(asked, reader);
        more = reader.take(b',');
        if !more {
            reader.take(b']');
        }
    }
}

fn skip_unless(asked: bool, reader: &mut Reader<'_>) {
    if !asked {
        let _ = reader.skip_value();
    }
}

fn number(digits: &str, out: ValueWriter<'_>) {
    if let Ok(number) = digits.parse() {
        out.i64(number);
    } else if let Ok(number) = digits.parse() {
        out.i128(number);
    } else if let Ok(number) = digits.parse()
        && digits.contains(['.', 'e', 'E'])
    {
        out.f64(number);
    } else {
        out.string(digits);
    }
}
