//! Millpond's query language: text -> [`Filter`] and back. The one meaning of a query, whatever engine runs it.
//!
//! Pure: no engine, no clock, no I/O. An engine takes the tree and gives rows.
//!
//! ```text
//! query  = or
//! or     = and { "OR" and }
//! and    = not { [ "AND" ] not }
//! not    = ( "-" | "NOT" ) not | term
//! term   = "(" or ")" | field ":" ( "(" or ")" | test ) | test
//! test   = [ ">" | ">=" | "<" | "<=" | "=" ] text | text "*" | "*"
//! text   = word | '"' any characters, \" and \\ escaped '"'
//! ```
//!
//! A text without a field is looked for in `message`: its words, one after the other, in any case. A word is a run of
//! letters and digits. `field:text` compares the whole value. A comparison is made between numbers where both sides
//! are numbers, and between texts otherwise. `field:*` asks whether there is a value.

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
pub use limits::{DEPTH_MAX, QUERY_BYTES_MAX, TERMS_MAX, WORDS_BYTES_MAX};
pub use parse::{ParseError, parse};
pub use request::{Cursor, CursorError, TimeRange};
pub use stats::{Function, Group, Query, SortBy, SortKey, Stats, StatsColumn};
pub use words::words;
