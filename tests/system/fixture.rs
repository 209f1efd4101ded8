//! A fresh server on a directory of its own, and records to send to it.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Serve, Server, built_program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server that a test has to itself.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) api: Api,
}

impl Fixture {
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let mut server = serve_in(&folder)?.start()?;
        let api = server.first_api()?;
        Ok(Self { folder, server, api })
    }

    /// Method and path of every route that needs a key, as the server itself tells: `/api/v1/logs/{id}`; and whether it
    /// is ours, not another system's.
    pub(crate) fn routes_with_key(&self) -> Result<Vec<(String, String, bool)>> {
        let document = self.api.bare("GET", "/api/v1/openapi.json", &[])?.succeeded()?.body;
        let mut routes = Vec::new();
        for (path, operations) in document["paths"].as_object().context("no paths")? {
            for (method, operation) in operations.as_object().context("no operations")? {
                if operation["security"] != json!([]) {
                    let ours = operation["tags"] == json!(["Millpond"]);
                    routes.push((method.to_uppercase(), path.clone(), ours));
                }
            }
        }
        Ok(routes)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends the server with SIGKILL, does `meanwhile`, and starts it again.
    pub(crate) fn crash(self, meanwhile: impl FnOnce() -> Result<()>) -> Result<Self> {
        let Self { folder, server, api } = self;
        let serve = server.kill()?;
        meanwhile()?;
        Ok(Self { folder, server: serve.start()?, api })
    }

    /// Ends the server with SIGTERM, does `meanwhile`, and starts it again.
    pub(crate) fn restart(self, meanwhile: impl FnOnce() -> Result<()>) -> Result<Self> {
        let Self { folder, server, api } = self;
        let serve = server.stop()?;
        meanwhile()?;
        Ok(Self { folder, server: serve.start()?, api })
    }

    /// A key that `millpond key create …` makes, known to the server; its id comes with it.
    pub(crate) fn new_key(&self, arguments: &[&str]) -> Result<(Api, String)> {
        let created = self.key(&[&["create"], arguments].concat())?;
        let id = created.split_whitespace().skip_while(|word| *word != "id").nth(1);
        let id = id.context("no id was printed")?.trim_end_matches(',').to_owned();
        Ok((self.api.with_key(&printed_key(&created)?), id))
    }

    /// `millpond key …` on this server's data directory.
    pub(crate) fn key(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(built_program("millpond")?);
        command.arg("key").args(arguments).arg("--data-dir").arg(self.data_dir());
        output(&mut command)
    }
}

pub(crate) fn serve_in(folder: &TempDir) -> Result<Serve> {
    Ok(Serve::new(&built_program("millpond")?, &folder.path().join("data")))
}

/// What a command prints; an error with what it complains about if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// `key: mp_…` in what the program printed.
pub(crate) fn printed_key(output: &str) -> Result<String> {
    let key = output.lines().find_map(|line| line.trim().strip_prefix("key: "));
    Ok(key.with_context(|| format!("no `key: ` in `{output}`"))?.trim().to_owned())
}

/// A record that an account can be kept of.
pub(crate) fn event(id: &str) -> Value {
    json!({ "message": format!("event {id}"), "service": "tests", "fields": { "event_id": id } })
}

pub(crate) fn events(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| event(id)).collect()
}

/// `PREFIX-0`, `PREFIX-1`, …
pub(crate) fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}-{index}")).collect()
}

/// The event ids of records that were read back, in their order.
pub(crate) fn event_ids(records: &[Value]) -> Vec<String> {
    let ids = records.iter().filter_map(|record| record["fields"]["event_id"].as_str());
    ids.map(str::to_owned).collect()
}

pub(crate) fn messages(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|record| record["message"].as_str()).collect()
}

/// The same in any order.
pub(crate) fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values
}
