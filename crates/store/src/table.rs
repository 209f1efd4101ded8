//! The records of a project as a DataFusion table: everything above the scan (grouping, sorting, limits of memory,
//! cancellation) is DataFusion's.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};

use crate::{
    scan::{Predicate, Unit, Units, read_passing},
    schema::schema,
};

/// Units as a table.
#[derive(Debug)]
pub(crate) struct LogTable {
    pub(crate) units: Units,
}

#[async_trait]
impl TableProvider for LogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..schema().fields().len()).collect());
        let projected: SchemaRef = Arc::new(schema().project(&columns)?);
        let scan = Arc::new(Scan {
            predicate: Predicate::compile(filters)?,
            columns,
            projected: Arc::clone(&projected),
            waiting: Mutex::new(self.units.units.clone()),
        });
        let partitions = state.config().target_partitions().clamp(1, self.units.units.len().max(1));
        let partitions = (0..partitions)
            .map(|_| Arc::new(Partition(Arc::clone(&scan))) as Arc<dyn PartitionStream>);
        let plan =
            StreamingTableExec::try_new(projected, partitions.collect(), None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// One scan: its partitions take units from a common list, so that none waits for another.
#[derive(Debug)]
struct Scan {
    predicate: Option<Predicate>,
    columns: Vec<usize>,
    projected: SchemaRef,
    waiting: Mutex<Vec<Unit>>,
}

impl Scan {
    fn next(&self) -> Option<Result<arrow::array::RecordBatch>> {
        let unit = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(read_passing(&unit, self.predicate.as_ref(), &self.columns, &self.projected))
    }
}

#[derive(Debug)]
struct Partition(Arc<Scan>);

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.0.projected
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let scan = Arc::clone(&self.0);
        let batches = futures::stream::iter(std::iter::from_fn(move || scan.next()));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0.projected), batches))
    }
}
