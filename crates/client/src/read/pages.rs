//! All pages of a query, one log after the other.

use std::vec;

use super::{Log, Query, ReadError, Reader};
use crate::limits::PAGE_LOGS;

/// The logs that a query describes, newest first; a page is fetched when the one before was read. Ends after the
/// first error. Made by [`Reader::logs`].
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Logs {
    reader: Reader,
    /// For the next page; `None` when there is none.
    query: Option<Query>,
    /// Where that page begins.
    cursor: Option<String>,
    page: vec::IntoIter<Log>,
    damaged: Vec<String>,
}

impl Logs {
    pub(super) fn new(reader: Reader, query: Query) -> Self {
        let query = if query.has_limit() { query } else { query.limit(PAGE_LOGS) };
        let page = Vec::new().into_iter();
        Self { reader, query: Some(query), cursor: None, page, damaged: Vec::new() }
    }

    /// Parts of the stored data that are damaged and were left out so far; normally empty.
    #[must_use]
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    fn fetch(&mut self, query: Query) -> Result<(), ReadError> {
        let page = self.reader.query(&query)?;
        // It would go round for ever.
        if self.cursor.is_some() && self.cursor == page.next_cursor {
            let what = "the next page is the same page".to_owned();
            return Err(ReadError::Malformed { what });
        }
        self.query = page.next_cursor.as_deref().map(|cursor| query.cursor(cursor));
        self.cursor = page.next_cursor;
        self.page = page.logs.into_iter();
        for damaged in page.damaged {
            if !self.damaged.contains(&damaged) {
                self.damaged.push(damaged);
            }
        }
        Ok(())
    }
}

impl Iterator for Logs {
    type Item = Result<Log, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(log) = self.page.next() {
                return Some(Ok(log));
            }
            let query = self.query.take()?;
            if let Err(error) = self.fetch(query) {
                return Some(Err(error));
            }
        }
    }
}
