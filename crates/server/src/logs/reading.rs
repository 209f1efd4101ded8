//! The store as one project sees it, for the length of one question.

use std::{future::Future, sync::Arc, time::Duration};

use arrow::{array::AsArray, datatypes::Int64Type};
use millpond_query::{Field, Filter, Group, Stats, TimeRange};
use millpond_store::{Aggregate, Answer, Project, QueryError, Rows, Store};

use crate::{App, auth::Caller, error::ApiError, keys::Scope};

/// A store and the project that may be read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) project: Project,
}

/// Answers a question that may take several queries, in one turn and within one time.
///
/// # Errors
/// The key may not read, no turn came, or the question failed.
pub(crate) async fn ask<T: Send + 'static, F>(
    app: &App,
    caller: &Caller,
    time_max: Duration,
    question: impl FnOnce(Reading) -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, QueryError>> + Send + 'static,
{
    caller.require(Scope::Query)?;
    let reading = Reading { store: Arc::clone(&app.store), project: caller.project.clone() };
    app.queries.run_within(time_max, question(reading)).await
}

impl Reading {
    pub(crate) async fn rows(&self, request: &Rows) -> Result<Answer, QueryError> {
        self.store.rows(&self.project, request).await
    }

    pub(crate) async fn aggregate(&self, request: &Aggregate) -> Result<Answer, QueryError> {
        self.store.aggregate(&self.project, request).await
    }

    /// The number of records.
    pub(crate) async fn count(
        &self,
        filter: Filter,
        range: TimeRange,
    ) -> Result<usize, QueryError> {
        let stats = Stats::count_by(Vec::new());
        let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: 1 };
        let answer = self.aggregate(&request).await?;
        let counts = answer.rows.column(0).as_primitive::<Int64Type>().values();
        Ok(counts.first().and_then(|&count| usize::try_from(count).ok()).unwrap_or_default())
    }

    /// The most frequent values of a field, and how often each occurs.
    pub(crate) async fn top(
        &self,
        filter: Filter,
        range: TimeRange,
        field: Field,
        limit: usize,
    ) -> Result<Answer, QueryError> {
        let stats = Stats { without_missing: true, ..Stats::count_by(vec![Group::Field(field)]) };
        let request = Aggregate { filter, range, stats, sort: vec![(1, true)], limit };
        self.aggregate(&request).await
    }
}
