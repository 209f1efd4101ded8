//! The file that holds what is kept of keys, `keys.json`:
//!
//! ```text
//! { "format_version": 2, "keys": [ { "id", "project", "name", "scopes", "server", "hash", "previous", "created",
//!                                    "expires", "rotated", "revoked", "limits" }, … ] }
//! ```
//!
//! Version 1 had only `id`, `project`, `name`, `scopes`, `hash`, `created` and `revoked`; it is read, and becomes
//! version 2 with the next change. The server and the command line share the file: it is replaced as a whole, writers
//! take `keys.lock`, the server reads again when it changed.

use std::{
    io,
    path::{Path, PathBuf},
};

use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use millpond_store::Project;
use serde::{Deserialize, Serialize};

use super::{KeyChange, KeyEntry, KeyHash, NewKey, Previous, Scope, after, hash::hex};
use crate::limits::{GRACE_NANOS_MAX, KEY_NAME_CHARACTERS_MAX, PROJECT_KEYS_MAX};

const FORMAT_VERSION: u32 = 2;
const PREFIX: &str = "mp_";

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format_version: u32,
    keys: Vec<KeyEntry>,
}

/// Why keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is damaged.
    #[error("read {path:?}: {error}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The file was written by a newer program.
    #[error("read {path:?}: its format has version {version}, expected at most {FORMAT_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// No key has this id.
    #[error("no key has the id `{0}`; the list of keys shows them")]
    Unknown(String),
    /// The key was revoked, and stays so.
    #[error("the key `{0}` is revoked; make a new one")]
    Revoked(String),
    /// What was asked for makes no sense; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// A key that is not revoked names the project already.
    #[error("the project `{0}` exists")]
    ProjectExists(Project),
    /// The project has as many keys as one may have.
    #[error("the project `{0}` has {PROJECT_KEYS_MAX} keys; revoke one first")]
    TooMany(Project),
    /// The system gave no random numbers.
    #[error("make a key: {0}")]
    Random(getrandom::Error),
}

/// The key file of a data directory.
#[derive(Clone, Debug)]
pub struct KeyFile {
    pub(super) path: PathBuf,
}

impl KeyFile {
    /// The key file of a data directory; it need not exist.
    #[must_use]
    pub fn new(data_directory: &Path) -> Self {
        Self { path: data_directory.join("keys.json") }
    }

    /// All keys, revoked ones too, in the order in which they were made.
    ///
    /// # Errors
    /// The file can't be read or is damaged.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeysError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let damaged = |error| KeysError::Form { path: self.path.clone(), error };
        let Version { format_version: version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version > FORMAT_VERSION {
            return Err(KeysError::Version { path: self.path.clone(), version });
        }
        Ok(serde_json::from_slice::<Content>(&text).map_err(damaged)?.keys)
    }

    /// Makes a key; the text is the key, which nothing can show again.
    ///
    /// A project that has as many keys as it may have forgets the one that was revoked first.
    ///
    /// # Errors
    /// The key makes no sense, the project has too many, or the file can't be read or written.
    pub fn create(&self, new: NewKey, now: Timestamp) -> Result<(String, KeyEntry), KeysError> {
        self.add(new, now, |_| Ok(()))
    }

    /// Makes the first key of a project.
    ///
    /// # Errors
    /// The project has a key that is not revoked; otherwise as [`KeyFile::create`].
    pub fn create_first(
        &self,
        new: NewKey,
        now: Timestamp,
    ) -> Result<(String, KeyEntry), KeysError> {
        let project = new.project.clone();
        self.add(new, now, |keys| {
            let mut alive = keys.iter().filter(|key| key.revoked.is_none());
            let exists = alive.any(|key| key.project == project);
            if exists { Err(KeysError::ProjectExists(project)) } else { Ok(()) }
        })
    }

    fn add(
        &self,
        new: NewKey,
        now: Timestamp,
        check: impl FnOnce(&[KeyEntry]) -> Result<(), KeysError>,
    ) -> Result<(String, KeyEntry), KeysError> {
        check_name(&new.name)?;
        check_expiry(new.expires, now)?;
        if new.scopes.is_empty() {
            return Err(KeysError::Invalid("a key has no scope, expected at least one".into()));
        }
        if new.server && !new.scopes.contains(&Scope::Admin) {
            return Err(KeysError::Invalid("a server key needs the scope `admin`".into()));
        }
        let (secret, hash) = secret()?;
        let entry = self.change(|keys| {
            check(keys)?;
            make_room(keys, &new.project)?;
            let entry = KeyEntry {
                id: unused_id(keys)?,
                project: new.project,
                name: new.name,
                scopes: new.scopes,
                server: new.server,
                hash,
                previous: None,
                created: now,
                expires: new.expires,
                rotated: None,
                revoked: None,
                limits: new.limits,
            };
            keys.push(entry.clone());
            Ok(entry)
        })?;
        Ok((secret, entry))
    }

    /// Changes what may be changed about a key.
    ///
    /// # Errors
    /// No key has the id, it is revoked, the change makes no sense, or the file can't be read or written.
    pub fn update(
        &self,
        id: &str,
        change: KeyChange,
        now: Timestamp,
    ) -> Result<KeyEntry, KeysError> {
        let KeyChange { name, expires, limits } = change;
        if let Some(name) = &name {
            check_name(name)?;
        }
        check_expiry(expires.flatten(), now)?;
        self.change(|keys| {
            let key = usable(keys, id)?;
            key.name = name.unwrap_or_else(|| std::mem::take(&mut key.name));
            key.expires = expires.unwrap_or(key.expires);
            key.limits = key.limits.changed(limits);
            Ok(key.clone())
        })
    }

    /// Gives a key a new secret. The one before works for another `grace_nanos`; one before that ends at once.
    ///
    /// # Errors
    /// No key has the id, it is revoked, the grace is negative or over 30 days, or the file can't be read or written.
    pub fn rotate(
        &self,
        id: &str,
        grace_nanos: i64,
        now: Timestamp,
    ) -> Result<(String, KeyEntry), KeysError> {
        if !(0..=GRACE_NANOS_MAX).contains(&grace_nanos) {
            return Err(KeysError::Invalid(
                "the grace is over its limit, expected 0s to 30d".into(),
            ));
        }
        let (secret, hash) = secret()?;
        let entry = self.change(|keys| {
            let key = usable(keys, id)?;
            let replaced = std::mem::replace(&mut key.hash, hash);
            key.previous = Some(Previous { hash: replaced, until: after(now, grace_nanos) });
            key.rotated = Some(now);
            Ok(key.clone())
        })?;
        Ok((secret, entry))
    }

    /// Revokes a key by its id; once revoked it stays as it is.
    ///
    /// # Errors
    /// No key has the id, or the file can't be read or written.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<KeyEntry, KeysError> {
        self.change(|keys| {
            let key = find(keys, id)?;
            key.revoked.get_or_insert(now);
            Ok(key.clone())
        })
    }

    /// Revokes the keys of a project, but server keys and the one with the id `but`. Returns how many there were.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn revoke_project(
        &self,
        project: &Project,
        but: Option<&str>,
        now: Timestamp,
    ) -> Result<usize, KeysError> {
        self.change(|keys| {
            let of_project = keys.iter_mut().filter(|key| {
                key.project == *project && !key.server && but != Some(key.id.as_str())
            });
            let alive = of_project.filter(|key| key.revoked.is_none());
            Ok(alive.map(|key| key.revoked = Some(now)).count())
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<KeyEntry>) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let lock = File::create(self.path.with_extension("lock"))?;
        lock.file().lock()?;
        let mut keys = self.list()?;
        let changed = change(&mut keys)?;
        let content = serde_json::to_vec_pretty(&Content { format_version: FORMAT_VERSION, keys });
        millpond_store::replace_file(&self.path, &content.map_err(io::Error::other)?)?;
        Ok(changed)
    }
}

fn check_name(name: &str) -> Result<(), KeysError> {
    let characters = name.chars().count();
    if characters <= KEY_NAME_CHARACTERS_MAX {
        return Ok(());
    }
    Err(KeysError::Invalid(format!(
        "the name has {characters} characters, expected at most {KEY_NAME_CHARACTERS_MAX}"
    )))
}

fn check_expiry(expires: Option<Timestamp>, now: Timestamp) -> Result<(), KeysError> {
    match expires {
        Some(expires) if expires <= now => Err(KeysError::Invalid(format!(
            "the key expires at {expires}, expected a time to come"
        ))),
        _ => Ok(()),
    }
}

fn find<'a>(keys: &'a mut [KeyEntry], id: &str) -> Result<&'a mut KeyEntry, KeysError> {
    keys.iter_mut().find(|key| key.id == id).ok_or_else(|| KeysError::Unknown(id.to_owned()))
}

fn usable<'a>(keys: &'a mut [KeyEntry], id: &str) -> Result<&'a mut KeyEntry, KeysError> {
    let key = find(keys, id)?;
    if key.revoked.is_some() { Err(KeysError::Revoked(id.to_owned())) } else { Ok(key) }
}

/// Forgets the key that was revoked first, if the project has no room for another.
fn make_room(keys: &mut Vec<KeyEntry>, project: &Project) -> Result<(), KeysError> {
    if keys.iter().filter(|key| key.project == *project).count() < PROJECT_KEYS_MAX {
        return Ok(());
    }
    let revoked = keys.iter().enumerate().filter(|(_, key)| key.project == *project);
    let revoked = revoked.filter_map(|(place, key)| Some((key.revoked?, place)));
    let (_, place) = revoked.min().ok_or_else(|| KeysError::TooMany(project.clone()))?;
    keys.remove(place);
    Ok(())
}

/// Short enough to type, so it may be taken already.
fn unused_id(keys: &[KeyEntry]) -> Result<String, KeysError> {
    loop {
        let id = format!("k_{}", random_hex::<4>()?);
        if keys.iter().all(|key| key.id != id) {
            return Ok(id);
        }
    }
}

fn secret() -> Result<(String, KeyHash), KeysError> {
    let secret = format!("{PREFIX}{}", random_hex::<32>()?);
    let hash = KeyHash::of(&secret);
    Ok((secret, hash))
}

fn random_hex<const BYTES: usize>() -> Result<String, KeysError> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(KeysError::Random)?;
    Ok(hex(&random))
}
