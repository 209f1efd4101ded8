//! The audit log: who changed which key or project, when, and what came of it.
//!
//! `audit.jsonl` in the data directory holds one JSON object a line, oldest first. A line is synced before its act is
//! answered. The server and the command line append to the same file, under its lock; whoever wants to keep it short
//! renames it, and a new one begins. A line that a crash cut off is passed over.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use fs_err::{File, OpenOptions};
use millpond_record::Timestamp;
use millpond_store::Project;
use serde::{Deserialize, Serialize};

use crate::{limits::AUDIT_BYTES_READ, time_text};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A key was made.
    #[serde(rename = "key.create")]
    KeyCreate,
    /// Name, expiry or limits of a key were changed.
    #[serde(rename = "key.change")]
    KeyChange,
    /// A key got a new secret.
    #[serde(rename = "key.rotate")]
    KeyRotate,
    /// A key was revoked.
    #[serde(rename = "key.revoke")]
    KeyRevoke,
    /// A project got its first key.
    #[serde(rename = "project.create")]
    ProjectCreate,
    /// What a project keeps was changed.
    #[serde(rename = "project.retention")]
    ProjectRetention,
    /// A project was deleted.
    #[serde(rename = "project.delete")]
    ProjectDelete,
}

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    #[serde(with = "time_text")]
    pub time: Timestamp,
    /// Who: the id of a key, `cli`, or `server`.
    pub actor: String,
    /// The project that it concerns, if one is known.
    pub project: Option<Project>,
    /// What was done.
    pub act: Act,
    /// To what: the id of a key, or a project. Empty for a key that was not made.
    pub object: String,
    /// `done`, or `failed: ` and why.
    pub outcome: String,
}

/// The audit log of a data directory.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The audit log of a data directory; it need not exist.
    #[must_use]
    pub fn new(data_directory: &Path) -> Self {
        Self { path: data_directory.join("audit.jsonl") }
    }

    /// Adds an act; when this returns, it survives a crash.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn append(&self, entry: &AuditEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
        file.file().lock()?;
        if file.metadata()?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                // A crash cut the last line off; this one must not become a part of it.
                line.insert(0, b'\n');
            }
        }
        file.write_all(&line)?;
        file.sync_all()
    }

    /// The newest acts, newest first, at most `limit`; of one project, or of all. Only the last 8 MiB of the file are
    /// looked at.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn newest(&self, project: Option<&Project>, limit: usize) -> io::Result<Vec<AuditEntry>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let start = file.metadata()?.len().saturating_sub(AUDIT_BYTES_READ);
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        file.take(AUDIT_BYTES_READ).read_to_end(&mut text)?;
        let entries = text.split(|&byte| byte == b'\n').rev();
        // What does not parse was cut off, at the front by us or at its end by a crash.
        let entries = entries.filter_map(|line| serde_json::from_slice::<AuditEntry>(line).ok());
        let wanted = entries
            .filter(|entry| project.is_none_or(|project| entry.project.as_ref() == Some(project)));
        Ok(wanted.take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(object: &str, project: &str) -> AuditEntry {
        AuditEntry {
            time: Timestamp::from_nanos(0),
            actor: "cli".into(),
            project: Some(project.parse().unwrap()),
            act: Act::KeyRevoke,
            object: object.into(),
            outcome: "done".into(),
        }
    }

    #[test]
    fn acts_are_read_newest_first_and_by_project() {
        let directory = tempfile::tempdir().unwrap();
        let log = AuditLog::new(directory.path());
        assert_eq!(log.newest(None, 10).unwrap(), []);
        let [a, b, c] = [entry("a", "one"), entry("b", "two"), entry("c", "one")];
        for entry in [&a, &b, &c] {
            log.append(entry).unwrap();
        }
        assert_eq!(log.newest(None, 2).unwrap(), [c.clone(), b.clone()]);
        let one = "one".parse().unwrap();
        assert_eq!(log.newest(Some(&one), 10).unwrap(), [c, a]);
        let text = fs_err::read_to_string(&log.path).unwrap();
        let first = r#"{"time":"1970-01-01T00:00:00.000000000Z","actor":"cli","project":"one","act":"key.revoke","object":"a","outcome":"done"}"#;
        assert_eq!(text.lines().next(), Some(first));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_costs_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let log = AuditLog::new(directory.path());
        let [before, after] = [entry("before", "one"), entry("after", "one")];
        log.append(&before).unwrap();
        let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
        file.write_all(b"{\"time\":\"1970").unwrap();
        log.append(&after).unwrap();
        assert_eq!(log.newest(None, 10).unwrap(), [after, before]);
    }
}
