//! What is said beside a body for all of its records, and how it gets into those that do not say it themselves.

use millpond_record::{
    RecordKey, Rejection, Severity, TextAttribute, UnknownLevel,
    json::{Scalar, write_string, write_u64},
    limits::{ATTRIBUTE_BYTES_MAX, TAGS_MAX},
};

use crate::walk::{elements, members};

/// Level, tags and text attributes of records that have none. A record always wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    severity: Option<Severity>,
    texts: Vec<(TextAttribute, String)>,
    tags: Vec<String>,
}

impl Defaults {
    /// Whether they say nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.severity.is_none() && self.texts.is_empty() && self.tags.is_empty()
    }

    /// Sets the level, by a name or number that [`Severity::from_name`] knows.
    ///
    /// # Errors
    /// It names no level.
    pub fn set_level(&mut self, name: &str) -> Result<(), UnknownLevel> {
        self.severity = Some(Severity::from_name(name)?);
        Ok(())
    }

    /// Sets a text attribute. An empty text says nothing.
    ///
    /// # Errors
    /// It is longer than a record may have it.
    pub fn set_text(&mut self, attribute: TextAttribute, text: &str) -> Result<(), Rejection> {
        fits(attribute.name(), text)?;
        self.texts.retain(|(other, _)| *other != attribute);
        if !text.is_empty() {
            self.texts.push((attribute, text.to_owned()));
        }
        Ok(())
    }

    /// Adds a tag. An empty one says nothing.
    ///
    /// # Errors
    /// It is longer than a record may have it, or there are too many.
    pub fn add_tag(&mut self, tag: &str) -> Result<(), Rejection> {
        fits("tags", tag)?;
        if self.tags.len() >= TAGS_MAX {
            return Err(Rejection(format!("`tags` has more tags than {TAGS_MAX}")));
        }
        if !tag.is_empty() {
            self.tags.push(tag.to_owned());
        }
        Ok(())
    }

    /// The text of a record with what it does not say appended; `None` if nothing is missing. Appended, because the
    /// decoder takes the first that says something, and the same text must give the same record without us.
    pub(crate) fn fill(&self, json: &str) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let said = Said::by(json);
        let mut out = json.trim_end().strip_suffix('}')?.to_owned();
        let length = out.len();
        let mut separator = if said.anything { "," } else { "" };
        let mut key = |out: &mut String, key: &str| {
            out.push_str(std::mem::replace(&mut separator, ","));
            write_string(out, key);
            out.push(':');
        };
        for (attribute, text) in self.texts.iter().filter(|(attribute, _)| !said.text(*attribute)) {
            key(&mut out, attribute.name());
            write_string(&mut out, text);
        }
        if let Some(severity) = self.severity.filter(|_| !said.level) {
            key(&mut out, "severity_number");
            write_u64(&mut out, u64::from(severity.number()));
        }
        if !said.tags && !self.tags.is_empty() {
            key(&mut out, "tags");
            for (place, tag) in self.tags.iter().enumerate() {
                out.push(if place == 0 { '[' } else { ',' });
                write_string(&mut out, tag);
            }
            out.push(']');
        }
        let filled = out.len() > length;
        out.push('}');
        filled.then_some(out)
    }
}

fn fits(name: &str, text: &str) -> Result<(), Rejection> {
    if text.len() <= ATTRIBUTE_BYTES_MAX {
        return Ok(());
    }
    let bytes = text.len();
    Err(Rejection(format!("`{name}` is {bytes} bytes, expected at most {ATTRIBUTE_BYTES_MAX}")))
}

/// What a record says, by the rules of `millpond_record::decode`.
#[derive(Default)]
pub(crate) struct Said {
    anything: bool,
    pub(crate) level: bool,
    tags: bool,
    texts: [bool; TextAttribute::ALL.len()],
}

impl Said {
    pub(crate) fn by(json: &str) -> Self {
        let mut said = Self::default();
        for (key, value) in members(json) {
            said.anything = true;
            let scalar = !value.starts_with(['{', '[']) && value != "null";
            match RecordKey::of(&key) {
                Some(RecordKey::Text(TextAttribute::Service)) if value == "\"\"" => {}
                Some(RecordKey::Text(attribute)) if scalar => {
                    if let Some(text) = said.texts.get_mut(attribute as usize) {
                        *text = true;
                    }
                }
                Some(RecordKey::Level) if scalar => said.level = true,
                Some(RecordKey::SeverityNumber) if scalar => said.level |= !is_zero(value),
                Some(RecordKey::Tags) if scalar => said.tags = true,
                Some(RecordKey::Tags) => said.tags |= elements(value).any(|tag| tag != "null"),
                _ => {}
            }
        }
        said
    }

    pub(crate) fn text(&self, attribute: TextAttribute) -> bool {
        self.texts.get(attribute as usize).is_some_and(|said| *said)
    }
}

/// OpenTelemetry's "unspecified".
fn is_zero(value: &str) -> bool {
    Scalar::read(value).is_some_and(|number| number.text().parse() == Ok(0_u8))
}

#[cfg(test)]
mod tests {
    use millpond_record::{Decoded, Level, LogRecord, Timestamp, decode, json::Reader};
    use proptest::prelude::*;

    use super::*;

    fn defaults() -> Defaults {
        let mut defaults = Defaults::default();
        defaults.set_level("error").unwrap();
        defaults.set_text(TextAttribute::Service, "shop").unwrap();
        defaults.set_text(TextAttribute::UserId, "u-1").unwrap();
        defaults.add_tag("raw").unwrap();
        defaults
    }

    fn read(json: &str) -> Option<LogRecord<'_>> {
        match decode(&mut Reader::new(json), Timestamp::from_nanos(7)) {
            Ok(Decoded::Record(record)) => Some(*record),
            _ => None,
        }
    }

    #[test]
    fn only_what_is_missing_is_filled_in() {
        let filled = defaults().fill(r#"{"message":"m","user_id":"", "level":"debug","tags":[]} "#);
        let expected = r#"{"message":"m","user_id":"", "level":"debug","tags":[],"service":"shop","tags":["raw"]}"#;
        assert_eq!(filled.as_deref(), Some(expected));
        let whole = r#"{"service":"a","user_id":1,"severity_number":5,"tags":"t","message":"m"}"#;
        assert_eq!(defaults().fill(whole), None);
        assert_eq!(Defaults::default().fill("{}"), None);
    }

    #[test]
    fn a_severity_number_of_zero_leaves_the_level_open() {
        let filled =
            defaults().fill(r#"{"message":"m","severity_number":0,"level":null}"#).unwrap();
        assert_eq!(read(&filled).unwrap().severity.level(), Level::Error);
    }

    #[test]
    fn what_a_record_could_not_have_is_refused_as_a_default() {
        let long = "x".repeat(ATTRIBUTE_BYTES_MAX + 1);
        let mut defaults = Defaults::default();
        assert!(defaults.set_text(TextAttribute::UserId, &long).is_err());
        assert!(defaults.add_tag(&long).is_err());
        assert!(defaults.set_level("loud").is_err());
        for _ in 0..TAGS_MAX {
            defaults.add_tag("t").unwrap();
        }
        assert!(defaults.add_tag("t").is_err());
        assert!(defaults.set_text(TextAttribute::UserId, &long[1..]).is_ok());
    }

    fn member() -> impl Strategy<Value = String> {
        const KEYS: &[&str] = &[
            "service",
            "service.name",
            "user_id",
            "level",
            "severity",
            "severity_number",
            "tags",
            "x",
        ];
        const VALUES: &[&str] = &[
            "null",
            "\"\"",
            "\"debug\"",
            "7",
            "0",
            "\"0\"",
            "{}",
            "{\"a\":1}",
            "[]",
            "[null]",
            "[\"t\"]",
            "true",
        ];
        (prop::sample::select(KEYS), prop::sample::select(VALUES))
            .prop_map(|(key, value)| format!("\"{key}\" : {value}"))
    }

    proptest! {
        /// `Said` repeats rules of the decoder; this holds the two together.
        #[test]
        fn the_decoder_agrees_on_what_is_missing(members in prop::collection::vec(member(), 0..6)) {
            let json = format!("{{\"message\":\"m\",{}\"y\":1}}", members.iter().map(|m| format!("{m},")).collect::<String>());
            let Some(bare) = read(&json) else { return Ok(()) };
            let filled = defaults().fill(&json);
            let filled = read(filled.as_deref().unwrap_or(&json)).unwrap();
            prop_assert_eq!(&filled.fields, &bare.fields);
            let service = if bare.service() == millpond_record::UNKNOWN_SERVICE { "shop" } else { bare.service() };
            prop_assert_eq!(filled.service(), service);
            let user = bare.text(TextAttribute::UserId).unwrap_or("u-1");
            prop_assert_eq!(filled.text(TextAttribute::UserId), Some(user));
            let raw = ["raw".into()];
            prop_assert_eq!(&filled.tags[..], if bare.tags.is_empty() { &raw } else { &bare.tags[..] });
            let (front, _) = json.rsplit_once('}').unwrap();
            let open = read(&format!("{front},\"severity_number\":1}}")).unwrap().severity.number() == 1;
            let severity = if open { Severity::from(Level::Error) } else { bare.severity };
            prop_assert_eq!(filled.severity, severity);
        }
    }
}
