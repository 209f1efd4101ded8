//! Who does what `millpond key` and `millpond project` ask for: this program, on a data directory, or a running server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use millpond_record::Timestamp;
use millpond_server::{
    Actor, Administration, KeyChange, KeyStatus, NewKey, ProjectStatus, read_usage,
};
use millpond_store::{EmbeddedStore, Project, Retention, Store};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{key::now, remote::Remote};

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The server's data directory; the server may be running.
    #[arg(long, env = "MILLPOND_DATA_DIR", default_value = "millpond-data")]
    data_dir: PathBuf,
    /// Ask the server at this address instead.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// For `--server`: a key with the scope `admin`.
    #[arg(long, env = "MILLPOND_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Who acts.
pub(crate) enum Administrator {
    /// This program, on a data directory.
    Local(PathBuf),
    /// A running server.
    Remote(Remote),
}

impl Place {
    pub(crate) fn administrator(self) -> Result<Administrator> {
        let Some(server) = self.server else { return Ok(Administrator::Local(self.data_dir)) };
        let key = self.key.context("--server needs a key: --key or MILLPOND_API_KEY")?;
        Ok(Administrator::Remote(Remote::new(server, key)))
    }
}

impl Administrator {
    /// Makes a key; without a project for `default`, or for that of the key that asks.
    pub(crate) fn create_key(
        &self,
        project: Option<Project>,
        new: impl FnOnce(Project) -> NewKey,
    ) -> Result<(String, KeyStatus)> {
        let parameters = named(project.as_ref());
        let new = new(project.map_or_else(|| "default".parse(), Ok)?);
        match self {
            Self::Local(directory) => {
                let (key, entry) = Administration::new(directory).create_key(&actor(), new)?;
                Ok((key, KeyStatus::new(entry, None, now())))
            }
            Self::Remote(remote) => {
                let body = json!({
                    "name": new.name, "scopes": new.scopes, "server": new.server,
                    "expires": new.expires.map(|time| time.to_string()), "limits": new.limits,
                });
                with_secret(remote.send("POST", "/api/v1/admin/keys", &parameters, Some(&body))?)
            }
        }
    }

    /// All keys, or those of a project.
    pub(crate) fn keys(&self, project: Option<&Project>) -> Result<Vec<KeyStatus>> {
        match self {
            Self::Local(directory) => {
                let (usage, now) = (read_usage(directory)?, now());
                let keys = Administration::new(directory).keys().list()?.into_iter();
                let keys = keys.filter(|key| project.is_none_or(|project| key.project == *project));
                let status = |key: millpond_server::KeyEntry| {
                    let usage = usage.get(&key.id);
                    KeyStatus::new(key, usage, now)
                };
                Ok(keys.map(status).collect())
            }
            Self::Remote(remote) => {
                let answer = remote.send("GET", "/api/v1/admin/keys", &named(project), None)?;
                member(answer, "keys")
            }
        }
    }

    pub(crate) fn change_key(&self, id: &str, change: KeyChange) -> Result<KeyStatus> {
        match self {
            Self::Local(directory) => {
                let entry = Administration::new(directory).change_key(&actor(), id, change)?;
                Ok(KeyStatus::new(entry, None, now()))
            }
            Self::Remote(remote) => {
                let mut body = json!({ "limits": change.limits });
                if let Some(name) = change.name {
                    insert(&mut body, "name", name.into());
                }
                if let Some(expires) = change.expires {
                    insert(&mut body, "expires", expires.map(|time| time.to_string()).into());
                }
                read(remote.send("PATCH", &key_path(id)?, &[], Some(&body))?)
            }
        }
    }

    pub(crate) fn rotate_key(&self, id: &str, grace: (&str, i64)) -> Result<(String, KeyStatus)> {
        let (grace, nanos) = grace;
        match self {
            Self::Local(directory) => {
                let done = Administration::new(directory).rotate_key(&actor(), id, nanos)?;
                Ok((done.0, KeyStatus::new(done.1, None, now())))
            }
            Self::Remote(remote) => {
                let path = format!("{}/rotate", key_path(id)?);
                let body = json!({ "grace": grace });
                with_secret(remote.send("POST", &path, &[], Some(&body))?)
            }
        }
    }

    pub(crate) fn revoke_key(&self, id: &str) -> Result<()> {
        match self {
            Self::Local(directory) => {
                Administration::new(directory).revoke_key(&actor(), id)?;
            }
            Self::Remote(remote) => {
                remote.send("DELETE", &key_path(id)?, &[], None)?;
            }
        }
        Ok(())
    }

    pub(crate) fn projects(&self) -> Result<Vec<ProjectStatus>> {
        match self {
            Self::Local(directory) => {
                let store = open(directory)?;
                let projects = Administration::new(directory).projects(&store, now());
                store.close();
                Ok(projects?)
            }
            Self::Remote(remote) => {
                member(remote.send("GET", "/api/v1/admin/projects", &[], None)?, "projects")
            }
        }
    }

    /// Makes a project and its first key.
    pub(crate) fn create_project(&self, project: Project) -> Result<(String, KeyStatus)> {
        match self {
            Self::Local(directory) => {
                let done = Administration::new(directory).create_project(&actor(), project)?;
                Ok((done.0, KeyStatus::new(done.1, None, now())))
            }
            Self::Remote(remote) => {
                let body = json!({ "name": project });
                with_secret(remote.send("POST", "/api/v1/admin/projects", &[], Some(&body))?)
            }
        }
    }

    /// Changes what a project keeps: age in seconds, and bytes; what is `None` stays.
    pub(crate) fn retain(
        &self,
        project: &Project,
        age_seconds: Option<Option<u64>>,
        bytes: Option<Option<u64>>,
    ) -> Result<Retention> {
        match self {
            Self::Local(directory) => {
                let store = open(directory)?;
                let kept = store.projects().into_iter().find(|info| info.project == *project);
                let kept = kept.map(|info| info.retention).unwrap_or_default();
                let retention = Retention {
                    age_seconds: age_seconds.unwrap_or(kept.age_seconds),
                    bytes: bytes.unwrap_or(kept.bytes),
                };
                let administration = Administration::new(directory);
                let actor = actor();
                let set = administration.set_retention(&actor, &store, project, retention);
                let set = wait_for(set);
                store.close();
                set?.map(|()| retention).map_err(Into::into)
            }
            Self::Remote(remote) => {
                let mut retention = json!({});
                for (name, value) in [("age_seconds", age_seconds), ("bytes", bytes)] {
                    if let Some(value) = value {
                        insert(&mut retention, name, value.into());
                    }
                }
                let (path, body) = ("/api/v1/admin/project", json!({ "retention": retention }));
                member(remote.send("PATCH", path, &named(Some(project)), Some(&body))?, "retention")
            }
        }
    }

    /// Deletes a project's records and revokes its keys; returns how many keys.
    pub(crate) fn delete_project(&self, project: &Project) -> Result<u64> {
        match self {
            Self::Local(directory) => {
                let store = open(directory)?;
                let (administration, actor) = (Administration::new(directory), actor());
                let deleted = wait_for(administration.delete_project(&actor, &store, project));
                store.close();
                Ok(deleted?? as u64)
            }
            Self::Remote(remote) => {
                let mut parameters = named(Some(project));
                parameters.push(("confirm", project.to_string()));
                let path = "/api/v1/admin/project";
                member(remote.send("DELETE", path, &parameters, None)?, "keys_revoked")
            }
        }
    }
}

fn actor() -> Actor {
    Actor { name: "cli".to_owned(), now: now() }
}

fn open(directory: &Path) -> Result<EmbeddedStore> {
    ensure!(directory.is_dir(), "{}: there is no such data directory", directory.display());
    EmbeddedStore::open(directory).context("a running server is asked with --server URL --key KEY")
}

fn wait_for<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

fn named(project: Option<&Project>) -> Vec<(&'static str, String)> {
    project.map(|project| ("project", project.to_string())).into_iter().collect()
}

fn key_path(id: &str) -> Result<String> {
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !id.is_empty() {
        return Ok(format!("/api/v1/admin/keys/{id}"));
    }
    bail!("`{id}` is no key id; `millpond key list` shows them")
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).context("read the server's answer")
}

fn member<T: DeserializeOwned>(mut answer: Value, name: &str) -> Result<T> {
    read(answer.get_mut(name).map(Value::take).unwrap_or_default())
}

fn with_secret(mut answer: Value) -> Result<(String, KeyStatus)> {
    let key = answer.get_mut("key").map(Value::take).unwrap_or_default();
    Ok((read(key)?, member(answer, "entry")?))
}

/// Reads a time to come for an argument.
pub(crate) fn time_to_come(text: &str) -> Result<Timestamp> {
    millpond_server::time_to_come(text, now()).map_err(anyhow::Error::msg)
}
