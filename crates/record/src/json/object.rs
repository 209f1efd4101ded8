//! A normalised JSON object kept as text: what a record's `fields` and `exception` are from the wire to the disk.

use std::borrow::Cow;

use super::{Copied, Reader, SyntaxError, write_string};

/// The text of one JSON object, without white space between its tokens and known to be well formed.
///
/// Kept as text because most fields are only ever written on; they are looked into one key at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a>(Cow<'a, str>);

/// A value inside an [`Object`], as far as it can be compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as its digits.
    Number(&'a str),
    /// A string, decoded.
    String(Cow<'a, str>),
    /// An object or array, as its text.
    Nested(&'a str),
}

impl Default for Object<'_> {
    fn default() -> Self {
        Self(Cow::Borrowed("{}"))
    }
}

impl<'a> Object<'a> {
    /// Trusts `text` to be a normalised object: what [`Object::as_str`] gave before.
    #[must_use]
    pub fn from_normalised(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }

    /// The same object, borrowing from nothing.
    #[must_use]
    pub fn into_owned(self) -> Object<'static> {
        Object(Cow::Owned(self.0.into_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() <= 2
    }

    /// The members in their order, each value as its text.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        members(&self.0)
    }

    /// The value at a dotted path. A member whose key is the whole rest of the path goes before one that must be
    /// descended into, so that `{"http.status":1}` and `{"http":{"status":1}}` both answer to `http.status`; of the
    /// latter, longer keys go before shorter ones. In which order the members stand makes no difference, unless a key
    /// is there twice: then the first that leads to a value counts.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Scalar<'_>> {
        lookup(&self.0, path)
    }

    /// Whether a value that is no object or array passes, at whatever depth.
    pub fn any_value(&self, mut passes: impl FnMut(&Scalar<'_>) -> bool) -> bool {
        any_value(&self.0, &mut passes)
    }
}

/// Walks the members of the normalised object `text`; ends early if it is not one.
fn members(text: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut reader = Reader::new(text);
    let mut more = reader.take(b'{') && reader.peek() != Some(b'}');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let key = reader.string().ok()?;
        reader.require(b':', "`:`").ok()?;
        let start = reader.offset();
        reader.skip_value().ok()?;
        let value = reader.slice(start, reader.offset());
        more = reader.take(b',');
        Some((key, value))
    })
}

fn lookup<'t>(text: &'t str, path: &str) -> Option<Scalar<'t>> {
    let mut inner = Vec::new();
    for (key, value) in members(text) {
        if key == path {
            return Scalar::read(value);
        }
        let rest = path.strip_prefix(&*key).and_then(|rest| rest.strip_prefix('.'));
        if let Some(rest) = rest.filter(|_| value.starts_with('{')) {
            inner.push((value, rest));
        }
    }
    inner.sort_by_key(|(_, rest)| rest.len());
    // The path loses at least a dot each time, and objects nest no deeper than the limit.
    inner.into_iter().find_map(|(value, rest)| lookup(value, rest))
}

/// Objects and arrays nest no deeper than the limit.
fn any_value(text: &str, passes: &mut dyn FnMut(&Scalar<'_>) -> bool) -> bool {
    match Scalar::read(text) {
        Some(Scalar::Nested(text)) if text.starts_with('{') => {
            members(text).any(|(_, value)| any_value(value, passes))
        }
        Some(Scalar::Nested(text)) => elements(text).any(|value| any_value(value, passes)),
        Some(value) => passes(&value),
        None => false,
    }
}

/// Walks the elements of the normalised array `text`.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let mut reader = Reader::new(text);
    let mut more = reader.take(b'[') && reader.peek() != Some(b']');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let start = reader.offset();
        reader.skip_value().ok()?;
        let value = reader.slice(start, reader.offset());
        more = reader.take(b',');
        Some(value)
    })
}

impl<'a> Scalar<'a> {
    /// Reads the text of one value.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        Some(match text.as_bytes().first()? {
            b'"' => Self::String(Reader::new(text).string().ok()?),
            b'{' | b'[' => Self::Nested(text),
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'n' => Self::Null,
            _ => Self::Number(text),
        })
    }

    /// The value as a person would type it: strings without quotes, everything else as JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Nested(text) => text,
            Self::String(text) => text,
        }
    }
}

/// Builds an [`Object`] member by member.
#[derive(Clone, Debug)]
pub struct ObjectBuilder {
    text: String,
    members: Vec<Member>,
}

/// Room for members that is made at once: growing step by step costs more than a few unused bytes.
const MEMBERS_EXPECTED: usize = 16;

/// Where a member begins, and a digest of its key: most keys differ in it, which saves a look at the text.
#[derive(Clone, Copy, Debug)]
struct Member {
    digest: u64,
    start: usize,
}

impl Default for ObjectBuilder {
    fn default() -> Self {
        Self { text: "{".to_owned(), members: Vec::with_capacity(MEMBERS_EXPECTED) }
    }
}

impl ObjectBuilder {
    /// Writes a key; the caller writes the value into the returned text.
    pub fn key(&mut self, key: &str) -> &mut String {
        if !self.members.is_empty() {
            self.text.push(',');
        }
        let start = self.text.len();
        write_string(&mut self.text, key);
        self.text.push(':');
        self.members.push(Member { digest: digest(key.as_bytes()), start });
        &mut self.text
    }

    /// The place of a member with the key of the last one, which has no value yet.
    fn earlier(&self) -> Option<usize> {
        let (last, before) = self.members.split_last()?;
        let key = self.text.get(last.start..)?;
        before.iter().position(|member| {
            member.digest == last.digest
                && self.text.get(member.start..).is_some_and(|text| text.starts_with(key))
        })
    }

    /// Takes out a member that is not the last, with the comma behind it.
    fn remove(&mut self, place: usize) {
        let start = self.members.remove(place).start;
        let Some(end) = self.members.get(place).map(|next| next.start) else { return };
        self.text.replace_range(start..end, "");
        for member in self.members.iter_mut().skip(place) {
            member.start -= end - start;
        }
    }

    /// Copies the next value of `reader` under `key`, in place of what that key said before: every reader of the object
    /// then sees the same value.
    ///
    /// # Errors
    /// The value is not well formed.
    pub fn copy(&mut self, key: &str, reader: &mut Reader<'_>) -> Result<Copied, SyntaxError> {
        self.key(key);
        if let Some(earlier) = self.earlier() {
            self.remove(earlier);
        }
        reader.copy_value(&mut self.text)
    }

    /// Adds a string member.
    pub fn string(&mut self, key: &str, value: &str) {
        write_string(self.key(key), value);
    }

    /// Number of members so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The finished object.
    #[must_use]
    pub fn finish(mut self) -> Object<'static> {
        self.text.push('}');
        Object(Cow::Owned(self.text))
    }
}

/// The length of a key, its first and its last bytes, mixed: a few nanoseconds, whatever its length.
fn digest(key: &[u8]) -> u64 {
    let length = (key.len() as u64) << 56;
    match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(&first), Some(&last)) => {
            length ^ u64::from_le_bytes(first) ^ u64::from_le_bytes(last).rotate_left(29)
        }
        _ => key.iter().fold(length, |digest, &byte| digest.rotate_left(8) ^ u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_finds_flat_and_nested_members() {
        let object = Object::from_normalised(
            r#"{"http.status":503,"db":{"table":"t","x":{"y":true}},"a\"b":null,"l":[1]}"#,
        );
        assert_eq!(object.get("http.status"), Some(Scalar::Number("503")));
        assert_eq!(object.get("db.table"), Some(Scalar::String("t".into())));
        assert_eq!(object.get("db.x.y"), Some(Scalar::Bool(true)));
        assert_eq!(object.get("a\"b"), Some(Scalar::Null));
        assert_eq!(object.get("l"), Some(Scalar::Nested("[1]")));
        assert_eq!(object.get("db.nothing"), None);
        assert_eq!(object.get("http"), None);
    }

    #[test]
    fn every_value_is_found_at_whatever_depth() {
        let object = Object::from_normalised(
            r#"{"a":1,"b":{"c":["x",{"d":true}],"e":[]},"f":null,"g":{},"h":[[2]]}"#,
        );
        let mut found = Vec::new();
        assert!(!object.any_value(|value| {
            found.push(value.text().to_owned());
            false
        }));
        assert_eq!(found, ["1", "x", "true", "null", "2"]);
        assert!(object.any_value(|value| *value == Scalar::Bool(true)));
        assert!(!Object::default().any_value(|_| true));
    }

    #[test]
    fn a_path_finds_the_longest_key_that_leads_to_a_value() {
        for (text, expected) in [
            (r#"{"a":{"b.c":1},"a.b":{"c":2}}"#, Some("2")),
            (r#"{"a.b":{"c":2},"a":{"b.c":1}}"#, Some("2")),
            (r#"{"a":{"x":1},"a.b":{"c":2}}"#, Some("2")),
            (r#"{"a.b":{"x":1},"a":{"b":{"c":3}}}"#, Some("3")),
            (r#"{"a":{"b":{"c":3}},"a":{"b":{"c":4}}}"#, Some("3")),
            (r#"{"a.b":{"c":2},"a.b.c":5}"#, Some("5")),
            (r#"{"a":{"b":1}}"#, None),
        ] {
            let object = Object::from_normalised(text);
            assert_eq!(object.get("a.b.c"), expected.map(Scalar::Number), "{text}");
        }
    }

    #[test]
    fn a_builder_makes_what_members_reads() {
        let mut builder = ObjectBuilder::default();
        assert!(builder.is_empty());
        builder.string("k", "v\n");
        builder.key("n").push('1');
        assert_eq!(builder.len(), 2);
        let object = builder.finish();
        assert_eq!(object.as_str(), r#"{"k":"v\n","n":1}"#);
        let members: Vec<_> = object.members().collect();
        assert_eq!(members, [("k".into(), r#""v\n""#), ("n".into(), "1")]);
        assert!(Object::default().is_empty());
    }

    #[test]
    fn a_key_that_comes_again_takes_the_place_of_the_first() {
        let mut builder = ObjectBuilder::default();
        for (key, value) in [("a", "1"), ("b\"", "2"), ("a", "3"), ("b\"", "4"), ("c", "5")] {
            builder.copy(key, &mut Reader::new(value)).unwrap();
        }
        assert_eq!(builder.len(), 3);
        assert_eq!(builder.finish().as_str(), r#"{"a":3,"b\"":4,"c":5}"#);
    }

    proptest! {
        #[test]
        fn an_object_has_each_key_once_with_its_last_value(
            members in prop::collection::vec(("[ab\"\\\\]{0,3}|long_prefix_[ab]_long_suffix", 0_u32..100), 0..40),
        ) {
            let mut builder = ObjectBuilder::default();
            let mut last = std::collections::BTreeMap::new();
            for (key, value) in &members {
                builder.copy(key, &mut Reader::new(&value.to_string())).unwrap();
                last.insert(key.clone(), value.to_string());
            }
            prop_assert_eq!(builder.len(), last.len());
            let object = builder.finish();
            let found: Vec<_> = object.members().map(|(key, value)| (key.into_owned(), value.to_owned())).collect();
            prop_assert_eq!(found.len(), last.len());
            prop_assert_eq!(found.into_iter().collect::<std::collections::BTreeMap<_, _>>(), last);
        }
    }
}
