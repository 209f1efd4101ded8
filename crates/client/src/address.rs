//! Where the server is, how it is reached, and with which key: the options, and what they come to.

pub(crate) mod dsn;
pub(crate) mod proxy;

use std::{env, path::PathBuf};

use millpond_wire::{INGEST_PATH, PORT};
use ureq::{
    Proxy,
    http::Uri,
    tls::{Certificate, PemItem, parse_pem},
};

use crate::{
    BuildError, Builder, address::dsn::Dsn, address::proxy::ProxyChoice, diagnostics::complain,
};

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) endpoint: Option<String>,
    pub(crate) api_key: Option<String>,
    dsn: Option<String>,
    proxy: ProxyChoice,
    ca: Ca,
}

/// Where the roots come from that a server's certificate is checked against.
#[derive(Clone, Debug, Default)]
enum Ca {
    #[default]
    BuiltIn,
    Pem(Vec<u8>),
    File(PathBuf),
}

/// What it comes to.
#[derive(Debug)]
pub(crate) struct Address {
    /// Where batches are posted to.
    pub(crate) url: String,
    pub(crate) api_key: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    /// The roots to trust in place of Mozilla's; none for those.
    pub(crate) ca_certificates: Vec<Certificate<'static>>,
}

impl Options {
    pub(crate) fn from_variables(said: impl Fn(&'static str) -> Option<String>) -> Self {
        Self {
            endpoint: said("MILLPOND_ENDPOINT"),
            api_key: said("MILLPOND_API_KEY"),
            dsn: said("MILLPOND_DSN"),
            proxy: ProxyChoice::default(),
            ca: said("MILLPOND_CA_FILE").map_or(Ca::BuiltIn, |path| Ca::File(path.into())),
        }
    }

    /// # Errors
    /// The endpoint, the DSN or the proxy is no address, the key is no header value, or there are no certificates.
    pub(crate) fn resolve(self, foreign: Option<&Uri>) -> Result<Address, BuildError> {
        if let Some(url) = foreign {
            let (url, proxy) = (url.to_string(), proxy(&self.proxy, &url.to_string())?);
            let ca_certificates = ca_certificates(self.ca)?;
            return Ok(Address { url, api_key: None, proxy, ca_certificates });
        }
        let dsn = self.dsn.as_deref().map(|dsn| Dsn::parse(dsn).ok_or(BuildError::Dsn));
        let (dsn_endpoint, dsn_key) =
            dsn.transpose()?.map(|dsn| (dsn.endpoint, dsn.api_key)).unzip();
        let api_key = self.api_key.or(dsn_key);
        // A header could carry more, but no server would know it for the same text.
        if api_key.as_deref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(BuildError::ApiKey);
        }
        let url = match self.endpoint.or(dsn_endpoint) {
            Some(endpoint) => {
                ingest_url(&endpoint).ok_or_else(|| BuildError::Endpoint(without_key(&endpoint)))?
            }
            None => format!("http://127.0.0.1:{PORT}{INGEST_PATH}"),
        };
        let proxy = proxy(&self.proxy, &url)?;
        Ok(Address { url, api_key, proxy, ca_certificates: ca_certificates(self.ca)? })
    }
}

impl Builder {
    /// The server's address; `http://127.0.0.1:4480` by default.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.address.endpoint = Some(endpoint.into());
        self
    }

    /// The key that decides the project.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.address.api_key = Some(key.into());
        self
    }

    /// The server's address and the key in one text, `https://KEY@HOST[:PORT]`, in place of what was said of them so
    /// far, here or by the environment; what [`Self::endpoint`] and [`Self::api_key`] say later comes before it.
    pub fn dsn(mut self, dsn: impl Into<String>) -> Self {
        self.address =
            Options { dsn: Some(dsn.into()), endpoint: None, api_key: None, ..self.address };
        self
    }

    /// The proxy to reach the server through, by the method `CONNECT`: `http://[USER:PASSWORD@]HOST:PORT`. By default
    /// the environment decides (`HTTPS_PROXY` or `http_proxy`, `ALL_PROXY`, `NO_PROXY`), but never for a server on
    /// this machine; there it may lack the `http://`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.address.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.address.proxy = ProxyChoice::Direct;
        self
    }

    /// The certificates, in PEM, of the authorities to trust in place of the built-in ones of Mozilla.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.address.ca = Ca::Pem(pem.into());
        self
    }

    /// As [`Self::ca_certificates`], from a file that [`Self::build`] reads.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.address.ca = Ca::File(path.into());
        self
    }
}

/// The endpoint without what stands in front of a host: a DSN in the wrong place.
pub(crate) fn without_key(endpoint: &str) -> String {
    match endpoint.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => endpoint.to_owned(),
    }
}

fn ingest_url(endpoint: &str) -> Option<String> {
    let base = endpoint.trim().trim_end_matches('/');
    let url = foreign(&format!("{base}{INGEST_PATH}"))?;
    url.query().is_none().then(|| url.to_string())
}

/// The address of any resource of a server, with a query or without.
pub(crate) fn foreign(url: &str) -> Option<Uri> {
    let url: Uri = url.parse().ok()?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    // A key in front of the host would be shown wherever the endpoint is; that is what a DSN is for.
    let is_bare = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (known && is_bare && has_host(&url)).then_some(url)
}

/// Whether there is a host, and a port behind it or none. `Uri` takes any number for a port.
fn has_host(url: &Uri) -> bool {
    url.authority().is_some_and(|authority| {
        let (host, text) = (authority.host(), authority.as_str());
        let is_alone = text.rsplit('@').next() == Some(host);
        !host.is_empty() && (is_alone || authority.port_u16().is_some())
    })
}

fn proxy(choice: &ProxyChoice, url: &str) -> Result<Option<Proxy>, BuildError> {
    let target: Uri = url.parse().map_err(|_| BuildError::Endpoint(url.to_owned()))?;
    if let ProxyChoice::Url(proxy) = choice
        && !proxy.parse().is_ok_and(|url: Uri| url.scheme().is_some() && has_host(&url))
    {
        return Err(BuildError::Proxy("it is no URL with a host".to_owned()));
    }
    let address = choice.url(&target, |name| env::var(name).ok());
    if address.as_deref().is_some_and(|address| !is_http(address)) {
        // What the environment says is meant for other programs too, some of which know SOCKS.
        return match choice {
            ProxyChoice::Url(_) => Err(BuildError::Proxy("it is no HTTP proxy".to_owned())),
            _ => {
                complain(&format_args!(
                    "the proxy that the environment names is no HTTP proxy and not used"
                ));
                Ok(None)
            }
        };
    }
    address
        // The address may have a password in it and is not shown.
        .map(|proxy| Proxy::new(&proxy).map_err(|error| BuildError::Proxy(error.to_string())))
        .transpose()
}

/// Whether the proxy is one that we can talk to. In the environment it may lack the scheme.
fn is_http(proxy: &str) -> bool {
    proxy.split_once("://").is_none_or(|(scheme, _)| matches!(scheme, "http" | "https"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn an_endpoint_is_an_http_address() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4480", "http://127.0.0.1:4480/api/v1/ingest"),
            (" https://logs.example/ ", "https://logs.example/api/v1/ingest"),
            ("http://[::1]:4480/behind/a/proxy/", "http://[::1]:4480/behind/a/proxy/api/v1/ingest"),
        ] {
            assert_eq!(ingest_url(endpoint).as_deref(), Some(url));
        }
        for endpoint in [
            "",
            "localhost:4480",
            "ftp://x",
            "http://",
            "http://a b",
            "http://x?y=1",
            "/api",
            "http://127.0.0.1:99999",
            "http://[::1]:65536",
            "http://logs.example:",
        ] {
            let error = Client::builder().endpoint(endpoint).build().unwrap_err();
            assert_eq!(error, BuildError::Endpoint(endpoint.to_owned()));
        }
        let error = Client::builder().dsn("http://key@127.0.0.1:99999").build().unwrap_err();
        assert_eq!(error, BuildError::Endpoint("http://127.0.0.1:99999".to_owned()));
    }

    #[test]
    fn a_proxy_is_a_url_with_a_host() {
        let build = |proxy: &str| Client::builder().proxy(proxy).build();
        for proxy in ["http://proxy.example", "https://user:secret@[::1]:3128"] {
            assert!(build(proxy).is_ok(), "{proxy}");
        }
        for proxy in ["", "nonsense", "proxy:3128", "http://:3128", "http://u:secret@p:99999"] {
            let error = build(proxy).unwrap_err();
            assert_eq!(
                error.to_string(),
                "build client: proxy: it is no URL with a host, expected http://HOST:PORT or https://HOST:PORT",
                "{proxy}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_none_for_http_is_refused_or_left_to_other_programs() {
        assert!(is_http("proxy.example:3128") && is_http("http://proxy.example:3128"));
        assert!(!is_http("socks5h://127.0.0.1:1080"));
        let built = Client::builder().proxy("socks5://user:secret@127.0.0.1:1080").build();
        assert_eq!(
            built.unwrap_err().to_string(),
            "build client: proxy: it is no HTTP proxy, expected http://HOST:PORT or https://HOST:PORT"
        );
    }

    #[test]
    fn a_key_in_an_endpoint_is_not_shown() {
        let error = Client::builder().endpoint("https://secret@logs.example").build().unwrap_err();
        assert_eq!(error, BuildError::Endpoint("…@logs.example".to_owned()));
    }
}
