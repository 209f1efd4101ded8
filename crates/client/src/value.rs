//! Values of fields, and how they become JSON.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

use millpond_record::json::{Reader, write_f64, write_i64, write_string, write_u64};

use crate::{SpanId, Timestamp, TraceId, content::Policy, json::Json, normalised};

/// Written in place of what is nested deeper than a record may be.
pub(crate) const TOO_DEEP: &str = "[TOO DEEP]";

/// Something that can be the value of a field.
///
/// Implemented for numbers, booleans, text, network addresses, times, `serde_json`'s values, options (`None` is `null`), lists and maps of them;
/// [`display`] and [`debug`] make one of everything that can be printed.
///
/// ```
/// use millpond::{Value, ValueWriter};
///
/// struct Money { cents: i64, currency: &'static str }
///
/// impl Value for Money {
///     fn write(&self, out: ValueWriter<'_>) {
///         out.object(|object| {
///             object.member("cents", &self.cents);
///             object.member("currency", self.currency);
///         });
///     }
/// }
/// ```
pub trait Value {
    /// Writes the value. A value that writes nothing is `null`.
    fn write(&self, out: ValueWriter<'_>);
}

/// Takes one value. What the client withholds (see [`crate::Builder::redaction`]) never gets into the record.
#[derive(Debug)]
pub struct ValueWriter<'a> {
    out: &'a mut Json,
    policy: &'a Policy,
    /// Objects and arrays that may be opened inside of each other.
    levels_left: usize,
}

impl<'a> ValueWriter<'a> {
    pub(crate) fn new(out: &'a mut Json, policy: &'a Policy, levels_left: usize) -> Self {
        Self { out, policy, levels_left }
    }

    /// `null`.
    pub fn null(self) {
        self.out.text.push_str("null");
    }

    /// `true` or `false`.
    pub fn bool(self, value: bool) {
        self.out.text.push_str(if value { "true" } else { "false" });
    }

    /// An integer.
    pub fn i64(mut self, value: i64) {
        if value > 0 && self.hid_integer(value.unsigned_abs()) {
            return;
        }
        write_i64(&mut self.out.text, value);
    }

    /// An integer.
    pub fn u64(mut self, value: u64) {
        if self.hid_integer(value) {
            return;
        }
        write_u64(&mut self.out.text, value);
    }

    /// Whether a marker was written in place of the integer.
    fn hid_integer(&mut self, value: u64) -> bool {
        let mark = self.policy.hides_integer(value);
        if let Some(mark) = mark {
            self.out.counts.redacted += 1;
            write_string(&mut self.out.text, mark);
        }
        mark.is_some()
    }

    /// An integer of any size; all of its digits are kept.
    pub fn i128(self, value: i128) {
        self.out.text.push_str(itoa::Buffer::new().format(value));
    }

    /// An integer of any size; all of its digits are kept.
    pub fn u128(self, value: u128) {
        self.out.text.push_str(itoa::Buffer::new().format(value));
    }

    /// The digits of a JSON number.
    pub(crate) fn digits(self, digits: &str) {
        self.out.text.push_str(digits);
    }

    /// A float, in the shortest form that reads back as the same; `"NaN"`, `"Infinity"` and `"-Infinity"` where
    /// JSON has none.
    pub fn f64(self, value: f64) {
        write_f64(&mut self.out.text, value);
    }

    /// A string.
    pub fn string(self, value: &str) {
        self.out.string(value, self.policy);
    }

    /// What a value prints, as a string.
    pub fn display(self, value: &(impl fmt::Display + ?Sized)) {
        self.out.display(format_args!("{value}"), self.policy);
    }

    /// A value that was written as JSON before, by the same rules as here: well formed, no white space between its
    /// tokens, nothing escaped that need not be. That is taken on trust; keys, depth and texts are not.
    pub fn normalised_json(self, json: &str) {
        if self.policy.checks_texts {
            return normalised::replay(&mut Reader::new(json), self);
        }
        normalised::copy(json, self.out, self.policy, self.levels_left);
    }

    /// An array of what `write` puts into it.
    pub fn array(self, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        let Some(levels_left) = self.levels_left.checked_sub(1) else {
            return write_string(&mut self.out.text, TOO_DEEP);
        };
        self.out.text.push('[');
        write(&mut ArrayWriter { out: self.out, policy: self.policy, levels_left, started: false });
        self.out.text.push(']');
    }

    /// An object of what `write` puts into it.
    pub fn object(self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let Some(levels_left) = self.levels_left.checked_sub(1) else {
            return write_string(&mut self.out.text, TOO_DEEP);
        };
        self.out.text.push('{');
        write(&mut ObjectWriter {
            out: self.out,
            policy: self.policy,
            levels_left,
            started: false,
        });
        self.out.text.push('}');
    }
}

/// Takes the elements of an array.
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    out: &'a mut Json,
    policy: &'a Policy,
    levels_left: usize,
    started: bool,
}

impl ArrayWriter<'_> {
    /// Appends an element.
    pub fn element(&mut self, value: &(impl Value + ?Sized)) {
        self.element_with(|out| value.write(out));
    }

    /// Appends the element that `write` writes.
    pub fn element_with(&mut self, write: impl FnOnce(ValueWriter<'_>)) {
        if std::mem::replace(&mut self.started, true) {
            self.out.text.push(',');
        }
        self.out.value(self.policy, self.levels_left, write);
    }
}

/// Takes the members of an object.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut Json,
    policy: &'a Policy,
    levels_left: usize,
    started: bool,
}

impl ObjectWriter<'_> {
    /// Appends a member. It is for the caller to use a key once.
    pub fn member(&mut self, key: &str, value: &(impl Value + ?Sized)) {
        self.member_with(key, |out| value.write(out));
    }

    /// Appends the member whose value `write` writes; not called if the value is withheld.
    pub fn member_with(&mut self, key: &str, write: impl FnOnce(ValueWriter<'_>)) {
        if std::mem::replace(&mut self.started, true) {
            self.out.text.push(',');
        }
        write_string(&mut self.out.text, key);
        self.out.text.push(':');
        self.out.member(key, self.policy, self.levels_left, write);
    }

    /// Appends the members of an object that was written as JSON before: see [`ValueWriter::normalised_json`].
    pub fn normalised_members(&mut self, json: &str) {
        if self.policy.checks_texts {
            return normalised::replay_members(&mut Reader::new(json), self);
        }
        let members = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
        let Some(members) = members.filter(|members| !members.is_empty()) else { return };
        if std::mem::replace(&mut self.started, true) {
            self.out.text.push(',');
        }
        normalised::copy(members, self.out, self.policy, self.levels_left);
    }
}

/// A value that is written as the string that it displays as.
#[derive(Clone, Copy, Debug)]
pub struct DisplayValue<T>(T);

/// A value that is written as the string that it debugs as.
#[derive(Clone, Copy, Debug)]
pub struct DebugValue<T>(T);

/// The string that `value` displays as.
pub const fn display<T: fmt::Display>(value: T) -> DisplayValue<T> {
    DisplayValue(value)
}

/// The string that `value` debugs as.
pub const fn debug<T: fmt::Debug>(value: T) -> DebugValue<T> {
    DebugValue(value)
}

impl<T: fmt::Display> Value for DisplayValue<T> {
    fn write(&self, out: ValueWriter<'_>) {
        out.display(&self.0);
    }
}

impl<T: fmt::Debug> Value for DebugValue<T> {
    fn write(&self, out: ValueWriter<'_>) {
        out.display(&format_args!("{:?}", self.0));
    }
}

macro_rules! integers {
    ($method:ident, $wide:ty: $($number:ty),*) => {$(
        impl Value for $number {
            fn write(&self, out: ValueWriter<'_>) {
                out.$method(<$wide>::from(*self));
            }
        }
    )*};
}

integers!(i64, i64: i8, i16, i32, i64, u8, u16, u32);
integers!(u64, u64: u64);
integers!(i128, i128: i128);
integers!(u128, u128: u128);
integers!(f64, f64: f64);

impl Value for usize {
    fn write(&self, out: ValueWriter<'_>) {
        out.u64(*self as u64);
    }
}

impl Value for isize {
    fn write(&self, out: ValueWriter<'_>) {
        out.i64(*self as i64);
    }
}

/// In the shortest form that reads back as the same `f32`: 0.1 is `0.1`, not `0.10000000149011612`.
impl Value for f32 {
    fn write(&self, out: ValueWriter<'_>) {
        if self.is_finite() {
            out.out.text.push_str(zmij::Buffer::new().format_finite(*self));
        } else {
            out.f64(f64::from(*self));
        }
    }
}

impl Value for bool {
    fn write(&self, out: ValueWriter<'_>) {
        out.bool(*self);
    }
}

impl Value for char {
    fn write(&self, out: ValueWriter<'_>) {
        out.string(self.encode_utf8(&mut [0; 4]));
    }
}

impl Value for str {
    fn write(&self, out: ValueWriter<'_>) {
        out.string(self);
    }
}

impl Value for String {
    fn write(&self, out: ValueWriter<'_>) {
        out.string(self);
    }
}

impl Value for fmt::Arguments<'_> {
    fn write(&self, out: ValueWriter<'_>) {
        out.display(self);
    }
}

macro_rules! printed {
    ($($printed:ty),*) => {$(
        /// The string that it displays as.
        impl Value for $printed {
            fn write(&self, out: ValueWriter<'_>) {
                out.display(self);
            }
        }
    )*};
}

printed!(Ipv4Addr, Ipv6Addr, IpAddr, SocketAddr, Timestamp, TraceId, SpanId);

impl Value for serde_json::Value {
    fn write(&self, out: ValueWriter<'_>) {
        match self {
            Self::Null => out.null(),
            Self::Bool(value) => out.bool(*value),
            Self::String(value) => out.string(value),
            Self::Array(values) => values.write(out),
            Self::Object(members) => out.object(|object| {
                for (key, value) in members {
                    object.member(key, value);
                }
            }),
            Self::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => out.u64(value),
                (_, Some(value), _) => out.i64(value),
                (_, _, Some(value)) => out.f64(value),
                _ => out.display(number),
            },
        }
    }
}

impl Value for () {
    fn write(&self, out: ValueWriter<'_>) {
        out.null();
    }
}

impl<T: Value> Value for Option<T> {
    fn write(&self, out: ValueWriter<'_>) {
        match self {
            Some(value) => value.write(out),
            None => out.null(),
        }
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: Value + ?Sized> Value for $pointer {
            fn write(&self, out: ValueWriter<'_>) {
                T::write(self, out);
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Arc<T>, Rc<T>);

impl<T: Value + ToOwned + ?Sized> Value for Cow<'_, T> {
    fn write(&self, out: ValueWriter<'_>) {
        T::write(self, out);
    }
}

impl<T: Value> Value for [T] {
    fn write(&self, out: ValueWriter<'_>) {
        out.array(|array| {
            for value in self {
                array.element(value);
            }
        });
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    fn write(&self, out: ValueWriter<'_>) {
        self.as_slice().write(out);
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, out: ValueWriter<'_>) {
        self.as_slice().write(out);
    }
}

impl<K: AsRef<str>, V: Value> Value for BTreeMap<K, V> {
    fn write(&self, out: ValueWriter<'_>) {
        out.object(|object| {
            for (key, value) in self {
                object.member(key.as_ref(), value);
            }
        });
    }
}

impl<K: AsRef<str>, V: Value, S> Value for HashMap<K, V, S> {
    fn write(&self, out: ValueWriter<'_>) {
        out.object(|object| {
            for (key, value) in self {
                object.member(key.as_ref(), value);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::limits::DEPTH_MAX;

    use super::*;

    fn json(value: &(impl Value + ?Sized)) -> String {
        let mut out = Json { text: String::from("["), ..Json::default() };
        let policy = Policy::of_default();
        out.value(&policy, policy.depth_max, |out| value.write(out));
        out.text.split_off(1)
    }

    #[test]
    fn values_are_written_as_their_json() {
        assert_eq!(json(&-5_i8), "-5");
        assert_eq!(json(&u64::MAX), "18446744073709551615");
        assert_eq!(json(&i128::MIN), i128::MIN.to_string());
        assert_eq!(json(&0.1_f32), "0.1");
        assert_eq!(json(&0.1_f64), "0.1");
        assert_eq!(json(&f32::NAN), "\"NaN\"");
        assert_eq!(json(&true), "true");
        assert_eq!(json(&'"'), "\"\\\"\"");
        assert_eq!(json("a\nb"), "\"a\\nb\"");
        assert_eq!(json(&None::<u8>), "null");
        assert_eq!(json(&Some(vec!["a", "b"])), "[\"a\",\"b\"]");
        assert_eq!(json(&[[1, 2], [3, 4]]), "[[1,2],[3,4]]");
        assert_eq!(json(&BTreeMap::from([("k", 1), ("l", 2)])), "{\"k\":1,\"l\":2}");
        assert_eq!(
            json(&HashMap::from([(String::from("k"), Cow::Borrowed("v"))])),
            "{\"k\":\"v\"}"
        );
        assert_eq!(json(&Box::new(Arc::new(1_usize))), "1");
    }

    #[test]
    fn what_is_printed_is_escaped_only_where_it_must_be() {
        assert_eq!(json(&format_args!("{} {}", 1, "plain")), "\"1 plain\"");
        assert_eq!(json(&debug("a\tb")), r#""\"a\\tb\"""#);
        assert_eq!(json(&display("line\nbreak")), r#""line\nbreak""#);
    }

    #[test]
    fn a_value_that_writes_nothing_is_null() {
        struct Nothing;
        impl Value for Nothing {
            fn write(&self, _: ValueWriter<'_>) {}
        }
        assert_eq!(json(&[Nothing, Nothing]), "[null,null]");
    }

    #[test]
    fn nesting_ends_at_the_limit_of_a_record() {
        struct Nested(usize);
        impl Value for Nested {
            fn write(&self, out: ValueWriter<'_>) {
                match self.0 {
                    0 => out.u64(1),
                    deeper => out.array(|array| array.element(&Nested(deeper - 1))),
                }
            }
        }
        let limit = "[".repeat(DEPTH_MAX) + "1" + &"]".repeat(DEPTH_MAX);
        assert_eq!(json(&Nested(DEPTH_MAX)), limit);
        assert_eq!(json(&Nested(DEPTH_MAX + 1)), limit.replace('1', "\"[TOO DEEP]\""));
        assert!(json(&Nested(10_000)).len() < 200);
    }
}
