//! A server somewhere, as the command line talks to it.

use std::{io::Read, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use millpond_wire::header::API_KEY;
use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{Request, Response},
};

#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The server's address.
    #[arg(long, env = "MILLPOND_ENDPOINT", default_value_t = format!("http://127.0.0.1:{}", millpond_wire::PORT))]
    server: String,
    /// A key with the scope `query`.
    #[arg(long, env = "MILLPOND_API_KEY", hide_env_values = true)]
    key: String,
}

impl Remote {
    /// Asks for a JSON answer.
    pub(crate) fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Value> {
        let mut body = self.open(path, parameters, Some(Duration::from_secs(90)))?;
        let mut text = String::new();
        body.read_to_string(&mut text).context("read the server's answer")?;
        serde_json::from_str(&text).context("read the server's answer")
    }

    /// Opens an answer that may go on for ever.
    pub(crate) fn open(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        time_max: Option<Duration>,
    ) -> Result<impl Read + use<>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(time_max)
            .build()
            .into();
        let url = format!("{}{path}", self.server.trim_end_matches('/'));
        let mut request = agent.get(&url).header(API_KEY, &self.key);
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let response = request.call().with_context(|| format!("ask {url}"))?;
        succeeded(response, &url)
    }

    /// Another server than that of the arguments.
    pub(crate) fn new(server: String, key: String) -> Self {
        Self { server, key }
    }

    /// Asks for something to be done; parameters are plain names.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        parameters: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(90)))
            .build()
            .into();
        let pairs: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let separator = if pairs.is_empty() { "" } else { "?" };
        let server = self.server.trim_end_matches('/');
        let url = format!("{server}{path}{separator}{}", pairs.join("&"));
        let request = Request::builder().method(method).uri(&url).header(API_KEY, &self.key);
        let asked = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                agent.run(request.body(body.to_string())?)
            }
            None => agent.run(request.body(())?),
        };
        let mut answer = succeeded(asked.with_context(|| format!("ask {url}"))?, &url)?;
        let mut text = String::new();
        answer.read_to_string(&mut text).context("read the server's answer")?;
        serde_json::from_str(&text).context("read the server's answer")
    }
}

/// The body of an answer, or what the server complains about.
fn succeeded(response: Response<Body>, url: &str) -> Result<impl Read + use<>> {
    let status = response.status();
    let mut reader = response.into_body().into_reader();
    if status.is_success() {
        return Ok(reader);
    }
    let mut text = String::new();
    // The status alone is worth showing.
    let _ = reader.read_to_string(&mut text);
    let message = serde_json::from_str::<Value>(&text).ok();
    let message = message.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or(&text);
    bail!("{url} answered {status}: {message}")
}
