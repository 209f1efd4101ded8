//! How a client is set up.

use std::{env, path::PathBuf, str::FromStr};

use millpond_record::{Level, TextAttribute, UNKNOWN_SERVICE};

use crate::{
    Client, Compression, Envelope, Shipper, address, console, console::Printer, content,
    content::Policy, context::ContextSettings, delivery, engine::Settings, line::Prefix, pipeline,
    pipeline::Pipeline, read::Reader,
};

mod error;

pub use error::BuildError;

/// Sets up a [`Client`]. Every setting has a default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    service: Option<String>,
    environment: Option<String>,
    version: Option<String>,
    host: Option<String>,
    min_level: Level,
    pub(crate) context: ContextSettings,
    pub(crate) address: address::Options,
    pub(crate) delivery: delivery::Options,
    pub(crate) content: content::Options,
    pub(crate) pipeline: pipeline::Options,
    pub(crate) local: console::Options,
    /// The first variable of the environment that says something wrong.
    wrong_variable: Option<BuildError>,
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
            service: None,
            environment: None,
            version: None,
            host: None,
            min_level: Level::Trace,
            address: address::Options::default(),
            delivery: delivery::Options::default(),
            context: ContextSettings::default(),
            content: content::Options::default(),
            pipeline: pipeline::Options::default(),
            local: console::Options::default(),
            wrong_variable: None,
        }
    }

    /// The defaults, and what the environment says: `MILLPOND_DSN`, or `MILLPOND_ENDPOINT` and `MILLPOND_API_KEY`,
    /// which come before it; `MILLPOND_SERVICE`, `MILLPOND_ENVIRONMENT`, `MILLPOND_VERSION`; `MILLPOND_CA_FILE`, the
    /// path of certificates in PEM; `MILLPOND_SPOOL_DIR`, the directory of the [spool](Self::spool); `MILLPOND_MODE`
    /// (`normal`, `development`, `silent`), `MILLPOND_CONSOLE` (`pretty`, `json`, `off`), `MILLPOND_LEVEL` (a
    /// level) and `MILLPOND_REDACTION` (`off`, `keys`, `keys_and_values`). An empty variable says nothing;
    /// [`Self::build`] fails if one says something else than it can.
    pub fn from_env() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        let mut builder = Self {
            service: said("MILLPOND_SERVICE"),
            environment: said("MILLPOND_ENVIRONMENT"),
            version: said("MILLPOND_VERSION"),
            address: address::Options::from_variables(said),
            ..Self::new()
        };
        builder.delivery.spool_directory = said("MILLPOND_SPOOL_DIR").map(PathBuf::from);
        let wrong = &mut builder.wrong_variable;
        let mode = choice("MILLPOND_MODE", said, "normal, development or silent", wrong);
        let console = choice("MILLPOND_CONSOLE", said, "pretty, json or off", wrong);
        let min_level =
            choice("MILLPOND_LEVEL", said, "trace, debug, info, warn, error or critical", wrong);
        let redaction = choice("MILLPOND_REDACTION", said, "off, keys or keys_and_values", wrong);
        builder.local = console::Options { mode: mode.unwrap_or_default(), console };
        builder.min_level = min_level.unwrap_or(builder.min_level);
        builder.content.redaction = redaction.unwrap_or_default();
        builder
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

    /// The client. It does nothing until something is logged, unless there is a [spool](Self::spool): what earlier
    /// processes left there is delivered at once.
    ///
    /// # Errors
    /// The endpoint or the proxy is no address, the DSN or the certificates can't be read, the key is no header value,
    /// the path of the spool is empty, a limit or a rate is out of its range, or a variable of the environment says
    /// something wrong.
    pub fn build(self) -> Result<Client, BuildError> {
        self.build_with(None)
    }

    fn build_with(self, envelope: Option<Envelope>) -> Result<Client, BuildError> {
        if let Some(error) = self.wrong_variable {
            return Err(error);
        }
        self.delivery.check()?;
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
        let envelope = envelope.map(Envelope::seal).transpose()?;
        let settings = Settings {
            address: self.address.resolve(envelope.as_ref().map(|envelope| &envelope.url))?,
            envelope,
            delivery: self.delivery,
            prefix,
            context: self.context,
            pipeline: Pipeline::new(&self.pipeline, &policy)?,
            policy,
            mode: self.local.mode,
            printer: Printer::new(self.local),
        };
        Ok(Client::new(settings, self.min_level))
    }

    /// What delivers entries of any form to any server. What concerns records, the endpoint and the key doesn't matter.
    /// Nothing is compressed unless [`Self::compression`] was called: not every server knows how to read it.
    ///
    /// # Errors
    /// As [`Self::build`], and if the envelope has an address that is none or a header that can't be sent.
    pub fn build_shipper(mut self, envelope: Envelope) -> Result<Shipper, BuildError> {
        self.delivery.loss_reports = false;
        // Whoever shares the directory must not deliver what is meant for another server.
        let spool = self.delivery.spool_directory.as_mut();
        if let Some(path) = spool.filter(|path| !path.as_os_str().is_empty()) {
            path.push(envelope.name());
        }
        self.delivery.compression.get_or_insert(Compression::None);
        Ok(Shipper::new(self.build_with(Some(envelope))?))
    }

    /// For programs that only read. What concerns sending alone doesn't matter.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_reader(mut self) -> Result<Reader, BuildError> {
        // A client that logs nothing, and has nothing to deliver, does nothing.
        self.delivery.spool_directory = None;
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
    fn what_can_not_work_is_refused_with_a_reason() {
        for key in ["a\nb", "a b", "schlüssel"] {
            assert_eq!(Client::builder().api_key(key).build().unwrap_err(), BuildError::ApiKey);
        }
        assert_eq!(
            Client::builder().batch_entries(0).build().unwrap_err().to_string(),
            "build client: `batch_entries` is zero, expected at least 1"
        );
        assert_eq!(Client::builder().spool("").build().unwrap_err(), BuildError::Spool);
        assert_eq!(
            Client::builder().dsn("https://secret").build().unwrap_err().to_string(),
            "build client: the DSN can't be read, expected https://KEY@HOST:PORT"
        );
        assert!(Client::builder().build().is_ok());
    }

    #[test]
    fn the_environment_is_asked_for_what_strings_say() {
        let builder = Builder::from_variables(|name| match name {
            "MILLPOND_VERSION" => Some(String::new()),
            name => Some(name.to_lowercase()),
        });
        assert_eq!(builder.address.endpoint.as_deref(), Some("millpond_endpoint"));
        assert_eq!(builder.address.api_key.as_deref(), Some("millpond_api_key"));
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
            ("MILLPOND_LEVEL", "WARNING"),
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
