//! A statement from its text to its rows, under its limits.

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider},
    dataframe::DataFrame,
    error::{DataFusionError, Result},
    execution::{
        SendableRecordBatchStream,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
        session_state::{SessionState, SessionStateBuilder},
    },
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
    prelude::SessionConfig,
};
use futures::TryStreamExt;
use millpond_store::{Project, Store};
use tokio::time::timeout;

use crate::{
    SqlError,
    functions::Functions,
    limits::{ANSWER_BYTES_MAX, BATCH_ROWS, CORES, ROWS, ROWS_MAX, TIME, TIME_MAX},
    shape, statement,
    table::Logs,
};

const CATALOG: &str = "millpond";
const SCHEMA: &str = "public";
const TABLE: &str = "logs";

/// What one statement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many rows in the answer, up to [`ROWS_MAX`].
    pub rows: usize,
    /// How long it may run, up to [`TIME_MAX`].
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: ROWS, time: TIME }
    }
}

/// The rows that a statement asked for.
#[derive(Clone, Debug)]
pub struct SqlAnswer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, piece by piece.
    pub batches: Vec<RecordBatch>,
    /// Whether there are more rows than the limit.
    pub truncated: bool,
}

/// Answers statements over the records of a store. All statements share one limit of memory.
#[derive(Debug)]
pub struct Sql {
    store: Arc<dyn Store>,
    runtime: Arc<RuntimeEnv>,
    functions: Functions,
    memory_bytes: usize,
}

impl Sql {
    /// Over a store; all statements together may hold `memory_bytes` for what they group, sort and join.
    ///
    /// # Errors
    /// The parts of DataFusion don't fit together: a fault of ours.
    pub fn new(store: Arc<dyn Store>, memory_bytes: usize) -> Result<Self, SqlError> {
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
            .with_disk_manager_builder(no_disk)
            .build_arc()
            .map_err(|error| SqlError::from_datafusion(error, memory_bytes))?;
        Ok(Self { store, runtime, functions: Functions::new(), memory_bytes })
    }

    /// Answers one statement over the table `logs`, the records of `project`. Dropping the future ends its work. Needs
    /// a tokio runtime with a clock, on whose threads it works; their stacks have [`STACK_BYTES_MIN`] or more.
    ///
    /// [`STACK_BYTES_MIN`]: crate::STACK_BYTES_MIN
    ///
    /// # Errors
    /// The statement is wrong or not offered, one of its limits was reached, or the store can't be read.
    pub async fn query(
        &self,
        project: &Project,
        sql: &str,
        limits: Limits,
    ) -> Result<SqlAnswer, SqlError> {
        let time = limits.time.min(TIME_MAX);
        let rows = limits.rows.min(ROWS_MAX);
        match timeout(time, self.answer(project, sql, rows)).await {
            Ok(answer) => answer,
            Err(_) => Err(SqlError::Timeout { milliseconds: time.as_millis() }),
        }
    }

    async fn answer(
        &self,
        project: &Project,
        sql: &str,
        rows: usize,
    ) -> Result<SqlAnswer, SqlError> {
        let failed = |error: DataFusionError| SqlError::from_datafusion(error, self.memory_bytes);
        let statement = statement::parse(sql)?;
        let state = self.session(project).map_err(failed)?;
        let plan = state.statement_to_plan(statement).await.map_err(failed)?;
        shape::check(&plan)?;
        // One more tells whether there are more.
        let plan = limited(plan, rows + 1).map_err(failed)?;
        let stream = DataFrame::new(state, plan).execute_stream().await.map_err(failed)?;
        collect(stream, rows, failed).await
    }

    /// A session that knows one table and nothing else: no file, no other catalog, no functions but ours.
    fn session(&self, project: &Project) -> Result<SessionState> {
        let schema = MemorySchemaProvider::new();
        let logs = Logs::new(Arc::clone(&self.store), project.clone());
        schema.register_table(TABLE.to_owned(), Arc::new(logs))?;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(schema))?;

        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_batch_size(BATCH_ROWS)
            .with_target_partitions(CORES);
        let parser = &mut config.options_mut().sql_parser;
        parser.collect_spans = true;
        // Texts are `Utf8` in the store; casts to another form would keep conditions from it.
        parser.map_string_types_to_utf8view = false;
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime));
        let mut state = self.functions.register(builder).build();
        // What `now()` is.
        state.mark_start_execution();
        state.catalog_list().register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        Ok(state)
    }
}

/// A plan that ends early; `EXPLAIN` must be outermost.
fn limited(plan: LogicalPlan, rows: usize) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => Ok(plan),
        plan => LogicalPlanBuilder::from(plan).limit(0, Some(rows))?.build(),
    }
}

async fn collect(
    mut stream: SendableRecordBatchStream,
    rows: usize,
    failed: impl Fn(DataFusionError) -> SqlError,
) -> Result<SqlAnswer, SqlError> {
    let schema = stream.schema();
    let (mut batches, mut bytes, mut left, mut truncated) = (Vec::new(), 0_usize, rows, false);
    while let Some(batch) = stream.try_next().await.map_err(&failed)? {
        truncated = batch.num_rows() > left;
        let batch = if truncated { batch.slice(0, left) } else { batch };
        left -= batch.num_rows();
        let columns = batch.columns().iter();
        let of_batch: usize = columns
            .map(|column| {
                column
                    .to_data()
                    .get_slice_memory_size()
                    .unwrap_or_else(|_| column.get_array_memory_size())
            })
            .sum();
        bytes = bytes.saturating_add(of_batch);
        if bytes > ANSWER_BYTES_MAX {
            let message = format!(
                "the answer has more than {ANSWER_BYTES_MAX} bytes, expected fewer columns or a smaller limit"
            );
            return Err(SqlError::invalid(message));
        }
        batches.push(batch);
        if truncated {
            break;
        }
    }
    Ok(SqlAnswer { schema, batches, truncated })
}
