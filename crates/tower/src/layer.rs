//! The layer and its settings.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{Extensions, HeaderName, StatusCode};
use millpond::{Client, Level};
use tower_layer::Layer;

use crate::{ForwardedHeader, MillpondService, Network};

/// Not recorded unless asked for: they are asked for every few seconds, and say nothing but that they were asked for.
pub(crate) const SKIPPED_PATHS: [&str; 3] = ["/health", "/healthz", "/metrics*"];

/// Records the requests of the services that it is laid around. See the [crate documentation](crate).
#[derive(Clone, Debug)]
pub struct MillpondLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) client: Client,
    skipped_paths: Vec<String>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) forwarded_header: ForwardedHeader,
    pub(crate) request_headers: Vec<HeaderName>,
    pub(crate) level_of: fn(StatusCode) -> Level,
    pub(crate) peer_address: fn(&Extensions) -> Option<IpAddr>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("skipped_paths", &self.skipped_paths)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("request_headers", &self.request_headers)
            .finish_non_exhaustive()
    }
}

impl MillpondLayer {
    /// A layer that records with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let settings = Settings {
            client,
            skipped_paths: SKIPPED_PATHS.map(str::to_owned).into(),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            request_headers: Vec::new(),
            level_of,
            peer_address: crate::request::peer_address,
        };
        Self { settings: Arc::new(settings) }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// The paths that are not recorded, in place of `/health`, `/healthz` and `/metrics*`; a `*` at the end stands for
    /// anything. What is logged during such a request has its ids nevertheless, and one that fails or panics is
    /// recorded.
    #[must_use]
    pub fn skip_paths(self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|settings| settings.skipped_paths = paths.into_iter().map(Into::into).collect())
    }

    /// The proxies that are believed when they name the address that a request came from: nobody is by default, for
    /// everybody can write the header. The addresses are gone through from the last one, which the nearest proxy
    /// wrote; the first that is no trusted proxy is the client's.
    ///
    /// ```
    /// # let client = millpond::Client::builder().build().unwrap();
    /// millpond_tower::MillpondLayer::new(client)
    ///     .trusted_proxies(["10.0.0.0/8".parse()?, "::1".parse()?]);
    /// # Ok::<(), millpond_tower::NotANetwork>(())
    /// ```
    #[must_use]
    pub fn trusted_proxies(self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.with(|settings| settings.trusted_proxies = networks.into_iter().collect())
    }

    /// The header in which the trusted proxies name addresses; `X-Forwarded-For` by default. Only one is read: what
    /// the proxies do not write themselves, they pass on as the client wrote it.
    #[must_use]
    pub fn forwarded_header(self, header: ForwardedHeader) -> Self {
        self.with(|settings| settings.forwarded_header = header)
    }

    /// Request headers that are recorded, as the field `request_headers`; none by default. Think twice of
    /// `authorization` and `cookie`. A value that is marked as sensitive stays out.
    #[must_use]
    pub fn request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(|settings| settings.request_headers = names.into_iter().collect())
    }

    /// The level of a request that was answered with this status. It does not count for requests that failed,
    /// panicked or lost their client.
    #[must_use]
    pub fn level_of(self, level: fn(StatusCode) -> Level) -> Self {
        self.with(|settings| settings.level_of = level)
    }

    /// How to know the address of the peer from the extensions of a request. By default it is a
    /// [`SocketAddr`](std::net::SocketAddr) among them or, with the feature `axum`, axum's `ConnectInfo` of one.
    #[must_use]
    pub fn peer_address(self, peer: fn(&Extensions) -> Option<IpAddr>) -> Self {
        self.with(|settings| settings.peer_address = peer)
    }
}

impl<S> Layer<S> for MillpondLayer {
    type Service = MillpondService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MillpondService::new(inner, Arc::clone(&self.settings))
    }
}

impl Settings {
    pub(crate) fn skips(&self, path: &str) -> bool {
        self.skipped_paths.iter().any(|skipped| match skipped.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == skipped,
        })
    }
}

fn level_of(status: StatusCode) -> Level {
    match status.as_u16() {
        500.. => Level::Error,
        400.. => Level::Warn,
        _ => Level::Info,
    }
}
