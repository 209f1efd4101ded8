//! A value that somebody wrote as JSON before -> the record, under the client's policy.
//!
//! Where the policy looks at keys and depth only, the text is copied as it stands, but for what is withheld; where it
//! looks into texts, the value is read and written anew. Both ways give the same record.

use std::borrow::Cow;

use millpond_record::json::{Reader, write_string};

use crate::{ObjectWriter, ValueWriter, content::Policy, json::Json, value::TOO_DEEP};

/// Appends a value, or the members of an object without its braces, to what was begun.
pub(crate) fn copy(text: &str, out: &mut Json, policy: &Policy, levels_left: usize) {
    Copier { text, at: 0, copied: 0, out, policy, levels_left }.run();
}

/// One pass over the bytes, no recursion: what has to be known is where keys are, and how deep.
struct Copier<'a> {
    text: &'a str,
    at: usize,
    /// What stands before this is in the record, or something in its place.
    copied: usize,
    out: &'a mut Json,
    policy: &'a Policy,
    /// Objects and arrays that may be opened inside of each other here.
    levels_left: usize,
}

impl Copier<'_> {
    fn run(mut self) {
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' if self.levels_left == 0 => self.replace(TOO_DEEP),
                b'{' | b'[' => {
                    self.levels_left -= 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.levels_left += 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        self.flush();
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// A string with a colon behind it is a key: the value behind a hidden one is withheld.
    fn string(&mut self) {
        let start = self.at;
        let escaped = self.skip_string();
        if self.byte() != Some(b':') {
            return;
        }
        let key = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        if let Some(mark) = self.policy.hides(&key_text(key, escaped)) {
            self.out.counts.redacted += 1;
            self.replace(mark);
        }
    }

    /// Goes behind the string that begins here; tells whether there are escapes in it.
    fn skip_string(&mut self) -> bool {
        let mut escaped = false;
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                _ => {}
            }
        }
        escaped
    }

    /// Writes `mark` in place of the value that begins here.
    fn replace(&mut self, mark: &str) {
        self.flush();
        write_string(&mut self.out.text, mark);
        self.skip_value();
        self.copied = self.at;
    }

    fn skip_value(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b',' | b'}' | b']' if open == 0 => return,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn flush(&mut self) {
        let end = self.at.min(self.text.len());
        self.out.text.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }
}

/// A key without its quotes.
fn key_text(quoted: &str, escaped: bool) -> Cow<'_, str> {
    if escaped {
        return Reader::new(quoted).string().unwrap_or_default();
    }
    Cow::Borrowed(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
}

/// Reads a value and writes it anew. Recurses no deeper than the writer goes.
pub(crate) fn replay(reader: &mut Reader<'_>, out: ValueWriter<'_>) {
    match reader.peek() {
        Some(b'{') => read_whole(reader, |reader| {
            out.object(|object| replay_members(reader, object));
        }),
        Some(b'[') => read_whole(reader, |reader| {
            out.array(|array| {
                let mut more = reader.take(b'[') && !reader.take(b']');
                while more {
                    array.element_with(|out| replay(reader, out));
                    more = reader.take(b',');
                    if !more {
                        reader.take(b']');
                    }
                }
            });
        }),
        Some(b'"') => {
            if let Ok(text) = reader.string() {
                out.string(&text);
            }
        }
        Some(b'-' | b'0'..=b'9') => {
            if let Ok(digits) = reader.number() {
                match digits.parse() {
                    Ok(integer) => out.u64(integer),
                    Err(_) => out.digits(digits),
                }
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

/// Reads an object and writes its members anew.
pub(crate) fn replay_members(reader: &mut Reader<'_>, object: &mut ObjectWriter<'_>) {
    let mut more = reader.take(b'{') && !reader.take(b'}');
    while more {
        let Ok(key) = reader.key() else { return };
        read_whole(reader, |reader| object.member_with(&key, |out| replay(reader, out)));
        more = reader.take(b',');
        if !more {
            reader.take(b'}');
        }
    }
}

/// Goes behind the next value even if `read` leaves it alone, because it is withheld or too deep.
fn read_whole(reader: &mut Reader<'_>, read: impl FnOnce(&mut Reader<'_>)) {
    let start = reader.offset();
    read(reader);
    if reader.offset() == start {
        let _ = reader.skip_value();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{Redaction, content::Options};

    fn written(policy: &Policy, write: impl FnOnce(ValueWriter<'_>)) -> Json {
        let mut out = Json::default();
        out.value(policy, policy.depth_max, write);
        out
    }

    /// A value as the application would write it, and the same from JSON: alone, and as members of an object.
    fn assert_same(value: &Value, policy: &Policy) {
        let direct = written(policy, |out| crate::Value::write(value, out));
        let text = Json::of(value);
        let copied = written(policy, |out| out.normalised_json(&text));
        assert_eq!((copied.text, copied.counts), (direct.text, direct.counts), "{text}");
        if let Value::Object(members) = value {
            let direct = written(policy, |out| {
                out.object(|object| {
                    object.member("first", &1);
                    members.iter().for_each(|(key, value)| object.member(key, value));
                });
            });
            let copied = written(policy, |out| {
                out.object(|object| {
                    object.member("first", &1);
                    object.normalised_members(&text);
                });
            });
            assert_eq!((copied.text, copied.counts), (direct.text, direct.counts), "{text}");
        }
    }

    fn policies() -> Vec<Policy> {
        let mut all = Vec::new();
        for redaction in [Redaction::Off, Redaction::Keys, Redaction::KeysAndValues] {
            for depth_max in [1, 2, 3, 64] {
                for exclude in [vec![], vec!["excluded".to_owned()]] {
                    for field_chars_max in [None, Some(3)] {
                        all.push(Options {
                            redaction,
                            depth_max,
                            field_chars_max,
                            exclude_fields: exclude.clone(),
                            redact_keys: vec!["it's \"mine\"".to_owned()],
                            removes_base64: field_chars_max.is_some(),
                            ..Options::default()
                        });
                    }
                }
            }
        }
        all.iter().map(|options| Policy::new(options).unwrap()).collect()
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("password".to_owned()),
            Just("http.header.Set-Cookie".to_owned()),
            Just("ex_cluded".to_owned()),
            Just("it's \"mine\"".to_owned()),
            "[^\0]{0,6}",
        ]
    }

    /// NUL is left out: in a record it becomes U+FFFD sooner or later.
    fn value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(json!(4_111_111_111_111_111_u64)),
            Just(json!("write to jane@example.com: {\"password\":1}\\")),
            "[^\0]{0,8}".prop_map(Value::from),
        ];
        scalar.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..4)
                    .prop_map(|members| Value::Object(Map::from_iter(members))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_before_is_withheld_as_what_is_written_now(value in value()) {
            for policy in policies() {
                assert_same(&value, &policy);
            }
        }

        #[test]
        fn text_that_is_no_json_harms_nobody_else(text in "[\\[\\]{}\",:\\\\a0]{0,20}") {
            for policy in policies() {
                written(&policy, |out| out.normalised_json(&text));
                written(&policy, |out| out.object(|object| object.normalised_members(&text)));
            }
        }
    }

    #[test]
    fn a_million_open_brackets_cost_no_stack() {
        for policy in [Policy::of_default(), Policy::open()] {
            let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
            let out = written(&policy, |out| out.normalised_json(&deep));
            assert_eq!(out.text.len(), 64 * 2 + TOO_DEEP.len() + 2);
        }
    }

    #[test]
    fn the_members_behind_a_withheld_one_are_kept() {
        let text = r#"{"password":{"a":[1,"}"]},"after":"b","cookie":1}"#;
        for redaction in [Redaction::Keys, Redaction::KeysAndValues] {
            let options = Options { redaction, ..Options::default() };
            let out = written(&Policy::new(&options).unwrap(), |out| out.normalised_json(text));
            assert_eq!(out.text, r#"{"password":"[REDACTED]","after":"b","cookie":"[REDACTED]"}"#);
            assert_eq!(out.counts.redacted, 2);
        }
    }
}
