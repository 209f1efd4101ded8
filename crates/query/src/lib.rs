//! Millpond's query language: text -> [`Query`] or [`Filter`] and back. The one meaning of a query, whatever engine
//! runs it.
//!
//! Pure: no engine, no clock, no I/O. An engine takes the tree and gives rows. What can be written, and what it means,
//! is in `docs/query-language.md`, whose examples and limits are tested here.

mod filter;
mod format;
mod interval;
mod limits;
mod parse;
mod request;
mod stats;
mod words;

pub use filter::{Comparison, Condition, Field, Filter, Pattern, Test};
pub use interval::{Interval, IntervalError};
pub use limits::{
    DEPTH_MAX, FIELDS_MAX, FUNCTIONS_MAX, GROUPS_MAX, QUERY_BYTES_MAX, REGEX_BYTES_MAX,
    REGEXES_MAX, ROWS_MAX, SORT_KEYS_MAX, TERMS_MAX, TOP_ROWS, WORDS_BYTES_MAX,
};
pub use parse::{ParseError, parse, parse_query};
pub use request::{Cursor, CursorError, TimeRange};
pub use stats::{Function, Group, Query, SortBy, SortKey, Stats, StatsColumn};
pub use words::words;
