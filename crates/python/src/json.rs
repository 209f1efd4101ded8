//! JSON text that was written here -> the engine's writer.

use std::borrow::Cow;

use millpond::{ObjectWriter, Value, ValueWriter};
use millpond_record::json::Reader;

/// A value as normalised JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl Value for Json<'_> {
    fn write(&self, out: ValueWriter<'_>) {
        out.normalised_json(self.0);
    }
}

impl<'a> Json<'a> {
    /// The members of an object, written into another one.
    pub(crate) fn members_into(self, object: &mut ObjectWriter<'_>) {
        object.normalised_members(self.0);
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
