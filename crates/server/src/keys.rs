//! API keys: what they may do, for which project, and the file that holds their hashes.
//!
//! A key is 256 random bits, so one round of SHA-256 is as good as many, and looking it up by its hash tells an
//! attacker nothing by its timing. The key itself is shown once and never stored. The file is shared with the command
//! line: writers take `keys.lock`, the server reads again when the file changed.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use fs_err::{self as fs, File};
use millpond_record::Timestamp;
use millpond_store::Project;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::KEYS_AGE_MAX;

const FORMAT_VERSION: u32 = 1;
const PREFIX: &str = "mp_";

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send records.
    Ingest,
    /// Read records.
    Query,
    /// Change projects and keys.
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

/// A key as it is kept: everything but the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Short name by which it is revoked; no secret.
    pub id: String,
    /// The project whose records it reaches.
    pub project: Project,
    /// What its owner called it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the key, in hex.
    hash: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was revoked, RFC 3339.
    pub revoked: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format_version: u32,
    keys: Vec<Key>,
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
    /// No key has this id.
    #[error("no key has the id `{0}`; `millpond key list` shows them")]
    Unknown(String),
    /// The system gave no random numbers.
    #[error("make a key: {0}")]
    Random(getrandom::Error),
}

/// The key file of a data directory.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file of a data directory; it need not exist.
    #[must_use]
    pub fn new(data_directory: &Path) -> Self {
        Self { path: data_directory.join("keys.json") }
    }

    /// All keys, revoked ones too.
    ///
    /// # Errors
    /// The file can't be read or is damaged.
    pub fn list(&self) -> Result<Vec<Key>, KeysError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice::<Content>(&text)
                .map(|content| content.keys)
                .map_err(|error| KeysError::Form { path: self.path.clone(), error }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a key; the text is the key, which nothing can show again.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn create(
        &self,
        project: Project,
        name: &str,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(String, Key), KeysError> {
        let (secret, id) = (random_hex(32)?, random_hex(4)?);
        let key = format!("{PREFIX}{secret}");
        let entry = Key {
            id: format!("k_{id}"),
            project,
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            hash: hash(&key),
            created: now.to_string(),
            revoked: None,
        };
        self.change(|keys| {
            keys.push(entry.clone());
            Ok(())
        })?;
        Ok((key, entry))
    }

    /// Revokes a key by its id; once revoked it stays as it is.
    ///
    /// # Errors
    /// No key has the id, or the file can't be read or written.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<(), KeysError> {
        self.change(|keys| {
            let key = keys
                .iter_mut()
                .find(|key| key.id == id)
                .ok_or_else(|| KeysError::Unknown(id.to_owned()))?;
            key.revoked.get_or_insert_with(|| now.to_string());
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<Key>) -> Result<(), KeysError>,
    ) -> Result<(), KeysError> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let lock = File::create(self.path.with_extension("lock"))?;
        lock.file().lock()?;
        let mut keys = self.list()?;
        change(&mut keys)?;
        let content = serde_json::to_vec_pretty(&Content { format_version: FORMAT_VERSION, keys });
        millpond_store::replace_file(&self.path, &content.map_err(io::Error::other)?)?;
        Ok(())
    }
}

fn random_hex(bytes: usize) -> Result<String, KeysError> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(KeysError::Random)?;
    Ok(hex(&random))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hash(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// The keys as the server sees them.
#[derive(Debug)]
pub(crate) struct Keys {
    file: KeyFile,
    view: Mutex<View>,
}

#[derive(Debug, Default)]
struct View {
    by_hash: HashMap<String, Key>,
    /// Of the file that was read: when it was changed, and its size.
    version: Option<(SystemTime, u64)>,
    checked: Option<Instant>,
}

impl Keys {
    pub(crate) fn new(file: KeyFile) -> Self {
        Self { file, view: Mutex::default() }
    }

    /// The key that was sent, if it is one and not revoked.
    pub(crate) fn find(&self, key: &str) -> Result<Option<Key>, KeysError> {
        self.find_hash(&hash(key))
    }

    /// Whether a key that was found before may still be used.
    pub(crate) fn is_valid(&self, key: &Key) -> bool {
        matches!(self.find_hash(&key.hash), Ok(Some(_)))
    }

    fn find_hash(&self, hash: &str) -> Result<Option<Key>, KeysError> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = view.checked.is_some_and(|checked| checked.elapsed() < KEYS_AGE_MAX);
        // A key that is not known may have been made a moment ago.
        if !fresh || !view.by_hash.contains_key(hash) {
            self.refresh(&mut view)?;
        }
        Ok(view.by_hash.get(hash).filter(|key| key.revoked.is_none()).cloned())
    }

    fn refresh(&self, view: &mut View) -> Result<(), KeysError> {
        let version = match fs::metadata(&self.file.path) {
            Ok(metadata) => Some((metadata.modified()?, metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if version != view.version || view.checked.is_none() {
            view.by_hash =
                self.file.list()?.into_iter().map(|key| (key.hash.clone(), key)).collect();
            view.version = version;
        }
        view.checked = Some(Instant::now());
        Ok(())
    }
}

/// Makes the first key of a data directory that has none.
pub(crate) fn first_key(file: &KeyFile, now: Timestamp) -> Result<Option<String>, KeysError> {
    if !file.list()?.is_empty() {
        return Ok(None);
    }
    let project = "default".parse().map_err(io::Error::other)?;
    let (key, _) = file.create(project, "first key", &Scope::ALL, now)?;
    Ok(Some(key))
}
