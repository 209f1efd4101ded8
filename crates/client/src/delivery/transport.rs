//! The socket: one request at a time over one connection that is kept.

use std::{fmt, io::Read, time::SystemTime};

use millpond_wire::{
    Answer, CONTENT_TYPE, Compression, INGEST_PATH, IdempotencyKey, Verdict, header,
};
use ureq::{
    Agent, Body,
    config::Config,
    tls::{RootCerts, TlsConfig},
};

use crate::{engine::Settings, limits::ANSWER_BYTES_MAX};

const USER_AGENT: &str = concat!("millpond-rust/", env!("CARGO_PKG_VERSION"));

/// A blocking HTTP connection to the server.
pub(crate) struct Transport {
    agent: Agent,
}

/// What came back for a batch.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) verdict: Verdict,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What connects to the server as the settings say. Each request may change the time limits for itself.
pub(crate) fn agent(settings: &Settings) -> Agent {
    // No time limit for the whole call, nor for the resolver: ureq would start a thread for each look-up.
    let config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(settings.address.proxy.clone())
        .tls_config(tls(settings))
        .user_agent(USER_AGENT)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .timeout_connect(Some(settings.delivery.connect_timeout))
        .timeout_send_request(Some(settings.delivery.request_timeout))
        .timeout_send_body(Some(settings.delivery.request_timeout))
        .timeout_recv_response(Some(settings.delivery.request_timeout))
        .timeout_recv_body(Some(settings.delivery.request_timeout))
        .build();
    config.new_agent()
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { agent: agent(settings) }
    }

    /// Posts JSON, below the server's address; the answer's status and body.
    pub(crate) fn post_json(
        &self,
        settings: &Settings,
        path: &str,
        json: &str,
    ) -> Result<(u16, String), ureq::Error> {
        let base = settings.address.url.strip_suffix(INGEST_PATH).unwrap_or(&settings.address.url);
        let url = format!("{base}{path}");
        let mut request = self.agent.post(url).header(header::CONTENT_TYPE, "application/json");
        if let Some(api_key) = &settings.address.api_key {
            request = request.header(header::API_KEY, api_key);
        }
        let mut response = request.send(json)?;
        let text = text_of(response.body_mut(), ANSWER_BYTES_MAX)?;
        Ok((response.status().as_u16(), text))
    }

    /// Posts a batch of so many records and says what the answer means.
    pub(crate) fn post(
        &self,
        settings: &Settings,
        (key, records): (&IdempotencyKey, u64),
        compression: Compression,
        body: &[u8],
        now: fn() -> SystemTime,
    ) -> Result<Posted, ureq::Error> {
        let mut request =
            self.agent.post(&settings.address.url).header(header::IDEMPOTENCY_KEY, key.to_string());
        if let Some(encoding) = compression.name() {
            request = request.header(header::CONTENT_ENCODING, encoding);
        }
        if let Some(api_key) = &settings.address.api_key {
            request = request.header(header::API_KEY, api_key);
        }
        request = match &settings.envelope {
            None => request.header(header::CONTENT_TYPE, CONTENT_TYPE),
            Some(envelope) => {
                if let Some(headers) = request.headers_mut() {
                    headers.extend(envelope.headers(Vec::new(), true));
                }
                request
            }
        };
        let mut response = request.send(body)?;
        let text = beginning_of(response.body_mut());
        let retry_after =
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        let answer = Answer { status, retry_after, body: &text };
        let verdict = match &settings.envelope {
            None => Verdict::of(&answer, now()),
            Some(_) => Verdict::of_any(&answer, records, now()),
        };
        Ok(Posted { verdict, status, body: text })
    }
}

/// All of a body as text; what of it is no UTF-8 is replaced.
///
/// # Errors
/// It breaks off, or is larger.
pub(crate) fn text_of(body: &mut Body, bytes_max: u64) -> Result<String, ureq::Error> {
    let bytes = body.with_config().limit(bytes_max).read_to_vec()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A body as text, as far as it goes, to its end if that may be: only then the connection is used again. The status says
/// what became of a batch, so one whose answer breaks off or is too long must not be sent again.
fn beginning_of(body: &mut Body) -> String {
    let mut bytes = Vec::new();
    let _ = body.as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Mozilla's roots, unless others were given.
fn tls(settings: &Settings) -> TlsConfig {
    let roots = match settings.address.ca_certificates.as_slice() {
        [] => RootCerts::WebPki,
        certificates => RootCerts::new_with_certs(certificates),
    };
    TlsConfig::builder().root_certs(roots).build()
}
