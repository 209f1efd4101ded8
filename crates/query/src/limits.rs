//! Limits on a query.

/// Longest query text in bytes. A person types hundreds; a program that joins a thousand ids needs tens of thousands.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Most conditions in one query: a program that joins a thousand ids. An engine may recurse over them.
pub const TERMS_MAX: usize = 1024;

/// Longest text whose words are looked for, in bytes. A line of a log, not a page of it.
pub const WORDS_BYTES_MAX: usize = 4096;

/// Deepest nesting of parentheses and negations; bounds the recursion of everything that walks the tree.
pub const DEPTH_MAX: usize = 64;

/// Most regular expressions in one query. Each is compiled, and may then be run over every record.
pub const REGEXES_MAX: usize = 32;

/// Largest regular expression, in bytes after it was compiled: 32 of them are 32 MiB while a query is read. A repeated
/// `\w` knows all letters of Unicode and takes about 20 KiB each time.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Most functions in one `stats`. Each keeps a state for each group; percentiles keep their numbers.
pub const FUNCTIONS_MAX: usize = 16;

/// Most fields that make a group. The number of groups grows with their product.
pub const GROUPS_MAX: usize = 8;

/// Most keys of an order: `top` with the most groups needs nine.
pub const SORT_KEYS_MAX: usize = 16;

/// Most columns that `fields` may choose: wider tables than anyone reads.
pub const FIELDS_MAX: usize = 64;

/// Most rows that `limit` and `top` may ask for. What needs more is paged through.
pub const ROWS_MAX: usize = 10_000;

/// Rows of a `top` that does not say how many.
pub const TOP_ROWS: usize = 10;
