//! A [`tower`](tower_service) middleware that records each HTTP request once, and gives all records of a request the
//! same trace and request id.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use millpond_tower::MillpondLayer;
//!
//! # let client = millpond::Client::builder().build().unwrap();
//! let app: Router = Router::new()
//!     .route("/orders/{number}", get(async || "an order"))
//!     .layer(MillpondLayer::new(client));
//! # }
//! ```
//!
//! The record of a request is written when the last byte of its response has been handed to the server, or when
//! nobody wants the rest of it any more:
//!
//! | field | |
//! |---|---|
//! | `method`, `path` | as requested; the query string is never recorded |
//! | `route` | the route that matched, with the feature `axum` and the layer inside of the router |
//! | `status` | of the response; without one 499 if the client went away, 500 if the service failed |
//! | `duration_ms` | from the request to the end of the response |
//! | `response_bytes` | of the response's body, as far as the server took it |
//! | `ip` | of the peer, or of whom [trusted proxies](MillpondLayer::trusted_proxies) name |
//! | `user_agent` | as it came |
//! | `parent_span_id` | the caller's span |
//! | `outcome` | only if the response did not end: `disconnected`, `failed` or `panicked` |
//! | `disconnected` | `true` with that outcome |
//! | `request_headers` | only those that were [asked for](MillpondLayer::request_headers) |
//!
//! Its level is `error` from status 500 on and for what failed or panicked, `warn` from 400 on and for clients that
//! went away, otherwise `info`. 404 is no exception: who scans a service for holes is worth a look, and who does not
//! want it says so with [`MillpondLayer::level_of`].
//!
//! The trace goes on from the header `traceparent` with a new span, the request id from `x-request-id` or
//! `x-correlation-id`; both are made if missing. They are in the [`Scope`](millpond::Scope) in which the inner service,
//! its future and the body of its response run, so that everything logged there carries them. The response tells the
//! request id in `x-request-id`.
//!
//! Errors and panics pass through as they are. Bodies are neither read ahead nor held back.

#![forbid(unsafe_code)]

mod body;
mod exchange;
mod layer;
mod network;
mod request;
mod service;

pub use body::RecordedBody;
pub use layer::MillpondLayer;
pub use network::{ForwardedHeader, Network, NotANetwork};
pub use service::{MillpondService, ResponseFuture};
