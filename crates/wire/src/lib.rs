//! Our own batch protocol, as both ends see it: where a batch goes, what its headers are, how its body is
//! compressed, and what an answer means for the batch.
//!
//! A batch is one `POST` to [`INGEST_PATH`]: newline-delimited JSON records, compressed, under an
//! [`IdempotencyKey`]. Sent again with the same key it is stored once.
//!
//! Pure: no sockets, no clock; a time that is needed is a parameter.

#![forbid(unsafe_code)]

mod compression;
mod format;
mod idempotency;
mod verdict;

pub use compression::{Compression, Compressor, UnknownCompression};
pub use format::{Format, UnknownFormat};
pub use idempotency::{IDEMPOTENCY_KEY_BYTES_MAX, IdempotencyKey, IdempotencyKeyError};
pub use verdict::{Answer, Refusal, Verdict};

/// The port that a server listens on unless told otherwise.
pub const PORT: u16 = 4480;

/// Where batches are posted to, below the server's address.
pub const INGEST_PATH: &str = "/api/v1/ingest";

/// Where a new flow is asked for, below the server's address: `{"name"}` is answered with `{"flow_id", "name"}`.
pub const FLOWS_PATH: &str = "/api/v1/flows";

/// Where a client asks what its key may do, below the server's address.
pub const KEY_PATH: &str = "/api/v1/key";

/// The content type of a batch: one JSON record a line.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Names of the headers, in the lower case that HTTP libraries compare in.
pub mod header {
    /// The key that decides the project.
    pub const API_KEY: &str = "x-api-key";
    /// The batch's [`IdempotencyKey`](crate::IdempotencyKey).
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    /// How the body is compressed: [`Compression::name`](crate::Compression::name).
    pub const CONTENT_ENCODING: &str = "content-encoding";
    /// Always [`CONTENT_TYPE`](crate::CONTENT_TYPE).
    pub const CONTENT_TYPE: &str = "content-type";
    /// When to try again.
    pub const RETRY_AFTER: &str = "retry-after";
}
