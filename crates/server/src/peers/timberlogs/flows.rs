//! `POST` and `GET /v1/flows`: an id for a new flow, and the flows that logs name.

use std::collections::HashMap;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampNanosecondType},
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use millpond_query::{Field, Filter, Function, Group, Stats, StatsColumn, TimeRange};
use millpond_record::{FLOW_RANDOM, TextAttribute};
use millpond_store::{Aggregate, QueryError};
use serde_json::{Value, json};

use super::{INVALID, logs::LogsParameters};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    flows::make,
    limits::{PAGE_RECORDS, QUERY_TIME_MAX},
    logs::{
        Parameters,
        reading::{Reading, ask},
        table::value,
    },
    peers::filters::{any, equals},
};

const FLOW: Field = Field::Text(TextAttribute::FlowId);

/// What a log may have as its flow, less the dash and what is random.
const NAME_CHARACTERS_MAX: usize = 50 - 1 - FLOW_RANDOM;

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    let made = make(&app, &caller, &headers, request, NAME_CHARACTERS_MAX).await;
    let flow = made.map_err(|error| match error.code() {
        "invalid_body" => {
            let issue = json!({ "path": ["name"], "message": error.message() });
            ApiError::new(error.status(), INVALID, error.message()).with_details(vec![issue])
        }
        _ => error,
    })?;
    Ok(Json(json!({ "flowId": flow.flow_id, "name": flow.name })))
}

/// The flows that had a log last, first.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<LogsParameters>,
) -> Result<Json<Value>, ApiError> {
    let (limit, offset) = asked.page(PAGE_RECORDS)?;
    let (filter, range) = (asked.filter()?, asked.range()?);
    let question = |reading: Reading| async move {
        let request = Aggregate {
            filter: filter.clone(),
            range,
            stats: of_each_flow(),
            // By the time of its last log, the latest first.
            sort: vec![(3, true)],
            limit: offset.saturating_add(limit),
        };
        let rows = reading.aggregate(&request).await?.rows;
        let start = offset.min(rows.num_rows());
        let page = rows.slice(start, limit.min(rows.num_rows() - start));
        let total = total(&reading, filter.clone(), range).await?;
        let sources = sources(&reading, filter, range, &page).await?;
        Ok((page, sources, total))
    };
    let (page, sources, total) = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let flows: Vec<Value> = (0..page.num_rows()).map(|row| flow(&page, row, &sources)).collect();
    let has_more = usize::try_from(total).is_ok_and(|total| total > offset + flows.len());
    let pagination = json!({
        "limit": limit, "offset": offset, "count": flows.len(), "hasMore": has_more, "total": total,
    });
    Ok(Json(json!({ "flows": flows, "pagination": pagination })))
}

fn of_each_flow() -> Stats {
    let functions = [Function::Count, Function::Min(Field::Time), Function::Max(Field::Time)];
    Stats {
        functions: functions.map(StatsColumn::from).to_vec(),
        by: vec![Group::Field(FLOW)],
        without_missing: true,
    }
}

fn id(rows: &RecordBatch, row: usize) -> String {
    match value(rows.column(0), row) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn flow(page: &RecordBatch, row: usize, sources: &HashMap<String, String>) -> Value {
    let millis = |column: usize| {
        let times = page.column(column).as_primitive::<TimestampNanosecondType>().values();
        times.get(row).map(|nanos| nanos.div_euclid(1_000_000))
    };
    let id = id(page, row);
    json!({
        "source": sources.get(&id),
        "logCount": value(page.column(1), row),
        "firstSeen": millis(2),
        "lastSeen": millis(3),
        "flowId": id,
    })
}

/// How many flows there are.
async fn total(reading: &Reading, filter: Filter, range: TimeRange) -> Result<i64, QueryError> {
    let functions = vec![StatsColumn::from(Function::CountDistinct(FLOW))];
    let stats = Stats { functions, by: Vec::new(), without_missing: false };
    let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: 1 };
    let rows = reading.aggregate(&request).await?.rows;
    let counts = rows.column(0).as_primitive::<Int64Type>().values();
    Ok(counts.first().copied().unwrap_or_default())
}

/// The source that most logs of each flow on a page have.
async fn sources(
    reading: &Reading,
    filter: Filter,
    range: TimeRange,
    page: &RecordBatch,
) -> Result<HashMap<String, String>, QueryError> {
    if page.num_rows() == 0 {
        return Ok(HashMap::new());
    }
    let of_page = (0..page.num_rows()).map(|row| equals(FLOW, id(page, row)));
    let by = [FLOW, Field::Text(TextAttribute::Service)].map(Group::Field);
    let request = Aggregate {
        filter: filter.and(any(of_page.collect())),
        range,
        stats: Stats::count_by(by.to_vec()),
        sort: vec![(2, false)],
        limit: usize::MAX,
    };
    let rows = reading.aggregate(&request).await?.rows;
    let services = rows.column(1).as_string::<i32>();
    // The last one of each counts, which is the most frequent.
    Ok((0..rows.num_rows()).map(|row| (id(&rows, row), services.value(row).to_owned())).collect())
}
