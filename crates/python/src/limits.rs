//! What the conversion of Python values may cost. The limits of a record itself are in [`millpond_record::limits`].

use std::time::Duration;

use millpond_record::limits::{DEPTH_MAX, RECORD_BYTES_MAX};

/// Deepest nesting of a value below `fields`. Eight levels stay free for the record, `fields` itself, and an
/// exception with its frames at the deepest place.
pub(crate) const VALUE_DEPTH_MAX: usize = DEPTH_MAX - 8;

/// Most exceptions of one chain or group that are described. Each nests one level deeper, and two more go to its
/// frames: 50 + 2 < `DEPTH_MAX`.
pub(crate) const EXCEPTIONS_MAX: usize = 50;

/// Most frames of one traceback: the outermost quarter and the innermost three quarters of it.
pub(crate) const FRAMES_MAX: usize = 100;

/// Where the values of a record are cut, in bytes of JSON: a record of the largest size less 64 KiB for the
/// attributes (13 of 4 KiB).
pub(crate) const VALUES_BYTES_MAX: usize = RECORD_BYTES_MAX - (64 << 10);

/// Most elements that are written of an array, column or table: what numpy prints of one.
pub(crate) const ARRAY_ELEMENTS_MAX: usize = 1000;

/// Largest integer whose digits are decimal, in bits: 4,300 digits.
pub(crate) const INTEGER_BITS_MAX: usize = 14_284;

/// Longest message of an exception, in bytes of JSON: there must be room for its frames.
pub(crate) const EXCEPTION_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Most notes of one exception, each cut at 4 KiB of JSON.
pub(crate) const NOTES_MAX: usize = 32;
pub(crate) const NOTE_BYTES_MAX: usize = 4 << 10;

/// Frames of one traceback whose local variables are written where that is asked for: the innermost ones, where it
/// happened.
pub(crate) const LOCALS_FRAMES_MAX: usize = 16;

/// Most local variables of one frame.
pub(crate) const LOCALS_MAX: usize = 50;

/// Where a local variable is cut, in bytes of JSON. With the two above, the variables of one exception take up to
/// 400 KiB, less than half of a record.
pub(crate) const LOCAL_BYTES_MAX: usize = 512;

/// Levels of a local variable: its members and theirs.
pub(crate) const LOCAL_DEPTH_MAX: usize = 2;

/// JSON writes one byte as six at the worst (`\u0000`).
pub(crate) const ESCAPE_FACTOR_MAX: usize = 6;

/// Most types whose kind a thread remembers; each entry keeps its type alive.
pub(crate) const TYPES_REMEMBERED_MAX: usize = 512;

/// How often a container is copied that other threads change meanwhile: a copy takes a microsecond, so two in a row that
/// are disturbed are rare.
pub(crate) const COPY_ATTEMPTS_MAX: usize = 16;

/// Largest text of an entry whose memory a thread keeps for the next one, in bytes.
pub(crate) const SCRATCH_BYTES_KEPT_MAX: usize = 64 << 10;

/// Names that a thread remembers: a few hundred keywords are what a large service has.
pub(crate) const NAMES_REMEMBERED: usize = 512;

/// Longest name that is remembered, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// How often a log call may happen inside another one of the same thread (from a `__repr__` or `__str__` that
/// logs).
pub(crate) const NESTED_CALLS_MAX: u8 = 4;

/// How long the interpreter stays deaf to signals while it waits for a flush, an answer or a log.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// How soon the main thread is told again of a SIGTERM that it may have missed, at first...
pub(crate) const SIGTERM_PAUSE_MIN: Duration = Duration::from_millis(50);

/// ... and at last.
pub(crate) const SIGTERM_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long a log call waits for room by default where it may: what nobody notices, and a server that is slow for a
/// moment needs.
pub(crate) const BLOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How long the end of the interpreter waits for log calls that run code of the application: longer than any `__str__`
/// should take.
pub(crate) const ENDING_TIME_MAX: Duration = Duration::from_secs(1);

/// How often it looks whether they have returned.
pub(crate) const ENDING_INTERVAL: Duration = Duration::from_millis(1);
