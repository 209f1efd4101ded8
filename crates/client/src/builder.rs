//! How a client is set up.

use std::{env, str::FromStr, time::Duration};

use millpond_queue::{Due, Limits, Overflow};
use millpond_record::{Level, TextAttribute, UNKNOWN_SERVICE};
use millpond_wire::{Compression, INGEST_PATH, PORT};
use ureq::http::{HeaderValue, Uri};

use crate::{
    Client, console, console::Printer, content, content::Policy, engine::Settings, limits,
    line::Prefix, pipeline, pipeline::Pipeline,
};

/// Sets up a [`Client`]. Every setting has a default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    endpoint: Option<String>,
    api_key: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    version: Option<String>,
    host: Option<String>,
    min_level: Level,
    compression: Compression,
    overflow: Overflow,
    limits: Limits,
    due: Due,
    retry_delay_first: Duration,
    retry_delay_max: Duration,
    connect_timeout: Duration,
    request_timeout: Duration,
    shutdown_timeout: Duration,
    pub(crate) content: content::Options,
    pub(crate) pipeline: pipeline::Options,
    pub(crate) local: console::Options,
    /// The first variable of the environment that says something wrong.
    wrong_variable: Option<BuildError>,
}

/// A client can't be built like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The endpoint is no address of a server.
    #[error(
        "build client: endpoint `{0}` is no address, expected http://HOST:PORT or https://HOST:PORT"
    )]
    Endpoint(String),
    /// The key can't be sent in a header. It is not shown.
    #[error(
        "build client: the API key has a character that no header can carry, expected printable ASCII"
    )]
    ApiKey,
    /// A limit that would let nothing pass.
    #[error("build client: `{0}` is zero, expected at least 1")]
    Zero(&'static str),
    /// A limit that makes no sense.
    #[error("build client: `{name}` is {value}, expected {min} to {max}")]
    Range {
        /// The limit.
        name: &'static str,
        /// What it was set to.
        value: usize,
        /// The least that it can be.
        min: usize,
        /// The most that it can be.
        max: usize,
    },
    /// A rate that is no probability.
    #[error("build client: the rate of `sample` is {0}, expected 0 to 1")]
    SampleRate(String),
    /// A variable of the environment says something that it can't.
    #[error("build client: {name} is `{value}` in the environment, expected {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it could say.
        expected: &'static str,
    },
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            endpoint: None,
            api_key: None,
            service: None,
            environment: None,
            version: None,
            host: None,
            min_level: Level::Trace,
            compression: Compression::default(),
            overflow: Overflow::default(),
            limits: Limits {
                bytes_max: limits::QUEUE_BYTES_MAX,
                entries_max: limits::QUEUE_ENTRIES_MAX,
            },
            due: Due {
                entries_max: limits::BATCH_ENTRIES_MAX,
                bytes_max: limits::BATCH_BYTES_MAX,
                age_max: limits::BATCH_AGE_MAX,
            },
            retry_delay_first: limits::RETRY_DELAY_FIRST,
            retry_delay_max: limits::RETRY_DELAY_MAX,
            connect_timeout: limits::CONNECT_TIMEOUT,
            request_timeout: limits::REQUEST_TIMEOUT,
            shutdown_timeout: limits::SHUTDOWN_TIMEOUT,
            content: content::Options::default(),
            pipeline: pipeline::Options::default(),
            local: console::Options::default(),
            wrong_variable: None,
        }
    }

    /// The defaults, and what `MILLPOND_ENDPOINT`, `MILLPOND_API_KEY`, `MILLPOND_SERVICE`, `MILLPOND_ENVIRONMENT`
    /// and `MILLPOND_VERSION` say; `MILLPOND_MODE` (`normal`, `development`, `silent`), `MILLPOND_CONSOLE` (`pretty`,
    /// `json`, `off`), `MILLPOND_MIN_LEVEL` (a level) and `MILLPOND_REDACTION` (`off`, `keys`, `keys_and_values`). An
    /// empty variable says nothing; [`Self::build`] fails if one says something else than it can.
    pub fn from_env() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        let mut builder = Self {
            endpoint: said("MILLPOND_ENDPOINT"),
            api_key: said("MILLPOND_API_KEY"),
            service: said("MILLPOND_SERVICE"),
            environment: said("MILLPOND_ENVIRONMENT"),
            version: said("MILLPOND_VERSION"),
            ..Self::new()
        };
        let wrong = &mut builder.wrong_variable;
        let mode = choice("MILLPOND_MODE", said, "normal, development or silent", wrong);
        let console = choice("MILLPOND_CONSOLE", said, "pretty, json or off", wrong);
        let min_level = choice(
            "MILLPOND_MIN_LEVEL",
            said,
            "trace, debug, info, warn, error or critical",
            wrong,
        );
        let redaction = choice("MILLPOND_REDACTION", said, "off, keys or keys_and_values", wrong);
        builder.local = console::Options { mode: mode.unwrap_or_default(), console };
        builder.min_level = min_level.unwrap_or(builder.min_level);
        builder.content.redaction = redaction.unwrap_or_default();
        builder
    }

    /// The server's address; `http://127.0.0.1:4480` by default.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The key that decides the project.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The service that writes the records; `unknown_service` by default.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// The deployment environment, such as `production`.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// The version of the service.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The name of this host; by default the operating system is asked.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// The least level that is recorded; all are by default.
    pub fn min_level(mut self, level: Level) -> Self {
        self.min_level = level;
        self
    }

    /// How batches are compressed. When the server refuses one, the next simpler is used.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// What is dropped when the queue is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How much may wait in memory, in bytes and in records.
    pub fn queue_limits(mut self, bytes_max: usize, entries_max: u64) -> Self {
        self.limits = Limits { bytes_max, entries_max };
        self
    }

    /// Most records of one batch; as soon as there are so many, they are sent.
    pub fn batch_entries(mut self, max: u64) -> Self {
        self.due.entries_max = max;
        self
    }

    /// Most bytes of one batch before compression; as soon as there are so many, they are sent.
    pub fn batch_bytes(mut self, max: usize) -> Self {
        self.due.bytes_max = max;
        self
    }

    /// How long a record may wait for others to go with.
    pub fn batch_age(mut self, max: Duration) -> Self {
        self.due.age_max = max;
        self
    }

    /// How long to wait before a batch is sent again: a random time below a bound that begins with `first`, doubles
    /// with every failure and ends at `max`.
    pub fn retry_delay(mut self, first: Duration, max: Duration) -> Self {
        self.retry_delay_first = first;
        self.retry_delay_max = max;
        self
    }

    /// How long connecting may take.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long sending a batch may take, and again how long its answer may.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long the last handle waits for what is queued when it is dropped.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// The client. It does nothing until something is logged.
    ///
    /// # Errors
    /// The endpoint is no address, the key is no header value, a limit or a rate is out of its range, or a variable
    /// of the environment says something wrong.
    pub fn build(self) -> Result<Client, BuildError> {
        if let Some(error) = self.wrong_variable {
            return Err(error);
        }
        for (name, is_zero) in [
            ("queue_limits", self.limits.bytes_max == 0 || self.limits.entries_max == 0),
            ("batch_entries", self.due.entries_max == 0),
            ("batch_bytes", self.due.bytes_max == 0),
        ] {
            if is_zero {
                return Err(BuildError::Zero(name));
            }
        }
        if self.api_key.as_deref().is_some_and(|key| HeaderValue::from_str(key).is_err()) {
            return Err(BuildError::ApiKey);
        }
        let url = match self.endpoint {
            Some(endpoint) => ingest_url(&endpoint).ok_or(BuildError::Endpoint(endpoint))?,
            None => format!("http://127.0.0.1:{PORT}{INGEST_PATH}"),
        };
        let host = self.host.or_else(host_name);
        let prefix = Prefix::new(
            [
                (TextAttribute::Service, Some(self.service.as_deref().unwrap_or(UNKNOWN_SERVICE))),
                (TextAttribute::Environment, self.environment.as_deref()),
                (TextAttribute::Host, host.as_deref()),
                (TextAttribute::Version, self.version.as_deref()),
            ]
            .into_iter()
            .filter_map(|(attribute, text)| Some((attribute, text?))),
        );
        let policy = Policy::new(&self.content)?;
        let settings = Settings {
            url,
            api_key: self.api_key,
            compression: self.compression,
            limits: self.limits,
            overflow: self.overflow,
            due: self.due,
            retry_delay_first: self.retry_delay_first,
            retry_delay_max: self.retry_delay_max,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            shutdown_timeout: self.shutdown_timeout,
            prefix,
            pipeline: Pipeline::new(&self.pipeline, &policy)?,
            policy,
            mode: self.local.mode,
            printer: Printer::new(self.local),
        };
        Ok(Client::new(settings, self.min_level))
    }
}

/// What a variable that has a few values says; a wrong one is remembered unless another was before it.
fn choice<T: FromStr>(
    name: &'static str,
    said: impl Fn(&'static str) -> Option<String>,
    expected: &'static str,
    wrong: &mut Option<BuildError>,
) -> Option<T> {
    let value = said(name)?;
    let choice = value.parse().ok();
    if choice.is_none() && wrong.is_none() {
        *wrong = Some(BuildError::Variable { name, value, expected });
    }
    choice
}

fn ingest_url(endpoint: &str) -> Option<String> {
    let base = endpoint.trim().trim_end_matches('/');
    let url: Uri = format!("{base}{INGEST_PATH}").parse().ok()?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    let plain = url.host().is_some_and(|host| !host.is_empty()) && url.query().is_none();
    (known && plain).then(|| url.to_string())
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    env::var("COMPUTERNAME").ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Console, ConsoleFormat, Mode, Redaction, console::Switch};

    #[test]
    fn an_endpoint_is_an_http_address() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4480", "http://127.0.0.1:4480/api/v1/ingest"),
            (" https://logs.example/ ", "https://logs.example/api/v1/ingest"),
            ("http://[::1]:4480/behind/a/proxy/", "http://[::1]:4480/behind/a/proxy/api/v1/ingest"),
        ] {
            assert_eq!(ingest_url(endpoint).as_deref(), Some(url));
        }
        for endpoint in
            ["", "localhost:4480", "ftp://x", "http://", "http://a b", "http://x?y=1", "/api"]
        {
            let error = Client::builder().endpoint(endpoint).build().unwrap_err();
            assert_eq!(error, BuildError::Endpoint(endpoint.to_owned()));
        }
    }

    #[test]
    fn what_can_not_work_is_refused_with_a_reason() {
        assert_eq!(Client::builder().api_key("a\nb").build().unwrap_err(), BuildError::ApiKey);
        assert_eq!(
            Client::builder().batch_entries(0).build().unwrap_err().to_string(),
            "build client: `batch_entries` is zero, expected at least 1"
        );
        assert!(Client::builder().build().is_ok());
    }

    #[test]
    fn the_environment_is_asked_for_what_strings_say() {
        let builder = Builder::from_variables(|name| match name {
            "MILLPOND_VERSION" => Some(String::new()),
            name => Some(name.to_lowercase()),
        });
        assert_eq!(builder.endpoint.as_deref(), Some("millpond_endpoint"));
        assert_eq!(builder.api_key.as_deref(), Some("millpond_api_key"));
        assert_eq!(builder.service.as_deref(), Some("millpond_service"));
        assert_eq!(builder.environment.as_deref(), Some("millpond_environment"));
        assert_eq!(builder.version, None);
    }

    #[test]
    fn the_environment_chooses_and_a_wrong_choice_is_named() {
        let from = |variables: &[(&str, &str)]| {
            Builder::from_variables(|name| {
                let said = variables.iter().find(|(known, _)| *known == name);
                said.map(|(_, value)| (*value).to_owned())
            })
        };
        let builder = from(&[
            ("MILLPOND_MODE", "development"),
            ("MILLPOND_CONSOLE", "json"),
            ("MILLPOND_MIN_LEVEL", "WARNING"),
            ("MILLPOND_REDACTION", "keys_and_values"),
        ]);
        let console = Console::new().format(ConsoleFormat::Json);
        assert_eq!(builder.local.mode, Mode::Development);
        assert_eq!(builder.local.console, Some(Switch::On(console)));
        assert_eq!(builder.min_level, Level::Warn);
        assert_eq!(builder.content.redaction, Redaction::KeysAndValues);
        assert!(from(&[("MILLPOND_MODE", "")]).build().is_ok());
        // What the program says in its place makes it no better.
        let error = from(&[("MILLPOND_MODE", "dev"), ("MILLPOND_CONSOLE", "x")]);
        assert_eq!(
            error.mode(Mode::Normal).build().unwrap_err().to_string(),
            "build client: MILLPOND_MODE is `dev` in the environment, expected normal, development or silent"
        );
    }
}
