//! What the server asks of a store, whatever engine is behind it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use millpond_query::{Cursor, Filter, Histogram, TimeRange};
use millpond_record::TextAttribute;
use millpond_wire::IdempotencyKey;
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

    /// Counts records: rows of `bucket` (start of the bucket, nanoseconds), `severity_number` and `count`.
    ///
    /// # Errors
    /// The query could not be run.
    async fn histogram(&self, project: &Project, request: &Histogram)
    -> Result<Answer, QueryError>;

    /// The most frequent values of an attribute: rows of `value` and `count`, most frequent first.
    ///
    /// # Errors
    /// The query could not be run.
    async fn top(&self, project: &Project, request: &Top) -> Result<Answer, QueryError>;

    /// Tells the sequence behind the last stored record, each time that it changes.
    fn stored(&self) -> watch::Receiver<u64>;

    /// What is wrong with the stored data, in words for the operator; empty when all is well.
    fn complaints(&self) -> Vec<String>;
}

/// A batch was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its key had been stored before, so it was not stored again.
    pub duplicate: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By event time, newest first.
    NewestFirst,
    /// By event time, oldest first.
    OldestFirst,
    /// As they were stored.
    Stored,
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

/// Asks for the most frequent values of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Top {
    /// Which records.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// The attribute.
    pub attribute: TextAttribute,
    /// At most so many values.
    pub limit: usize,
}

/// Rows, and what they lack.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The rows.
    pub rows: RecordBatch,
    /// Segments that should have been read and are damaged, each with the reason. Empty when the answer is whole.
    pub damaged: Vec<String>,
}

/// A query failed.
#[derive(Debug, thiserror::Error)]
#[error("run the query: {0}")]
pub struct QueryError(#[from] pub(crate) datafusion::error::DataFusionError);

impl QueryError {
    /// The query needed more memory than queries may have; a narrower one, or the same one later, may do.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self.0.find_root(), datafusion::error::DataFusionError::ResourcesExhausted(_))
    }
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.into())
    }
}
