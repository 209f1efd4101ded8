//! The program `millpond`.

mod allocator;
mod bytes;
mod key;
mod read;
mod remote;
mod render;
mod serve;

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
    /// Make, list and revoke keys, on the data directory of a server that may be running.
    #[command(subcommand)]
    Key(key::Command),
    /// Find records, newest first.
    Query(read::QueryArguments),
    /// Show records as they are stored.
    Tail(read::TailArguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Key(command) => key::run(command),
        Command::Query(arguments) => read::query(&arguments),
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
