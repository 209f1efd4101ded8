//! The answers of the routes, typed.

use std::{collections::BTreeMap, slice, vec};

use millpond_record::{Level, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};

use super::{Log, ReadError};

/// Logs that were asked for, and how to get more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page {
    /// The logs; newest first, those of a trace oldest first.
    pub logs: Vec<Log>,
    /// What to give to [`Query::cursor`](super::Query::cursor) for the next page; `None` on the last one.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// Parts of the stored data that are damaged and were left out; normally empty.
    #[serde(default)]
    pub damaged: Vec<String>,
}

impl IntoIterator for Page {
    type Item = Log;
    type IntoIter = vec::IntoIter<Log>;

    fn into_iter(self) -> Self::IntoIter {
        self.logs.into_iter()
    }
}

impl<'a> IntoIterator for &'a Page {
    type Item = &'a Log;
    type IntoIter = slice::Iter<'a, Log>;

    fn into_iter(self) -> Self::IntoIter {
        self.logs.iter()
    }
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnKey {
    /// Short name by which it is revoked; no secret.
    pub id: String,
    /// What its owner called it.
    pub name: String,
    /// The project whose records it reaches.
    pub project: String,
    /// `ingest`, `query`, `admin`.
    pub scopes: Vec<String>,
    /// The server's clock when it answered.
    #[serde(serialize_with = "write_time", deserialize_with = "time")]
    pub server_time: Timestamp,
    /// The server's version.
    pub server_version: String,
}

/// How many logs there were, over time and by what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Statistics {
    /// The length of a bucket, such as `5m`.
    pub interval: String,
    /// Logs in all.
    pub total: u64,
    /// The buckets, oldest first; the empty ones are there too.
    pub timeseries: Vec<Bucket>,
    /// The services that wrote the most.
    pub top_services: Vec<Count>,
    /// The messages that were the most frequent ones of level `error` and above.
    pub top_errors: Vec<Count>,
    /// Parts of the stored data that are damaged and were not counted; normally empty.
    #[serde(default)]
    pub damaged: Vec<String>,
}

/// The logs of one interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bucket {
    /// When it begins.
    #[serde(rename = "bucket", serialize_with = "write_time", deserialize_with = "time")]
    pub start: Timestamp,
    /// Logs in it.
    pub total: u64,
    /// Logs in it by level, without those levels of which there are none.
    #[serde(serialize_with = "write_by_level", deserialize_with = "by_level")]
    pub by_level: BTreeMap<Level, u64>,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Count {
    /// The service or message.
    #[serde(alias = "service", alias = "message")]
    pub value: String,
    /// Its logs.
    pub count: u64,
}

/// What became of an ingested body: every accepted record is on the server's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// Records that were stored.
    pub accepted: u64,
    /// The first of those records that were not.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// How many were not.
    #[serde(default)]
    pub rejected_count: u64,
    /// Whether all of it was stored before, by an attempt whose answer was lost.
    #[serde(default)]
    pub duplicate: bool,
}

/// A record that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Its place among the entries of the body, from 0.
    pub index: u64,
    /// The line in which it begins, from 1, if the format has lines.
    #[serde(default)]
    pub line: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Reads an answer; `expected` names what it should be.
pub(super) fn read<T: DeserializeOwned>(expected: &str, text: &str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            ReadError::Malformed { what: format!("{error}, expected {expected}") }
        }
        _ => ReadError::unexpected(expected, text),
    })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn write_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn by_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Level, u64>, D::Error> {
    let counts = BTreeMap::<String, u64>::deserialize(deserializer)?;
    let levels = counts.into_iter().map(|(name, count)| Ok((name.parse()?, count)));
    levels.collect::<Result<_, millpond_record::UnknownLevel>>().map_err(D::Error::custom)
}

fn write_by_level<S: Serializer>(
    counts: &BTreeMap<Level, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(level, count)| (level.name(), count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_as_it_was_written() {
        let text = r#"{"interval":"5m","total":3,"timeseries":[{"bucket":"2026-01-31T12:00:00.000000000Z","total":3,"by_level":{"info":2,"error":1}}],"top_services":[{"service":"api","count":3}],"top_errors":[{"message":"m","count":1}]}"#;
        let statistics: Statistics = read("statistics", text).unwrap();
        let written = serde_json::to_string(&statistics).unwrap();
        assert!(written.contains(r#""bucket":"2026-01-31T12:00:00.000000000Z""#), "{written}");
        assert!(written.contains(r#""by_level":{"info":2,"error":1}"#), "{written}");
        assert_eq!(read::<Statistics>("statistics", &written).unwrap(), statistics);
    }
}
