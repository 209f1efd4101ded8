//! API keys: what they may do, for which project, until when, and how much.
//!
//! A key is 256 random bits, so one round of SHA-256 is as good as many. The key itself is shown once and never stored.
//! What is kept of keys is in the file of [`KeyFile`]; the server looks keys up in [`Keys`].

mod file;
mod hash;
mod known;
#[cfg(test)]
mod tests;

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use millpond_query::Interval;
use millpond_record::Timestamp;
use millpond_store::Project;
use serde::{Deserialize, Deserializer, Serialize};

pub use file::{KeyFile, KeysError};
pub(crate) use known::{Found, Keys};

use crate::{keys::hash::KeyHash, limits::GRACE_NANOS, time_text};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send records.
    Ingest,
    /// Read records.
    Query,
    /// Change the project and its keys.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Query, Self::Admin];

    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Admin => "admin",
        }
    }
}

/// How much a key may do; `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// Requests of any kind in a second.
    pub requests_per_second: Option<NonZeroU32>,
    /// Stored records in a second, on average: a batch above it is paid for by a wait.
    pub records_per_second: Option<NonZeroU32>,
    /// Bytes of stored bodies, after decompression, in a day of UTC.
    pub bytes_per_day: Option<NonZeroU64>,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The project whose records it reaches.
    pub project: Project,
    /// What its owner calls it.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Vec<Scope>,
    /// Whether it administers all projects; then it needs the scope `admin`.
    pub server: bool,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// How much it may do.
    pub limits: KeyLimits,
}

impl NewKey {
    /// The first key of a project: it may do everything there, for ever.
    #[must_use]
    pub fn first(project: Project) -> Self {
        let (name, scopes) = ("first key".to_owned(), Scope::ALL.to_vec());
        Self { project, name, scopes, server: false, expires: None, limits: KeyLimits::default() }
    }
}

/// What is to be different about a key; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it ends by itself; the inner `None` is never.
    pub expires: Option<Option<Timestamp>>,
    /// How much it may do.
    pub limits: KeyLimitsChange,
}

/// What is to be different about a key's limits; `None` leaves one, the inner `None` removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimitsChange {
    /// Requests of any kind in a second.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<Option<NonZeroU32>>,
    /// Stored records in a second.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<Option<NonZeroU32>>,
    /// Bytes of stored bodies in a day of UTC.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<Option<NonZeroU64>>,
}

impl KeyLimits {
    fn changed(self, change: KeyLimitsChange) -> Self {
        Self {
            requests_per_second: change.requests_per_second.unwrap_or(self.requests_per_second),
            records_per_second: change.records_per_second.unwrap_or(self.records_per_second),
            bytes_per_day: change.bytes_per_day.unwrap_or(self.bytes_per_day),
        }
    }
}

/// Reads a member that may be absent (`None`, by default) or null (`Some(None)`).
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A key as it is kept: everything but the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Short name by which it is managed; no secret.
    pub id: String,
    /// The project whose records it reaches.
    pub project: Project,
    /// What its owner called it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whether it administers all projects.
    #[serde(default)]
    pub server: bool,
    hash: KeyHash,
    #[serde(default)]
    previous: Option<Previous>,
    /// When it was made.
    #[serde(with = "time_text")]
    pub created: Timestamp,
    /// When it ends by itself.
    #[serde(default, with = "time_text::option")]
    pub expires: Option<Timestamp>,
    /// When it last got a new secret.
    #[serde(default, with = "time_text::option")]
    pub rotated: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, with = "time_text::option")]
    pub revoked: Option<Timestamp>,
    /// How much it may do.
    #[serde(default)]
    pub limits: KeyLimits,
}

/// The secret that a rotation replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Previous {
    hash: KeyHash,
    /// It works until then.
    #[serde(with = "time_text")]
    until: Timestamp,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It may.
    Valid,
    /// Its time is over.
    Expired,
    /// Someone revoked it.
    Revoked,
}

impl KeyState {
    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyEntry {
    /// Whether it may be used at a time.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked.is_some() {
            KeyState::Revoked
        } else if self.expires.is_some_and(|expires| expires <= now) {
            KeyState::Expired
        } else {
            KeyState::Valid
        }
    }

    /// Until when the secret before the last rotation works.
    #[must_use]
    pub fn previous_until(&self) -> Option<Timestamp> {
        self.previous.as_ref().map(|previous| previous.until)
    }
}

/// A key that was sent and found good.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) entry: Arc<KeyEntry>,
    /// Of the secret that was sent, which may be the one before the last rotation.
    hash: KeyHash,
}

#[cfg(test)]
impl Key {
    /// One that no file knows.
    pub(crate) fn for_tests(id: &str, limits: KeyLimits) -> Self {
        let hash = KeyHash::of("mp_test");
        let created = Timestamp::from_nanos(0);
        let entry = KeyEntry {
            id: id.to_owned(),
            project: "default".parse().unwrap(),
            name: String::new(),
            scopes: Scope::ALL.to_vec(),
            server: false,
            hash,
            previous: None,
            created,
            expires: None,
            rotated: None,
            revoked: None,
            limits,
        };
        Self { entry: Arc::new(entry), hash }
    }
}

/// Reads a time to come: RFC 3339, or how long from now, such as `90d`.
///
/// # Errors
/// The text is neither; the error says so.
pub fn time_to_come(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(interval) = text.parse::<Interval>() {
        return Ok(after(now, interval.nanos()));
    }
    Timestamp::parse(text).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is no time, expected RFC 3339 or a span such as 90d")
    })
}

/// Reads how long the secret before a rotation works, in nanoseconds: a span such as `24h`, or `0s`.
///
/// # Errors
/// The text is no span; the error says so.
pub fn grace_nanos(text: &str) -> Result<i64, String> {
    if matches!(text, "0" | "0s") {
        return Ok(0);
    }
    text.parse::<Interval>().map(Interval::nanos).map_err(|error| error.to_string())
}

/// How long that is unless told otherwise: a day.
pub const GRACE_NANOS_DEFAULT: i64 = GRACE_NANOS;

/// The time so many nanoseconds after another, or the last one there is.
fn after(now: Timestamp, nanos: i64) -> Timestamp {
    Timestamp::from_nanos(now.nanos().saturating_add(nanos))
}
