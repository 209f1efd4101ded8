//! What may leave the process: the policy that the writers of a record ask while they write, and its settings.
//!
//! What is looked for and how is [`millpond_record::content`]; here is only whether.

use std::str::FromStr;

use millpond_record::{
    content::{self, CARD_REDACTED, EXCLUDED, KeySet, REDACTED, SECRET_KEYS, TRUNCATED},
    limits::{DEPTH_MAX, RECORD_BYTES_MAX},
};

use crate::{BuildError, Builder, limits::LOG_BYTES_MIN};

/// What is redacted before a record leaves the thread that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redaction {
    /// Nothing.
    Off,
    /// The values of fields, at any depth, whose key names a secret, such as `password` or `Set-Cookie`
    /// ([`SECRET_KEYS`], and those of [`Builder::redact_keys`]). Keys are compared whole, without regard to case,
    /// `_`, `-`, `.` and spaces; some nanoseconds each.
    #[default]
    Keys,
    /// Also what looks like a secret or personal data inside of texts, the message included: tokens, keys,
    /// credentials in addresses, card numbers, e-mail addresses. The keys of fields themselves are not looked into.
    /// About 60 ns for a text of 60 bytes.
    KeysAndValues,
}

impl FromStr for Redaction {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "off" => Ok(Self::Off),
            "keys" => Ok(Self::Keys),
            "keys_and_values" => Ok(Self::KeysAndValues),
            _ => Err(()),
        }
    }
}

/// What the builder was told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) redaction: Redaction,
    pub(crate) redact_keys: Vec<String>,
    pub(crate) exclude_fields: Vec<String>,
    pub(crate) field_chars_max: Option<usize>,
    pub(crate) log_bytes_max: usize,
    pub(crate) depth_max: usize,
    pub(crate) removes_base64: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            redaction: Redaction::default(),
            redact_keys: Vec::new(),
            exclude_fields: Vec::new(),
            field_chars_max: None,
            log_bytes_max: RECORD_BYTES_MAX,
            depth_max: DEPTH_MAX,
            removes_base64: false,
        }
    }
}

impl Builder {
    /// What is redacted; by default the values of keys that name a secret.
    ///
    /// ```
    /// use millpond::{Client, Level, Redaction};
    ///
    /// let client = Client::builder().redaction(Redaction::KeysAndValues).build()?;
    /// let record = client.preview(Level::Info, "mail to a@shop.example", |line| {
    ///     line.field("password", "hunter2");
    /// });
    /// let record = record.unwrap();
    /// assert!(record.contains(r#""message":"mail to [REDACTED:email]""#));
    /// assert!(record.contains(r#""password":"[REDACTED]""#));
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.content.redaction = redaction;
        self
    }

    /// More keys whose values are redacted, matched as the built-in ones are.
    pub fn redact_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.content.redact_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Keys whose values, at any depth, are not even computed; `"[EXCLUDED]"` is written in their place. Matched as
    /// those of [`Self::redact_keys`] are, and before them.
    pub fn exclude_fields<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.content.exclude_fields.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Most characters of a text: of the message, an attribute or a value. What is longer is cut and ends in
    /// `...[TRUNCATED]`. Without it only the limits of a record hold.
    pub fn max_field_size(mut self, characters: usize) -> Self {
        self.content.field_chars_max = Some(characters);
        self
    }

    /// Most bytes of a record as JSON, from 1 KiB to the 1 MiB of [`RECORD_BYTES_MAX`], which is the default. A
    /// larger one is kept without its fields: `{"_truncated":true,"_original_size":BYTES}` stands in their place (a
    /// record that is much larger is not written to its end, so that the number may be too small). If that is not
    /// enough, the message is cut and ends in `...[TRUNCATED]`; then exception and tags are left out; then the record
    /// is dropped as too large.
    pub fn max_log_size(mut self, bytes: usize) -> Self {
        self.content.log_bytes_max = bytes;
        self
    }

    /// Deepest nesting of objects and arrays in a field, from 1 to [`DEPTH_MAX`], which is the default. `"[TOO DEEP]"`
    /// is written in place of what is deeper.
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.content.depth_max = levels;
        self
    }

    /// Whether binary data in base64 of 100 characters or more, or a data URI, is replaced by
    /// `[BASE64 DATA REMOVED]`. Off by default. Digests, identifiers and tokens stay.
    pub fn remove_base64(mut self, remove: bool) -> Self {
        self.content.removes_base64 = remove;
        self
    }
}

/// How much was withheld from a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Values and parts of texts that were redacted or excluded.
    pub(crate) redacted: u32,
    /// Texts that were cut, base64 that was removed, records that were too large.
    pub(crate) truncated: u32,
}

/// What the writers ask. Built once.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Keys whose values are withheld, for whichever reason: nearly every key is told by one look.
    hidden: KeySet,
    excluded: KeySet,
    /// Whether texts are looked into at all.
    pub(crate) checks_texts: bool,
    pub(crate) redacts_values: bool,
    removes_base64: bool,
    field_chars_max: usize,
    pub(crate) log_bytes_max: usize,
    pub(crate) depth_max: usize,
}

impl Policy {
    /// # Errors
    /// A limit is out of its range.
    pub(crate) fn new(options: &Options) -> Result<Self, BuildError> {
        for (name, value, min, max) in [
            ("max_log_size", options.log_bytes_max, LOG_BYTES_MIN, RECORD_BYTES_MAX),
            ("max_depth", options.depth_max, 1, DEPTH_MAX),
            ("max_field_size", options.field_chars_max.unwrap_or(1), 1, usize::MAX),
        ] {
            if !(min..=max).contains(&value) {
                return Err(BuildError::Range { name, value, min, max });
            }
        }
        let redacts_keys = options.redaction != Redaction::Off;
        let redacts_values = options.redaction == Redaction::KeysAndValues;
        if redacts_values {
            content::prepare();
        }
        let built_in = SECRET_KEYS.iter().copied();
        let secret =
            built_in.chain(options.redact_keys.iter().map(String::as_str)).filter(|_| redacts_keys);
        let excluded = options.exclude_fields.iter().map(String::as_str);
        Ok(Self {
            hidden: KeySet::new(secret.chain(excluded.clone())),
            excluded: KeySet::new(excluded),
            checks_texts: redacts_values
                || options.removes_base64
                || options.field_chars_max.is_some(),
            redacts_values,
            removes_base64: options.removes_base64,
            field_chars_max: options.field_chars_max.unwrap_or(usize::MAX),
            log_bytes_max: options.log_bytes_max,
            depth_max: options.depth_max,
        })
    }

    /// Withholds nothing: for what is taken down now and written into a record under its client's policy.
    pub(crate) fn open() -> Self {
        Self {
            hidden: KeySet::default(),
            excluded: KeySet::default(),
            checks_texts: false,
            redacts_values: false,
            removes_base64: false,
            field_chars_max: usize::MAX,
            log_bytes_max: RECORD_BYTES_MAX,
            depth_max: DEPTH_MAX,
        }
    }

    /// What is written in place of the value of this key, if it is withheld.
    #[inline]
    pub(crate) fn hides(&self, key: &str) -> Option<&'static str> {
        if self.hidden.contains(key) { Some(self.mark(key)) } else { None }
    }

    #[cold]
    fn mark(&self, key: &str) -> &'static str {
        if self.excluded.contains(key) { EXCLUDED } else { REDACTED }
    }

    /// What is written in place of this integer, if it is withheld.
    pub(crate) fn hides_integer(&self, integer: u64) -> Option<&'static str> {
        (self.redacts_values && content::is_card_number(integer)).then_some(CARD_REDACTED)
    }

    /// What is left of the text, if it may not be written as it is. Secrets are looked for before it is cut, so that
    /// no half of one is left, and behind the base64, which is faster gone.
    pub(crate) fn text(&self, text: &str, counts: &mut Counts) -> Option<String> {
        let mut left = self.removes_base64.then(|| content::without_base64(text)).flatten();
        counts.truncated += u32::from(left.is_some());
        if self.redacts_values
            && let Some((redacted, count)) = content::redact(left.as_deref().unwrap_or(text))
        {
            counts.redacted += count;
            left = Some(redacted);
        }
        let head = content::head(left.as_deref().unwrap_or(text), self.field_chars_max);
        if let Some(cut) = head.map(|head| format!("{head}{TRUNCATED}")) {
            counts.truncated += 1;
            left = Some(cut);
        }
        left
    }
}

#[cfg(test)]
impl Policy {
    /// That of a client which was told nothing.
    pub(crate) fn of_default() -> Self {
        Self::new(&Options::default()).unwrap()
    }
}
