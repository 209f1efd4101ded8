//! Limits of the HTTP server. Those on records and bodies are `millpond_record::limits`.

use std::time::Duration;

use millpond_record::limits::FLOW_NAME_CHARACTERS_MAX;

/// Bytes of bodies, as they were sent, that are being read at the same time. Further requests wait.
pub(crate) const BODIES_BYTES_MAX: usize = 128 << 20;

/// What a body without a `Content-Length` is counted as.
pub(crate) const BODY_BYTES_UNKNOWN: usize = 4 << 20;

/// How long a request waits for its share of [`BODIES_BYTES_MAX`] before it is told to come back.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(5);

/// How long a body may take to arrive.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(120);

/// Large or compressed bodies that are being decoded at the same time, each up to 64 MiB and three times that with
/// its columns: 768 MiB at the worst. Further ones wait.
pub(crate) const DECODING_MAX: usize = 4;

/// Uncompressed JSON below this size is decoded at once; other bodies on a thread of their own, so that nobody has to
/// wait for them.
pub(crate) const BODY_BYTES_INLINE: usize = 32 << 10;

/// Largest body that asks for a flow: a name of the greatest length, every character escaped, and as much again.
pub(crate) const FLOW_BODY_BYTES_MAX: usize = 24 * FLOW_NAME_CHARACTERS_MAX;

/// What `Retry-After` says when too much is waiting.
pub(crate) const RETRY_OVERLOADED_SECONDS: u64 = 1;

/// What `Retry-After` says when the disk is full or fails.
pub(crate) const RETRY_STORAGE_SECONDS: u64 = 10;

/// Most records of one page.
pub(crate) const PAGE_RECORDS_MAX: usize = 1000;

/// Records of a page unless told otherwise.
pub(crate) const PAGE_RECORDS: usize = 100;

/// Most buckets of a histogram.
pub(crate) const BUCKETS_MAX: i64 = 10_000;

/// Buckets that the default interval aims at.
pub(crate) const BUCKETS: i64 = 60;

/// Values in `top_services` and `top_errors`.
pub(crate) const TOP_VALUES: usize = 10;

/// Stack of a query's thread in bytes; only what is used takes memory. DataFusion recurses over expressions, and a query
/// may have `millpond_query::TERMS_MAX` terms.
pub(crate) const QUERY_STACK_BYTES: usize = 64 << 20;

/// How long a query may run.
pub(crate) const QUERY_TIME_MAX: Duration = Duration::from_secs(60);

/// Queries that run at the same time; further ones wait.
pub(crate) const QUERIES_MAX: usize = 8;

/// A stream that has nothing to say says so this often; LogTide's SDK notices only then that it should stop.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often a stream that has nothing to say looks whether its key is still good.
pub(crate) const STREAM_KEY_CHECK: Duration = Duration::from_millis(250);

/// Streams that are open at the same time; further ones are refused. At most a [`STREAM_PAGE_BYTES`] each, which is
/// what a reader that does not read leaves with us.
pub(crate) const STREAMS_MAX: u32 = 4096;

/// Records that are read at once for the streams of a project, or for one that is far behind.
pub(crate) const STREAM_PAGE_RECORDS_MAX: usize = 5000;

/// Records of the first page, when nothing is known of their size.
pub(crate) const STREAM_PAGE_RECORDS: usize = 500;

/// What such a page aims at in bytes, judged by the one before.
pub(crate) const STREAM_PAGE_BYTES: usize = 512 << 10;

/// JSON of the records that streams share and pass on as one, in bytes; one record more may go over it.
pub(crate) const STREAM_BATCH_BYTES: usize = 256 << 10;

/// The newest records that are kept in memory for the streams of a project, in bytes: some ten thousand records.
/// Whoever is behind them reads from the store.
pub(crate) const STREAM_RING_BYTES_MAX: usize = 16 << 20;

/// Between two reads for the streams of a project. Nobody sees the difference, and a thousand streams are woken fifty
/// times a second at most, however many batches are stored.
pub(crate) const STREAM_PAUSE: Duration = Duration::from_millis(20);

/// Records, of all projects, that a stream may fall behind before it goes on with the newest and says what was missed.
pub(crate) const STREAM_BEHIND_MAX: u64 = 1_000_000;

/// Largest message that is read from a WebSocket, in bytes; none is expected.
pub(crate) const SOCKET_MESSAGE_BYTES_MAX: usize = 4 << 10;

/// What a WebSocket collects before it writes, in bytes.
pub(crate) const SOCKET_WRITE_BYTES: usize = 16 << 10;

/// How long a WebSocket that ends waits for its reader to take the reason and to say goodbye.
pub(crate) const SOCKET_END_WAIT: Duration = Duration::from_secs(1);

/// How long open requests may take when the server is told to stop.
pub(crate) const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// How old the server's view of the key file may be; a revoked key works no longer than that.
pub(crate) const KEYS_AGE_MAX: Duration = Duration::from_secs(1);
