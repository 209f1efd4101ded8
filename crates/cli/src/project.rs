//! `millpond project …`.

use std::io::Write;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use millpond_record::Timestamp;
use millpond_server::ProjectStatus;
use millpond_store::{Project, Retention};

use crate::{
    administrator::Place,
    key::show,
    size::{Setting, bytes, seconds, setting},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List projects, with what is stored of them.
    List(ListArguments),
    /// Make a project: its first key, with all scopes, is shown once.
    Create(NameArguments),
    /// Say how long, and how much, a project's records are kept.
    Retention(RetentionArguments),
    /// Delete all records of a project, and revoke its keys.
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct NameArguments {
    #[command(flatten)]
    place: Place,
    /// The project.
    name: Project,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionArguments {
    #[command(flatten)]
    of: NameArguments,
    /// Delete records that are older than this, such as 30d; `none` to keep them.
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| setting(text, seconds))]
    age: Option<Setting<u64>>,
    /// Delete the oldest records while there is more than this, such as 10GB; `none` to keep them.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| setting(text, bytes::<u64>))]
    bytes: Option<Setting<u64>>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    of: NameArguments,
    /// The name of the project once more: what is deleted does not come back.
    #[arg(long, value_name = "NAME")]
    confirm: Project,
}

pub(crate) fn run(command: Command) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::List(ListArguments { place }) => {
            writeln!(
                out,
                "{:<16} {:>12} {:>14} {:<32} {:<32} {:>5} KEEPS",
                "PROJECT", "RECORDS", "BYTES", "OLDEST", "NEWEST", "KEYS"
            )?;
            for project in place.administrator()?.projects()? {
                writeln!(out, "{}", row(&project))?;
            }
        }
        Command::Create(NameArguments { place, name }) => {
            let (key, entry) = place.administrator()?.create_project(name)?;
            show(&mut out, &key, &entry)?;
        }
        Command::Retention(RetentionArguments { of, age, bytes }) => {
            let (age, bytes) = (age.map(|Setting(age)| age), bytes.map(|Setting(bytes)| bytes));
            ensure!(age.is_some() || bytes.is_some(), "nothing to set, expected --age or --bytes");
            let retention = of.place.administrator()?.retain(&of.name, age, bytes)?;
            writeln!(out, "{} keeps {}", of.name, kept(retention))?;
        }
        Command::Delete(DeleteArguments { of, confirm }) => {
            ensure!(confirm == of.name, "--confirm {confirm}, expected `{}`", of.name);
            let revoked = of.place.administrator()?.delete_project(&of.name)?;
            writeln!(out, "deleted {}, revoked {revoked} keys", of.name)?;
        }
    }
    Ok(())
}

fn row(project: &ProjectStatus) -> String {
    let time =
        |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    format!(
        "{:<16} {:>12} {:>14} {:<32} {:<32} {:>5} {}",
        project.name,
        project.records,
        project.bytes,
        time(project.oldest),
        time(project.newest),
        project.keys,
        kept(project.retention)
    )
}

fn kept(Retention { age_seconds, bytes }: Retention) -> String {
    let age = age_seconds.map(|seconds| format!("{seconds} s"));
    let bytes = bytes.map(|bytes| format!("{bytes} bytes"));
    match (age, bytes) {
        (None, None) => "everything".to_owned(),
        (Some(only), None) | (None, Some(only)) => only,
        (Some(age), Some(bytes)) => format!("{age}, {bytes}"),
    }
}
