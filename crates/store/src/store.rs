//! What the server asks of a store, whatever engine is behind it.

use std::{io, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use futures::stream::BoxStream;
use millpond_query::{Cursor, Field, Filter, Stats, TimeRange};
use millpond_record::Timestamp;
use millpond_wire::IdempotencyKey;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Batch, Project};

/// A place where records are stored and found. Queries reach it as syntax trees, rows leave it as Arrow.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Stores a batch. When this returns `Ok`, the batch survives the crash of the process and of the machine, and is
    /// found by every later query. A batch whose key was stored before is not stored again.
    ///
    /// # Errors
    /// The batch is not stored, and may be sent again.
    async fn append(
        &self,
        project: &Project,
        key: Option<IdempotencyKey>,
        batch: Batch,
    ) -> Result<Appended, AppendError>;

    /// Finds records; the rows have the columns of [`crate::schema`], in the asked order.
    ///
    /// # Errors
    /// The query could not be run.
    async fn rows(&self, project: &Project, request: &Rows) -> Result<Answer, QueryError>;

    /// Counts records: one row a group, with the columns that [`Stats::column_names`] names, in the asked order.
    /// Counts and whole numbers are `Int64`, other numbers `Float64`, times timestamps, everything else `Utf8`.
    ///
    /// # Errors
    /// The query could not be run.
    async fn aggregate(&self, project: &Project, request: &Aggregate)
    -> Result<Answer, QueryError>;

    /// The columns that [`Store::scan`] can read: those of [`crate::schema`], and one for each frequent member of
    /// `fields`, named `fields.NAME`.
    fn columns(&self, project: &Project) -> SchemaRef;

    /// Reads columns of the records that pass, in no order.
    ///
    /// # Errors
    /// The query could not be run.
    async fn scan(&self, project: &Project, request: &Scan) -> Result<Scanned, QueryError>;

    /// The segments of a project that turned out to be damaged, each with the reason. A scan leaves them out; one during
    /// which a segment turns out to be damaged fails, and may be repeated.
    fn damaged(&self, project: &Project) -> Vec<String> {
        let _ = project;
        Vec::new()
    }

    /// Tells the sequence behind the last stored record, each time that it changes.
    fn stored(&self) -> watch::Receiver<u64>;

    /// What is stored of each project, by name.
    fn projects(&self) -> Vec<ProjectInfo>;

    /// Sets how long, and how much, a project's records are kept. Takes effect at the next clean-up, within a minute.
    ///
    /// # Errors
    /// The setting could not be made durable; the old one stays.
    async fn set_retention(&self, project: &Project, retention: Retention) -> io::Result<()>;

    /// Deletes all records of a project. Records that arrive meanwhile are kept.
    ///
    /// # Errors
    /// The deletion could not be made durable; the records are still there.
    async fn delete_project(&self, project: &Project) -> io::Result<()>;

    /// What is wrong with the stored data, in words for the operator; empty when all is well.
    fn complaints(&self) -> Vec<String>;
}

/// A batch was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its key had been stored before, so it was not stored again.
    pub duplicate: bool,
    /// Sequence of its first record, the others count on from there; `None` if nothing was stored.
    pub first_sequence: Option<u64>,
}

/// A batch was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Too much is waiting; try again soon.
    #[error("too many batches are waiting to be stored")]
    Overloaded,
    /// The disk, quota or file-size limit is reached.
    #[error("there is no room to store the batch: {0}")]
    NoRoom(Arc<std::io::Error>),
    /// Writing failed in another way.
    #[error("store the batch: {0}")]
    Failed(Arc<std::io::Error>),
    /// The store is shutting down.
    #[error("the store is shutting down")]
    Closed,
}

/// The order of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// By event time, newest first.
    NewestFirst,
    /// By event time, oldest first.
    OldestFirst,
    /// As they were stored.
    Stored,
    /// By the value of a field, newest first where it is the same; records without a value come last. Has no pages.
    Field {
        /// The field.
        field: Field,
        /// Greatest first.
        descending: bool,
    },
}

/// Asks for records.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Which.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// In which order.
    pub order: Order,
    /// Only those that stand behind this place in the order.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// Asks for counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which records.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// What is counted, in which groups.
    pub stats: Stats,
    /// The order: columns of the answer by their place, and whether greatest first. Groups that are equal in it
    /// stand in the order of their first columns.
    pub sort: Vec<(usize, bool)>,
    /// At most so many rows.
    pub limit: usize,
}

/// Asks for columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Which records.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// Names of columns that [`Store::columns`] names.
    pub columns: Vec<String>,
}

/// The columns that a scan reads, piece by piece.
pub type Scanned = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// What is stored of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectInfo {
    /// The project.
    pub project: Project,
    /// Number of its records.
    pub records: u64,
    /// Number of its segments.
    pub segments: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Event times of its oldest and newest record; `None` if it has none.
    pub times: Option<(Timestamp, Timestamp)>,
    /// What is kept.
    pub retention: Retention,
}

/// How long, and how much, is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Records whose event time is older than this many seconds are deleted; `None` keeps them.
    pub age_seconds: Option<u64>,
    /// The oldest segments are deleted while all are larger than this many bytes; `None` keeps them.
    pub bytes: Option<u64>,
}

/// What a query read, and what it could leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explain {
    /// Segments that may have records in the time range.
    pub segments: u64,
    /// Segments that were left out because of their times.
    pub segments_skipped: u64,
    /// Row groups and hot chunks that were looked into.
    pub units: u64,
    /// Row groups and hot chunks that were left out because of what they can't hold.
    pub units_skipped: u64,
    /// Pages of rows that a filter of words and ids let the query leave out.
    pub pages_skipped: u64,
    /// Records that were looked at.
    pub rows: u64,
}

/// Rows, and what they lack.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The rows.
    pub rows: RecordBatch,
    /// Segments that should have been read and are damaged, each with the reason. Empty when the answer is whole.
    pub damaged: Vec<String>,
    /// Rows are missing at the end, because of their size: an answer has at most some 64 MiB, and always one row. Ask
    /// again behind the last one.
    pub cut: bool,
    /// How it was found.
    pub explain: Explain,
}

/// A query failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// It needs more memory than queries may have; a narrower one, or the same one later, may do.
    #[error("the query needs more memory than the {limit_bytes} bytes that queries may have")]
    OutOfMemory {
        /// What queries may have.
        limit_bytes: usize,
    },
    /// It asks for something that can't be.
    #[error("{0}")]
    Invalid(String),
    /// Whoever asked is gone.
    #[error("the query was cancelled")]
    Cancelled,
    /// Stored data could not be read.
    #[error("run the query: {0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Read(Box::new(error))
    }
}
