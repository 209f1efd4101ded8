//! `millpond serve` as a child: start, kill, start again on the same port and data directory.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{Api, Process};

/// A debug build that replays a long write-ahead log on a busy machine takes seconds.
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The program `millpond`.
    pub program: PathBuf,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Where it listens; port 0 for any.
    pub address: String,
    /// Its output, over all its runs.
    pub log: PathBuf,
    /// The largest file it may write (`ulimit -f`), in bytes: a disk that is full, for anyone who is not root.
    pub file_bytes_max: Option<u64>,
    /// Whether it gets a process group of its own. Then Ctrl-C reaches us alone, and we end it in order; without, a
    /// test run that is interrupted leaves nothing behind.
    pub shielded: bool,
    /// Further arguments.
    pub arguments: Vec<String>,
}

impl Serve {
    /// On `data_dir` and any free port of loopback, with its output beside the data directory.
    #[must_use]
    pub fn new(program: &Path, data_dir: &Path) -> Self {
        Self {
            program: program.to_owned(),
            data_dir: data_dir.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            log: data_dir.with_extension("log"),
            file_bytes_max: None,
            shielded: false,
            arguments: Vec::new(),
        }
    }

    /// The command, not yet started.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = match self.file_bytes_max {
            None => Command::new(&self.program),
            Some(bytes) => {
                let script = format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &script]).arg(&self.program);
                command
            }
        };
        command.arg("serve").arg("--data-dir").arg(&self.data_dir);
        command.args(["--address", &self.address]).args(&self.arguments);
        if self.shielded {
            command.process_group(0);
        }
        command
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// It ended or did not listen; the error shows the end of its output.
    pub fn start(&self) -> Result<Server> {
        let mut process = Process::start("millpond serve", &mut self.command(), &self.log)?;
        let address = process.line_after("listening on http://", START_PATIENCE)?;
        let address = address.split_whitespace().next().unwrap_or_default().to_owned();
        ensure!(!address.is_empty(), "millpond serve printed no address behind `listening on`");
        Ok(Server { serve: Self { address, ..self.clone() }, process })
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    serve: Serve,
    process: Process,
}

impl Server {
    /// `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.serve.address)
    }

    /// The key that the first start on a data directory prints once.
    ///
    /// # Errors
    /// It printed none.
    pub fn first_key(&mut self) -> Result<String> {
        self.process.line_after("key: ", START_PATIENCE)
    }

    /// A client with that key.
    ///
    /// # Errors
    /// It printed no key.
    pub fn first_api(&mut self) -> Result<Api> {
        Ok(Api::new(&self.url(), &self.first_key()?))
    }

    /// The process behind it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// How it was started, with the port it got.
    #[must_use]
    pub fn serve(&self) -> &Serve {
        &self.serve
    }

    /// SIGKILL; the server that comes back on the same port and data directory is a new start of what is returned.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(mut self) -> Result<Serve> {
        self.process.kill()?;
        Ok(self.serve.clone())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub fn stop(mut self) -> Result<Serve> {
        let status: ExitStatus = self.process.terminate(STOP_PATIENCE)?;
        ensure!(
            status.success(),
            "millpond serve ended with {status} on SIGTERM:\n{}",
            self.process.tail(20)
        );
        Ok(self.serve.clone())
    }
}

/// A program of the workspace, built in the same profile as the running test or tool.
///
/// # Errors
/// It is not built.
pub fn built_program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the running program")?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| {
        format!("`{name}` is not built beside {}; run `cargo build --workspace`", own.display())
    })
}
