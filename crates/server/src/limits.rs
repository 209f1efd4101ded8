//! Limits of the HTTP server. Those on records and bodies are `millpond_record::limits`.

use std::time::Duration;

use millpond_record::limits::FLOW_NAME_CHARACTERS_MAX;

/// What the process may hold in memory unless told otherwise, in bytes. A small machine has it to spare, and it takes
/// the largest body; see the module `memory` for who gets what.
pub const MEMORY_BYTES: usize = 512 << 20;

/// The least that `Config::memory_bytes` may be: below, the shares are too small for bodies of a few megabytes.
pub const MEMORY_BYTES_MIN: usize = 128 << 20;

/// What the process needs before the first request, and what the allocator keeps for later.
pub(crate) const PROCESS_BYTES: usize = 32 << 20;

/// What an idle connection holds: two buffers of 8 KiB, and the state of its task.
pub(crate) const CONNECTION_BYTES: usize = 24 << 10;

/// Most connections, however much memory there is.
pub(crate) const CONNECTIONS_MAX: usize = 16 << 10;

/// File descriptors that connections leave to the store and everything else.
pub(crate) const FILES_RESERVED: usize = 256;

/// How long all connections may be in use before further ones are answered with 503 and closed.
pub(crate) const CONNECTION_WAIT: Duration = Duration::from_secs(1);

/// Connections that are being refused at the same time; more are closed without a word.
pub(crate) const REFUSALS_MAX: usize = 64;

/// How long the server waits after it could not accept a connection, for want of file descriptors for instance.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the head of a request may take to arrive, counted from when the connection is opened or the last answer is
/// sent; so also how long a connection may be idle.
pub(crate) const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Largest head of a request: the longest address that hyper takes, of 64 KiB, and headers.
pub(crate) const HEAD_BYTES_MAX: usize = 72 << 10;

/// What a connection may buffer: a head, or a part of a body that was read and not yet taken.
pub(crate) const CONNECTION_BUFFER_BYTES: usize = 80 << 10;

/// How long a client may take nothing of an answer.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_secs(60);

/// A client that was answered before it had sent its whole body may go on sending until it reads the answer: for so
/// long in all,
pub(crate) const LINGER_TIME_MAX: Duration = Duration::from_secs(30);

/// ... with no longer pause than this,
pub(crate) const LINGER_PAUSE_MAX: Duration = Duration::from_secs(5);

/// ... and so many bytes: four times the largest body.
pub(crate) const LINGER_BYTES_MAX: usize = 256 << 20;

/// Steps in which a body gets memory, in bytes; the first before it is read, as far as it tells its length. What SDKs
/// send is smaller, so such bodies queue for their turn, and never stand half read in each other's way.
pub(crate) const BODY_STEP_BYTES: usize = 2 << 20;

/// How long a body waits for its next step before it is told to come back.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(5);

/// How long a body may pause.
pub(crate) const BODY_PAUSE_MAX: Duration = Duration::from_secs(20);

/// How fast a body must arrive, in bytes a second, measured over [`BODY_PAUSE_MAX`]: a poor mobile connection.
pub(crate) const BODY_RATE_MIN: u64 = 16 << 10;

/// How long a body waits for the memory that its records need.
pub(crate) const DECODING_WAIT: Duration = Duration::from_secs(10);

/// What the records of a small body need at most, in bytes; a body of 300 KiB.
pub(crate) const DECODING_SMALL_BYTES: usize = 1 << 20;

/// What a batch holds that has hardly any records: its columns begin with room for a thousand.
pub(crate) const BATCH_BYTES: usize = 128 << 10;

/// What a record holds beside its texts: an offset for each of its columns, two times, a sequence.
pub(crate) const RECORD_BYTES: usize = 128;

/// What a format and the defaults add to the text of a record, in bytes; more of them count as so many.
pub(crate) const RECORD_TEXT_ADDED: usize = 256;

/// Free room on the disk below which no more is taken, in bytes, whatever the memory is: what is in memory must still
/// find room as segments, and a manifest beside its successor.
pub const DISK_RESERVE_BYTES_MIN: u64 = 64 << 20;

/// How old the server's view of the free room on the disk may be. A gigabyte a second fills a quarter of a gigabyte.
pub(crate) const DISK_AGE_MAX: Duration = Duration::from_millis(250);

/// A record whose time is further ahead of its arrival says so: no clock is wrong by that much.
pub(crate) const TIME_AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);

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

/// Records that a stream reads at once.
pub(crate) const STREAM_RECORDS: usize = 500;

/// How long open requests may take when the server is told to stop.
pub(crate) const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// How old the server's view of the key file may be; a revoked key works no longer than that.
pub(crate) const KEYS_AGE_MAX: Duration = Duration::from_secs(1);
