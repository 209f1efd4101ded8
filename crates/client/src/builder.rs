//! How a client is set up.

use std::{env, path::PathBuf, str::FromStr, time::Duration};

use millpond_queue::{Due, Limits, Overflow, SpoolLimits};
use millpond_record::{Level, TextAttribute, UNKNOWN_SERVICE};
use millpond_wire::{Compression, INGEST_PATH, PORT};
use ureq::{
    Proxy,
    http::{HeaderValue, Uri},
    tls::{Certificate, PemItem, parse_pem},
};

use crate::{
    Client, TraceSource, console, console::Printer, content, content::Policy,
    context::ContextSettings, dsn::Dsn, engine::Settings, limits, line::Prefix, pipeline,
    pipeline::Pipeline, proxy::ProxyChoice, read::Reader, supply::SpoolSettings,
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
    context: ContextSettings,
    pub(crate) content: content::Options,
    pub(crate) pipeline: pipeline::Options,
    pub(crate) local: console::Options,
    /// The first variable of the environment that says something wrong.
    wrong_variable: Option<BuildError>,
    attempts_max: Option<u32>,
    breaker_threshold: u32,
    breaker_reset: Duration,
    loss_reports: bool,
    dsn: Option<String>,
    proxy: ProxyChoice,
    ca: Ca,
    spool_directory: Option<PathBuf>,
    spool_limits: SpoolLimits,
}

/// Where the roots come from that a server's certificate is checked against.
#[derive(Clone, Debug, Default)]
enum Ca {
    #[default]
    BuiltIn,
    Pem(Vec<u8>),
    File(PathBuf),
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
    /// The DSN is none. It is not shown, because it has the key in it.
    #[error("build client: the DSN is none, expected https://KEY@HOST:PORT")]
    Dsn,
    /// The proxy is no address of one.
    #[error("build client: proxy: {0}, expected http://HOST:PORT or https://HOST:PORT")]
    Proxy(String),
    /// The certificates to trust can't be read.
    #[error("build client: CA certificates: {0}, expected PEM")]
    CaCertificates(String),
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
            context: ContextSettings::default(),
            content: content::Options::default(),
            pipeline: pipeline::Options::default(),
            local: console::Options::default(),
            wrong_variable: None,
            attempts_max: None,
            breaker_threshold: limits::BREAKER_THRESHOLD,
            breaker_reset: limits::BREAKER_RESET,
            loss_reports: true,
            dsn: None,
            proxy: ProxyChoice::default(),
            ca: Ca::default(),
            spool_directory: None,
            spool_limits: SpoolLimits {
                bytes_max: limits::SPOOL_BYTES_MAX,
                age_max: limits::SPOOL_AGE_MAX,
            },
        }
    }

    /// The defaults, and what the environment says: `MILLPOND_DSN`, or `MILLPOND_ENDPOINT` and `MILLPOND_API_KEY`,
    /// which come before it; `MILLPOND_SERVICE`, `MILLPOND_ENVIRONMENT`, `MILLPOND_VERSION`; `MILLPOND_CA_FILE`, the
    /// path of certificates in PEM; `MILLPOND_SPOOL_DIR`, the directory of the [spool](Self::spool); `MILLPOND_MODE`
    /// (`normal`, `development`, `silent`), `MILLPOND_CONSOLE` (`pretty`, `json`, `off`), `MILLPOND_MIN_LEVEL` (a
    /// level) and `MILLPOND_REDACTION` (`off`, `keys`, `keys_and_values`). An empty variable says nothing;
    /// [`Self::build`] fails if one says something else than it can.
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
            dsn: said("MILLPOND_DSN"),
            spool_directory: said("MILLPOND_SPOOL_DIR").map(PathBuf::from),
            ca: said("MILLPOND_CA_FILE").map_or(Ca::BuiltIn, |path| Ca::File(path.into())),
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

    /// The server's address and the key in one text, `https://KEY@HOST[:PORT]`. What [`Self::endpoint`] and
    /// [`Self::api_key`] say comes before it.
    pub fn dsn(mut self, dsn: impl Into<String>) -> Self {
        self.dsn = Some(dsn.into());
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

    /// After how many attempts a batch is dropped; by default it is tried for as long as there is room for it.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// After `threshold` failures in a row the server is left alone, but for one batch each `reset` that probes
    /// whether it is back. 5 and 10 s by default. A flush and closing probe at once.
    pub fn breaker(mut self, threshold: u32, reset: Duration) -> Self {
        self.breaker_threshold = threshold;
        self.breaker_reset = reset;
        self
    }

    /// Whether the server is told of records that were lost, by a record of level `warn` with the logger `millpond`
    /// and the fields `lost` and `lost_by_reason`; it is by default.
    pub fn loss_reports(mut self, told: bool) -> Self {
        self.loss_reports = told;
        self
    }

    /// Keeps records on disk until they are delivered, in a directory of its own below this one; any number of
    /// processes may share it. There is none by default.
    ///
    /// A record is written [`limits::SPOOL_DELAY`] after its call and then survives the end of the process, also by
    /// SIGKILL. It is synced when its batch is complete, at the latest after [`Self::batch_age`], and then survives a
    /// power cut; [`Client::persist`] waits for that. What a process leaves, the next one that uses the directory
    /// delivers, with the field `recovered`: exactly once, since a batch keeps its idempotency key.
    pub fn spool(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_directory = Some(directory.into());
        self
    }

    /// How many bytes all files of the spool may take, and how long a record may wait there: 256 MiB and seven days
    /// by default. When the spool is full records stay in memory, unless the [oldest](Overflow::DropOldest) are to go.
    pub fn spool_limits(mut self, bytes_max: u64, age_max: Duration) -> Self {
        self.spool_limits = SpoolLimits { bytes_max, age_max };
        self
    }

    /// The proxy to reach the server through, by the method `CONNECT`: `http://[USER:PASSWORD@]HOST:PORT`. By default
    /// the environment decides (`HTTPS_PROXY` or `http_proxy`, `ALL_PROXY`, `NO_PROXY`), but never for a server on
    /// this machine.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }

    /// The certificates, in PEM, of the authorities to trust in place of the built-in ones of Mozilla.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Ca::Pem(pem.into());
        self
    }

    /// As [`Self::ca_certificates`], from a file that [`Self::build`] reads.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Ca::File(path.into());
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

    /// Asks the tracing library of the application for the active span: records that name no trace themselves belong
    /// to that one, before the trace of their [`Scope`](crate::Scope). It is asked in the thread that logs, so it must
    /// be quick. With the feature `opentelemetry` this is OpenTelemetry's span unless another source is set.
    pub fn trace_source(mut self, source: TraceSource) -> Self {
        self.context.trace_source = Some(source);
        self
    }

    /// Whether a record that belongs to no trace gets a new one of its own; not by default.
    pub fn auto_trace_id(mut self, auto: bool) -> Self {
        self.context.auto_trace_id = auto;
        self
    }

    /// The least level of the records that breadcrumbs go with; `error` by default.
    pub fn breadcrumbs_min_level(mut self, level: Level) -> Self {
        self.context.breadcrumbs_min_level = level;
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
            ("attempts_max", self.attempts_max == Some(0)),
            ("spool_limits", self.spool_limits.bytes_max == 0),
            ("breaker threshold", self.breaker_threshold == 0),
        ] {
            if is_zero {
                return Err(BuildError::Zero(name));
            }
        }
        let dsn = self.dsn.as_deref().map(|dsn| Dsn::parse(dsn).ok_or(BuildError::Dsn));
        let (dsn_endpoint, dsn_key) =
            dsn.transpose()?.map(|dsn| (dsn.endpoint, dsn.api_key)).unzip();
        let api_key = self.api_key.or(dsn_key);
        if api_key.as_deref().is_some_and(|key| HeaderValue::from_str(key).is_err()) {
            return Err(BuildError::ApiKey);
        }
        let url = match self.endpoint.or(dsn_endpoint) {
            Some(endpoint) => ingest_url(&endpoint).ok_or(BuildError::Endpoint(endpoint))?,
            None => format!("http://127.0.0.1:{PORT}{INGEST_PATH}"),
        };
        let proxy = proxy(&self.proxy, &url)?;
        let ca_certificates = ca_certificates(self.ca)?;
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
            api_key,
            compression: self.compression,
            limits: self.limits,
            overflow: self.overflow,
            due: self.due,
            retry_delay_first: self.retry_delay_first,
            retry_delay_max: self.retry_delay_max,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            shutdown_timeout: self.shutdown_timeout,
            attempts_max: self.attempts_max,
            breaker_threshold: self.breaker_threshold,
            breaker_reset: self.breaker_reset,
            loss_reports: self.loss_reports,
            spool: self
                .spool_directory
                .map(|directory| SpoolSettings { directory, limits: self.spool_limits }),
            proxy,
            ca_certificates,
            prefix,
            context: self.context,
            pipeline: Pipeline::new(&self.pipeline, &policy)?,
            policy,
            mode: self.local.mode,
            printer: Printer::new(self.local),
        };
        Ok(Client::new(settings, self.min_level))
    }

    /// For programs that only read. What concerns sending alone doesn't matter.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_reader(self) -> Result<Reader, BuildError> {
        // A client that logs nothing does nothing.
        Ok(self.build()?.reader())
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

fn proxy(choice: &ProxyChoice, url: &str) -> Result<Option<Proxy>, BuildError> {
    let target: Uri = url.parse().map_err(|_| BuildError::Endpoint(url.to_owned()))?;
    choice
        .url(&target, |name| env::var(name).ok())
        // The address may have a password in it and is not shown.
        .map(|proxy| Proxy::new(&proxy).map_err(|error| BuildError::Proxy(error.to_string())))
        .transpose()
}

fn ca_certificates(ca: Ca) -> Result<Vec<Certificate<'static>>, BuildError> {
    let (pem, place) = match ca {
        Ca::BuiltIn => return Ok(Vec::new()),
        Ca::Pem(pem) => (pem, "the given text".to_owned()),
        Ca::File(path) => {
            let place = path.display().to_string();
            let read = std::fs::read(path);
            (read.map_err(|error| BuildError::CaCertificates(format!("{place}: {error}")))?, place)
        }
    };
    let wrong = |what: String| BuildError::CaCertificates(format!("{place}: {what}"));
    let items: Result<Vec<PemItem<'static>>, _> = parse_pem(&pem).collect();
    let certificates: Vec<_> = items
        .map_err(|error| wrong(error.to_string()))?
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(wrong("no certificate".to_owned())) } else { Ok(certificates) }
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
