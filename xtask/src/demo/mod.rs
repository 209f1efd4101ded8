//! `cargo xtask demo`: two real services under real traffic, a server that is killed in the middle of it, and the
//! account of what that cost.

mod ground_truth;
mod histogram;
mod show;
mod system;
mod traffic;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use jiff::Timestamp;

use self::{ground_truth::GroundTruth, system::System};
use crate::{
    interrupt::{Interrupt, Interrupted},
    python, screen, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// End after the account, with status 0 only if it is clean.
    #[arg(long)]
    once: bool,
    /// Build everything in release mode.
    #[arg(long)]
    release: bool,
    /// A data directory that does not exist yet [default: target/demo/data, replaced at every run]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many requests the services get.
    #[arg(long, value_name = "N", default_value_t = 600)]
    requests: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let interrupt = Interrupt::install()?;
    build(options.release)?;
    interrupt.check()?;

    screen::heading("Starting the server and two services");
    let place = system::Place::prepare(options.data.clone())?;
    let truth = GroundTruth::new(&place.folder);
    let mut system = System::start(place, options.release, &interrupt)?;
    let done = watch(&mut system, &truth, options, &interrupt);
    if done.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
        system.show_logs();
    }
    done
}

fn build(release: bool) -> Result<()> {
    screen::heading("Building the server, the crate and the examples");
    workspace::build(release)?;
    screen::heading("Building the Python package and its environment");
    python::install(&["./python", "-r", "examples/fastapi/requirements.txt"])
}

fn watch(
    system: &mut System,
    truth: &GroundTruth,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<()> {
    screen::heading(&format!(
        "{} requests, and SIGKILL for the server meanwhile",
        options.requests
    ));
    let begun = Timestamp::now();
    let sent = traffic::drive(system, options.requests, interrupt)?;
    println!("{sent}");
    system.stop_services()?;

    let api = system.api();
    show::search(system)?;
    show::histogram(&api, begun)?;
    let spans = show::trace(&api, &sent.traces)?;
    show::top_errors(&api)?;

    show::from_python(system)?;

    screen::heading("The account");
    let account = truth.compare(&api)?;
    let clean = account.is_clean();
    let line = account.to_string();
    println!("{}", if clean { screen::green(&line) } else { screen::red(&line) });
    println!(
        "{}",
        screen::dim(
            "event ids the services wrote to their own files, against those read back page by page"
        )
    );

    if !options.once {
        system.start_services(interrupt)?;
        show::what_to_try_next(system);
        interrupt.wait();
        println!("\nending");
        system.stop_services()?;
    }
    system.stop()?;
    ensure!(clean, "the account is not clean:\n{}", truth.evidence(&account));
    ensure!(spans, "no trace spans both services");
    Ok(())
}

/// Long enough for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
