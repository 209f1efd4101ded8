//! The program `millpond`.

mod administrator;
mod allocator;
mod data;
mod key;
mod project;
mod read;
mod remote;
mod render;
mod serve;
mod size;
mod sql;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Structured logs, from the line of code that wrote them to the person who asks about them.
#[derive(Debug, Parser)]
#[command(name = "millpond", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Arguments),
    /// Make, list, change, rotate and revoke keys, on a data directory or through a running server.
    #[command(subcommand)]
    Key(key::Command),
    /// Make, list and delete projects, and say what they keep.
    #[command(subcommand)]
    Project(project::Command),
    /// Look whether the data of a stopped server is whole: one line for each problem, exit code 1 if there are any.
    Check(data::Arguments),
    /// Put aside what can't be read of the data of a stopped server, so that it starts with the rest. Deletes nothing.
    Repair(data::Arguments),
    /// Copy the data of a server that may be running.
    Backup(data::BackupArguments),
    /// Find records, newest first.
    Query(read::QueryArguments),
    /// Ask in SQL.
    Sql(sql::Arguments),
    /// Show records as they are stored.
    Tail(read::TailArguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Key(command) => key::run(command),
        Command::Project(command) => project::run(command),
        Command::Check(arguments) => data::check(&arguments),
        Command::Repair(arguments) => data::repair(&arguments),
        Command::Backup(arguments) => data::backup(&arguments),
        Command::Query(arguments) => read::query(&arguments),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Tail(arguments) => read::tail(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", render::plain(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
