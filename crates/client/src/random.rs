//! Random numbers that need not be unpredictable to anybody, only different from one another.

use std::hash::{BuildHasher as _, RandomState};

use crate::clock;

/// Random bytes. The operating system always has some; should it not, the seeds of the standard library's hash maps
/// will do, which are new for each of them.
pub(crate) fn bytes<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    if getrandom::fill(&mut bytes).is_err() {
        for chunk in bytes.chunks_mut(8) {
            let random = RandomState::new().hash_one(clock::wall()).to_ne_bytes();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
    }
    bytes
}

/// A random number.
pub(crate) fn u64() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// A name that no other client of any process has: 32 hex digits.
pub(crate) fn client_id() -> String {
    format!("{:016x}{:016x}", u64(), u64())
}
