//! `millpond key …`.

use std::{
    io::Write,
    num::{NonZeroU32, NonZeroU64},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use millpond_record::Timestamp;
use millpond_server::{
    KeyChange, KeyLimits, KeyLimitsChange, KeyStatus, NewKey, Scope, grace_nanos,
};
use millpond_store::Project;

use crate::{
    administrator::{Place, time_to_come},
    render::plain,
    size::{Setting, bytes, number, setting},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key. It is shown once; only its hash is kept.
    Create(CreateArguments),
    /// List keys, revoked ones too.
    List(ListArguments),
    /// Change name, expiry or limits of a key.
    Change(ChangeArguments),
    /// Give a key a new secret, shown once; the old one works for another while.
    Rotate(RotateArguments),
    /// Revoke a key. A running server refuses it within a second.
    Revoke(IdArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    place: Place,
    /// The project whose records the key reaches; `default`, or with --server that of the key that asks.
    #[arg(long)]
    project: Option<Project>,
    /// What to call the key.
    #[arg(long, default_value = "")]
    name: String,
    /// What the key may do.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [ScopeName::Ingest, ScopeName::Query])]
    scopes: Vec<ScopeName>,
    /// Let the key administer all projects; it gets the scope `admin`.
    #[arg(long)]
    server_key: bool,
    /// When the key ends by itself: RFC 3339, or how long from now, such as 90d.
    #[arg(long, value_parser = time_to_come)]
    expires: Option<Timestamp>,
    /// Requests of any kind in a second.
    #[arg(long, value_name = "COUNT")]
    requests_per_second: Option<NonZeroU32>,
    /// Records in a second, on average.
    #[arg(long, value_name = "COUNT")]
    records_per_second: Option<NonZeroU32>,
    /// Bytes in a day of UTC, such as 10GB.
    #[arg(long, value_name = "SIZE", value_parser = bytes::<NonZeroU64>)]
    bytes_per_day: Option<NonZeroU64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    place: Place,
    /// Only the keys of this project.
    #[arg(long)]
    project: Option<Project>,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    of: IdArguments,
    /// What to call the key.
    #[arg(long)]
    name: Option<String>,
    /// When the key ends by itself: RFC 3339, how long from now, or `never`.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| setting(text, time_to_come))]
    expires: Option<Setting<Timestamp>>,
    /// Requests of any kind in a second, or `none`.
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| setting(text, number::<NonZeroU32>))]
    requests_per_second: Option<Setting<NonZeroU32>>,
    /// Records in a second, on average, or `none`.
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| setting(text, number::<NonZeroU32>))]
    records_per_second: Option<Setting<NonZeroU32>>,
    /// Bytes in a day of UTC, such as 10GB, or `none`.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| setting(text, bytes::<NonZeroU64>))]
    bytes_per_day: Option<Setting<NonZeroU64>>,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    #[command(flatten)]
    of: IdArguments,
    /// How long the old secret works on, up to 30d.
    #[arg(long, default_value = "24h", value_parser = grace)]
    grace: Grace,
}

#[derive(Debug, Args)]
pub(crate) struct IdArguments {
    #[command(flatten)]
    place: Place,
    /// The key's id, as `millpond key list` shows it.
    id: String,
}

/// How long an old secret works, as it was written and in nanoseconds.
#[derive(Clone, Debug)]
struct Grace(String, i64);

fn grace(text: &str) -> Result<Grace, String> {
    Ok(Grace(text.to_owned(), grace_nanos(text)?))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
        Command::Create(arguments) => create(arguments, &mut out)?,
        Command::List(ListArguments { place, project }) => {
            writeln!(
                out,
                "{:<12} {:<16} {:<20} {:<32} {:<8} {:<32} {:<32} {:>12} NAME",
                "ID",
                "PROJECT",
                "SCOPES",
                "CREATED",
                "STATE",
                "EXPIRES",
                "LAST USED",
                "BYTES TODAY"
            )?;
            for key in place.administrator()?.keys(project.as_ref())? {
                writeln!(out, "{}", row(&key))?;
            }
        }
        Command::Change(arguments) => change(arguments, &mut out)?,
        Command::Rotate(RotateArguments { of, grace: Grace(text, nanos) }) => {
            let (key, entry) = of.place.administrator()?.rotate_key(&of.id, (&text, nanos))?;
            show(&mut out, &key, &entry)?;
            if let Some(until) = entry.previous_until {
                writeln!(out, "     the old one works until {until}")?;
            }
        }
        Command::Revoke(IdArguments { place, id }) => {
            place.administrator()?.revoke_key(&id)?;
            writeln!(out, "revoked {id}")?;
        }
    }
    Ok(())
}

fn create(arguments: CreateArguments, out: &mut impl Write) -> Result<()> {
    let mut scopes: Vec<Scope> = arguments.scopes.into_iter().map(Scope::from).collect();
    if arguments.server_key && !scopes.contains(&Scope::Admin) {
        scopes.push(Scope::Admin);
    }
    let limits = KeyLimits {
        requests_per_second: arguments.requests_per_second,
        records_per_second: arguments.records_per_second,
        bytes_per_day: arguments.bytes_per_day,
    };
    let administrator = arguments.place.administrator()?;
    let (key, entry) = administrator.create_key(arguments.project, |project| NewKey {
        project,
        name: arguments.name,
        scopes,
        server: arguments.server_key,
        expires: arguments.expires,
        limits,
    })?;
    show(out, &key, &entry)
}

fn change(arguments: ChangeArguments, out: &mut impl Write) -> Result<()> {
    let ChangeArguments { of, name, expires, .. } = arguments;
    let limits = KeyLimitsChange {
        requests_per_second: arguments.requests_per_second.map(|Setting(limit)| limit),
        records_per_second: arguments.records_per_second.map(|Setting(limit)| limit),
        bytes_per_day: arguments.bytes_per_day.map(|Setting(limit)| limit),
    };
    let change = KeyChange { name, expires: expires.map(|Setting(time)| time), limits };
    of.place.administrator()?.change_key(&of.id, change)?;
    writeln!(out, "changed {}", of.id)?;
    Ok(())
}

/// Shows a key, the only time that anything does.
pub(crate) fn show(out: &mut impl Write, key: &str, entry: &KeyStatus) -> Result<()> {
    writeln!(out, "key: {}", plain(key))?;
    writeln!(out, "     id {}, project {}; shown this once", plain(&entry.id), entry.project)?;
    Ok(())
}

fn row(key: &KeyStatus) -> String {
    let mut scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
    if key.server {
        scopes.push("server");
    }
    let time =
        |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    format!(
        "{:<12} {:<16} {:<20} {:<32} {:<8} {:<32} {:<32} {:>12} {}",
        plain(&key.id),
        key.project,
        scopes.join(","),
        key.created.to_string(),
        key.state.name(),
        time(key.expires),
        time(key.last_used),
        key.bytes_today,
        plain(&key.name)
    )
}

#[expect(clippy::disallowed_methods, reason = "the command line stands where the clock is")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
