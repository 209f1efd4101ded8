//! The queries of [`Store`] on the embedded engine.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
        UInt32Array,
    },
    compute,
    datatypes::{Field as ArrowField, Schema, SchemaRef},
};
use async_trait::async_trait;
use futures::StreamExt;
use millpond_query::{Cursor, Field, Filter, Function, Group, TimeRange};
use millpond_record::{LogRecord, TextAttribute};
use millpond_wire::IdempotencyKey;
use tokio::sync::watch;

use crate::{
    Aggregate, Answer, AppendError, Appended, Batch, EmbeddedStore, Explain, Order, Project,
    ProjectInfo, QueryError, Retention, Rows, Scan, Scanned, Store,
    matches::{Matcher, compare_numbers},
    records,
    schema::schema,
    segment::SegmentError,
    template::template,
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
        let (rows, damaged) = self.passing(project, &request.filter, request.range)?;
        let mut found: Vec<(Cursor, LogRecord<'_>, u32)> =
            records(&rows).zip(0..).map(|((cursor, record), row)| (cursor, record, row)).collect();
        let after = request.after;
        match &request.order {
            Order::NewestFirst => {
                found.retain(|(cursor, ..)| after.is_none_or(|after| *cursor < after));
                found.sort_by_key(|(cursor, ..)| Reverse(*cursor));
            }
            Order::OldestFirst => {
                found.retain(|(cursor, ..)| after.is_none_or(|after| *cursor > after));
                found.sort_by_key(|(cursor, ..)| *cursor);
            }
            Order::Stored => {
                found.retain(|(cursor, ..)| {
                    after.is_none_or(|after| cursor.sequence > after.sequence)
                });
                found.sort_by_key(|(cursor, ..)| cursor.sequence);
            }
            Order::Field { field, descending } => found.sort_by(|a, b| {
                let order = order(value(&a.1, field), value(&b.1, field), *descending);
                order.then_with(|| b.0.cmp(&a.0))
            }),
        }
        let kept =
            UInt32Array::from_iter_values(found.iter().take(request.limit).map(|(_, _, row)| *row));
        let rows = compute::take_record_batch(&rows, &kept)?;
        Ok(Answer { rows, damaged, explain: Explain::default() })
    }

    async fn aggregate(
        &self,
        project: &Project,
        request: &Aggregate,
    ) -> Result<Answer, QueryError> {
        let (rows, damaged) = self.passing(project, &request.filter, request.range)?;
        let mut groups: BTreeMap<Vec<Option<String>>, Vec<LogRecord<'_>>> = BTreeMap::new();
        for (_, record) in records(&rows) {
            let key: Vec<_> =
                request.stats.by.iter().map(|group| group_of(&record, group)).collect();
            if !request.stats.without_missing || key.iter().all(Option::is_some) {
                groups.entry(key).or_default().push(record);
            }
        }
        if groups.is_empty() && request.stats.by.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        let mut table: Vec<Vec<Option<String>>> = groups
            .into_iter()
            .map(|(mut row, records)| {
                let width = request.stats.by.iter().find_map(|group| match group {
                    Group::Bin(interval) => Some(interval.nanos()),
                    Group::Field(_) => None,
                });
                for column in &request.stats.functions {
                    row.push(apply(&column.function, &records, request.range, width));
                }
                row
            })
            .collect();
        table.sort_by(|a, b| {
            let keys = request.sort.iter().copied().chain((0..a.len()).map(|place| (place, false)));
            keys.map(|(place, descending)| {
                order(a.get(place).cloned().flatten(), b.get(place).cloned().flatten(), descending)
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
        });
        table.truncate(request.limit);
        Ok(Answer { rows: columns(&table, request)?, damaged, explain: Explain::default() })
    }

    fn columns(&self, _: &Project) -> SchemaRef {
        Arc::clone(schema())
    }

    async fn scan(&self, project: &Project, request: &Scan) -> Result<Scanned, QueryError> {
        let (rows, _) = self.passing(project, &request.filter, request.range)?;
        let places = request.columns.iter().map(|name| schema().index_of(name));
        let rows = rows.project(&places.collect::<Result<Vec<_>, _>>()?)?;
        Ok(futures::stream::iter([Ok(rows)]).boxed())
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
    fn passing(
        &self,
        project: &Project,
        filter: &Filter,
        range: TimeRange,
    ) -> Result<(RecordBatch, Vec<String>), QueryError> {
        let matcher = Matcher::new(filter)?;
        let snapshot = self.snapshot(project);
        let mut parts: Vec<RecordBatch> =
            snapshot.hot.iter().map(|chunk| chunk.rows.clone()).collect();
        let mut damaged = Vec::new();
        let all: Vec<usize> = (0..schema().fields().len()).collect();
        for segment in &snapshot.segments {
            if !range.overlaps(segment.time_min(), segment.time_max()) {
                continue;
            }
            let read = segment.row_groups().and_then(|groups| {
                (0..groups.len())
                    .map(|group| segment.read(group, &all, None))
                    .collect::<Result<Vec<_>, _>>()
            });
            match read {
                Ok(batches) => parts.extend(batches),
                Err(SegmentError::Damaged(reason)) => {
                    damaged.push(format!("{}: {reason}", segment.entry.file));
                }
                Err(error) => return Err(QueryError::Read(Box::new(error))),
            }
        }
        let mut passing = Vec::new();
        for part in &parts {
            let rows = records(part).zip(0..).filter(|((cursor, record), _)| {
                range.contains(cursor.time) && matcher.selects(record)
            });
            let kept = UInt32Array::from_iter_values(rows.map(|(_, row)| row));
            passing
                .push(compute::take_record_batch(part, &kept)?.with_schema(Arc::clone(schema()))?);
        }
        Ok((compute::concat_batches(schema(), &passing)?, damaged))
    }
}

fn value(record: &LogRecord<'_>, field: &Field) -> Option<String> {
    match field {
        Field::Words => Some(record.message().to_owned()),
        Field::Time => Some(record.time.to_string()),
        Field::Level => Some(record.severity.level().name().to_owned()),
        Field::SeverityNumber => Some(record.severity.number().to_string()),
        Field::StepIndex => record.step_index.map(|step| step.to_string()),
        Field::Tags => record.tags.first().map(|tag| tag.clone().into_owned()),
        Field::Template => Some(template(record.message()).into_owned()),
        Field::Text(attribute @ (TextAttribute::Message | TextAttribute::Service)) => {
            record.text(*attribute).map(str::to_owned)
        }
        Field::Text(attribute) => match record.text(*attribute) {
            Some(value) => Some(value.to_owned()),
            None => record.fields.get(attribute.name()).map(|value| value.text().to_owned()),
        },
        Field::Exception(path) => {
            record.exception.as_ref()?.get(path).map(|value| value.text().to_owned())
        }
        Field::Path(path) => record.fields.get(path).map(|value| value.text().to_owned()),
    }
}

fn group_of(record: &LogRecord<'_>, group: &Group) -> Option<String> {
    match group {
        Group::Field(field) => value(record, field),
        Group::Bin(interval) => Some(interval.floor(record.time).nanos().to_string()),
    }
}

fn order(a: Option<String>, b: Option<String>, descending: bool) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(a), Some(b)) => {
            let numbers = (a.parse::<f64>().is_ok(), b.parse::<f64>().is_ok());
            let order = match numbers {
                (true, true) => compare_numbers(&a, &b).unwrap_or(Ordering::Equal),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(&b),
            };
            if descending { order.reverse() } else { order }
        }
    }
}

fn apply(
    function: &Function,
    records: &[LogRecord<'_>],
    range: TimeRange,
    width: Option<i64>,
) -> Option<String> {
    let texts = |field: &Field| {
        records.iter().filter_map(|record| value(record, field)).collect::<Vec<_>>()
    };
    let numbers = |field: &Field| {
        let mut numbers: Vec<f64> =
            texts(field).iter().filter_map(|text| text.parse::<f64>().ok()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    let written = |number: f64| {
        if number.fract() == 0.0 { format!("{number:.0}") } else { number.to_string() }
    };
    match function {
        Function::Count => Some(records.len().to_string()),
        Function::CountOf(field) => Some(texts(field).len().to_string()),
        Function::CountDistinct(field) => {
            Some(texts(field).into_iter().collect::<BTreeSet<_>>().len().to_string())
        }
        Function::Sum(field) => {
            let numbers = numbers(field);
            (!numbers.is_empty()).then(|| written(numbers.iter().sum()))
        }
        Function::Avg(field) => {
            let numbers = numbers(field);
            let count = numbers.len() as f64;
            (count > 0.0).then(|| (numbers.iter().sum::<f64>() / count).to_string())
        }
        Function::Min(field) => numbers(field).first().copied().map(written),
        Function::Max(field) => numbers(field).last().copied().map(written),
        Function::Percentile(hundredths, field) => {
            let numbers = numbers(field);
            let place = f64::from(*hundredths) / 10_000.0 * numbers.len().checked_sub(1)? as f64;
            let (low, high) =
                (numbers.get(place.floor() as usize)?, numbers.get(place.ceil() as usize)?);
            Some((low + (high - low) * place.fract()).to_string())
        }
        Function::Rate => {
            let nanos = width.unwrap_or(range.to.nanos().saturating_sub(range.from.nanos()));
            Some((records.len() as f64 / (nanos as f64 / 1e9)).to_string())
        }
    }
}

/// The table as columns of the types that its values have.
fn columns(table: &[Vec<Option<String>>], request: &Aggregate) -> Result<RecordBatch, QueryError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (place, name) in request.stats.column_names().into_iter().enumerate() {
        let values: Vec<Option<&str>> =
            table.iter().map(|row| row.get(place).and_then(Option::as_deref)).collect();
        let whole: Option<Vec<Option<i64>>> = values
            .iter()
            .map(|value| {
                value.map(|text| text.parse().ok()).map_or(Some(None), |parsed| parsed.map(Some))
            })
            .collect();
        let float: Option<Vec<Option<f64>>> = values
            .iter()
            .map(|value| {
                value.map(|text| text.parse().ok()).map_or(Some(None), |parsed| parsed.map(Some))
            })
            .collect();
        let array: ArrayRef = match (whole, float) {
            (Some(whole), _) if matches!(request.stats.by.get(place), Some(Group::Bin(_))) => {
                Arc::new(TimestampNanosecondArray::from(whole).with_timezone("UTC"))
            }
            _ if matches!(
                request.stats.by.get(place),
                Some(Group::Field(
                    Field::Text(_) | Field::Template | Field::Level | Field::Tags | Field::Words
                ))
            ) =>
            {
                Arc::new(StringArray::from(values))
            }
            (Some(whole), _) => Arc::new(Int64Array::from(whole)),
            (_, Some(float)) => Arc::new(Float64Array::from(float)),
            _ => Arc::new(StringArray::from(values)),
        };
        fields.push(ArrowField::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
