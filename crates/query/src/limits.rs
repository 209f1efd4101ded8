//! Limits on a query.

/// Longest query text in bytes. A person types hundreds; a program that joins a thousand ids needs tens of thousands.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Most conditions in one query: a program that joins a thousand ids. An engine may recurse over them.
pub const TERMS_MAX: usize = 1024;

/// Longest text whose words are looked for, in bytes. A line of a log, not a page of it.
pub const WORDS_BYTES_MAX: usize = 4096;

/// Deepest nesting of parentheses and negations; bounds the recursion of everything that walks the tree.
pub const DEPTH_MAX: usize = 64;
