//! Reads JSON text (RFC 8259) in place.
//!
//! Tolerated beyond the RFC, because loggers write it: raw control characters in strings, and the tokens `NaN`,
//! `Infinity`, `-Infinity`, which become strings. Lone surrogates and NUL become U+FFFD.

use std::borrow::Cow;

use super::writer::write_string;
use crate::limits::DEPTH_MAX;

/// The text is no JSON: where, and what would have been right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {offset}: expected {expected}, found {found}")]
pub struct SyntaxError {
    /// Byte offset from the start of the text.
    pub offset: usize,
    /// What would have been right there.
    pub expected: &'static str,
    /// What stands there.
    pub found: String,
}

/// How copying a value ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The value was copied.
    Whole,
    /// The value is nested deeper than [`DEPTH_MAX`]; it was read to its end, what was copied is of no use.
    TooDeep,
}

/// A cursor over JSON text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Byte offset of the cursor.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Moves the cursor to a byte offset.
    pub fn seek(&mut self, offset: usize) {
        self.at = offset;
    }

    /// The text between two offsets.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Skips white space and tells the next byte without taking it; `None` at the end.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes `byte` if it is next, after white space.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, which must be next.
    ///
    /// # Errors
    /// Something else is next.
    pub fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.take(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// An error at the cursor.
    #[must_use]
    pub fn error(&self, expected: &'static str) -> SyntaxError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("`{}`", character.escape_debug()),
            None => "the end".to_owned(),
        };
        SyntaxError { offset: self.at, expected, found }
    }

    /// Reads a string, borrowed when it holds no escapes.
    ///
    /// # Errors
    /// No string is next, or it is not well formed.
    pub fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        self.require(b'"', "a string")?;
        let start = self.at;
        self.skip_plain();
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(self.slice(start, self.at - 1)));
        }
        let mut decoded = String::with_capacity(self.at - start + 32);
        decoded.push_str(self.slice(start, self.at));
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(decoded));
                }
                Some(b'\\') => decoded.push(self.escape()?),
                Some(0) => {
                    self.at += 1;
                    decoded.push(char::REPLACEMENT_CHARACTER);
                }
                Some(&control) => {
                    self.at += 1;
                    decoded.push(char::from(control));
                }
                None => return Err(self.error("the end of a string, `\"`")),
            }
            let plain = self.at;
            self.skip_plain();
            decoded.push_str(self.slice(plain, self.at));
        }
    }

    /// Reads the key of an object's member and the colon behind it.
    ///
    /// # Errors
    /// No key is next.
    pub fn key(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes"));
        }
        let key = self.string()?;
        self.require(b':', "`:`")?;
        Ok(key)
    }

    /// Goes to the next byte that is special inside a string: `"`, `\`, or a control character.
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let special = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
        self.at += special.unwrap_or(rest.len());
    }

    /// Decodes one escape sequence, the cursor on its backslash.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        self.at += 1;
        let kind = self.text.as_bytes().get(self.at).copied();
        let character = match kind {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("an escape: one of \" \\ / b f n r t u")),
        };
        self.at += 1;
        Ok(character)
    }

    /// Decodes `XXXX` after `\u`, and the second half of a surrogate pair if it follows.
    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let first = self.hex4()?;
        if (0xD800..0xDC00).contains(&first) && self.slice(self.at, self.at + 2) == "\\u" {
            let after_first = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_first;
        }
        // A lone surrogate is no character, and NUL ends strings in too many programs.
        Ok(char::from_u32(first)
            .filter(|&character| character != '\0')
            .unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.slice(self.at, self.at + 4);
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.error("four hex digits"));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.error("four hex digits"))
    }

    /// Reads a number as its digits, whatever its size.
    ///
    /// # Errors
    /// No JSON number is next.
    pub fn number(&mut self) -> Result<&'a str, SyntaxError> {
        self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let digits = |at: &mut usize| {
            let first = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > first
        };
        at += usize::from(bytes.get(at) == Some(&b'-'));
        let leading_zero = bytes.get(at) == Some(&b'0');
        let integer_start = at;
        let mut valid = digits(&mut at) && !(leading_zero && at - integer_start > 1);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            valid &= digits(&mut at);
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            valid &= digits(&mut at);
        }
        if !valid {
            return Err(self.error("a number"));
        }
        self.at = at;
        Ok(self.slice(start, at))
    }

    fn literal(&mut self, word: &'static str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Reads any value to its end.
    ///
    /// # Errors
    /// The value is not well formed.
    pub fn skip_value(&mut self) -> Result<(), SyntaxError> {
        self.value(None).map(|_| ())
    }

    /// Reads any value and appends it to `out` without white space, its strings normalised, its numbers as they
    /// stand.
    ///
    /// # Errors
    /// The value is not well formed.
    pub fn copy_value(&mut self, out: &mut String) -> Result<Copied, SyntaxError> {
        self.value(Some(out))
    }

    /// One loop instead of recursion: a million opening brackets cost a million bytes of heap, not the stack.
    fn value(&mut self, mut out: Option<&mut String>) -> Result<Copied, SyntaxError> {
        // The containers that are open: true for an object, false for an array.
        let mut open: Vec<bool> = Vec::new();
        let mut copied = Copied::Whole;
        let emit = |out: &mut Option<&mut String>, character| {
            if let Some(out) = out {
                out.push(character);
            }
        };
        loop {
            // A value starts here.
            match self.peek() {
                Some(opening @ (b'{' | b'[')) => {
                    self.at += 1;
                    emit(&mut out, char::from(opening));
                    let object = opening == b'{';
                    if !self.take(if object { b'}' } else { b']' }) {
                        open.push(object);
                        if open.len() > DEPTH_MAX {
                            copied = Copied::TooDeep;
                            out = None;
                        }
                        if object {
                            self.member_key(&mut out)?;
                        }
                        continue;
                    }
                    emit(&mut out, if object { '}' } else { ']' });
                }
                _ => self.scalar(&mut out)?,
            }
            // A value ended here: close what ends with it.
            loop {
                let Some(&object) = open.last() else { return Ok(copied) };
                if self.take(b',') {
                    emit(&mut out, ',');
                    if object {
                        self.member_key(&mut out)?;
                    }
                    break;
                }
                if object {
                    self.require(b'}', "`,` or `}`")?;
                } else {
                    self.require(b']', "`,` or `]`")?;
                }
                emit(&mut out, if object { '}' } else { ']' });
                open.pop();
            }
        }
    }

    fn member_key(&mut self, out: &mut Option<&mut String>) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes"));
        }
        self.copy_string(out)?;
        self.require(b':', "`:`")?;
        if let Some(out) = out {
            out.push(':');
        }
        Ok(())
    }

    fn scalar(&mut self, out: &mut Option<&mut String>) -> Result<(), SyntaxError> {
        let start = self.at;
        let kept = match self.peek() {
            Some(b'"') => return self.copy_string(out),
            Some(b't') if self.literal("true") => "true",
            Some(b'f') if self.literal("false") => "false",
            Some(b'n') if self.literal("null") => "null",
            Some(b'N') if self.literal("NaN") => "\"NaN\"",
            Some(b'I') if self.literal("Infinity") => "\"Infinity\"",
            Some(b'-') if self.literal("-Infinity") => "\"-Infinity\"",
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => {
                self.at = self.at.max(start);
                return Err(self.error("a value"));
            }
        };
        if let Some(out) = out {
            out.push_str(kept);
        }
        Ok(())
    }

    fn copy_string(&mut self, out: &mut Option<&mut String>) -> Result<(), SyntaxError> {
        match self.string()? {
            Cow::Borrowed(plain) => {
                if let Some(out) = out {
                    out.push('"');
                    out.push_str(plain);
                    out.push('"');
                }
            }
            Cow::Owned(decoded) => {
                if let Some(out) = out {
                    write_string(out, &decoded);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalised(text: &str) -> Result<String, SyntaxError> {
        let mut out = String::new();
        let mut reader = Reader::new(text);
        assert_eq!(reader.copy_value(&mut out)?, Copied::Whole);
        if reader.peek().is_some() { Err(reader.error("the end")) } else { Ok(out) }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for number in
            ["9007199254740993", "123456789012345678901234567890", "1.10", "-0.0", "1e400"]
        {
            assert_eq!(normalised(number).as_deref(), Ok(number));
        }
        for wrong in ["01", "1.", ".5", "-", "1e", "+1"] {
            assert!(normalised(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lone_surrogates_and_nul_become_the_replacement_character() {
        assert_eq!(normalised(r#""a\ud800b""#).unwrap(), "\"a\u{fffd}b\"");
        assert_eq!(
            normalised(r#""\udc00\ud800\ud83d\ude00""#).unwrap(),
            "\"\u{fffd}\u{fffd}\u{1f600}\""
        );
        assert_eq!(normalised("\"a\\u0000b\u{0}c\"").unwrap(), "\"a\u{fffd}b\u{fffd}c\"");
    }

    #[test]
    fn tokens_that_python_writes_for_floats_become_strings() {
        assert_eq!(
            normalised("[NaN,-Infinity,Infinity]").unwrap(),
            r#"["NaN","-Infinity","Infinity"]"#
        );
    }

    #[test]
    fn a_million_open_brackets_are_read_without_recursion() {
        let deep = format!("{}1{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let mut out = String::new();
        assert_eq!(Reader::new(&deep).copy_value(&mut out), Ok(Copied::TooDeep));
        let unclosed = "[".repeat(1_000_000);
        assert_eq!(Reader::new(&unclosed).skip_value().unwrap_err().offset, 1_000_000);
    }

    #[test]
    fn depth_is_counted_to_the_limit_and_no_further() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(
            Reader::new(&nested(DEPTH_MAX)).copy_value(&mut String::new()),
            Ok(Copied::Whole)
        );
        assert_eq!(
            Reader::new(&nested(DEPTH_MAX + 1)).copy_value(&mut String::new()),
            Ok(Copied::TooDeep)
        );
    }

    #[test]
    fn an_error_names_place_and_expectation() {
        let error = normalised(r#"{"a":1,"b" 2}"#).unwrap_err();
        assert_eq!(error.to_string(), "invalid JSON at byte 11: expected `:`, found `2`");
        assert_eq!(
            normalised("").unwrap_err().to_string(),
            "invalid JSON at byte 0: expected a value, found the end"
        );
        assert!(normalised("[1,]").is_err());
        assert!(normalised("{\"a\":1,}").is_err());
        assert!(normalised("[1}").is_err());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e300..1e300_f64).prop_map(Value::from),
            "[^\0]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("[^\0]{0,8}", inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_to_the_same_value(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let ours = normalised(&text).unwrap();
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(read(&ours), read(&text));
        }

        #[test]
        fn any_text_is_either_accepted_as_serde_would_or_refused_without_a_panic(text in r#"[\[\]{}:,"\\utrfalsen0-9eE.+ -]{0,24}"#) {
            let ours = normalised(&text);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(ours.is_ok(), "{:?}", ours);
            }
            if let Ok(normal) = ours {
                prop_assert_eq!(normalised(&normal), Ok(normal.clone()));
            }
        }
    }
}
