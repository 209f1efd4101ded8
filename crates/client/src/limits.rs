//! Every limit and default of the client, each with its reason. The limits of a record are
//! [`millpond_record::limits`].

use std::time::Duration;

pub use millpond_record::limits::{
    ATTRIBUTE_BYTES_MAX, DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, TAGS_MAX,
};

/// Bytes that a queue holds by default: four minutes of a thousand records a second, in what a small container can
/// spare.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Records that a queue holds by default. The limit in bytes comes first unless records are smaller than 64 bytes.
pub const QUEUE_ENTRIES_MAX: u64 = 1 << 20;

/// Records of one batch by default.
pub const BATCH_ENTRIES_MAX: u64 = 10_000;

/// Bytes of one batch before compression by default: about 4,000 records. The server takes 64 MiB.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Age of the oldest record at which a batch is sent by default.
pub const BATCH_AGE_MAX: Duration = Duration::from_secs(1);

/// Upper bound of the first wait before a retry by default.
pub const RETRY_DELAY_FIRST: Duration = Duration::from_millis(500);

/// Upper bound of every wait before a retry by default: so long may the server be back before we notice.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// Failures in a row after which the circuit breaker opens by default.
pub const BREAKER_THRESHOLD: u32 = 5;

/// How long the circuit breaker leaves the server alone by default: at most so long is the server back before it gets
/// a batch.
pub const BREAKER_RESET: Duration = Duration::from_secs(10);

/// Batches in a row that the server refuses as not understood, while a refused one is cut up to find the record at
/// fault, before the rest of it is given up: then it is not a record that is at fault. Finding one bad record among
/// 10,000 takes 28.
pub const REFUSALS_MAX: u32 = 1_000;

/// The longest wait between two attempts while the client closes, which is the last chance and has an end of its own:
/// two seconds by default.
pub const CLOSING_DELAY_MAX: Duration = Duration::from_secs(1);

/// Answers whose latency makes up the mean.
pub const LATENCIES_KEPT: usize = 100;

/// How often the server is told of lost records.
pub const LOSS_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The least time between two writes to the spool: so much of the last records may a SIGKILL take, and what comes while
/// the disk syncs a batch. The first record after a pause is written at once. Each write costs a system call and a few
/// bytes (the head of a frame), however many records it has: 500 a second are half a percent of a processor.
pub const SPOOL_DELAY: Duration = Duration::from_millis(2);

/// Bytes that a spool may take on disk by default, what was left by earlier processes included: ten minutes of a
/// thousand records a second.
pub const SPOOL_BYTES_MAX: u64 = 256 << 20;

/// How long a record may wait in the spool by default.
pub const SPOOL_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How soon a spool that could not be written is tried again.
pub const SPOOL_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How soon it is looked whether a full spool has room again. Memory must hold what comes meanwhile.
pub const SPOOL_FULL_INTERVAL: Duration = Duration::from_millis(50);

/// How long closing waits at least for the disk to take what is still in memory.
pub const SPOOL_GRACE: Duration = Duration::from_millis(500);

/// How often it is looked for what was left by processes that died meanwhile.
pub const SPOOL_ADOPT_INTERVAL: Duration = Duration::from_secs(60);

/// How long the spool may be without work before its last file is removed.
pub const SPOOL_IDLE: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Time to connect, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the body of a batch to leave, and again for the answer to come. A server may need to wait for its disk.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that a connection or a request may be given; more is as good as for ever.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How much of an answer is read. A receipt with its 100 rejections takes 20 KiB.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How much of an answer's body a [`Failure`](crate::Failure) shows.
pub const FAILURE_BODY_BYTES_MAX: usize = 4 << 10;

/// How long the last handle of a client waits for what is queued when it is dropped, by default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Causes of an error that are recorded; the rest is left out.
pub const CAUSES_MAX: usize = 50;

/// Breadcrumbs that a scope keeps; the oldest go first.
pub const BREADCRUMBS_MAX: usize = 100;

/// Bytes of one breadcrumb as JSON. One that is larger goes without its fields.
pub const BREADCRUMB_BYTES_MAX: usize = 4 << 10;

/// Bytes of a breadcrumb's message, and of its category; the rest is cut off.
pub const BREADCRUMB_TEXT_BYTES_MAX: usize = 1 << 10;

/// Bytes of the breadcrumbs that go with one record, a quarter of the largest: the latest that fit.
pub const BREADCRUMBS_BYTES_MAX: usize = 256 << 10;

/// Frames of a stack that are recorded, a quarter of them the outermost; those between are left out.
pub const FRAMES_MAX: usize = 100;

/// How much of a printed backtrace is read: a frame takes 200 bytes, and an endless recursion has 100,000 of them.
pub const BACKTRACE_BYTES_MAX: usize = 1 << 20;

/// Bytes of a panic's message, which is in its record twice; the rest is cut off.
pub const PANIC_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// A line buffer that grew larger than this is not kept for the thread's next record.
pub const LINE_BYTES_KEPT_MAX: usize = 64 << 10;

/// Stack of the sender thread. Only what is touched is ever memory; TLS handshakes in debug builds need the most.
pub const SENDER_STACK_BYTES: usize = 1 << 20;

/// Stack of a sender thread that calls the application: what threads usually have. Python 3.9 takes 1 KiB for each of
/// 1,000 frames before it stops a recursion, and a program may allow more.
pub const HOOK_STACK_BYTES: usize = 8 << 20;

/// How often the same complaint may go to stderr.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Least that a record may be limited to, in bytes: its attributes and a sentence.
pub const LOG_BYTES_MIN: usize = 1 << 10;

/// Time for a query's answer to begin, and again for it to come, by default. The server gives a query 60 seconds, and
/// it may have to wait for its turn.
pub const READ_TIME_MAX: Duration = Duration::from_secs(90);

/// How much of an answer to a query is read: a page of 1,000 logs of 256 KiB each.
pub const READ_ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Connections that a reader keeps for its next requests; more are made when more threads ask at the same time.
pub const READ_CONNECTIONS_KEPT: usize = 4;

/// Logs of a page when all pages are wanted: the most that the server gives at once.
pub const PAGE_LOGS: usize = 1000;

/// Characters that are shown of an answer that is none of a Millpond server.
pub const ANSWER_EXCERPT_CHARS: usize = 200;

/// A live stream that was silent for so long is connected again. The server says something every second.
pub const STREAM_SILENCE_MAX: Duration = Duration::from_secs(10);

/// The longest wait between connections that a live stream may ask for with `retry:`.
pub const STREAM_RETRY_MAX: Duration = Duration::from_secs(30);

/// Largest event of a live stream: a record of 1 MiB, each of its bytes escaped.
pub const STREAM_EVENT_BYTES_MAX: usize = 8 << 20;

/// Longest id of an event that is kept: ours are decimal numbers, and it has to fit into a header.
pub const STREAM_ID_BYTES_MAX: usize = 256;

/// Bytes that are read at once from a live stream.
pub const STREAM_READ_BYTES: usize = 16 << 10;

/// How much of the answer is read that refuses a live stream.
pub const STREAM_REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// How long stopping a tail waits for its thread. A connection that is being made can't be interrupted, and no program
/// should wait for one when it ends.
pub const STOP_TIME_MAX: Duration = Duration::from_millis(500);

/// How long a raw body is tried to be ingested by default: a server that restarts is back by then.
pub const RAW_TIME_MAX: Duration = Duration::from_secs(60);

/// Logs that an async stream reads ahead of its reader: enough for the thread to work while the reader does.
pub const STREAM_LOGS_AHEAD: usize = 64;
