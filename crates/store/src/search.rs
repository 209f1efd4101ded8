//! The queries of [`Store`] on the embedded engine: each works on a snapshot, on threads of its own.

use std::{io, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
        StringArray, new_empty_array,
    },
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use async_trait::async_trait;
use futures::StreamExt;
use millpond_query::{Field::Path, TimeRange};
use millpond_wire::IdempotencyKey;
use tokio::sync::watch;

use crate::{
    Aggregate, Answer, AppendError, Appended, Batch, EmbeddedStore, Project, ProjectInfo,
    QueryError, Retention, Rows, Scan, Scanned, Store,
    aggregate::aggregate,
    bitmap::places,
    engine::Snapshot,
    matches::Node,
    parallel::{self, Cancelled},
    rows::{find, within},
    schema::schema,
    select::Selector,
    unit::{Reading, Unit, Units},
    values::{Number, RowList, Values},
};

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
        let (cache, request) = (Arc::clone(&self.cache), request.clone());
        self.ask(project, move |snapshot, cancelled| find(snapshot, &cache, &request, cancelled))
            .await
    }

    async fn aggregate(
        &self,
        project: &Project,
        request: &Aggregate,
    ) -> Result<Answer, QueryError> {
        let (cache, memory, request) =
            (Arc::clone(&self.cache), Arc::clone(&self.query_memory), request.clone());
        self.ask(project, move |snapshot, cancelled| {
            aggregate(snapshot, &cache, &memory, &request, cancelled)
        })
        .await
    }

    fn columns(&self, project: &Project) -> SchemaRef {
        let mut fields: Vec<Field> =
            schema().fields().iter().map(|field| Field::clone(field)).collect();
        let snapshot = self.snapshot(project);
        let all = millpond_query::TimeRange::ALL;
        let units = Units::of(&snapshot, &self.cache, all, None).unwrap_or_default();
        for unit in &units.units {
            for (column, _) in &unit.layout().fields {
                let name = format!("fields.{}", column.dotted());
                let data_type = column.kind.data_type();
                match fields.iter_mut().find(|field| *field.name() == name) {
                    None => fields.push(Field::new(name, data_type, true)),
                    Some(known) if *known.data_type() != data_type => {
                        // Whole numbers and floats are both floats; everything else has a text in common.
                        let both = [known.data_type(), &data_type];
                        let numbers = both.iter().all(|of| of.is_numeric());
                        let common = if numbers { DataType::Float64 } else { DataType::Utf8 };
                        known.set_data_type(common);
                    }
                    Some(_) => {}
                }
            }
        }
        Arc::new(Schema::new(fields))
    }

    async fn scan(&self, project: &Project, request: &Scan) -> Result<Scanned, QueryError> {
        let columns = self.columns(project);
        let places = request.columns.iter().map(|name| columns.index_of(name));
        let asked = Arc::new(columns.project(&places.collect::<Result<Vec<_>, _>>()?)?);
        let node = Node::new(&request.filter)?;
        let units = Units::of(&self.snapshot(project), &self.cache, request.range, None)?.units;
        let (node, range) = (Arc::new(node), request.range);
        let pieces = units.into_iter().map(move |unit| {
            let (node, asked) = (Arc::clone(&node), Arc::clone(&asked));
            parallel::run(move |_| read_passing(&unit, &node, range, &asked))
        });
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(futures::stream::iter(pieces).buffered(workers).boxed())
    }

    fn damaged(&self, project: &Project) -> Vec<String> {
        let segments = self.snapshot(project).segments;
        let known = segments.iter().filter_map(|segment| Some((segment, segment.known_damage()?)));
        known.map(|(segment, reason)| format!("{}: {reason}", segment.entry.file)).collect()
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.shared.stored.subscribe()
    }

    fn projects(&self) -> Vec<ProjectInfo> {
        self.shared.projects()
    }

    async fn set_retention(&self, project: &Project, retention: Retention) -> io::Result<()> {
        self.shared.set_retention(project, retention)
    }

    async fn delete_project(&self, project: &Project) -> io::Result<()> {
        self.shared.delete_project(project)
    }

    fn complaints(&self) -> Vec<String> {
        EmbeddedStore::complaints(self)
    }
}

impl EmbeddedStore {
    /// Asks the records of a project at this moment, and once more without a segment that turned out to be damaged
    /// while it was read.
    async fn ask(
        &self,
        project: &Project,
        query: impl Fn(&Snapshot, &Cancelled) -> Result<Answer, QueryError> + Clone + Send + 'static,
    ) -> Result<Answer, QueryError> {
        loop {
            let snapshot = self.snapshot(project);
            let known = snapshot.damaged();
            let query = query.clone();
            let answer = parallel::run(move |cancelled| query(&snapshot, cancelled)).await;
            // Ends: each round finds one more damaged segment.
            if answer.is_ok() || self.snapshot(project).damaged() <= known {
                return answer;
            }
        }
    }
}

/// The asked columns of the rows of a unit that pass.
fn read_passing(
    unit: &Unit,
    node: &Node,
    range: TimeRange,
    asked: &SchemaRef,
) -> Result<RecordBatch, QueryError> {
    let reading = Reading::default();
    let selected = Selector { unit, reading: &reading }.select(node, within(unit, range)?)?;
    let count = selected.count_set_bits();
    let rows = places(&selected);
    let base: Vec<usize> =
        asked.fields().iter().filter_map(|field| schema().index_of(field.name()).ok()).collect();
    let of_base = if base.is_empty() || count == 0 {
        RecordBatch::new_empty(Arc::new(Schema::empty()))
    } else {
        unit.read(&base, (count < unit.rows).then_some(rows.as_slice()))?
    };
    let listed = RowList::Some(rows);
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for field in asked.fields() {
        let known = of_base.column_by_name(field.name()).cloned();
        arrays.push(match (known, field.name().strip_prefix("fields.")) {
            (Some(array), _) => array,
            (None, Some(path)) if count > 0 => member(unit, path, &listed, field.data_type())?,
            _ => new_empty_array(field.data_type()),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(Arc::clone(asked), arrays, &options)?)
}

/// A member of `fields` as a column of a type.
fn member(unit: &Unit, path: &str, rows: &RowList, of: &DataType) -> Result<ArrayRef, QueryError> {
    let values = Values::new(unit, &Path(path.to_owned()), rows)?;
    let all = (0..rows.len()).map(|at| values.value(at));
    Ok(match of {
        DataType::Int64 => Arc::new(Int64Array::from_iter(all.map(|value| {
            match value.and_then(|value| value.number()) {
                Some(Number::Int(whole)) => Some(whole),
                _ => None,
            }
        }))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(
            all.map(|value| value.and_then(|value| value.number()).map(Number::float)),
        )),
        DataType::Boolean => Arc::new(BooleanArray::from_iter(
            all.map(|value| value.and_then(|value| value.text().parse().ok())),
        )),
        _ => Arc::new(StringArray::from_iter(
            all.map(|value| value.map(|value| value.text().into_owned())),
        )),
    })
}
