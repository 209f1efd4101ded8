//! The demo's three processes: the server, orders (FastAPI, Python package) and payments (axum, Rust crate).

use std::{
    fs,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use millpond_system_tests::{Api, Process, Serve, Server};

use super::{PATIENCE, ground_truth};
use crate::{interrupt::Interrupt, python, screen, workspace};

/// The services by name, in the order in which a request meets them.
pub(crate) const SERVICES: [&str; 2] = [ORDERS, PAYMENTS];
pub(crate) const ORDERS: &str = "orders";
pub(crate) const PAYMENTS: &str = "payments";

/// Folders of one run.
pub(crate) struct Place {
    /// Logs and ground truth.
    pub(crate) folder: PathBuf,
    data_dir: PathBuf,
}

impl Place {
    /// Empties what is ours; a data directory that someone named must not exist yet.
    pub(crate) fn prepare(data_dir: Option<PathBuf>) -> Result<Self> {
        let folder = workspace::target().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let data_dir = match data_dir {
            None => folder.join("data"),
            Some(named) => {
                ensure!(!named.exists(), "{} exists; name a new directory", named.display());
                named
            }
        };
        Ok(Self { folder, data_dir })
    }
}

struct Service {
    name: &'static str,
    url: String,
    process: Process,
}

/// Everything that runs. Dropping it ends all of it.
pub(crate) struct System {
    place: Place,
    release: bool,
    /// Absent while it is down.
    server: Option<Server>,
    serve: Serve,
    key: String,
    services: Vec<Service>,
}

impl System {
    /// Starts the server on a fresh data directory, then the services.
    pub(crate) fn start(place: Place, release: bool, interrupt: &Interrupt) -> Result<Self> {
        let mut serve = Serve::new(&workspace::program("millpond", release), &place.data_dir);
        serve.log = place.folder.join("server.log");
        serve.shielded = true;
        let mut server = serve.start()?;
        let key = server.first_key()?;
        let serve = server.serve().clone();
        announce("server", &server.url(), server.process());
        let services = Vec::new();
        let mut system = Self { place, release, server: Some(server), serve, key, services };
        system.start_services(interrupt)?;
        Ok(system)
    }

    /// A client with the key that the server printed.
    pub(crate) fn api(&self) -> Api {
        Api::new(&self.url(), &self.key)
    }

    /// The server's address, whether it is up or not.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.serve.address)
    }

    /// A service's address; empty while it is down.
    pub(crate) fn service_url(&self, name: &str) -> String {
        let service = self.services.iter().find(|service| service.name == name);
        service.map_or_else(String::new, |service| service.url.clone())
    }

    /// The program `millpond`, told which server and key.
    pub(crate) fn millpond(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::command(&self.serve.program);
        command.args(arguments);
        self.told(&mut command);
        command
    }

    /// Tells a program which server and key to use.
    pub(crate) fn told<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("MILLPOND_ENDPOINT", self.url()).env("MILLPOND_API_KEY", &self.key)
    }

    /// Starts both services, each on the port that it is given, and waits until they listen.
    pub(crate) fn start_services(&mut self, interrupt: &Interrupt) -> Result<()> {
        let mut payments = workspace::command(workspace::program("payments", self.release));
        payments.env("PORT", "0");
        self.start_service(PAYMENTS, payments)?;
        interrupt.check()?;

        let mut orders = python::program("python", "examples/fastapi");
        orders.arg("main.py").env("PORT", "0").env("PAYMENTS_URL", self.service_url(PAYMENTS));
        self.start_service(ORDERS, orders)?;
        interrupt.check()
    }

    fn start_service(&mut self, name: &'static str, mut command: Command) -> Result<()> {
        self.told(&mut command).env("GROUND_TRUTH", ground_truth::file(&self.place.folder, name));
        // Ctrl-C is for us: we end the services in order, before the server.
        command.process_group(0);
        let log = self.place.folder.join(format!("{name}.log"));
        let mut process = Process::start(name, &mut command, &log)?;
        let url = process.line_after("listening on ", PATIENCE)?;
        let url = url.split_whitespace().next().unwrap_or_default().to_owned();
        announce(name, &url, &process);
        self.services.push(Service { name, url, process });
        Ok(())
    }

    /// SIGKILL for the server.
    pub(crate) fn kill_server(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.kill()?;
        }
        Ok(())
    }

    /// Starts the server again, on the same port and data directory.
    pub(crate) fn restart_server(&mut self) -> Result<()> {
        self.server = Some(self.serve.start()?);
        Ok(())
    }

    /// SIGTERM for the services; their exit delivers what they still hold.
    pub(crate) fn stop_services(&mut self) -> Result<()> {
        // Orders first: it may still ask payments.
        while let Some(Service { name, mut process, .. }) = self.services.pop() {
            let status = process.terminate(PATIENCE)?;
            // uvicorn takes the signal, ends in order, and then dies of it.
            let in_order = status.success() || status.signal() == Some(SIGTERM);
            ensure!(in_order, "{name} ended with {status}:\n{}", process.tail(20));
        }
        Ok(())
    }

    /// SIGTERM for the server.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |server| server.stop().map(drop))
    }

    /// The end of every log, for when something went wrong.
    pub(crate) fn show_logs(&self) {
        for name in ["server"].into_iter().chain(SERVICES) {
            let log = self.place.folder.join(format!("{name}.log"));
            show_tail(&log);
        }
    }
}

fn show_tail(log: &Path) {
    let Ok(text) = fs::read_to_string(log) else { return };
    let lines: Vec<_> = text.lines().collect();
    eprintln!("\n{}", screen::bold(&log.display().to_string()));
    for line in lines.get(lines.len().saturating_sub(15)..).unwrap_or_default() {
        eprintln!("  | {line}");
    }
}

fn announce(name: &str, url: &str, process: &Process) {
    println!("{name:<8} {url}  {}", screen::dim(&format!("pid {}", process.id())));
}

const SIGTERM: i32 = 15;

/// How long the server stays away at least.
pub(crate) const OUTAGE: Duration = Duration::from_secs(1);
