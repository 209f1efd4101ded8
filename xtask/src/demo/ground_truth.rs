//! What the services say that they logged, in files of their own, compared with what the server gives back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use millpond_system_tests::{Account, Api};

/// One file of event ids per service.
pub(crate) struct GroundTruth {
    files: Vec<PathBuf>,
}

impl GroundTruth {
    /// The files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { files: super::system::SERVICES.map(|name| file(folder, name)).into() }
    }

    /// Reads both sides and compares them.
    pub(crate) fn compare(&self, api: &Api) -> Result<Account> {
        let written = self.event_ids()?;
        let records = api.all(&[])?;
        let stored =
            records.iter().filter_map(|record| record.pointer("/fields/event_id")?.as_str());
        Ok(Account::new(written.iter().map(String::as_str), stored))
    }

    /// The first few ids that should not be in the account.
    pub(crate) fn evidence(&self, account: &Account) -> String {
        let kinds = [
            ("lost", &account.lost),
            ("twice", &account.twice),
            ("never written", &account.foreign),
        ];
        let lines = kinds.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(kind, ids)| {
            let first: Vec<_> = ids.iter().take(5).map(String::as_str).collect();
            format!("  {kind}: {}\n", first.join(" "))
        });
        let files = self.files.iter().map(|file| format!("  ground truth: {}\n", file.display()));
        lines.chain(files).collect()
    }

    fn event_ids(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for file in &self.files {
            let text = fs::read_to_string(file)
                .with_context(|| format!("read the ground truth {}", file.display()))?;
            // `ID<tab>what it was about`
            ids.extend(text.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned));
        }
        Ok(ids)
    }
}

/// The ground-truth file of a service.
pub(crate) fn file(folder: &Path, service: &str) -> PathBuf {
    folder.join(format!("{service}.ground-truth.tsv"))
}
