//! Limits of the HTTP server. Those on records and bodies are `millpond_record::limits`.

use std::time::Duration;

use millpond_record::limits::FLOW_NAME_CHARACTERS_MAX;

/// What the process may hold in memory unless told otherwise, in bytes. A small machine has it to spare, and it takes
/// the largest body; see the module `memory` for who gets what.
pub const MEMORY_BYTES: usize = 640 << 20;

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

const _: () = assert!(QUERY_STACK_BYTES >= millpond_sql::STACK_BYTES_MIN);

/// Largest body that asks in SQL: a statement of the greatest length, every character escaped, and its limits.
pub(crate) const SQL_BODY_BYTES_MAX: usize = 6 * millpond_sql::SQL_BYTES_MAX + 1024;

/// How long a query may run.
pub(crate) const QUERY_TIME_MAX: Duration = Duration::from_secs(60);

/// Queries that run at the same time; further ones wait.
pub(crate) const QUERIES_MAX: usize = 8;

/// SQL statements that run at the same time; further ones wait.
pub(crate) const STATEMENTS_MAX: usize = 2;

/// How long a query waits for its turn before its client is told to come back.
pub(crate) const QUERY_WAIT: Duration = Duration::from_secs(5);

/// Queries that wait for their turn; more would only wait in vain: with 8 turns of a tenth of a second each, 400 are
/// answered within [`QUERY_WAIT`].
pub(crate) const QUERIES_WAITING_MAX: usize = 400;

/// How long the records of a search may be counted; what is known by then is a lower bound.
pub(crate) const TOTAL_TIME_MAX: Duration = Duration::from_secs(5);

/// Most conditions of LogTide's `metadata_filters`, as LogTide has it.
pub(crate) const LOGTIDE_FILTERS_MAX: usize = 10;

/// Groups of Streamlogia's counts unless told otherwise, as Streamlogia has it.
pub(crate) const STREAMLOGIA_GROUPS: usize = 50;

/// Most groups of Streamlogia's counts, as Streamlogia has it.
pub(crate) const STREAMLOGIA_GROUPS_MAX: usize = 500;

/// Most records of an export: the connection is busy for seconds. What needs more asks in pieces of time.
pub(crate) const EXPORT_RECORDS_MAX: usize = 100_000;

/// How long a ticket for a stream is good, as Streamlogia has it.
pub(crate) const TICKET_TIME: Duration = Duration::from_secs(30);

/// Most tickets that are good at the same time: at some 300 bytes each, three megabytes.
pub(crate) const TICKETS_MAX: usize = 10_000;

/// Most of them for one project, so that none takes them all.
pub(crate) const PROJECT_TICKETS_MAX: usize = 1000;

/// Most records that a search leaves out before its page: they are all found first. Cursors go further.
pub(crate) const OFFSET_MAX: usize = 10_000;

/// Most rows of statistics: at some 100 bytes each, a megabyte of JSON.
pub(crate) const STATISTICS_ROWS_MAX: usize = 10_000;

/// Largest body that asks for a query: the longest query, every character of it escaped, and as much again.
pub(crate) const QUERY_BODY_BYTES_MAX: usize = 12 * millpond_query::QUERY_BYTES_MAX;

/// Most records before, and after, the one whose context is shown.
pub(crate) const CONTEXT_RECORDS_MAX: usize = 500;

/// Records before and after unless told otherwise.
pub(crate) const CONTEXT_RECORDS: usize = 10;

/// Most records of a flow that is shown: a process of steps has tens.
pub(crate) const FLOW_RECORDS_MAX: usize = 5000;

/// Runs of a request that are looked for: an id that every request of a service has is no request's.
pub(crate) const RUNS_FOUND_MAX: usize = 10_000;

/// Runs of a request that are shown.
pub(crate) const RUNS_SHOWN_MAX: usize = 100;

/// Most missing steps of a flow that are named; all are counted.
pub(crate) const MISSING_STEPS_NAMED_MAX: usize = 100;

/// Most fields whose values are counted at once: each is a query.
pub(crate) const FACETS_MAX: usize = 20;

/// Values of a facet unless told otherwise.
pub(crate) const FACET_VALUES: usize = 10;

/// Most values of a facet.
pub(crate) const FACET_VALUES_MAX: usize = 1000;

/// Newest errors among which an example is looked for of each kind in `top_errors`, before it is asked for by itself.
pub(crate) const ERROR_EXAMPLES: usize = 200;

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

/// Pages that streams which are far behind read at the same time; further ones wait, however many resume at once. Half
/// of [`QUERIES_MAX`] stays with those who search.
pub(crate) const STREAM_READS_MAX: usize = 4;

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

/// Longest name of a key, in characters.
pub(crate) const KEY_NAME_CHARACTERS_MAX: usize = 100;

/// Most keys of a project, revoked ones counted: the file is read as a whole, and a thousand take half a megabyte.
pub(crate) const PROJECT_KEYS_MAX: usize = 1000;

/// How long the secret before a rotation works unless told otherwise: a day to bring the new one everywhere.
pub(crate) const GRACE_NANOS: i64 = 24 * 3_600_000_000_000;

/// How long the secret before a rotation may work at most: 30 days.
pub(crate) const GRACE_NANOS_MAX: i64 = 30 * GRACE_NANOS;

/// How often what keys did is written down; a crash forgets no more than that.
pub(crate) const USAGE_SAVED_EVERY: Duration = Duration::from_secs(60);

/// How much of the audit log is looked at, from its end: 8 MiB are about 40,000 acts.
pub(crate) const AUDIT_BYTES_READ: u64 = 8 << 20;

/// Acts of the audit log that are given at once.
pub(crate) const AUDIT_ENTRIES_MAX: usize = 1000;

/// Acts of the audit log unless told otherwise.
pub(crate) const AUDIT_ENTRIES: usize = 100;

/// Largest body of a request to administer, in bytes: every member at its longest takes a tenth of it.
pub(crate) const ADMIN_BODY_BYTES_MAX: usize = 16 << 10;
