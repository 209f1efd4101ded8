//! The local modes: records on the terminal, for development and for containers without a collector.
//!
//! A record is printed in the thread that logs, with one write under the stream's lock: if the terminal is stuck, so
//! is the call. That is what one wants in development, and why it is off by default.

use std::{
    env,
    io::{self, IsTerminal as _},
    str::FromStr,
};

use millpond_record::{Decoded, Level, Timestamp, decode, json::Reader};

use crate::{Builder, stream::Stream};

mod pretty;

/// What becomes of the records of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// They are sent; printed too if there is a console.
    #[default]
    Normal,
    /// They are printed and never sent: no key and no endpoint is needed, and no thread is started. The console is
    /// the default one unless another was set.
    Development,
    /// Nothing: log calls do nothing, for tests of other things.
    Silent,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsoleFormat {
    /// For people: time (UTC), level, service and logger, message, fields; exceptions below. In colours if the stream
    /// is a terminal and `NO_COLOR` is not set. Control characters are shown, never sent to the terminal.
    #[default]
    Pretty,
    /// The JSON that is sent, a line for each record.
    Json,
}

/// Where records are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsoleStreams {
    /// Below the level `warn` on stdout, from it on on stderr.
    #[default]
    Split,
    /// All on stderr.
    Stderr,
}

/// Prints records as they are logged.
///
/// A call may wait for the terminal, or for whoever reads the pipe: meant for development, and for containers whose
/// output is the log. A stream that nobody reads any more is no error.
///
/// ```
/// use millpond::{Client, Console, ConsoleFormat, ConsoleStreams, Mode};
///
/// let console = Console::new().format(ConsoleFormat::Json).streams(ConsoleStreams::Stderr);
/// let client = Client::builder().mode(Mode::Development).console(console).build()?;
/// client.info("on stderr, nowhere else").send();
/// assert_eq!(client.metrics().accepted, 0);
/// # Ok::<(), millpond::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a console is given to `Builder::console`"]
pub struct Console {
    format: ConsoleFormat,
    streams: ConsoleStreams,
}

impl Console {
    /// Pretty, on stdout and stderr.
    pub fn new() -> Self {
        Self::default()
    }

    /// How records are printed.
    pub fn format(mut self, format: ConsoleFormat) -> Self {
        self.format = format;
        self
    }

    /// Where records are printed.
    pub fn streams(mut self, streams: ConsoleStreams) -> Self {
        self.streams = streams;
        self
    }
}

/// What the builder was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    /// Whether there is a console, if that was said.
    pub(crate) console: Option<Switch>,
}

/// A console, or none whatever the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On(Console),
    Off,
}

impl Builder {
    /// Prints records, besides what the [`Mode`] does with them.
    pub fn console(mut self, console: Console) -> Self {
        self.local.console = Some(Switch::On(console));
        self
    }

    /// Prints nothing, whatever the mode.
    pub fn no_console(mut self) -> Self {
        self.local.console = Some(Switch::Off);
        self
    }

    /// What becomes of records.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.local.mode = mode;
        self
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "normal" => Ok(Self::Normal),
            "development" => Ok(Self::Development),
            "silent" => Ok(Self::Silent),
            _ => Err(()),
        }
    }
}

impl FromStr for Switch {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "pretty" => Ok(Self::On(Console::new())),
            "json" => Ok(Self::On(Console::new().format(ConsoleFormat::Json))),
            "off" => Ok(Self::Off),
            _ => Err(()),
        }
    }
}

/// Prints.
#[derive(Debug)]
pub(crate) struct Printer {
    console: Console,
    stdout_has_colours: bool,
    stderr_has_colours: bool,
}

impl Printer {
    /// The printer that the options ask for, if they do.
    pub(crate) fn new(options: Options) -> Option<Self> {
        let console = match (options.console, options.mode) {
            (_, Mode::Silent) | (Some(Switch::Off), _) | (None, Mode::Normal) => return None,
            (Some(Switch::On(console)), _) => console,
            (None, Mode::Development) => Console::new(),
        };
        let may_have_colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Some(Self {
            console,
            stdout_has_colours: may_have_colours && io::stdout().is_terminal(),
            stderr_has_colours: may_have_colours && io::stderr().is_terminal(),
        })
    }

    /// Prints a line of the wire.
    pub(crate) fn print(&self, level: Level, pieces: &[&[u8]]) {
        let on_stderr = self.console.streams == ConsoleStreams::Stderr || level >= Level::Warn;
        let line = pieces.concat();
        let text = match self.console.format {
            ConsoleFormat::Json => line,
            ConsoleFormat::Pretty => {
                let has_colours =
                    if on_stderr { self.stderr_has_colours } else { self.stdout_has_colours };
                pretty(&line, has_colours).into_bytes()
            }
        };
        let stream = if on_stderr { Stream::Stderr } else { Stream::Stdout };
        // Nobody reads it any more, or there is no such stream: there is nobody to tell.
        let _ = stream.print(&text);
    }
}

fn pretty(line: &[u8], has_colours: bool) -> String {
    let line = String::from_utf8_lossy(line);
    match decode(&mut Reader::new(&line), Timestamp::from_nanos(0)) {
        Ok(Decoded::Record(record)) => pretty::render(&record, has_colours),
        // The server would not take it, but the developer sees it.
        Ok(Decoded::Rejected(_)) | Err(_) => line.into_owned(),
    }
}
