//! What all queries together may hold in memory for what they count and sort.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::QueryError;

/// The budget.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
    limit_bytes: usize,
}

/// A part of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    memory: &'a Memory,
    bytes: usize,
}

impl Memory {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit_bytes }
    }

    pub(crate) fn reserved(&self) -> Reserved<'_> {
        Reserved { memory: self, bytes: 0 }
    }
}

impl Reserved<'_> {
    /// Holds so many bytes from now on.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), QueryError> {
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let used = self.memory.used.fetch_add(more, Ordering::Relaxed);
            self.bytes = bytes;
            if used + more > self.memory.limit_bytes {
                return Err(QueryError::OutOfMemory { limit_bytes: self.memory.limit_bytes });
            }
        } else {
            self.memory.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
