//! The demo's three processes: the server, the shop (FastAPI, Python package) and the payments (axum, Rust crate).

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use millpond_system_tests::{Api, Process, Serve, Server};

use super::{PATIENCE, ground_truth};
use crate::{interrupt::Interrupt, python, screen, workspace};

/// The services by name, in the order in which a request meets them.
pub(crate) const SERVICES: [&str; 2] = ["shop", "payments"];

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

/// Everything that runs. Dropping it ends all of it.
pub(crate) struct System {
    place: Place,
    release: bool,
    /// Absent while it is down.
    server: Option<Server>,
    serve: Serve,
    key: String,
    services: Vec<Process>,
    ports: [u16; 2],
}

impl System {
    /// Starts the server on a fresh data directory, then the services.
    pub(crate) fn start(place: Place, release: bool, interrupt: &Interrupt) -> Result<Self> {
        let mut serve = Serve::new(&workspace::program("millpond", release), &place.data_dir);
        serve.log = place.folder.join("server.log");
        let mut server = serve.start()?;
        let key = server.first_key()?;
        let serve = server.serve().clone();
        println!(
            "server   {}  {}",
            server.url(),
            screen::dim(&format!("pid {}", server.process().id()))
        );
        let ports = free_ports()?;
        let services = Vec::new();
        let mut system = Self { place, release, server: Some(server), serve, key, services, ports };
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

    /// A service's address.
    pub(crate) fn service_url(&self, service: &str) -> String {
        let port = SERVICES.iter().zip(self.ports).find(|(name, _)| **name == service);
        format!("http://127.0.0.1:{}", port.map_or(0, |(_, port)| port))
    }

    /// The program `millpond`, told which server and key.
    pub(crate) fn millpond(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::command(&self.serve.program);
        command.args(arguments);
        command.env("MILLPOND_ENDPOINT", self.url()).env("MILLPOND_API_KEY", &self.key);
        command
    }

    /// Starts both services and waits until they answer.
    pub(crate) fn start_services(&mut self, interrupt: &Interrupt) -> Result<()> {
        let [shop, payments] = [self.shop(), self.payments()];
        for (name, mut command) in SERVICES.into_iter().zip([shop, payments]) {
            command.env("MILLPOND_ENDPOINT", self.url()).env("MILLPOND_API_KEY", &self.key);
            command.env("GROUND_TRUTH", ground_truth::file(&self.place.folder, name));
            let log = self.place.folder.join(format!("{name}.log"));
            let process = Process::start(name, &mut command, &log)?;
            println!(
                "{name:<8} {}  {}",
                self.service_url(name),
                screen::dim(&format!("pid {}", process.id()))
            );
            self.services.push(process);
        }
        for (process, port) in self.services.iter_mut().zip(self.ports) {
            let what = format!("port {port} to answer");
            interrupt.wait_until(&what, PATIENCE, || {
                ensure!(process.ended()?.is_none(), "a service has ended:\n{}", process.tail(20));
                Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
            })?;
        }
        Ok(())
    }

    fn shop(&self) -> Command {
        let mut uvicorn = python::program("python", "examples/fastapi");
        let [port, _] = self.ports.map(|port| port.to_string());
        uvicorn.args(["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", &port]);
        uvicorn.env("PAYMENTS_URL", self.service_url("payments"));
        uvicorn
    }

    fn payments(&self) -> Command {
        let mut axum = workspace::command(workspace::program("example-axum", self.release));
        let [_, port] = self.ports;
        axum.env("ADDRESS", format!("127.0.0.1:{port}"));
        axum
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
        for mut service in self.services.drain(..) {
            service.terminate(PATIENCE)?;
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

/// Two ports that are free now; both are held until both are known.
fn free_ports() -> Result<[u16; 2]> {
    let [first, second] = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// How long the server stays away at least.
pub(crate) const OUTAGE: Duration = Duration::from_secs(1);
