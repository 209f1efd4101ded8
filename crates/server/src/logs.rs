//! `GET /api/v1/logs…`: parameters -> query -> JSON.

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampNanosecondType},
};
use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State, rejection::QueryRejection},
    http::{header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use millpond_query::{
    Comparison, Condition, Cursor, Field, Filter, Group, Interval, Stats, Test, TimeRange, parse,
};
use millpond_record::{Level, LogRecord, Severity, TextAttribute, Timestamp, json::write_string};
use millpond_store::{Aggregate, Answer, Order, Rows, records};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    keys::Scope,
    limits::{BUCKETS, BUCKETS_MAX, PAGE_RECORDS, PAGE_RECORDS_MAX, TOP_VALUES},
};

/// Query parameters; one that is not known is an error, because a misspelt filter would select everything.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let parsed: Result<Query<T>, QueryRejection> = Query::try_from_uri(&parts.uri);
        match parsed {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason =
                    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(ApiError::parameter(reason))
            }
        }
    }
}

/// The parameters of a search.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SearchParameters {
    q: Option<String>,
    from: Option<String>,
    to: Option<String>,
    service: Option<String>,
    level: Option<String>,
    trace_id: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The parameters of statistics.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AggregatedParameters {
    q: Option<String>,
    from: Option<String>,
    to: Option<String>,
    service: Option<String>,
    level: Option<String>,
    interval: Option<String>,
}

/// For routes that take none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// The filter that `q`, `service` and `level` make together.
pub(crate) fn filter(
    q: Option<&str>,
    service: Option<&str>,
    level: Option<&str>,
) -> Result<Filter, ApiError> {
    let mut filter = parse(q.unwrap_or_default())?;
    if let Some(service) = service {
        filter = filter.and(Filter::equals(TextAttribute::Service, service));
    }
    if let Some(level) = level {
        let level: Level =
            level.parse().map_err(|error| ApiError::parameter(format!("level: {error}")))?;
        filter = filter.and(at(Comparison::Equal, level));
    }
    Ok(filter)
}

fn at(comparison: Comparison, level: Level) -> Filter {
    Filter::Is(Condition { field: Field::Level, test: Test::Level(comparison, level) })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let parsed = text.map(Timestamp::parse).transpose();
    parsed.map_err(|error| ApiError::parameter(format!("{name}: {error}")))
}

fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(PAGE_RECORDS) };
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_RECORDS_MAX).contains(limit));
    limit.ok_or_else(|| {
        ApiError::parameter(format!("limit: `{text}`, expected 1 to {PAGE_RECORDS_MAX}"))
    })
}

pub(crate) async fn search(
    State(app): State<App>,
    caller: Caller,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<Response, ApiError> {
    caller.require(Scope::Query)?;
    let limit = limit(parameters.limit.as_deref())?;
    let mut filter = filter(
        parameters.q.as_deref(),
        parameters.service.as_deref(),
        parameters.level.as_deref(),
    )?;
    if let Some(trace_id) = parameters.trace_id {
        filter = filter.and(Filter::equals(TextAttribute::TraceId, trace_id));
    }
    let after = parameters.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let from = time("from", parameters.from.as_deref())?.unwrap_or(Timestamp::MIN);
    let to = time("to", parameters.to.as_deref())?.unwrap_or(Timestamp::MAX);
    let request = Rows {
        filter,
        range: range(from, to)?,
        order: Order::NewestFirst,
        after: after.map_err(|error| ApiError::parameter(format!("cursor: {error}")))?,
        // One more tells whether there is another page.
        limit: limit + 1,
    };
    let answer = rows(&app, &caller, request).await?;
    Ok(page(&answer, limit, true))
}

pub(crate) async fn trace(
    State(app): State<App>,
    caller: Caller,
    Path(trace_id): Path<String>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    caller.require(Scope::Query)?;
    let request = Rows {
        filter: Filter::equals(TextAttribute::TraceId, trace_id),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        after: None,
        limit: PAGE_RECORDS_MAX,
    };
    let answer = rows(&app, &caller, request).await?;
    Ok(page(&answer, PAGE_RECORDS_MAX, false))
}

async fn rows(app: &App, caller: &Caller, request: Rows) -> Result<Answer, ApiError> {
    let (store, project) = (Arc::clone(&app.store), caller.project.clone());
    app.queries.run(async move { store.rows(&project, &request).await }).await
}

/// Writes a page of at most `limit` records; rows beyond tell that there are more.
fn page(answer: &Answer, limit: usize, paged: bool) -> Response {
    let mut body = String::with_capacity(64 + 512 * answer.rows.num_rows().min(limit));
    body.push_str("{\"logs\":[");
    let mut last = None;
    for (place, (cursor, record)) in records(&answer.rows).take(limit).enumerate() {
        if place > 0 {
            body.push(',');
        }
        write_record(&mut body, cursor, &record);
        last = Some(cursor);
    }
    body.push(']');
    if paged {
        let more = answer.rows.num_rows() > limit;
        body.push_str(if more { ",\"has_more\":true" } else { ",\"has_more\":false" });
        if let Some(last) = last.filter(|_| more) {
            body.push_str(",\"next_cursor\":");
            write_string(&mut body, &last.to_string());
        }
    }
    if !answer.damaged.is_empty() {
        body.push_str(",\"damaged\":");
        body.push_str(&Value::from(answer.damaged.clone()).to_string());
    }
    body.push('}');
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Writes a record with its id.
pub(crate) fn write_record(out: &mut String, cursor: Cursor, record: &LogRecord<'_>) {
    out.push_str("{\"id\":");
    write_string(out, &cursor.to_string());
    out.push(',');
    let start = out.len();
    record.write_json(out);
    // The members of the record go on in the object that was opened for the id.
    out.remove(start);
}

pub(crate) async fn aggregated(
    State(app): State<App>,
    caller: Caller,
    Parameters(parameters): Parameters<AggregatedParameters>,
) -> Result<Json<Value>, ApiError> {
    caller.require(Scope::Query)?;
    let filter = filter(
        parameters.q.as_deref(),
        parameters.service.as_deref(),
        parameters.level.as_deref(),
    )?;
    let range = window(&parameters)?;
    let interval = match parameters.interval {
        Some(text) => {
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
    let by = vec![Group::Bin(interval), Group::Field(Field::SeverityNumber)];
    let stats = Stats::count_by(by);
    let request =
        Aggregate { filter: filter.clone(), range, stats, sort: Vec::new(), limit: usize::MAX };
    let counted = aggregate(&app, &caller, request).await?;
    let services = top(&app, &caller, &filter, range, Field::Text(TextAttribute::Service)).await?;
    let errors = filter.and(at(Comparison::GreaterOrEqual, Level::Error));
    let messages = top(&app, &caller, &errors, range, Field::Text(TextAttribute::Message)).await?;

    let (timeseries, total) = timeseries(&counted.rows, range, interval);
    let mut answer = json!({
        "interval": interval.to_string(),
        "total": total,
        "timeseries": timeseries,
        "top_services": values(&services.rows, "service"),
        "top_errors": values(&messages.rows, "message"),
    });
    if let Some(members) = answer.as_object_mut().filter(|_| !counted.damaged.is_empty()) {
        members.insert("damaged".to_owned(), counted.damaged.into());
    }
    Ok(Json(answer))
}

/// The last 24 hours unless told otherwise.
fn window(parameters: &AggregatedParameters) -> Result<TimeRange, ApiError> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let to = time("to", parameters.to.as_deref())?.unwrap_or_else(clock::now);
    let day_before = Timestamp::from_nanos(to.nanos().saturating_sub(DAY_NANOS));
    let from = time("from", parameters.from.as_deref())?.unwrap_or(day_before);
    range(from, to)
}

fn range(from: Timestamp, to: Timestamp) -> Result<TimeRange, ApiError> {
    if from > to {
        return Err(ApiError::parameter(format!("from: {from} is after `to`, {to}")));
    }
    Ok(TimeRange { from, to })
}

async fn aggregate(app: &App, caller: &Caller, request: Aggregate) -> Result<Answer, ApiError> {
    let (store, project) = (Arc::clone(&app.store), caller.project.clone());
    app.queries.run(async move { store.aggregate(&project, &request).await }).await
}

async fn top(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    range: TimeRange,
    field: Field,
) -> Result<Answer, ApiError> {
    let stats = Stats { without_missing: true, ..Stats::count_by(vec![Group::Field(field)]) };
    let request = Aggregate {
        filter: filter.clone(),
        range,
        stats,
        sort: vec![(1, true)],
        limit: TOP_VALUES,
    };
    aggregate(app, caller, request).await
}

/// One entry a bucket, the empty ones too, and the number of records in all.
fn timeseries(rows: &RecordBatch, range: TimeRange, interval: Interval) -> (Vec<Value>, i64) {
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
            let level = u8::try_from(severity)
                .ok()
                .and_then(Severity::from_number)
                .map_or(Level::Info, Severity::level);
            if let Some(of_level) = levels.get_mut(level as usize) {
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

fn values(rows: &RecordBatch, name: &str) -> Vec<Value> {
    let values = rows.column(0).as_string::<i32>();
    let counts = rows.column(1).as_primitive::<Int64Type>().values();
    values.iter().zip(counts).map(|(value, count)| json!({ name: value, "count": count })).collect()
}
