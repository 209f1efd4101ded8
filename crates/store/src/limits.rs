//! Limits of the embedded engine, each with its arithmetic.

use std::time::Duration;

/// A write-ahead log file is closed at this size, in bytes: small enough to be freed soon after a flush.
pub(crate) const WAL_FILE_BYTES: u64 = 64 << 20;

/// Most bytes of frames that share one fsync. At 500 MB/s of disk this adds some 30 ms to the wait of the first.
pub(crate) const GROUP_BYTES_MAX: usize = 16 << 20;

/// Most batches that wait for the log writer; more are answered with "overloaded".
pub(crate) const COMMITS_WAITING_MAX: usize = 1024;

/// Of the store's memory one part in so many is for hot rows, of all projects together: half. More stop ingest until a
/// flush has made room; from half of that on, every project is flushed.
pub(crate) const HOT_SHARE: usize = 2;

/// Hot rows of a project are written to a segment when they fill a row group, or one part in so many of what hot rows
/// may take...
pub(crate) const FLUSH_SHARE: usize = 2;

/// ... or from this age of its oldest hot row on.
pub(crate) const FLUSH_AGE: Duration = Duration::from_secs(300);

/// Rows of so many days are written to a segment for each day. Of more days, those with less than one in so many of
/// the rows are written together, to at most as many segments again; see the module `days`.
pub(crate) const FLUSH_DAYS_MAX: usize = 32;

/// Of the store's memory one part in so many is for what queries count and sort, all together.
pub(crate) const QUERY_SHARE: usize = 4;

/// So many numbers of a percentile are held as they came, half a megabyte; more are sorted and counted.
pub(crate) const NUMBERS_UNSORTED: usize = 64 << 10;

/// Different values that are too many for the memory of queries are counted in so many times as many passes, each a
/// share of them...
pub(crate) const PASSES_FACTOR: u32 = 4;

/// ... up to this number. 64 passes with a million values each take about as long as a query may run.
pub(crate) const PASSES_MAX: u32 = 64;

/// Of the store's memory one part in so many is for decoded columns of segments.
pub(crate) const CACHE_SHARE: usize = 4;

/// Hot chunks are joined until they have this many rows; a join copies at most so many...
pub(crate) const CHUNK_ROWS: usize = 64 << 10;

/// ... or this many bytes: 1 KiB for each row. A column of text holds 2 GiB.
pub(crate) const CHUNK_BYTES: usize = 64 << 20;

/// Rows of a Parquet row group: the unit that a scan reads or skips. 128 Ki rows of 350 bytes are 45 MB decoded.
pub(crate) const ROW_GROUP_ROWS: usize = 128 << 10;

/// Most rows of a Parquet data page...
pub(crate) const PAGE_ROWS: usize = 8 << 10;

/// ... and most bytes, about, of one whose column has no dictionary: a page is decoded as a whole, also for one row.
/// Smaller pages compress worse.
pub(crate) const PAGE_BYTES: usize = 64 << 10;

/// Rows that share a filter of words and ids. A page of fewer costs more bytes for each key, of more, more rows are
/// looked at for the one that has it.
pub(crate) const FILTER_ROWS: usize = 2 << 10;

/// A client whose last batch is older than this may be forgotten by the idempotency table.
pub(crate) const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// Most ranges of sequences that are remembered of one client; beyond, its lowest are forgotten. A client that counts
/// needs one, and one more for each batch that is under way or was given up.
pub(crate) const IDEMPOTENCY_RANGES_MAX: usize = 1024;

/// Most clients that the idempotency table remembers; beyond, the longest silent of the projects that have more than
/// their share are forgotten. At some 100 bytes each in the manifest, which is written at every flush, 6 MB.
pub(crate) const IDEMPOTENCY_CLIENTS_MAX: usize = 1 << 16;

/// What the store may hold in memory unless told otherwise, in bytes.
pub(crate) const MEMORY_BYTES: usize = 384 << 20;

/// Most columns of a segment that hold members of `fields`. Each costs some hundred bytes in every file.
pub(crate) const FIELD_COLUMNS_MAX: usize = 96;

/// A member of `fields` gets a column if so many rows of a segment have it...
pub(crate) const FIELD_COLUMN_ROWS_MIN: usize = 16;

/// ... and one in so many.
pub(crate) const FIELD_COLUMN_SHARE: usize = 256;

/// Most keys of `fields` outside of columns that a segment names; with more it only says that there are some.
pub(crate) const FIELD_KEYS_MAX: usize = 256;

/// Most templates of messages that a segment tells apart; messages beyond have none.
pub(crate) const TEMPLATES_MAX: usize = 4096;

/// A segment with so many rows is not merged any more. Two that have fewer fit into one row group together, so a merge
/// gives a full segment or one of a higher tier.
pub(crate) const SEGMENT_FULL_ROWS: u64 = ROW_GROUP_ROWS as u64 / 2;

/// ... nor one of so many bytes: rows of 200 compressed bytes are few and large, and decoded ten times that.
pub(crate) const SEGMENT_FULL_BYTES: u64 = 16 << 20;

/// So many segments of one project, day and tier (a factor of four in rows) are merged. There are eight tiers, so a row
/// is rewritten at most eight times, and a day has at most some 24 segments that are not full.
pub(crate) const MERGE_SEGMENTS: usize = 4;

/// A merge takes segments whose rows have this size together, in bytes of Arrow memory. It holds them twice.
pub(crate) const MERGE_BYTES: usize = 64 << 20;

/// A segment whose rows take so many bytes of Arrow memory is not merged any more: two that take less fit into one
/// merge.
pub(crate) const SEGMENT_FULL_DECODED_BYTES: usize = MERGE_BYTES / 2;

/// A segment that a flush writes has at most so many bytes of hot chunks, or one chunk: a column of text holds 2 GiB,
/// and the rows are copied twice.
pub(crate) const FLUSH_BYTES: usize = 256 << 20;

/// How often there is a look for segments to merge, and for files that no query holds any more.
pub(crate) const MAINTENANCE_TICK: Duration = Duration::from_secs(5);

/// How often the retention of the projects is applied.
pub(crate) const CLEAN_UP_EVERY: Duration = Duration::from_secs(60);

/// Rows of an answer are cut off when they have this size, in bytes of Arrow memory: a thousand of the largest records
/// would be a gigabyte.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// So many rows of an answer are read before it is known how large they are; more than a page mostly has, and 128 MiB at
/// the worst.
pub(crate) const ANSWER_ROWS_FIRST: usize = 128;
