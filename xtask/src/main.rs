//! `cargo xtask`: the tests, the demo and the benchmark, each one command from a clean clone.
//!
//! It starts the tools and programs that do the work, shows what they do, and ends what it started.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a person")]

mod bench;
mod compat;
mod demo;
mod interrupt;
mod layers;
mod python;
mod screen;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Millpond's tests, demo and benchmark")]
enum Command {
    /// Run every test there is, from a clean clone.
    Test(test::Options),
    /// Show Millpond at work: two real services, a server that is killed, and the account.
    Demo(demo::Options),
    /// Measure the cost of a log call, ingest, disk and five queries.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Test(options) => test::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", screen::red("error:"));
            ExitCode::FAILURE
        }
    }
}
