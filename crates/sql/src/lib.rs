//! Read-only SQL over the records of one Millpond project.
//!
//! [`Sql::query`] answers one `SELECT`, `WITH … SELECT` or `EXPLAIN` over one table, `logs`, whose columns are those
//! that the store names for the project. The dialect, the plans and their execution are DataFusion's; what is ours is
//! what stands around them: the table, which hands conditions down to the store; the list of functions; and the
//! limits, of which memory is shared by all statements.
//!
//! A statement goes through `statement` (its form), `shape` (its plan), `table` and `pushdown` (what is read), and
//! comes back as Arrow. It sees no other project, no file and no network: its session knows one table, and nothing
//! in it can name another.
//!
//! This is the only crate that knows DataFusion.

mod error;
mod functions;
mod growth;
mod limits;
mod names;
mod pushdown;
mod shape;
mod sql;
mod statement;
mod table;

pub use error::{Position, SqlError};
pub use limits::{
    ANSWER_BYTES_MAX, ROWS, ROWS_MAX, SQL_BYTES_MAX, STACK_BYTES_MIN, TIME, TIME_MAX,
};
pub use sql::{Limits, Sql, SqlAnswer};
