//! A value that is taken down now and written into records later, as often as need be. No code of the application
//! runs when it is written, and what a record does with values of its own it does with this one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use millpond_record::json::Reader;

use crate::{Value, ValueWriter, json::Json};

/// A value as JSON knows them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Null,
    Bool(bool),
    /// Its digits.
    Number(String),
    Text(String),
    Array(Vec<Kept>),
    Object(Vec<(String, Kept)>),
}

impl Kept {
    /// Takes a value down; `None` if it panics, or is larger than so many bytes of JSON.
    pub(crate) fn of(value: &(impl Value + ?Sized), bytes_max: usize) -> Option<Self> {
        let text = catch_unwind(AssertUnwindSafe(|| Json::of(value))).ok()?;
        if text.len() > bytes_max { None } else { Self::read(&mut Reader::new(&text)) }
    }

    /// Recurses as deep as a record may be nested: that is what was written.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.peek()? {
            b'"' => Self::Text(reader.string().ok()?.into_owned()),
            b'[' => {
                reader.take(b'[');
                let mut elements = Vec::new();
                while !reader.take(b']') {
                    reader.take(b',');
                    elements.push(Self::read(reader)?);
                }
                Self::Array(elements)
            }
            b'{' => {
                reader.take(b'{');
                let mut members = Vec::new();
                while !reader.take(b'}') {
                    reader.take(b',');
                    members.push((reader.key().ok()?.into_owned(), Self::read(reader)?));
                }
                Self::Object(members)
            }
            first @ (b't' | b'f' | b'n') => {
                reader.skip_value().ok()?;
                if first == b'n' { Self::Null } else { Self::Bool(first == b't') }
            }
            _ => Self::Number(reader.number().ok()?.to_owned()),
        })
    }
}

impl Value for Kept {
    fn write(&self, out: ValueWriter<'_>) {
        match self {
            Self::Null => out.null(),
            Self::Bool(value) => out.bool(*value),
            Self::Number(digits) => out.digits(digits),
            Self::Text(text) => out.string(text),
            Self::Array(elements) => elements.write(out),
            Self::Object(members) => members_of(members, out),
        }
    }
}

/// Writes an object.
pub(crate) fn members_of(members: &[(String, Kept)], out: ValueWriter<'_>) {
    out.object(|object| {
        for (key, value) in members {
            object.member(key, value);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap};

    use super::*;

    fn json(value: &impl Value) -> String {
        Json::of(value)
    }

    fn kept(value: &impl Value) -> String {
        json(&Kept::of(value, usize::MAX).unwrap())
    }

    #[test]
    fn a_value_is_written_as_it_was_taken_down() {
        assert_eq!(kept(&u128::MAX), u128::MAX.to_string());
        assert_eq!(kept(&-1.5e300), json(&-1.5e300));
        assert_eq!(kept(&f64::NAN), "\"NaN\"");
        assert_eq!(kept(&[Some(true), Some(false), None]), "[true,false,null]");
        assert_eq!(kept(&"quote \" and\nline"), "\"quote \\\" and\\nline\"");
        let nested = BTreeMap::from([("a\"", vec![vec![1], vec![]]), ("b", vec![])]);
        assert_eq!(kept(&nested), r#"{"a\"":[[1],[]],"b":[]}"#);
    }

    #[test]
    fn a_value_is_asked_once() {
        struct Counting(Cell<u64>);
        impl Value for Counting {
            fn write(&self, out: ValueWriter<'_>) {
                self.0.set(self.0.get() + 1);
                out.u64(self.0.get());
            }
        }
        let kept = Kept::of(&Counting(Cell::new(0)), usize::MAX).unwrap();
        assert_eq!(json(&[kept.clone(), kept]), "[1,1]");
    }

    #[test]
    fn what_panics_or_is_too_large_is_not_kept() {
        struct Bomb;
        impl Value for Bomb {
            fn write(&self, _: ValueWriter<'_>) {
                panic!("expected in this test")
            }
        }
        assert_eq!(Kept::of(&Bomb, usize::MAX), None);
        assert_eq!(Kept::of("123", 5), Some(Kept::Text("123".to_owned())));
        assert_eq!(Kept::of("1234", 5), None);
    }
}
