//! A client for the server's HTTP API as a stranger would write it from `docs/http-api.md`: paths, headers, JSON.

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// An answer slower than this is a hang; it is no claim about speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// One server and one key.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    key: String,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body, null if it is no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// One page of logs.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records, newest first.
    pub logs: Vec<Value>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Api {
    /// A client that has its own connections.
    #[must_use]
    pub fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { agent: config.into(), url: url.to_owned(), key: key.to_owned() }
    }

    /// The same server seen with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// GET of a path with parameters.
    ///
    /// # Errors
    /// No answer came.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Reply> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request.header("X-API-Key", &self.key);
        let request = request.query_pairs(parameters.iter().copied());
        reply(request.call().with_context(|| format!("GET {path}"))?)
    }

    /// POST of a body with headers.
    ///
    /// # Errors
    /// No answer came.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        request = request.header("X-API-Key", &self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body).with_context(|| format!("POST {path}"))?)
    }

    /// Any method with a JSON body.
    ///
    /// # Errors
    /// No answer came.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Reply> {
        let request = ureq::http::Request::builder().method(method);
        let request = request.uri(format!("{}{path}", self.url)).header("X-API-Key", &self.key);
        let request = request.header("Content-Type", "application/json").body(body.to_string())?;
        reply(self.agent.run(request).with_context(|| format!("{method} {path}"))?)
    }

    /// Any method with any headers and no key of our own: for asking what must be refused.
    ///
    /// # Errors
    /// No answer came.
    pub fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = ureq::http::Request::builder().method(method);
        request = request.uri(format!("{}{path}", self.url));
        // A server that refuses a request before its body ends may close the connection: nobody is to reuse it.
        request = request.header("Connection", "close");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.agent.run(request.body(())?);
        reply(answer.with_context(|| format!("{method} {path}"))?)
    }

    /// Sends records in a JSON array; with an idempotency key if one is given.
    ///
    /// # Errors
    /// No answer came. An answer that refuses them is no error here.
    pub fn ingest(&self, records: &[Value], idempotency_key: Option<&str>) -> Result<Reply> {
        let body = serde_json::to_vec(records)?;
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(idempotency_key.map(|key| ("Idempotency-Key", key)));
        self.post("/api/v1/ingest", &headers, &body)
    }

    /// One page of logs.
    ///
    /// # Errors
    /// The server refused or answered in another shape.
    pub fn page(&self, parameters: &[(&str, &str)]) -> Result<Page> {
        let mut reply = self.get("/api/v1/logs", parameters)?.succeeded()?;
        let next_cursor = reply.text_at("next_cursor").map(str::to_owned);
        let has_more = reply.body.get("has_more").and_then(Value::as_bool);
        ensure!(
            has_more == Some(next_cursor.is_some()),
            "`has_more` is {has_more:?} where next_cursor is {next_cursor:?}"
        );
        match reply.body.get_mut("logs").map(Value::take) {
            Some(Value::Array(logs)) => Ok(Page { logs, next_cursor }),
            other => anyhow::bail!("`logs` is {other:?}, expected an array"),
        }
    }

    /// Every record that matches, over all pages.
    ///
    /// # Errors
    /// As [`Api::page`].
    pub fn all(&self, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut records = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let mut asked = parameters.to_vec();
            asked.push(("limit", "1000"));
            asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.page(&asked)?;
            records.extend(page.logs);
            let Some(next) = page.next_cursor else { return Ok(records) };
            ensure!(cursor.as_ref() != Some(&next), "the cursor {next} leads to itself");
            cursor = Some(next);
        }
    }

    /// The records of one trace, oldest first.
    ///
    /// # Errors
    /// The server refused or answered in another shape.
    pub fn trace(&self, trace_id: &str) -> Result<Vec<Value>> {
        let reply = self.get(&format!("/api/v1/logs/trace/{trace_id}"), &[])?.succeeded()?;
        Ok(reply.body.get("logs").and_then(Value::as_array).context("`logs` is no array")?.clone())
    }

    /// Counts over time.
    ///
    /// # Errors
    /// The server refused.
    pub fn aggregated(&self, parameters: &[(&str, &str)]) -> Result<Value> {
        Ok(self.get("/api/v1/logs/aggregated", parameters)?.succeeded()?.body)
    }

    /// Opens the live stream; each item is the `id` and the `data` of one event.
    ///
    /// # Errors
    /// The server refused.
    pub fn stream(
        &self,
        parameters: &[(&str, &str)],
        last_event_id: Option<&str>,
    ) -> Result<impl Iterator<Item = Result<(String, Value)>> + use<>> {
        let mut request = self.agent.get(format!("{}/api/v1/logs/stream", self.url));
        request = request.header("X-API-Key", &self.key).header("Accept", "text/event-stream");
        request = request.query_pairs(parameters.iter().copied());
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.call().context("GET /api/v1/logs/stream")?;
        ensure!(response.status() == 200, "the stream was answered with {}", response.status());
        Ok(events(BufReader::new(response.into_body().into_reader())))
    }
}

impl Reply {
    /// Itself if the status is 200.
    ///
    /// # Errors
    /// It is not.
    pub fn succeeded(self) -> Result<Self> {
        ensure!(self.status == 200, "answered {}: {}", self.status, self.text);
        Ok(self)
    }

    /// `code` of an error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.text_at("code").unwrap_or_default()
    }

    /// `message` of an error.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text_at("message").unwrap_or_default()
    }

    fn text_at(&self, key: &str) -> Option<&str> {
        self.body.get(key)?.as_str()
    }
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Result<Reply> {
    let retry_after = response.headers().get("Retry-After");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply { status: response.status().as_u16(), retry_after, body, text })
}

fn events(mut lines: impl BufRead) -> impl Iterator<Item = Result<(String, Value)>> {
    std::iter::from_fn(move || next_event(&mut lines).transpose())
}

/// The next event with data; comments and events without are read over. `None` at the end of the stream.
fn next_event(lines: &mut impl BufRead) -> Result<Option<(String, Value)>> {
    let (mut id, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end_matches(['\r', '\n']) {
            "" if data.is_empty() => {}
            "" => return Ok(Some((id, serde_json::from_str(&data)?))),
            line => match line.split_once(':') {
                Some(("id", value)) => value.trim_start().clone_into(&mut id),
                Some(("data", value)) => data.push_str(value.strip_prefix(' ').unwrap_or(value)),
                _ => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_comments() {
        let text = ": nothing yet\n\nid: 7\ndata: {\"a\":1}\n\n: still nothing\n\nid: 8\ndata: 2\n\nid: 9\n";
        let found: Vec<_> = events(text.as_bytes()).collect::<Result<_>>().unwrap();
        let expected = [("7".to_owned(), serde_json::json!({"a": 1})), ("8".to_owned(), 2.into())];
        assert_eq!(found, expected);
    }
}
