//! `/api/v1/query`: a whole query of the language, pipes and all, over records or statistics.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use millpond_query::{
    Field, Function, Group, Query, SortBy, SortKey, Stats, TimeRange, parse_query,
};
use millpond_store::{Aggregate, Answer, Order};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    page::{self, Extras, explain, finish},
    parameters::{NoParameters, Parameters, Word, flag, number, range, time_max},
    reading::ask,
    search::{Search, place, total},
    table,
};
use crate::{
    App,
    auth::Caller,
    body, clock,
    error::ApiError,
    keys::Scope,
    limits::{PAGE_RECORDS, PAGE_RECORDS_MAX, QUERY_BODY_BYTES_MAX, STATISTICS_ROWS_MAX},
};

/// What may be said besides the query itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueryParameters {
    q: Option<Word>,
    from: Option<Word>,
    to: Option<Word>,
    limit: Option<Word>,
    cursor: Option<Word>,
    total: Option<Word>,
    timeout_ms: Option<Word>,
    explain: Option<Word>,
}

pub(crate) async fn get_query(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<QueryParameters>,
) -> Result<Response, ApiError> {
    answer(&app, &caller, &asked).await
}

pub(crate) async fn post_query(
    State(app): State<App>,
    caller: Caller,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    caller.require(Scope::Query)?;
    let asked = {
        let body = body::read(request, &headers, &app.budget, QUERY_BODY_BYTES_MAX).await?;
        // An object: Serde would take the values of an array one by one, and an empty array for a query of everything.
        serde_json::from_slice::<Map<String, Value>>(&body.bytes)
            .and_then(|members| QueryParameters::deserialize(Value::Object(members)))
            .map_err(|error| {
                let example = r#"{"q":"level:error | stats count()"}"#;
                ApiError::body(format!("{error}, expected an object such as {example}"))
            })?
    };
    answer(&app, &caller, &asked).await
}

async fn answer(app: &App, caller: &Caller, asked: &QueryParameters) -> Result<Response, ApiError> {
    let query = parse_query(asked.q.as_ref().map(|q| q.0.as_str()).unwrap_or_default())?;
    let range = range(asked.from.as_ref(), asked.to.as_ref(), clock::now())?;
    match query.stats.clone() {
        Some(stats) => statistics(app, caller, asked, query, stats, range).await,
        None => records(app, caller, asked, query, range).await,
    }
}

async fn records(
    app: &App,
    caller: &Caller,
    asked: &QueryParameters,
    query: Query,
    range: TimeRange,
) -> Result<Response, ApiError> {
    let time_max = time_max(asked.timeout_ms.as_ref())?;
    let page = query.limit.map_or(PAGE_RECORDS, |limit| limit.min(PAGE_RECORDS_MAX));
    let explained = flag("explain", asked.explain.as_ref(), false)?.then(|| query.to_string());
    let order = order(&query.sort)?;
    let place = place(asked.cursor.as_ref())?;
    if place.is_some() && matches!(order, Order::Field { .. }) {
        return Err(ApiError::parameter(
            "cursor: records that are sorted by a field have no pages, expected none",
        ));
    }
    let search = Search {
        filter: query.filter,
        range,
        order,
        place,
        offset: 0,
        limit: number("limit", asked.limit.as_ref(), 1..=PAGE_RECORDS_MAX, page)?,
        records_max: query.limit.unwrap_or(usize::MAX),
        total: total(flag("total", asked.total.as_ref(), true)?, time_max),
    };
    let extras = Extras { fields: query.fields, explained, members: Vec::new() };
    let found = ask(app, caller, time_max, |reading| search.run(reading)).await?;
    Ok(page::response(&found, extras))
}

fn order(keys: &[SortKey]) -> Result<Order, ApiError> {
    match keys {
        [] | [SortKey { by: SortBy::Field(Field::Time), descending: true }] => {
            Ok(Order::NewestFirst)
        }
        [SortKey { by: SortBy::Field(Field::Time), descending: false }] => Ok(Order::OldestFirst),
        [SortKey { by: SortBy::Field(field), descending }] => {
            Ok(Order::Field { field: field.clone(), descending: *descending })
        }
        keys => {
            let keys = keys.len();
            Err(ApiError::query(format!("records are sorted by {keys} keys, expected one field")))
        }
    }
}

async fn statistics(
    app: &App,
    caller: &Caller,
    asked: &QueryParameters,
    query: Query,
    stats: Stats,
    range: TimeRange,
) -> Result<Response, ApiError> {
    if asked.cursor.is_some() {
        return Err(ApiError::parameter("cursor: statistics have no pages, expected none"));
    }
    has_width(&stats, range)?;
    let explained = flag("explain", asked.explain.as_ref(), false)?.then(|| query.to_string());
    // The query's own limit is what was asked for; only what is cut off beyond that is missing.
    let rows_max =
        number("limit", asked.limit.as_ref(), 1..=STATISTICS_ROWS_MAX, STATISTICS_ROWS_MAX)?;
    let own_max = query.limit.unwrap_or(usize::MAX);
    let names = stats.column_names();
    let request = Aggregate {
        filter: query.filter,
        range,
        stats,
        sort: sort(&query.sort, &names)?,
        limit: own_max.min(rows_max + 1),
    };
    let time_max = time_max(asked.timeout_ms.as_ref())?;
    let start = Instant::now();
    let mut answer: Answer =
        ask(app, caller, time_max, |reading| async move { reading.aggregate(&request).await })
            .await?;
    let elapsed = start.elapsed();
    let truncated = answer.rows.num_rows() > rows_max;
    answer.rows = answer.rows.slice(0, answer.rows.num_rows().min(rows_max));
    let mut members = vec![("truncated", truncated.into())];
    if let Some(query) = explained {
        members.push(("explain", explain(&answer, &query, elapsed)));
    }
    if !answer.damaged.is_empty() {
        members.push(("damaged", answer.damaged.into()));
    }
    Ok(finish(table::write(&answer.rows), members))
}

/// A rate is over some time.
fn has_width(stats: &Stats, range: TimeRange) -> Result<(), ApiError> {
    let rate = stats.functions.iter().any(|column| column.function == Function::Rate);
    let binned = stats.by.iter().any(|group| matches!(group, Group::Bin(_)));
    let open = range.from == TimeRange::ALL.from || range.to == TimeRange::ALL.to;
    if rate && !binned && open {
        return Err(ApiError::parameter(
            "from, to: `rate()` is over a time, expected both, or `by bin(5m)` in the query",
        ));
    }
    Ok(())
}

/// The order as places of columns.
fn sort(keys: &[SortKey], names: &[String]) -> Result<Vec<(usize, bool)>, ApiError> {
    let keys = keys.iter().map(|key| match &key.by {
        SortBy::Column(place) => Ok((*place, key.descending)),
        SortBy::Field(field) => column(field, names).map(|place| (place, key.descending)),
    });
    keys.collect()
}

fn column(field: &Field, names: &[String]) -> Result<usize, ApiError> {
    names.iter().position(|name| *name == field.name()).ok_or_else(|| {
        let (name, names) = (field.name(), names.join("`, `"));
        ApiError::query(format!(
            "the statistics have no column `{name}`, expected one of `{names}`"
        ))
    })
}
