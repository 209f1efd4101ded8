//! Walks over JSON text that is known to be well formed, piece by piece, each piece as it stands in the text.

use std::borrow::Cow;

use millpond_record::json::{Reader, Scalar};

/// The members of an object, each value as its text. None if the text is something else.
pub(crate) fn members(text: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut reader = Reader::new(text);
    let mut more = reader.take(b'{') && reader.peek() != Some(b'}');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let key = reader.key().ok()?;
        let value = value(&mut reader)?;
        more = reader.take(b',');
        Some((key, value))
    })
}

/// The elements of an array, each as its text. None if the text is something else.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    let mut reader = Reader::new(text);
    let mut more = reader.take(b'[') && reader.peek() != Some(b']');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let value = value(&mut reader)?;
        more = reader.take(b',');
        Some(value)
    })
}

/// A value as a person would type it.
pub(crate) fn text_of(value: &str) -> Cow<'_, str> {
    match Scalar::read(value) {
        Some(Scalar::String(text)) => text,
        _ => Cow::Borrowed(value),
    }
}

fn value<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    reader.peek();
    let start = reader.offset();
    reader.skip_value().ok()?;
    Some(reader.slice(start, reader.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_given_as_they_stand() {
        let found: Vec<_> = members(r#" { "a" : [1, 2] ,"b\n":{} } "#).collect();
        assert_eq!(found, [("a".into(), "[1, 2]"), ("b\n".into(), "{}")]);
        let found: Vec<_> = elements(r#"[ 1 , {"a": 2},"x"]"#).collect();
        assert_eq!(found, ["1", r#"{"a": 2}"#, "\"x\""]);
        assert_eq!(members("[1]").count() + elements("{}").count() + elements("[]").count(), 0);
    }
}
