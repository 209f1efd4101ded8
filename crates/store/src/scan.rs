//! Reads the rows of a snapshot that pass a filter.
//!
//! A snapshot is a list of [`Unit`]s: hot chunks and the row groups of segments. Units whose times can't be in the
//! range are skipped by their bounds; of the others the filter's columns are read first, and the asked columns only
//! for the rows that pass.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch, RecordBatchOptions, UInt32Array},
    compute,
    datatypes::{Schema, SchemaRef},
};
use datafusion::{
    common::{DFSchema, Result},
    error::DataFusionError,
    execution::context::ExecutionProps,
    logical_expr::{Expr, physical_planning_context::PhysicalPlanningContext},
    physical_expr::{PhysicalExpr, create_physical_expr},
};
use millpond_query::TimeRange;
use millpond_record::Timestamp;

use crate::{
    engine::Snapshot,
    filter::balanced,
    hot::Chunk,
    schema::schema,
    segment::{RowGroup, Segment, SegmentError},
};

/// Something that is read or skipped as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    source: Source,
    rows: usize,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    /// No row has a lower sequence.
    pub(crate) sequence_min: u64,
    /// No row has a higher sequence.
    pub(crate) sequence_max: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Hot(Arc<Chunk>),
    RowGroup(Arc<Segment>, usize),
}

/// The units of a snapshot that may have rows in a range, and what could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    pub(crate) units: Vec<Unit>,
    pub(crate) damaged: Vec<String>,
}

impl Units {
    /// `behind`: only what may have rows with a higher sequence.
    pub(crate) fn of(snapshot: &Snapshot, range: TimeRange, behind: Option<u64>) -> Result<Self> {
        let wanted = |sequence_max| behind.is_none_or(|behind| sequence_max > behind);
        let mut found = Self::default();
        for chunk in snapshot.hot.iter().filter(|chunk| wanted(chunk.sequence_max)) {
            found.units.push(Unit {
                source: Source::Hot(Arc::clone(chunk)),
                rows: chunk.rows.num_rows(),
                time_min: chunk.time_min,
                time_max: chunk.time_max,
                sequence_min: chunk.sequence_min,
                sequence_max: chunk.sequence_max,
            });
        }
        for segment in &snapshot.segments {
            if !range.overlaps(segment.time_min(), segment.time_max())
                || !wanted(segment.entry.sequence_max)
            {
                continue;
            }
            match segment.row_groups() {
                Ok(groups) => found.add_groups(segment, &groups),
                Err(SegmentError::Damaged(reason)) => {
                    found.damaged.push(format!("{}: {reason}", segment.entry.file));
                }
                Err(error) => return Err(external(error)),
            }
        }
        found.units.retain(|unit| range.overlaps(unit.time_min, unit.time_max));
        Ok(found)
    }

    fn add_groups(&mut self, segment: &Arc<Segment>, groups: &[RowGroup]) {
        self.units.extend(groups.iter().enumerate().map(|(index, group)| Unit {
            source: Source::RowGroup(Arc::clone(segment), index),
            rows: group.rows,
            time_min: group.time_min,
            time_max: group.time_max,
            sequence_min: segment.entry.sequence_min,
            sequence_max: segment.entry.sequence_max,
        }));
    }
}

fn external(error: SegmentError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl Unit {
    /// Reads columns: all rows, or those at the given ascending places.
    pub(crate) fn read(
        &self,
        columns: &[usize],
        rows: Option<&UInt32Array>,
    ) -> Result<RecordBatch> {
        match &self.source {
            Source::Hot(chunk) => {
                let projected = chunk.rows.project(columns)?;
                match rows {
                    Some(rows) => Ok(compute::take_record_batch(&projected, rows)?),
                    None => Ok(projected),
                }
            }
            Source::RowGroup(segment, index) => {
                let rows = rows.map(|rows| &**rows.values());
                segment.read(*index, columns, rows).map_err(external)
            }
        }
    }

    /// The unit without the hot rows that have this sequence or a lower one.
    pub(crate) fn behind(self, sequence: u64) -> Self {
        match &self.source {
            Source::Hot(chunk) => match chunk.behind(sequence) {
                Some(rest) => {
                    Self { rows: rest.rows.num_rows(), source: Source::Hot(Arc::new(rest)), ..self }
                }
                None => self,
            },
            Source::RowGroup(..) => self,
        }
    }
}

/// A filter that is ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    /// The columns that it reads, ascending.
    columns: Vec<usize>,
    expression: Arc<dyn PhysicalExpr>,
}

impl Predicate {
    /// Compiles the conjunction of some expressions; `None` if there are none.
    pub(crate) fn compile(filters: &[Expr]) -> Result<Option<Self>> {
        let Some(expression) = balanced(filters.to_vec(), Expr::and) else { return Ok(None) };
        let mut columns = BTreeSet::new();
        for column in expression.column_refs() {
            columns.insert(schema().index_of(column.name())?);
        }
        let columns: Vec<usize> = columns.into_iter().collect();
        let input = DFSchema::try_from(schema().project(&columns)?)?;
        let expression = strip_relations(expression)?;
        let properties = ExecutionProps::new();
        let planning = PhysicalPlanningContext::default();
        let expression = create_physical_expr(&expression, &input, &properties, &planning)?;
        Ok(Some(Self { columns, expression }))
    }

    /// The places of the rows of a unit that pass, ascending.
    pub(crate) fn passing(&self, unit: &Unit) -> Result<UInt32Array> {
        let rows = if self.columns.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(unit.rows));
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?
        } else {
            unit.read(&self.columns, None)?
        };
        let passed = self.expression.evaluate(&rows)?.into_array(rows.num_rows())?;
        let passed = passed.as_boolean();
        let places = (0_u32..)
            .zip(passed)
            .filter(|(_, passed)| *passed == Some(true))
            .map(|(place, _)| place);
        Ok(places.collect())
    }
}

/// Columns are found by name alone: there is one table.
fn strip_relations(expression: Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let stripped = expression.transform(|part| {
        Ok(match part {
            Expr::Column(mut column) if column.relation.is_some() => {
                column.relation = None;
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(stripped.data)
}

/// Reads the asked columns of the rows of a unit that pass.
pub(crate) fn read_passing(
    unit: &Unit,
    predicate: Option<&Predicate>,
    columns: &[usize],
    projected: &SchemaRef,
) -> Result<RecordBatch> {
    let passing = predicate.map(|predicate| predicate.passing(unit)).transpose()?;
    let count = match &passing {
        Some(passing) => passing.len(),
        None => unit.rows,
    };
    if columns.is_empty() || count == 0 {
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let none =
            projected.fields().iter().map(|field| arrow::array::new_empty_array(field.data_type()));
        return Ok(RecordBatch::try_new_with_options(
            Arc::clone(projected),
            none.collect(),
            &options,
        )?);
    }
    let rows = unit.read(columns, passing.as_ref())?;
    Ok(rows.with_schema(Arc::clone(projected))?)
}
