//! The table `logs`: one project's records, as the store reads them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array},
        compute::take,
        datatypes::SchemaRef,
    },
    catalog::{Session, TableProvider},
    common::internal_err,
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use futures::{TryStreamExt, stream};
use millpond_query::{Filter, TimeRange};
use millpond_store::{Project, Scan, Store};

use crate::{limits::BATCH_ROWS, pushdown};

/// The records of one project. There is no way from here to another project.
#[derive(Debug)]
pub(crate) struct Logs {
    store: Arc<dyn Store>,
    project: Project,
    schema: SchemaRef,
}

impl Logs {
    pub(crate) fn new(store: Arc<dyn Store>, project: Project) -> Self {
        let schema = store.columns(&project);
        Self { store, project, schema }
    }
}

#[async_trait]
impl TableProvider for Logs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|condition| {
            if pushdown::range(condition).is_some() {
                return TableProviderFilterPushDown::Exact;
            }
            match pushdown::filter(condition, &self.schema) {
                Some(pushed) if pushed.exact => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            }
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut filter, mut range) = (Filter::All, TimeRange::ALL);
        for condition in filters {
            if let Some(times) = pushdown::range(condition) {
                range = pushdown::both(range, times);
            } else if let Some(pushed) = pushdown::filter(condition, &self.schema) {
                filter = filter.and(pushed.filter);
            } else {
                return internal_err!(
                    "the condition {condition} was handed down and is not understood"
                );
            }
        }
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => Arc::clone(&self.schema),
        };
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        let reading = Reading {
            store: Arc::clone(&self.store),
            project: self.project.clone(),
            request: Scan { filter, range, columns },
            schema: Arc::clone(&schema),
        };
        let plan =
            StreamingTableExec::try_new(schema, vec![Arc::new(reading)], None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// One scan of the store.
#[derive(Debug)]
struct Reading {
    store: Arc<dyn Store>,
    project: Project,
    request: Scan,
    schema: SchemaRef,
}

impl PartitionStream for Reading {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (store, project, request) =
            (Arc::clone(&self.store), self.project.clone(), self.request.clone());
        let schema = Arc::clone(&self.schema);
        let external = |error| DataFusionError::External(Box::new(error));
        let opened = async move { store.scan(&project, &request).await.map_err(external) };
        let pieces = stream::once(opened)
            .map_ok(move |scanned| scanned.map_err(external))
            .try_flatten()
            .map_ok(move |rows| stream::iter(parts(&rows, &schema)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pieces))
    }
}

/// The rows in pieces of at most [`BATCH_ROWS`], each in memory of its own: a slice counts as much as the whole.
fn parts(rows: &RecordBatch, schema: &SchemaRef) -> Vec<Result<RecordBatch>> {
    let count = rows.num_rows();
    if count <= BATCH_ROWS {
        return vec![told(rows.columns().to_vec(), count, schema)];
    }
    let starts = (0..count).step_by(BATCH_ROWS);
    let copied = starts.map(|start| {
        let end = count.min(start + BATCH_ROWS);
        let places = UInt64Array::from_iter_values((start..end).map(|row| row as u64));
        let columns = rows.columns().iter().map(|column| take(column, &places, None));
        told(columns.collect::<Result<_, _>>()?, end - start, schema)
    });
    copied.collect()
}

/// The rows under the schema that was promised: a store may know more of what can be missing.
fn told(columns: Vec<ArrayRef>, rows: usize, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
