//! Millpond's HTTP server. It parses, calls the store and formats; what a record or a query means is decided below.
//!
//! [`Server::start`] opens the data directory and the port, [`Server::run`] serves until it is told to stop.
//! The routes are documented in `docs/http-api.md`.

mod admin;
mod administration;
mod ahead;
mod audit;
mod auth;
mod body;
mod budget;
mod clock;
mod descriptors;
mod disk;
mod error;
mod flows;
mod ingest;
mod keys;
mod limits;
mod logs;
mod memory;
mod metrics;
mod openapi;
mod own_key;
mod peers;
mod routes;
mod run;
mod serve;
mod socket;
mod sql;
mod stream;
mod time_text;
mod usage;

use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::map_request,
    response::IntoResponse,
};
use millpond_sql::{Sql, SqlError};
use millpond_store::{EmbeddedStore, OpenError, Options, Recovery, Store};
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
pub use limits::{DISK_RESERVE_BYTES_MIN, MEMORY_BYTES, MEMORY_BYTES_MIN};
pub use usage::{KeyUsage, read_usage};

use crate::{
    budget::Budget,
    disk::Disk,
    error::ApiError,
    keys::Keys,
    limits::{QUERIES_MAX, SHUTDOWN_TIME_MAX, STATEMENTS_MAX},
    memory::Shares,
    metrics::Metrics,
    peers::{Tickets, address::told_apart},
    run::Queries,
    serve::Serving,
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
    /// What the process may hold in memory, in bytes: [`MEMORY_BYTES`] unless there is a reason. Fewer than
    /// [`MEMORY_BYTES_MIN`] count as that.
    pub memory_bytes: usize,
    /// Free room on the disk below which no more records are taken, in bytes; `None`: half of the store's memory, and at
    /// least [`DISK_RESERVE_BYTES_MIN`].
    pub disk_reserve_bytes: Option<u64>,
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
    /// SQL could not be set up.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Something else of the system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    store: Arc<dyn Store>,
    sql: Arc<Sql>,
    keys: Arc<Keys>,
    usage: Arc<Usage>,
    administration: Arc<Administration>,
    queries: Arc<Queries>,
    /// The queries in SQL.
    statements: Arc<Queries>,
    hubs: Arc<Hubs>,
    tickets: Arc<Tickets>,
    budget: Budget,
    disk: Arc<Disk>,
    metrics: Arc<Metrics>,
    /// A permit for each connection that may be open.
    connections: Arc<Semaphore>,
    connections_max: usize,
    ending: watch::Receiver<bool>,
}

impl App {
    /// Number of queries that run now, in whatever language.
    fn queries_running(&self) -> usize {
        self.queries.running() + self.statements.running()
    }

    /// What is wrong, in words for the operator.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.store.complaints();
        complaints.extend(self.disk.trouble());
        complaints
    }
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
        let shares = Shares::of(config.memory_bytes);
        let connections_max = shares.connections.min(descriptors::for_connections());
        let options = Options { memory_bytes: shares.store };
        let engine = Arc::new(EmbeddedStore::open_with(&config.data_directory, options)?);
        let reserve = config.disk_reserve_bytes.unwrap_or(Disk::reserve_for(shares.store));
        let address = config.address;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServerError::Listen { address, error })?;
        let administration = Administration::new(&config.data_directory);
        let first_key = administration.first_key(clock::now())?;
        let (end, ending) = watch::channel(false);
        let store = Arc::clone(&engine) as Arc<dyn Store>;
        let app = App {
            hubs: Arc::new(Hubs::new(Arc::clone(&store), Bounds::default())),
            sql: Arc::new(Sql::new(Arc::clone(&store), shares.sql)?),
            store,
            keys: Arc::new(Keys::new(administration.keys().clone())),
            usage: Arc::new(Usage::open(&config.data_directory)),
            administration: Arc::new(administration),
            tickets: Arc::default(),
            queries: Arc::new(Queries::start(QUERIES_MAX)?),
            statements: Arc::new(Queries::start(STATEMENTS_MAX)?),
            budget: Budget::new(shares),
            disk: Arc::new(Disk::new(&config.data_directory, reserve)),
            metrics: Arc::default(),
            connections: Arc::new(Semaphore::new(connections_max)),
            connections_max,
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
    /// The store could not be closed.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let Self { app, engine, listener, end, .. } = self;
        let usage = Arc::clone(&app.usage);
        tokio::spawn(usage::keep_saved(Arc::clone(&usage), app.ending.clone()));
        let hubs = Arc::clone(&app.hubs);
        let serving = Serving {
            metrics: Arc::clone(&app.metrics),
            places: Arc::clone(&app.connections),
            places_max: app.connections_max,
            ending: app.ending.clone(),
            router: router(app),
        };
        let serving = tokio::spawn(async move {
            serving.run(listener).await;
            // A connection that became a WebSocket is no request any more.
            hubs.left().await;
        });
        stop.await;
        end.send_replace(true);
        // Whoever takes longer is cut off when the runtime ends.
        let _ = timeout(SHUTDOWN_TIME_MAX, serving).await;
        let close = move || {
            usage.save();
            engine.close();
        };
        tokio::task::spawn_blocking(close).await.map_err(io::Error::other)?;
        Ok(())
    }
}

fn router(app: App) -> Router {
    let routes = routes::router()
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        // The body is read, limited and refused in `body`.
        .layer(DefaultBodyLimit::disable())
        .with_state(app);
    // Outside of the routes, which are found by the address that it gives.
    Router::new()
        .fallback_service(routes)
        .layer(map_request(async |request: Request| told_apart(request)))
}

async fn health(State(app): State<App>) -> impl IntoResponse {
    let complaints = app.complaints();
    let status = if complaints.is_empty() { "ok" } else { "degraded" };
    Json(json!({ "status": status, "version": env!("CARGO_PKG_VERSION"), "complaints": complaints,
                "queries_running": app.queries_running() }))
}

async fn not_found(uri: axum::http::Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no route {}", uri.path()))
}

async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
