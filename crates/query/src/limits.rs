//! Limits on a query.

/// Longest query text in bytes. A person types hundreds; a program that joins a thousand ids needs tens of thousands.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Deepest nesting of parentheses and negations; bounds the recursion of everything that walks the tree.
pub const DEPTH_MAX: usize = 64;
