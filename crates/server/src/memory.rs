//! How the memory that the process may use is shared out. Pure arithmetic; each share is held by its owner.
//!
//! Some is needed before the first request: code, stacks, the allocator's own. Of the rest, in 32nds:
//!
//! ```text
//! 13  store         hot rows, queries, caches: `millpond_store::Options`
//!  2  sql           what statements sort and group
//!  8  decoding      records that are made of large bodies, until the store has them
//!  1  decoding      the same for small bodies, which then never wait for large ones
//!  6  bodies        bytes that arrived, as they were sent and decompressed
//!  2  connections   buffers of idle ones
//! ```

use millpond_record::limits::BODY_BYTES_MAX;

use crate::limits::{CONNECTION_BYTES, CONNECTIONS_MAX, MEMORY_BYTES_MIN, PROCESS_BYTES};

/// What each part of the process may use, in bytes unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) store: usize,
    pub(crate) sql: usize,
    pub(crate) decoding_large: usize,
    pub(crate) decoding_small: usize,
    pub(crate) bodies: usize,
    /// Number of connections.
    pub(crate) connections: usize,
    /// The largest body that can be taken, after decompression.
    pub(crate) body_bytes_max: usize,
}

impl Shares {
    /// Shares out so many bytes; fewer than [`MEMORY_BYTES_MIN`] count as that.
    pub(crate) fn of(memory_bytes: usize) -> Self {
        let rest = memory_bytes.max(MEMORY_BYTES_MIN).saturating_sub(PROCESS_BYTES);
        // The permits of a semaphore are counted in 32 bits when they are asked for.
        let share = |parts: usize| (rest / 32 * parts).min(u32::MAX as usize);
        let (bodies, decoding_large) = (share(6), share(8));
        Self {
            store: rest / 32 * 13,
            sql: share(2),
            decoding_large,
            decoding_small: share(1),
            bodies,
            connections: (share(2) / CONNECTION_BYTES).min(CONNECTIONS_MAX),
            // Room for the body as it was sent beside itself decompressed, and for its records.
            body_bytes_max: BODY_BYTES_MAX.min(bodies / 4 * 3).min(decoding_large / 16 * 9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MEMORY_BYTES;

    #[test]
    fn shares_are_never_more_than_the_whole() {
        for memory_bytes in [0, MEMORY_BYTES_MIN, MEMORY_BYTES, 3 << 30, 1 << 40] {
            let shares = Shares::of(memory_bytes);
            let decoding = shares.decoding_large + shares.decoding_small;
            let connections = shares.connections * CONNECTION_BYTES;
            let queried = shares.store + shares.sql;
            let sum = PROCESS_BYTES + queried + decoding + shares.bodies + connections;
            assert!(sum <= memory_bytes.max(MEMORY_BYTES_MIN), "{memory_bytes}: {shares:?}");
        }
    }

    #[test]
    fn the_default_takes_the_largest_body() {
        assert_eq!(Shares::of(MEMORY_BYTES).body_bytes_max, BODY_BYTES_MAX);
        assert!(Shares::of(MEMORY_BYTES_MIN).body_bytes_max >= 8 << 20);
    }
}
