//! Millpond's HTTP server. It parses, calls the store and formats; what a record or a query means is decided below.
//!
//! [`Server::start`] opens the data directory and the port, [`Server::run`] serves until it is told to stop.
//! The routes are documented in `docs/http-api.md`.

mod admin;
mod administration;
mod audit;
mod auth;
mod body;
mod clock;
mod error;
mod flows;
mod ingest;
mod keys;
mod limits;
mod logs;
mod openapi;
mod own_key;
mod routes;
mod run;
mod stream;
mod time_text;
mod usage;

use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::IntoResponse,
};
use millpond_store::{EmbeddedStore, OpenError, Recovery, Store};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::timeout,
};

pub use administration::{Actor, Administration, AdministrationError, KeyStatus, ProjectStatus};
pub use audit::{Act, AuditEntry, AuditLog};
pub use keys::{
    GRACE_NANOS_DEFAULT, KeyChange, KeyEntry, KeyFile, KeyLimits, KeyLimitsChange, KeyState,
    KeysError, NewKey, Scope, grace_nanos, time_to_come,
};
pub use usage::{KeyUsage, read_usage};

use crate::{
    error::ApiError,
    keys::Keys,
    limits::{DECODING_MAX, SHUTDOWN_TIME_MAX},
    run::Queries,
    stream::{Bounds, Hubs},
    usage::Usage,
};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_directory: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
}

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The data directory could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The keys could not be read or made.
    #[error(transparent)]
    Keys(#[from] AdministrationError),
    /// The address could not be listened on.
    #[error("listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Something else of the system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    usage: Arc<Usage>,
    administration: Arc<Administration>,
    queries: Arc<Queries>,
    hubs: Arc<Hubs>,
    bodies: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    app: App,
    /// The engine behind the app's store.
    engine: Arc<EmbeddedStore>,
    listener: TcpListener,
    first_key: Option<String>,
    end: watch::Sender<bool>,
}

impl Server {
    /// Opens the data directory, makes the first key if there is none, and listens.
    ///
    /// # Errors
    /// One of these is not possible; nothing was changed but what opening a directory changes.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        let engine = Arc::new(EmbeddedStore::open(&config.data_directory)?);
        let address = config.address;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServerError::Listen { address, error })?;
        let administration = Administration::new(&config.data_directory);
        let first_key = administration.first_key(clock::now())?;
        let (end, ending) = watch::channel(false);
        let app = App {
            hubs: Arc::new(Hubs::new(Arc::clone(&engine) as Arc<dyn Store>, Bounds::default())),
            store: Arc::clone(&engine) as Arc<dyn Store>,
            keys: Arc::new(Keys::new(administration.keys().clone())),
            usage: Arc::new(Usage::open(&config.data_directory)),
            administration: Arc::new(administration),
            queries: Arc::new(Queries::start()?),
            bodies: Arc::new(body::budget()),
            decoding: Arc::new(Semaphore::new(DECODING_MAX)),
            ending,
        };
        Ok(Self { app, engine, listener, first_key, end })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The key that was made because there was none. It can't be shown again.
    #[must_use]
    pub fn first_key(&self) -> Option<&str> {
        self.first_key.as_deref()
    }

    /// What was found in the data directory.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.engine.recovery()
    }

    /// Serves until `stop` is done, then lets open requests end and closes the store.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let Self { app, engine, listener, end, .. } = self;
        let mut ending = app.ending.clone();
        let usage = Arc::clone(&app.usage);
        tokio::spawn(usage::keep_saved(Arc::clone(&usage), app.ending.clone()));
        let told = async move {
            stop.await;
            end.send_replace(true);
        };
        let hubs = Arc::clone(&app.hubs);
        let serving = async move {
            axum::serve(listener, router(app)).with_graceful_shutdown(told).await?;
            // A connection that became a WebSocket is no request any more.
            hubs.left().await;
            Ok::<_, io::Error>(())
        };
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = async { let _ = ending.wait_for(|&ending| ending).await; } => {
                timeout(SHUTDOWN_TIME_MAX, &mut serving).await.unwrap_or(Ok(()))
            }
        };
        let close = move || {
            usage.save();
            engine.close();
        };
        tokio::task::spawn_blocking(close).await.map_err(io::Error::other)?;
        Ok(served?)
    }
}

fn router(app: App) -> Router {
    routes::router()
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        // The body is read, limited and refused in `body`.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

async fn health(State(app): State<App>) -> impl IntoResponse {
    let complaints = app.store.complaints();
    let status = if complaints.is_empty() { "ok" } else { "degraded" };
    Json(json!({ "status": status, "version": env!("CARGO_PKG_VERSION"), "complaints": complaints,
                "queries_running": app.queries.running() }))
}

async fn not_found(uri: axum::http::Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no route {}", uri.path()))
}

async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
