//! A batch, or a part of one, on its way: what is in it and under which key it goes. Pure.

use millpond_queue::Batch;
use millpond_wire::IdempotencyKey;

/// A part of a batch that is sent as one.
///
/// The parts of batch 7 of client `c` are the nodes of a binary tree. The whole batch is node 1 and goes under the
/// key `c:7`; the halves of node `n` are the nodes `2n` and `2n + 1` and go under `c/7:NODE`. So a batch that is read
/// back from the spool after a crash and cut up again has the same parts under the same keys as before.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    pub(crate) attempts: u32,
    client: String,
    sequence: u64,
    node: u64,
}

impl Parcel {
    /// A whole batch.
    pub(crate) fn new(batch: Batch, client: &str, sequence: u64) -> Self {
        Self { batch, attempts: 0, client: client.to_owned(), sequence, node: 1 }
    }

    pub(crate) fn key(&self) -> IdempotencyKey {
        match self.node {
            1 => IdempotencyKey { client: self.client.clone(), sequence: self.sequence },
            node => IdempotencyKey {
                client: format!("{}/{}", self.client, self.sequence),
                sequence: node,
            },
        }
    }

    /// Both halves.
    ///
    /// # Errors
    /// A single record is given back.
    pub(crate) fn split(self) -> Result<(Self, Self), Self> {
        let Self { batch, client, sequence, node, .. } = self;
        let part =
            |batch, node| Self { batch, attempts: 0, client: client.clone(), sequence, node };
        // A batch has less than 2^62 records, so that no tree is deeper than the numbers of its nodes allow.
        match batch.split() {
            Ok((first, second)) => {
                Ok((part(first, node.wrapping_mul(2)), part(second, node.wrapping_mul(2) | 1)))
            }
            Err(batch) => Err(part(batch, node)),
        }
    }
}
