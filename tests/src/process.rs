//! A child process whose output goes to a file and which never outlives its owner.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait_for;

/// A running child. Dropping it ends it at once; [`Process::terminate`] asks it to end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where in `log` this run begins: earlier runs wrote to the same file.
    log_start: usize,
}

impl Process {
    /// Starts `command` with no input and its output appended to `log`.
    ///
    /// # Errors
    /// The log can't be opened or the program can't be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.with_context(|| format!("open {}", log.display()))?;
        let log_start = usize::try_from(output.metadata()?.len())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {name}: {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), log_start })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it has printed since it was started.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_start..).unwrap_or_default()).into_owned()
    }

    /// Waits for a complete line that contains `marker` and returns what follows the marker on that line.
    ///
    /// # Errors
    /// It ended, or `patience` did, before such a line; the error shows the end of its output.
    pub fn line_after(&mut self, marker: &str, patience: Duration) -> Result<String> {
        let found = wait_for(patience, || {
            // Status first: whatever a process that has ended could print is then in the file.
            let ended = self.child.try_wait()?;
            if let Some(rest) = after_marker(&self.output(), marker) {
                return Ok(Some(rest));
            }
            match ended {
                Some(status) => bail!(self.told(&format!("ended with {status}"))),
                None => Ok(None),
            }
        })?;
        found.with_context(|| self.told(&format!("printed no `{marker}` within {patience:?}")))
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// The operating system won't say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and does not wait.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn ask_to_end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(id.context("process id out of range")?, Signal::TERM)?;
        }
        Ok(())
    }

    /// SIGTERM, and waits until it has ended by itself.
    ///
    /// # Errors
    /// It had not ended after `patience`; then it is killed.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.ask_to_end()?;
        if let Some(status) = wait_for(patience, || Ok(self.child.try_wait()?))? {
            return Ok(status);
        }
        self.kill()?;
        bail!(self.told(&format!("had not ended {patience:?} after SIGTERM")))
    }

    fn told(&self, what: &str) -> String {
        format!("{} {what}; the end of {}:\n{}", self.name, self.log.display(), self.tail(20))
    }

    /// The last lines of its output, indented.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let output = self.output();
        let all: Vec<_> = output.lines().collect();
        let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
        last.iter().map(|line| format!("  | {line}\n")).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is what we want; there is nobody to tell anything else.
        let _ = self.kill();
    }
}

fn after_marker(output: &str, marker: &str) -> Option<String> {
    let (complete, _) = output.rsplit_once('\n')?;
    let rest = complete.lines().find_map(|line| line.split_once(marker))?.1;
    Some(rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_once_it_is_complete() {
        assert_eq!(after_marker("key: mp_12", "key: "), None);
        assert_eq!(after_marker("hello\nkey: mp_12\nmore", "key: "), Some("mp_12".to_owned()));
    }
}
