//! `GET /api/v1/logs/aggregated`: counts over time by level, with the busiest services and the most frequent errors.

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampNanosecondType},
};
use axum::{Json, extract::State};
use millpond_query::{
    Comparison, Condition, Field, Filter, Group, Interval, Stats, Test, TimeRange,
};
use millpond_record::{Level, Severity, TextAttribute, Timestamp};
use millpond_store::{Aggregate, Answer, Order, QueryError, Rows, records, template};
use serde_json::{Map, Value, json};

use super::{
    parameters::{Parameters, Word, between, time, time_max},
    reading::{Reading, ask},
    selection::{at, selecting},
};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    limits::{BUCKETS, BUCKETS_MAX, ERROR_EXAMPLES, TOP_VALUES},
};

selecting! {
    /// The parameters of statistics.
    AggregatedParameters {
        interval: Option<Word>,
        timeout_ms: Option<Word>,
    }
}

pub(crate) async fn aggregated(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<AggregatedParameters>,
) -> Result<Json<Value>, ApiError> {
    let filter = asked.filter()?;
    let range = window(asked.from.as_ref(), asked.to.as_ref(), clock::now())?;
    let interval = interval(asked.interval.as_ref(), range)?;
    let time_max = time_max(asked.timeout_ms.as_ref())?;
    let question = |reading: Reading| count(reading, filter, range, interval);
    let counts = ask(&app, &caller, time_max, question).await?;
    let mut answer = json!({
        "interval": interval.to_string(),
        "total": counts.total,
        "timeseries": counts.timeseries,
        "top_services": counts.top_services,
        "top_errors": counts.top_errors,
    });
    if let Some(members) = answer.as_object_mut().filter(|_| !counts.damaged.is_empty()) {
        members.insert("damaged".to_owned(), counts.damaged.into());
    }
    Ok(Json(answer))
}

/// The statistics of some time.
pub(crate) struct Counts {
    pub(crate) total: i64,
    pub(crate) timeseries: Vec<Value>,
    pub(crate) top_services: Vec<Value>,
    pub(crate) top_errors: Vec<Value>,
    damaged: Vec<String>,
}

/// Counts the records that pass, in buckets of the interval.
pub(crate) async fn count(
    reading: Reading,
    filter: Filter,
    range: TimeRange,
    interval: Interval,
) -> Result<Counts, QueryError> {
    let by = vec![Group::Bin(interval), Group::Field(Field::SeverityNumber)];
    let stats = Stats::count_by(by);
    let request =
        Aggregate { filter: filter.clone(), range, stats, sort: Vec::new(), limit: usize::MAX };
    let counted = reading.aggregate(&request).await?;
    let service = Field::Text(TextAttribute::Service);
    let services = reading.top(filter.clone(), range, service, TOP_VALUES).await?;
    let errors = filter.and(at(Comparison::GreaterOrEqual, Level::Error));
    let top_errors = top_errors(&reading, errors, range).await?;
    let (timeseries, total) = timeseries(&counted.rows, range, interval);
    let top_services = values(&services)
        .map(|(service, count)| json!({ "service": service, "count": count }))
        .collect();
    Ok(Counts { total, timeseries, top_services, top_errors, damaged: counted.damaged })
}

/// The last 24 hours unless told otherwise.
pub(crate) fn window(
    from: Option<&Word>,
    to: Option<&Word>,
    now: Timestamp,
) -> Result<TimeRange, ApiError> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let to = to.map_or(Ok(now), |to| time("to", &to.0, now))?;
    let day_before = Timestamp::from_nanos(to.nanos().saturating_sub(DAY_NANOS));
    let from = from.map_or(Ok(day_before), |from| time("from", &from.0, now))?;
    between(from, to)
}

pub(crate) fn interval(text: Option<&Word>, range: TimeRange) -> Result<Interval, ApiError> {
    let interval = match text {
        Some(Word(text)) => {
            text.parse().map_err(|error| ApiError::parameter(format!("interval: {error}")))?
        }
        None => Interval::round(range.from, range.to, BUCKETS),
    };
    let buckets = range.to.nanos().saturating_sub(range.from.nanos()) / interval.nanos();
    if buckets > BUCKETS_MAX {
        let message =
            format!("interval: {interval} gives {buckets} buckets, expected at most {BUCKETS_MAX}");
        return Err(ApiError::parameter(message));
    }
    Ok(interval)
}

/// One entry a bucket, the empty ones too, and the number of records in all.
pub(crate) fn timeseries(
    rows: &RecordBatch,
    range: TimeRange,
    interval: Interval,
) -> (Vec<Value>, i64) {
    let starts = rows.column(0).as_primitive::<TimestampNanosecondType>().values();
    let severities = rows.column(1).as_primitive::<Int64Type>().values();
    let counts = rows.column(2).as_primitive::<Int64Type>().values();
    let mut counted = starts.iter().zip(severities).zip(counts).peekable();
    let all = counts.iter().sum();
    let mut entries = Vec::new();
    let mut start = interval.floor(range.from).nanos();
    while start < range.to.nanos() {
        let (mut total, mut levels) = (0, [0; Level::ALL.len()]);
        while let Some(((_, &severity), &count)) =
            counted.next_if(|((bucket, _), _)| **bucket == start)
        {
            if let Some(of_level) = levels.get_mut(level(severity) as usize) {
                *of_level += count;
            }
            total += count;
        }
        let by_level: Map<String, Value> = Level::ALL
            .into_iter()
            .zip(levels)
            .filter(|&(_, count)| count > 0)
            .map(|(level, count)| (level.name().to_owned(), count.into()))
            .collect();
        let bucket = Timestamp::from_nanos(start).to_string();
        entries.push(json!({ "bucket": bucket, "total": total, "by_level": by_level }));
        match start.checked_add(interval.nanos()) {
            Some(next) => start = next,
            None => break,
        }
    }
    (entries, all)
}

/// The level of a severity number as it comes out of statistics.
pub(crate) fn level(severity_number: i64) -> Level {
    let number = u8::try_from(severity_number).ok();
    number.and_then(Severity::from_number).map_or(Level::Info, Severity::level)
}

/// The values and counts of [`Reading::top`].
pub(crate) fn values(top: &Answer) -> impl Iterator<Item = (&str, i64)> {
    let values = top.rows.column(0).as_string::<i32>();
    let counts = top.rows.column(1).as_primitive::<Int64Type>().values();
    values.iter().flatten().zip(counts.iter().copied())
}

/// The most frequent kinds of errors, each with the newest of its messages.
async fn top_errors(
    reading: &Reading,
    errors: Filter,
    range: TimeRange,
) -> Result<Vec<Value>, QueryError> {
    let top = reading.top(errors.clone(), range, Field::Template, TOP_VALUES).await?;
    let mut request = Rows {
        filter: errors.clone(),
        range,
        order: Order::NewestFirst,
        after: None,
        limit: ERROR_EXAMPLES,
    };
    let newest = reading.rows(&request).await?;
    request.limit = 1;
    let mut kinds = Vec::new();
    for (kind, count) in values(&top) {
        let mut example = example(&newest, kind);
        if example.is_none() {
            request.filter = errors.clone().and(of_kind(kind));
            example = self::example(&reading.rows(&request).await?, kind);
        }
        // It may have been deleted meanwhile.
        let (message, time) = example.unwrap_or_else(|| (kind.to_owned(), Value::Null));
        kinds.push(
            json!({ "message": message, "count": count, "template": kind, "last_time": time }),
        );
    }
    Ok(kinds)
}

/// The newest message of a kind, and its time.
fn example(newest: &Answer, kind: &str) -> Option<(String, Value)> {
    let mut found = records(&newest.rows).filter(|(_, record)| template(record.message()) == kind);
    let (_, record) = found.next()?;
    Some((record.message().to_owned(), record.time.to_string().into()))
}

fn of_kind(kind: &str) -> Filter {
    let test = Test::Compare(Comparison::Equal, kind.to_owned());
    Filter::Is(Condition { field: Field::Template, test })
}
