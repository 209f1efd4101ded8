//! Records that all tails of a project share, and what a filter leaves of them. Pure.
//!
//! A record is decoded and written as JSON once, whoever follows; tails with the same filter and form share what it
//! selects as well.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use axum::body::Bytes;
use millpond_query::{Cursor, Filter};
use millpond_record::LogRecord;
use millpond_store::{Matcher, Project, QueryError, records};

use super::form::{Form, Shown};
use crate::logs::write_record;

/// Records of one project in the order in which they were stored; at least one.
#[derive(Debug)]
pub(super) struct Batch {
    records: Vec<Shared>,
    json: String,
}

#[derive(Debug)]
struct Shared {
    cursor: Cursor,
    record: LogRecord<'static>,
    /// Where its JSON ends.
    end: usize,
}

impl Batch {
    /// The rows as batches of about `bytes_max` of JSON.
    pub(super) fn split(rows: &RecordBatch, bytes_max: usize) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for (cursor, record) in records(rows) {
            match batches.last_mut().filter(|batch| batch.json.len() < bytes_max) {
                Some(batch) => batch.push(cursor, record),
                None => {
                    let mut batch = Self { records: Vec::new(), json: String::new() };
                    batch.push(cursor, record);
                    batches.push(batch);
                }
            }
        }
        batches
    }

    fn push(&mut self, cursor: Cursor, record: LogRecord<'_>) {
        write_record(&mut self.json, cursor, &record);
        let record = record.into_owned();
        self.records.push(Shared { cursor, record, end: self.json.len() });
    }

    /// Id of its last record.
    pub(super) fn last_id(&self) -> u64 {
        self.records.last().map_or(0, |last| last.cursor.sequence)
    }

    /// Its JSON, in bytes.
    pub(super) fn json_bytes(&self) -> usize {
        self.json.len()
    }

    /// About what it takes in memory, in bytes: the texts of a record stand in it and in its JSON.
    pub(super) fn bytes(&self) -> usize {
        2 * self.json.len() + self.records.len() * size_of::<Shared>()
    }

    /// The records that pass.
    fn select(&self, matcher: &Matcher, form: Form, project: &str) -> Selection {
        let mut selection = Writer::default();
        let mut start = 0;
        for Shared { cursor, record, end } in &self.records {
            if matcher.selects(record) {
                let json = self.json.get(start..*end).unwrap_or_default();
                let shown = Shown { cursor: *cursor, record, json, project };
                selection.push(cursor.sequence, |out| form.record(out, &shown));
            }
            start = *end;
        }
        selection.finish()
    }
}

/// A filter and a form, shared by all tails of a project that have the same.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) filter: Filter,
    pub(super) form: Form,
    project: Project,
    matcher: Matcher,
    /// What it selected of the newest batch that it was asked about, by the batch's last id.
    newest: Mutex<Option<(u64, Arc<Selection>)>>,
}

impl Selector {
    pub(super) fn new(filter: Filter, form: Form, project: Project) -> Result<Self, QueryError> {
        let matcher = Matcher::new(&filter)?;
        Ok(Self { filter, form, project, matcher, newest: Mutex::default() })
    }

    /// What of a batch passes. Tails that walk side by side have it made once.
    pub(super) fn select(self: &Arc<Self>, batch: &Batch) -> Arc<Selection> {
        if Arc::strong_count(self) == 1 {
            return Arc::new(batch.select(&self.matcher, self.form, self.project.as_str()));
        }
        // The others wait here for what they are about to ask for themselves.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some((id, selection)) if *id == batch.last_id() => return Arc::clone(selection),
            Some((id, _)) if *id > batch.last_id() => drop(newest),
            _ => {
                let selection =
                    Arc::new(batch.select(&self.matcher, self.form, self.project.as_str()));
                *newest = Some((batch.last_id(), Arc::clone(&selection)));
                return selection;
            }
        }
        Arc::new(batch.select(&self.matcher, self.form, self.project.as_str()))
    }

    /// Rows that passed the filter already.
    pub(super) fn selected(&self, rows: &RecordBatch) -> Selection {
        let mut selection = Writer::default();
        let mut json = String::new();
        for (cursor, record) in records(rows) {
            json.clear();
            write_record(&mut json, cursor, &record);
            let project = self.project.as_str();
            let shown = Shown { cursor, record: &record, json: &json, project };
            selection.push(cursor.sequence, |out| self.form.record(out, &shown));
        }
        selection.finish()
    }
}

/// What is said, one text after the other, each with the id of its record.
#[derive(Debug)]
pub(super) struct Selection {
    text: Bytes,
    /// Id and end of each.
    said: Vec<(u64, usize)>,
}

impl Selection {
    /// What is said, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Id of its last record.
    pub(super) fn last_id(&self) -> Option<u64> {
        self.said.last().map(|(id, _)| *id)
    }
}

#[derive(Debug, Default)]
struct Writer {
    text: String,
    said: Vec<(u64, usize)>,
}

impl Writer {
    fn push(&mut self, id: u64, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.said.push((id, self.text.len()));
    }

    fn finish(self) -> Selection {
        Selection { text: Bytes::from(self.text), said: self.said }
    }
}

/// What a tail says next: a selection from some place on.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    selection: Arc<Selection>,
    place: usize,
}

impl Piece {
    /// One text.
    pub(super) fn one(id: u64, text: String) -> Self {
        let said = vec![(id, text.len())];
        Self { selection: Arc::new(Selection { text: Bytes::from(text), said }), place: 0 }
    }

    /// What is said of the records behind an id; `None` if that is nothing.
    pub(super) fn behind(selection: Arc<Selection>, id: u64) -> Option<Self> {
        let place = selection.said.partition_point(|(of_record, _)| *of_record <= id);
        (place < selection.said.len()).then_some(Self { selection, place })
    }

    /// Everything at once.
    pub(super) fn bytes(&self) -> Bytes {
        self.selection.text.slice(self.start()..)
    }

    /// One after the other.
    pub(super) fn messages(&self) -> impl Iterator<Item = Bytes> {
        let mut start = self.start();
        self.selection.said.iter().skip(self.place).map(move |(_, end)| {
            let message = self.selection.text.slice(start..*end);
            start = *end;
            message
        })
    }

    fn start(&self) -> usize {
        let before = self.place.checked_sub(1).and_then(|before| self.selection.said.get(before));
        before.map_or(0, |(_, end)| *end)
    }
}
