//! The queries of [`Store`] on the embedded engine.
//!
//! Rows in an order are found by one walk over the units, best first, that stops when no unit can hold a better row
//! than the worst one kept; only then are the columns of the kept rows read. Counts are DataFusion plans.

use std::{collections::BinaryHeap, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch, UInt32Array},
    compute::{self, interleave_record_batch},
    datatypes::{DataType, TimestampNanosecondType, UInt64Type},
};
use async_trait::async_trait;
use datafusion::{
    common::{Result, exec_err},
    execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    functions_aggregate::expr_fn::count,
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        col, lit,
    },
    prelude::{DataFrame, SessionConfig, SessionContext},
};
use millpond_query::{Cursor, Filter, Histogram, Interval, TimeRange};
use millpond_wire::IdempotencyKey;
use tokio::sync::watch;

use crate::{
    Answer, AppendError, Appended, Batch, EmbeddedStore, Order, Project, QueryError, Rows, Store,
    Top,
    filter::{balanced, expression, within},
    limits::QUERY_BYTES_MAX,
    scan::{Predicate, Unit, Units},
    schema::{column, place, schema, time_type},
    table::LogTable,
};

/// A row's place in an order, smaller is earlier.
type Rank = (i64, u64);

impl Order {
    fn rank(self, time: i64, sequence: u64) -> Rank {
        match self {
            // Complements reverse the order of integers without an overflow.
            Self::NewestFirst => (!time, !sequence),
            Self::OldestFirst => (time, sequence),
            Self::Stored => (0, sequence),
        }
    }

    /// No row of the unit stands before this rank.
    fn best(self, unit: &Unit) -> Rank {
        match self {
            Self::NewestFirst => self.rank(unit.time_max.nanos(), unit.sequence_max),
            Self::OldestFirst => self.rank(unit.time_min.nanos(), unit.sequence_min),
            Self::Stored => (0, unit.sequence_min),
        }
    }

    /// No row of the unit stands behind this rank.
    fn worst(self, unit: &Unit) -> Rank {
        match self {
            Self::NewestFirst => self.rank(unit.time_min.nanos(), unit.sequence_min),
            Self::OldestFirst => self.rank(unit.time_max.nanos(), unit.sequence_max),
            Self::Stored => (0, unit.sequence_max),
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn append(
        &self,
        project: &Project,
        key: Option<IdempotencyKey>,
        batch: Batch,
    ) -> Result<Appended, AppendError> {
        self.commit(project, key, batch).await
    }

    async fn rows(&self, project: &Project, request: &Rows) -> Result<Answer, QueryError> {
        self.around_damage(project, || self.find_rows(project, request)).await
    }

    async fn histogram(
        &self,
        project: &Project,
        request: &Histogram,
    ) -> Result<Answer, QueryError> {
        self.around_damage(project, || self.count_over_time(project, request)).await
    }

    async fn top(&self, project: &Project, request: &Top) -> Result<Answer, QueryError> {
        self.around_damage(project, || self.count_values(project, request)).await
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.shared.stored.subscribe()
    }

    fn complaints(&self) -> Vec<String> {
        EmbeddedStore::complaints(self)
    }
}

impl EmbeddedStore {
    /// Runs a query, and runs it again without a segment that turned out to be damaged while it was read.
    async fn around_damage<F>(
        &self,
        project: &Project,
        query: impl Fn() -> F,
    ) -> Result<Answer, QueryError>
    where
        F: Future<Output = Result<Answer, QueryError>>,
    {
        loop {
            let known = self.snapshot(project).damaged();
            let answer = query().await;
            // Ends: each round finds one more damaged segment.
            if answer.is_ok() || self.snapshot(project).damaged() <= known {
                return answer;
            }
        }
    }

    async fn find_rows(&self, project: &Project, request: &Rows) -> Result<Answer, QueryError> {
        let order = request.order;
        let behind = request.after.filter(|_| order == Order::Stored).map(|after| after.sequence);
        let Units { mut units, damaged } =
            Units::of(&self.snapshot(project), request.range, behind)?;
        let after =
            request.after.map(|Cursor { time, sequence }| order.rank(time.nanos(), sequence));
        units.retain(|unit| after.is_none_or(|after| order.worst(unit) > after));
        if let Some(sequence) = behind {
            // A live tail asks for the few rows behind the last one, again and again.
            units = units.into_iter().map(|unit| unit.behind(sequence)).collect();
        }
        units.sort_by_key(|unit| order.best(unit));
        let predicate = Predicate::compile(&conjunction(&request.filter, request.range)?)?;

        let mut kept: BinaryHeap<(Rank, usize, u32)> = BinaryHeap::new();
        for (index, unit) in units.iter().enumerate() {
            let full = kept.len() >= request.limit;
            if full && kept.peek().is_none_or(|(worst, ..)| order.best(unit) > *worst) {
                break;
            }
            keep_best(&mut kept, unit, index, predicate.as_ref(), request, after)?;
            // Lets the caller cancel between units.
            yield_now().await;
        }
        let rows = materialise(&units, &kept.into_sorted_vec())?;
        Ok(Answer { rows, damaged })
    }

    async fn count_over_time(
        &self,
        project: &Project,
        request: &Histogram,
    ) -> Result<Answer, QueryError> {
        let (table, damaged) = self.table(project, &request.filter, request.range)?;
        let bucket =
            ScalarUDF::new_from_impl(Bucket::new(request.interval)).call(vec![col(column::TIME)]);
        let counted = table
            .aggregate(
                vec![bucket.alias("bucket"), col(column::SEVERITY_NUMBER)],
                vec![count(lit(1)).alias("count")],
            )?
            .sort(vec![
                col("bucket").sort(true, false),
                col(column::SEVERITY_NUMBER).sort(true, false),
            ])?;
        Ok(Answer { rows: collect(counted).await?, damaged })
    }

    async fn count_values(&self, project: &Project, request: &Top) -> Result<Answer, QueryError> {
        let (table, damaged) = self.table(project, &request.filter, request.range)?;
        let value = col(request.attribute.name());
        let counted = table
            .filter(value.clone().is_not_null())?
            .aggregate(vec![value.alias("value")], vec![count(lit(1)).alias("count")])?
            .sort(vec![col("count").sort(false, false), col("value").sort(true, false)])?
            .limit(0, Some(request.limit))?;
        Ok(Answer { rows: collect(counted).await?, damaged })
    }

    /// The records that pass, as a DataFusion table.
    fn table(
        &self,
        project: &Project,
        filter: &Filter,
        range: TimeRange,
    ) -> Result<(DataFrame, Vec<String>), QueryError> {
        let units = Units::of(&self.snapshot(project), range, None)?;
        let damaged = units.damaged.clone();
        let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let config = SessionConfig::new().with_target_partitions(parallel);
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.query_memory));
        let mut table = context.read_table(Arc::new(LogTable { units }))?;
        if let Some(filter) = balanced(conjunction(filter, range)?, Expr::and) {
            table = table.filter(filter)?;
        }
        Ok((table, damaged))
    }
}

/// The memory that all queries share for what they count.
pub(crate) fn query_memory() -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_memory_limit(QUERY_BYTES_MAX, 1.0).build_arc()
}

async fn collect(table: DataFrame) -> Result<RecordBatch, QueryError> {
    let schema = Arc::clone(table.schema().inner());
    let batches = table.collect().await?;
    Ok(compute::concat_batches(&schema, &batches)?)
}

fn conjunction(filter: &Filter, range: TimeRange) -> Result<Vec<Expr>> {
    let mut parts: Vec<Expr> = within(range).into_iter().collect();
    if *filter != Filter::All {
        parts.push(expression(filter)?);
    }
    Ok(parts)
}

/// Gives the executor a turn, without asking which executor it is.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Adds the passing rows of a unit that stand behind `after`, and keeps the best of all.
fn keep_best(
    kept: &mut BinaryHeap<(Rank, usize, u32)>,
    unit: &Unit,
    index: usize,
    predicate: Option<&Predicate>,
    request: &Rows,
    after: Option<Rank>,
) -> Result<()> {
    let passing = predicate.map(|predicate| predicate.passing(unit)).transpose()?;
    if passing.as_ref().is_some_and(|passing| passing.is_empty()) {
        return Ok(());
    }
    let keys = unit.read(&[place::SEQUENCE, place::TIME], passing.as_ref())?;
    let sequences = keys.column(0).as_primitive::<UInt64Type>().values();
    let times = keys.column(1).as_primitive::<TimestampNanosecondType>().values();
    for (place, (&time, &sequence)) in (0_u32..).zip(times.iter().zip(sequences)) {
        let rank = request.order.rank(time, sequence);
        if after.is_some_and(|after| rank <= after) {
            continue;
        }
        let full = kept.len() >= request.limit;
        if full && kept.peek().is_none_or(|(worst, ..)| rank > *worst) {
            continue;
        }
        let row = passing.as_ref().map_or(place, |passing| {
            passing.values().get(place as usize).copied().unwrap_or(place)
        });
        kept.push((rank, index, row));
        if full {
            kept.pop();
        }
    }
    Ok(())
}

/// Reads all columns of the kept rows, in their order.
fn materialise(units: &[Unit], kept: &[(Rank, usize, u32)]) -> Result<RecordBatch> {
    let all: Vec<usize> = (0..schema().fields().len()).collect();
    let mut by_unit: Vec<(usize, u32, usize)> =
        kept.iter().enumerate().map(|(place, &(_, unit, row))| (unit, row, place)).collect();
    by_unit.sort_unstable();
    let mut parts = Vec::new();
    let mut places = vec![(0, 0); kept.len()];
    for rows in by_unit.chunk_by(|a, b| a.0 == b.0) {
        let Some(unit) = rows.first().and_then(|&(unit, ..)| units.get(unit)) else { continue };
        let wanted = UInt32Array::from_iter_values(rows.iter().map(|&(_, row, _)| row));
        for (at, &(_, _, place)) in rows.iter().enumerate() {
            if let Some(slot) = places.get_mut(place) {
                *slot = (parts.len(), at);
            }
        }
        parts.push(unit.read(&all, Some(&wanted))?.with_schema(Arc::clone(schema()))?);
    }
    if parts.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema())));
    }
    let parts: Vec<&RecordBatch> = parts.iter().collect();
    Ok(interleave_record_batch(&parts, &places)?)
}

/// The start of the bucket that holds a time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bucket {
    interval_nanos: i64,
    signature: Signature,
}

impl Bucket {
    fn new(interval: Interval) -> Self {
        Self {
            interval_nanos: interval.nanos(),
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &'static str {
        "bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(times) =
            columns.first().and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>())
        else {
            return exec_err!("`bucket` needs a column of times");
        };
        let width = self.interval_nanos;
        let starts = times.unary::<_, TimestampNanosecondType>(|time| {
            time.saturating_sub(time.rem_euclid(width))
        });
        Ok(ColumnarValue::Array(Arc::new(starts.with_timezone("UTC"))))
    }
}
