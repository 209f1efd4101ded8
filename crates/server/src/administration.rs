//! Acts of administration: each changes keys or a project, and is written into the audit log with what came of it.
//! The API and the command line both act through it; who may do what is decided before.
//!
//! A project exists when a key that is not revoked names it, or records do. It is made by making its first key, and
//! deleted by deleting its records and revoking its keys.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, path::Path};

use millpond_record::Timestamp;
use millpond_store::{Project, ProjectInfo, Retention, Store};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Act, AuditEntry, AuditLog},
    keys::{KeyChange, KeyEntry, KeyFile, KeyLimits, KeyState, KeysError, NewKey, Scope},
    time_text,
    usage::KeyUsage,
};

/// Why an act of administration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdministrationError {
    /// The keys could not be read or changed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store could not make the change durable.
    #[error("change the project: {0}")]
    Store(#[source] io::Error),
    /// The act was done, and could not be written into the audit log.
    #[error("the act was done, but could not be written into the audit log: {0}")]
    Audit(#[source] io::Error),
}

/// A key as its administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Short name by which it is managed; no secret.
    pub id: String,
    /// What its owner called it.
    pub name: String,
    /// The project whose records it reaches.
    pub project: Project,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whether it administers all projects.
    pub server: bool,
    /// Whether it may be used.
    pub state: KeyState,
    /// When it was made.
    #[serde(with = "time_text")]
    pub created: Timestamp,
    /// When it ends by itself.
    #[serde(with = "time_text::option")]
    pub expires: Option<Timestamp>,
    /// When it last got a new secret.
    #[serde(with = "time_text::option")]
    pub rotated: Option<Timestamp>,
    /// Until when the secret before that works.
    #[serde(with = "time_text::option")]
    pub previous_until: Option<Timestamp>,
    /// When it was revoked.
    #[serde(with = "time_text::option")]
    pub revoked: Option<Timestamp>,
    /// When a request with it last came.
    #[serde(with = "time_text::option")]
    pub last_used: Option<Timestamp>,
    /// Bytes of the bodies that it stored today.
    pub bytes_today: u64,
    /// How much it may do.
    pub limits: KeyLimits,
}

impl KeyStatus {
    /// Joins what is kept of a key with what is known of its use.
    #[must_use]
    pub fn new(key: KeyEntry, usage: Option<&KeyUsage>, now: Timestamp) -> Self {
        Self {
            state: key.state(now),
            previous_until: key.previous_until(),
            last_used: usage.and_then(|usage| usage.last_used),
            bytes_today: usage.map_or(0, |usage| usage.bytes_today(now)),
            id: key.id,
            name: key.name,
            project: key.project,
            scopes: key.scopes,
            server: key.server,
            created: key.created,
            expires: key.expires,
            rotated: key.rotated,
            revoked: key.revoked,
            limits: key.limits,
        }
    }
}

/// A project as its administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// Its name.
    pub name: Project,
    /// Number of its records.
    pub records: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Event time of its oldest record.
    #[serde(with = "time_text::option")]
    pub oldest: Option<Timestamp>,
    /// Event time of its newest record.
    #[serde(with = "time_text::option")]
    pub newest: Option<Timestamp>,
    /// What is kept.
    pub retention: Retention,
    /// Its keys that may be used.
    pub keys: usize,
}

impl ProjectStatus {
    fn new(name: Project) -> Self {
        let retention = Retention::default();
        Self { name, records: 0, bytes: 0, oldest: None, newest: None, retention, keys: 0 }
    }

    fn of(info: ProjectInfo) -> Self {
        Self {
            records: info.records,
            bytes: info.bytes,
            oldest: info.times.map(|(oldest, _)| oldest),
            newest: info.times.map(|(_, newest)| newest),
            retention: info.retention,
            ..Self::new(info.project)
        }
    }
}

/// The keys of a data directory, and the log of what is done to them and to its projects.
#[derive(Clone, Debug)]
pub struct Administration {
    keys: KeyFile,
    audit: AuditLog,
}

/// Who acts, and when.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The id of a key, `cli`, or `server`.
    pub name: String,
    /// Now.
    pub now: Timestamp,
}

impl Administration {
    /// That of a data directory; nothing in it need exist.
    #[must_use]
    pub fn new(data_directory: &Path) -> Self {
        Self { keys: KeyFile::new(data_directory), audit: AuditLog::new(data_directory) }
    }

    /// The keys, to look at.
    #[must_use]
    pub fn keys(&self) -> &KeyFile {
        &self.keys
    }

    /// The audit log, to look at.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Makes a key; the text is the key, which nothing can show again.
    ///
    /// # Errors
    /// As [`KeyFile::create`], or the audit log can't be written.
    pub fn create_key(
        &self,
        actor: &Actor,
        new: NewKey,
    ) -> Result<(String, KeyEntry), AdministrationError> {
        let project = new.project.clone();
        let made = self.keys.create(new, actor.now);
        let id = made.as_ref().map_or_else(|_| String::new(), |(_, key)| key.id.clone());
        self.log(actor, Some(project), Act::KeyCreate, id, made.map_err(Into::into))
    }

    /// Makes the first key, a server key, if there is no key at all.
    ///
    /// # Errors
    /// As [`Administration::create_key`].
    pub fn first_key(&self, now: Timestamp) -> Result<Option<String>, AdministrationError> {
        if !self.keys.list()?.is_empty() {
            return Ok(None);
        }
        let project = "default".parse().map_err(io::Error::other).map_err(KeysError::from)?;
        let new = NewKey { server: true, ..NewKey::first(project) };
        let actor = Actor { name: "server".to_owned(), now };
        self.create_key(&actor, new).map(|(key, _)| Some(key))
    }

    /// Changes what may be changed about a key.
    ///
    /// # Errors
    /// As [`KeyFile::update`], or the audit log can't be written.
    pub fn change_key(
        &self,
        actor: &Actor,
        id: &str,
        change: KeyChange,
    ) -> Result<KeyEntry, AdministrationError> {
        let changed = self.keys.update(id, change, actor.now);
        let project = changed.as_ref().ok().map(|key| key.project.clone());
        self.log(actor, project, Act::KeyChange, id.to_owned(), changed.map_err(Into::into))
    }

    /// Gives a key a new secret; the one before works for another `grace_nanos`.
    ///
    /// # Errors
    /// As [`KeyFile::rotate`], or the audit log can't be written.
    pub fn rotate_key(
        &self,
        actor: &Actor,
        id: &str,
        grace_nanos: i64,
    ) -> Result<(String, KeyEntry), AdministrationError> {
        let rotated = self.keys.rotate(id, grace_nanos, actor.now);
        let project = rotated.as_ref().ok().map(|(_, key)| key.project.clone());
        self.log(actor, project, Act::KeyRotate, id.to_owned(), rotated.map_err(Into::into))
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// As [`KeyFile::revoke`], or the audit log can't be written.
    pub fn revoke_key(&self, actor: &Actor, id: &str) -> Result<KeyEntry, AdministrationError> {
        let revoked = self.keys.revoke(id, actor.now);
        let project = revoked.as_ref().ok().map(|key| key.project.clone());
        self.log(actor, project, Act::KeyRevoke, id.to_owned(), revoked.map_err(Into::into))
    }

    /// All projects by name, with what `store` has of them.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn projects(
        &self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Vec<ProjectStatus>, AdministrationError> {
        let stored = store.projects().into_iter().map(ProjectStatus::of);
        let mut projects: BTreeMap<Project, ProjectStatus> =
            stored.map(|status| (status.name.clone(), status)).collect();
        for key in self.keys.list()? {
            if key.revoked.is_some() {
                continue;
            }
            let valid = key.state(now) == KeyState::Valid;
            let project = projects.entry(key.project.clone());
            let status = project.or_insert_with(|| ProjectStatus::new(key.project));
            status.keys += usize::from(valid);
        }
        Ok(projects.into_values().collect())
    }

    /// Makes a project, which is to make its first key, one with all scopes.
    ///
    /// # Errors
    /// A key names the project already; otherwise as [`Administration::create_key`].
    pub fn create_project(
        &self,
        actor: &Actor,
        project: Project,
    ) -> Result<(String, KeyEntry), AdministrationError> {
        let new = NewKey::first(project.clone());
        let made = self.keys.create_first(new, actor.now).map_err(Into::into);
        let name = project.to_string();
        self.log(actor, Some(project), Act::ProjectCreate, name, made)
    }

    /// Sets how long, and how much, a project's records are kept.
    ///
    /// # Errors
    /// The store or the audit log can't be written.
    pub async fn set_retention(
        &self,
        actor: &Actor,
        store: &dyn Store,
        project: &Project,
        retention: Retention,
    ) -> Result<(), AdministrationError> {
        let set = store.set_retention(project, retention).await;
        let (name, set) = (project.to_string(), set.map_err(AdministrationError::Store));
        self.log(actor, Some(project.clone()), Act::ProjectRetention, name, set)
    }

    /// Deletes a project's records and revokes its keys, but server keys. Returns how many keys there were.
    ///
    /// The actor's own key goes last: should something fail, it can try again.
    ///
    /// # Errors
    /// The store, the keys or the audit log can't be written.
    pub async fn delete_project(
        &self,
        actor: &Actor,
        store: &dyn Store,
        project: &Project,
    ) -> Result<usize, AdministrationError> {
        let deleted = async {
            // Nobody adds anything once the deletion begins.
            let others = self.keys.revoke_project(project, Some(&actor.name), actor.now)?;
            store.delete_project(project).await.map_err(AdministrationError::Store)?;
            Ok(others + self.keys.revoke_project(project, None, actor.now)?)
        };
        let (name, deleted) = (project.to_string(), deleted.await);
        self.log(actor, Some(project.clone()), Act::ProjectDelete, name, deleted)
    }

    /// Writes down what came of an act, and passes it on.
    fn log<T>(
        &self,
        actor: &Actor,
        project: Option<Project>,
        act: Act,
        object: String,
        result: Result<T, AdministrationError>,
    ) -> Result<T, AdministrationError> {
        let outcome = match &result {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        let actor_name = actor.name.clone();
        let entry =
            AuditEntry { time: actor.now, actor: actor_name, project, act, object, outcome };
        match (self.audit.append(&entry), result) {
            (Err(error), Ok(_)) => Err(AdministrationError::Audit(error)),
            (_, result) => result,
        }
    }
}
