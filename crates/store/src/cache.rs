//! Columns of segments that were read before, in the form in which queries read them, up to a number of bytes.

use std::sync::Arc;

use quick_cache::{Weighter, sync};

use crate::{columns::Column, filters::PageFilters};

/// Which column: of which segment (its number in this process), row group, and place in the file.
pub(crate) type Key = (u64, u32, u32);

/// The place of a row group's filters, which are no column.
pub(crate) const FILTERS: u32 = u32::MAX;

/// No single column takes more than this share of the cache: the texts of a few row groups would push out all else.
const SHARE: usize = 32;

#[derive(Clone, Debug)]
enum Cached {
    Column(Arc<Column>),
    Filters(Option<Arc<PageFilters>>),
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Key, Cached> for Bytes {
    fn weight(&self, _: &Key, value: &Cached) -> u64 {
        let bytes = match value {
            Cached::Column(column) => column.bytes(),
            Cached::Filters(filters) => filters.as_ref().map_or(0, |filters| filters.bytes()),
        };
        // The entry itself.
        bytes as u64 + 64
    }
}

/// The cache of a store.
pub(crate) struct Cache {
    entries: sync::Cache<Key, Cached, Bytes>,
    bytes_max: usize,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.entries.weight()).finish_non_exhaustive()
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        // Columns of some 128 Ki rows are half a megabyte.
        let estimated = bytes_max / (512 << 10);
        Self {
            entries: sync::Cache::with_weighter(estimated.max(16), bytes_max as u64, Bytes),
            bytes_max,
        }
    }

    pub(crate) fn column(&self, key: Key) -> Option<Arc<Column>> {
        match self.entries.get(&key)? {
            Cached::Column(column) => Some(column),
            Cached::Filters(_) => None,
        }
    }

    /// Keeps a column, unless it is too large.
    pub(crate) fn keep(&self, key: Key, column: &Arc<Column>) {
        if column.bytes() <= self.bytes_max / SHARE {
            self.entries.insert(key, Cached::Column(Arc::clone(column)));
        }
    }

    /// The filters of a row group, read if they are not here.
    pub(crate) fn filters<E>(
        &self,
        segment: u64,
        row_group: u32,
        read: impl FnOnce() -> Result<Option<PageFilters>, E>,
    ) -> Result<Option<Arc<PageFilters>>, E> {
        let key = (segment, row_group, FILTERS);
        if let Some(Cached::Filters(filters)) = self.entries.get(&key) {
            return Ok(filters);
        }
        let filters = read()?.map(Arc::new);
        self.entries.insert(key, Cached::Filters(filters.clone()));
        Ok(filters)
    }
}
