//! `millpond key …`.

use std::{
    io::Write,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use millpond_record::Timestamp;
use millpond_server::{Key, KeyFile, Scope};
use millpond_store::Project;

use crate::render::plain;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key. It is shown once; only its hash is kept.
    Create(CreateArguments),
    /// List all keys, revoked ones too.
    List(DataArguments),
    /// Revoke a key. A running server refuses it within a second.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// The server's data directory.
    #[arg(long, env = "MILLPOND_DATA_DIR", default_value = "millpond-data")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The project whose records the key reaches; it comes into being with its first record.
    #[arg(long, default_value = "default")]
    project: Project,
    /// What to call the key.
    #[arg(long, default_value = "")]
    name: String,
    /// What the key may do.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [ScopeName::Ingest, ScopeName::Query])]
    scopes: Vec<ScopeName>,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The key's id, as `millpond key list` shows it.
    id: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    Ingest,
    Query,
    Admin,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Ingest => Self::Ingest,
            ScopeName::Query => Self::Query,
            ScopeName::Admin => Self::Admin,
        }
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Create(CreateArguments { data, project, name, scopes }) => {
            let scopes: Vec<Scope> = scopes.into_iter().map(Scope::from).collect();
            let (key, entry) =
                KeyFile::new(&data.data_dir).create(project, &name, &scopes, now())?;
            writeln!(out, "key: {key}")?;
            writeln!(out, "     id {}, project {}; shown this once", entry.id, entry.project)?;
        }
        Command::List(data) => {
            writeln!(
                out,
                "{:<12} {:<16} {:<20} {:<32} {:<8} NAME",
                "ID", "PROJECT", "SCOPES", "CREATED", "STATE"
            )?;
            for key in KeyFile::new(&data.data_dir).list()? {
                writeln!(out, "{}", row(&key))?;
            }
        }
        Command::Revoke(RevokeArguments { data, id }) => {
            KeyFile::new(&data.data_dir).revoke(&id, now())?;
            writeln!(out, "revoked {id}")?;
        }
    }
    Ok(())
}

fn row(key: &Key) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
    let state = if key.revoked.is_some() { "revoked" } else { "valid" };
    format!(
        "{:<12} {:<16} {:<20} {:<32} {:<8} {}",
        plain(&key.id),
        key.project,
        scopes.join(","),
        plain(&key.created),
        state,
        plain(&key.name)
    )
}

#[expect(clippy::disallowed_methods, reason = "the command line stands where the clock is")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
