//! Every limit and default of the client, each with its reason. The limits of a record are
//! [`millpond_record::limits`].

use std::time::Duration;

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

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Time to connect, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the body of a batch to leave, and again for the answer to come. A server may need to wait for its disk.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of an answer is read. A receipt with its 100 rejections takes 20 KiB.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How long the last handle of a client waits for what is queued when it is dropped, by default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Causes of an error that are recorded; the rest is left out.
pub const CAUSES_MAX: usize = 50;

/// A line buffer that grew larger than this is not kept for the thread's next record.
pub const LINE_BYTES_KEPT_MAX: usize = 64 << 10;

/// Stack of the sender thread. Only what is touched is ever memory; TLS handshakes in debug builds need the most.
pub const SENDER_STACK_BYTES: usize = 1 << 20;

/// How often the same complaint may go to stderr.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Least that a record may be limited to, in bytes: its attributes and a sentence.
pub const LOG_BYTES_MIN: usize = 1 << 10;
