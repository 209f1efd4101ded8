//! Random numbers that need not be unpredictable to anybody, only different from one another.

use std::hash::{BuildHasher as _, RandomState};

use crate::clock;

/// A random number. The operating system always has one; should it not, the seed of the standard library's hash
/// maps will do.
pub(crate) fn u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(clock::wall()))
}

/// A name that no other client of any process has: 32 hex digits.
pub(crate) fn client_id() -> String {
    format!("{:016x}{:016x}", u64(), u64())
}
