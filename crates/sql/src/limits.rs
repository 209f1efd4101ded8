//! Limits of a statement and of its answer, each with its reason.

use std::time::Duration;

/// Longest statement, in bytes: room for a thousand trace ids in a list.
pub const SQL_BYTES_MAX: usize = 64 << 10;

/// Most tokens of a statement, white space not counted. A chain such as `a + a + a` becomes a tree that is half as
/// deep, which planning copies and drops level by level.
pub(crate) const TOKENS_MAX: usize = 4096;

/// The stack that a thread needs which answers statements, in bytes: a tree of 2048 levels, up to 8 KiB each in a
/// build without optimization. Only what is used takes memory.
pub const STACK_BYTES_MIN: usize = 16 << 20;

/// How deep parentheses, subqueries and the like may stand in each other.
pub(crate) const DEPTH_MAX: usize = 50;

/// How deep expressions may stand in each other; a chain such as `a || b || c` is one level for each sign. The name of
/// each level is made of those below it, again and again, which takes the cube of the depth: 0.4 s at 50 in a build
/// without optimization. Values that are alternatives belong in a list, `IN (…)`.
pub(crate) const EXPRESSION_DEPTH_MAX: usize = 64;

/// How often a statement may read `logs`. Each reading holds some row groups in memory.
pub(crate) const TABLES_MAX: usize = 16;

/// Most tables, queries and steps of a statement once each name that `WITH` gives stands for what it names.
pub(crate) const NODES_MAX: usize = 1000;

/// Most terms of one step of a plan once each column of a subquery stands for what it was computed from. The optimizer
/// may put it so, and each subquery can double it.
pub(crate) const TERMS_MAX: usize = 20_000;

/// Bytes of a text that count as one term. The texts of a step may be repeated for each row of a batch: 2048 times
/// 160,000 bytes are 330 MB at the worst.
pub(crate) const TERM_BYTES: usize = 8;

/// Most rows of an answer.
pub const ROWS_MAX: usize = 10_000;

/// Rows of an answer unless told otherwise.
pub const ROWS: usize = 1000;

/// Largest answer, in bytes of Arrow memory: 10,000 records of 3 KiB.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;

/// How long a statement may run.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// How long a statement runs unless told otherwise.
pub const TIME: Duration = Duration::from_secs(30);

/// Rows that are worked on at once. A join copies so many rows; between them it can be cancelled.
pub(crate) const BATCH_ROWS: usize = 2048;

/// Cores that one statement may keep busy; more would only give each a smaller share of the groups.
pub(crate) const CORES: usize = 4;

/// Most bytes that one call of a function may make of one batch of rows: what a function makes longer than it was is
/// not counted as memory of the statement.
pub(crate) const CALL_BYTES_MAX: usize = 32 << 20;
