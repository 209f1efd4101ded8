//! A log as the server gives it back: the record that was sent, its id, and what the server made of its time and level.

use std::fmt;

use millpond_record::{Level, Severity, TextAttribute, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

/// One log. Its numbers are as they were sent: 64-bit integers stay integers.
#[derive(Clone, PartialEq)]
pub struct Log {
    time: Timestamp,
    observed_time: Option<Timestamp>,
    severity: Severity,
    record: Map<String, Value>,
}

impl Log {
    fn new(record: Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| {
            let text = record.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("a log has no text `{name}`"))
        };
        let time = |name| {
            let time = Timestamp::parse(text(name)?);
            time.map_err(|error| format!("`{name}` of a log: {error}"))
        };
        text("id")?;
        let level: Level =
            text("level")?.parse().map_err(|error| format!("`level` of a log: {error}"))?;
        let number = record.get("severity_number").and_then(Value::as_u64);
        let severity = number.and_then(|number| Severity::from_number(u8::try_from(number).ok()?));
        let observed_time = record.contains_key("observed_time").then(|| time("observed_time"));
        Ok(Self {
            time: time("time")?,
            observed_time: observed_time.transpose()?,
            severity: severity.unwrap_or_else(|| level.into()),
            record,
        })
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.record.get(name)?.as_str()
    }

    /// What the server calls it; no two logs have the same.
    #[must_use]
    pub fn id(&self) -> &str {
        self.string("id").unwrap_or_default()
    }

    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// When it was first seen by a collector, if that was at another time.
    #[must_use]
    pub fn observed_time(&self) -> Option<Timestamp> {
        self.observed_time
    }

    /// How serious it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.severity.level()
    }

    /// How serious it is, in the finer steps of OpenTelemetry.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text(TextAttribute::Message).unwrap_or_default()
    }

    /// The service that wrote it.
    #[must_use]
    pub fn service(&self) -> &str {
        self.text(TextAttribute::Service).unwrap_or_default()
    }

    /// One of the text attributes.
    #[must_use]
    pub fn text(&self, attribute: TextAttribute) -> Option<&str> {
        self.string(attribute.name())
    }

    /// Its place in its flow, from 0.
    #[must_use]
    pub fn step_index(&self) -> Option<u32> {
        self.record.get("step_index")?.as_u64()?.try_into().ok()
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = self.record.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The exception: an object of `type`, `message`, `stacktrace` and `cause`, as far as they are known.
    #[must_use]
    pub fn exception(&self) -> Option<&Value> {
        self.record.get("exception")
    }

    /// Everything else that was recorded with it, in the order in which it was sent.
    #[must_use]
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        self.record.get("fields")?.as_object()
    }

    /// One of the fields.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields()?.get(name)
    }

    /// The whole of it, as the server wrote it.
    #[must_use]
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.record
    }
}

impl From<Log> for Value {
    fn from(log: Log) -> Self {
        Self::Object(log.record)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.record).finish()
    }
}

/// `time level service message` on one line; control characters are escaped, so that a message can't write a line of
/// its own.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:8} {} ", self.time, self.level(), self.service())?;
        for character in self.message().chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Log {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Log {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(text: &str) -> Result<Log, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_part_of_a_record_comes_back() {
        let text = r#"{"id":"17","time":"2026-01-31T12:00:00.123456789Z","observed_time":"2026-01-31T12:00:01.000000000Z","level":"info","severity_number":10,"service":"api","message":"order\nplaced","trace_id":"4bf9","step_index":2,"tags":["shop","eu"],"exception":{"type":"E"},"fields":{"z":18446744073709551615,"a":-9223372036854775808,"f":31.245270191439438}}"#;
        let log = log(text).unwrap();
        assert_eq!((log.id(), log.service(), log.message()), ("17", "api", "order\nplaced"));
        assert_eq!(log.time().nanos(), 1_769_860_800_123_456_789);
        assert_eq!(log.observed_time().unwrap().nanos(), 1_769_860_801_000_000_000);
        assert_eq!((log.level(), log.severity().number()), (Level::Info, 10));
        assert_eq!(log.text(TextAttribute::TraceId), Some("4bf9"));
        assert_eq!(log.text(TextAttribute::UserId), None);
        assert_eq!(log.step_index(), Some(2));
        assert_eq!(log.tags().collect::<Vec<_>>(), ["shop", "eu"]);
        assert_eq!(log.exception(), Some(&json!({"type": "E"})));
        assert_eq!(log.field("z"), Some(&json!(u64::MAX)));
        assert_eq!(log.field("a"), Some(&json!(i64::MIN)));
        assert_eq!(log.to_string(), "2026-01-31T12:00:00.123456789Z info     api order\\nplaced");
        // Order of members, integers and floats: all of it is as it came.
        assert_eq!(serde_json::to_string(&log).unwrap(), text);
        assert_eq!(Value::from(log).to_string(), text);
    }

    #[test]
    fn the_least_log_has_an_id_a_time_and_a_level() {
        let least = log(r#"{"id":"1","time":"2026-01-31T12:00:00Z","level":"error"}"#).unwrap();
        assert_eq!((least.level(), least.severity().number()), (Level::Error, 17));
        assert_eq!((least.message(), least.service()), ("", ""));
        assert_eq!((least.observed_time(), least.step_index(), least.fields()), (None, None, None));
        assert_eq!(least.tags().count(), 0);
    }

    #[test]
    fn what_is_no_log_says_what_is_missing() {
        for (text, complaint) in [
            ("[]", "expected a map"),
            ("{}", "no text `id`"),
            (r#"{"id":"1"}"#, "no text `level`"),
            (r#"{"id":"1","level":"loud"}"#, "unknown level `loud`"),
            (r#"{"id":"1","level":"info"}"#, "no text `time`"),
            (r#"{"id":"1","level":"info","time":"noon"}"#, "`noon` is no time"),
            (
                r#"{"id":"1","level":"info","time":"2026-01-31","observed_time":7}"#,
                "no text `observed_time`",
            ),
        ] {
            let error = log(text).unwrap_err();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }
}
