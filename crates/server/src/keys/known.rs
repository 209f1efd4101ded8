//! The keys as the server looks them up.
//!
//! A key is looked for by its hash, of which nobody can choose even the first bytes without trying: the table sees eight
//! of them, and whether the rest is the same is found out in a time that does not depend on it. What the timing of
//! answers tells of a stored hash therefore leads to no key.

use std::{
    collections::HashMap,
    io,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use fs_err as fs;
use millpond_record::Timestamp;

use super::{Key, KeyEntry, KeyFile, KeyHash, KeyState, KeysError, hash::Place};
use crate::{clock, limits::KEYS_AGE_MAX};

/// What a text is that was sent as a key.
#[derive(Debug)]
pub(crate) enum Found {
    /// A key that may be used.
    Good(Key),
    /// A key, or the secret before a rotation, whose time is over.
    Expired,
    /// Revoked, or never a key.
    Unknown,
}

/// A secret that the file knows.
#[derive(Debug)]
struct Secret {
    hash: KeyHash,
    /// Of one that a rotation replaced.
    until: Option<Timestamp>,
    entry: Arc<KeyEntry>,
}

/// The keys of a data directory.
#[derive(Debug)]
pub(crate) struct Keys {
    file: KeyFile,
    view: Mutex<View>,
}

#[derive(Debug, Default)]
struct View {
    secrets: HashMap<Place, Vec<Secret>>,
    /// Of the file that was read: when it was changed, its size and its inode.
    version: Option<(SystemTime, u64, u64)>,
    checked: Option<Instant>,
}

impl Keys {
    pub(crate) fn new(file: KeyFile) -> Self {
        Self { file, view: Mutex::default() }
    }

    /// What a text is that was sent as a key.
    pub(crate) fn find(&self, sent: &str, now: Timestamp) -> Result<Found, KeysError> {
        self.find_hash(&KeyHash::of(sent), now)
    }

    /// Whether a key that was found before may still be used.
    pub(crate) fn is_valid(&self, key: &Key) -> bool {
        matches!(self.find_hash(&key.hash, clock::now()), Ok(Found::Good(_)))
    }

    /// Reads the file again before the next look-up: it was just changed.
    pub(crate) fn forget(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = View::default();
    }

    fn find_hash(&self, hash: &KeyHash, now: Timestamp) -> Result<Found, KeysError> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = view.checked.is_some_and(|checked| checked.elapsed() < KEYS_AGE_MAX);
        // A key that is not known may have been made a moment ago.
        if !fresh || view.get(hash).is_none() {
            self.refresh(&mut view)?;
        }
        let Some(secret) = view.get(hash) else { return Ok(Found::Unknown) };
        Ok(match secret.entry.state(now) {
            KeyState::Revoked => Found::Unknown,
            KeyState::Expired => Found::Expired,
            KeyState::Valid if secret.until.is_some_and(|until| until <= now) => Found::Expired,
            KeyState::Valid => Found::Good(Key { entry: Arc::clone(&secret.entry), hash: *hash }),
        })
    }

    fn refresh(&self, view: &mut View) -> Result<(), KeysError> {
        let version = match fs::metadata(&self.file.path) {
            Ok(metadata) => Some((metadata.modified()?, metadata.len(), metadata.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if version != view.version || view.checked.is_none() {
            view.secrets = secrets(self.file.list()?);
            view.version = version;
        }
        view.checked = Some(Instant::now());
        Ok(())
    }
}

impl View {
    fn get(&self, hash: &KeyHash) -> Option<&Secret> {
        self.secrets.get(&hash.place())?.iter().find(|secret| secret.hash.is(hash))
    }
}

fn secrets(entries: Vec<KeyEntry>) -> HashMap<Place, Vec<Secret>> {
    let mut secrets: HashMap<Place, Vec<Secret>> = HashMap::new();
    for entry in entries {
        let entry = Arc::new(entry);
        let replaced = entry.previous.as_ref().map(|old| (old.hash, Some(old.until)));
        for (hash, until) in [(entry.hash, None)].into_iter().chain(replaced) {
            let secret = Secret { hash, until, entry: Arc::clone(&entry) };
            secrets.entry(hash.place()).or_default().push(secret);
        }
    }
    secrets
}
