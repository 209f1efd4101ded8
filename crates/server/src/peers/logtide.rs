//! LogTide's routes, as its SDKs and its documentation ask them. Sending needs none of its own: our route takes what they
//! send.

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    response::Response,
    routing::{get, post},
};
use millpond_protocols::logtide;
use millpond_query::{Field, Filter, Test, TimeRange};
use millpond_record::{Level, TextAttribute, Timestamp};
use millpond_store::{Order, records};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Peer,
    filters::{all, any, at_level, contains, equals, is, limited, words},
};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    ingest,
    limits::{LOGTIDE_FILTERS_MAX, OFFSET_MAX, PAGE_RECORDS, PAGE_RECORDS_MAX, QUERY_TIME_MAX},
    logs::{
        Parameters, Piece,
        aggregated::{Counts, count, interval, window},
        parameters::{Word, Words, between, number, time},
        reading::ask,
        search::{Found, Search, Total, place, total},
    },
    routes::{INGEST, QUERY, Route},
    stream::{self, Form},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/logtide/api/v1/ingest", INGEST, || post(ingest::ingest))
        .about("As /api/v1/ingest.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs", QUERY, || get(search))
        .about("Finds records, as LogTide does.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs/trace/{trace_id}", QUERY, || get(trace))
        .about("Shows a trace, as LogTide does.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs/aggregated", QUERY, || get(aggregated))
        .about("Counts records over time, as LogTide does.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs/top-services", QUERY, || get(top_services))
        .about("Counts records by service, as LogTide does.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs/top-errors", QUERY, || get(top_errors))
        .about("Counts the most frequent errors, as LogTide does.")
        .of(Peer::LogTide),
    Route::new("GET", "/logtide/api/v1/logs/stream", QUERY, || get(tail))
        .about("Streams records as they are stored, as LogTide does.")
        .of(Peer::LogTide),
];

pub(super) fn error(error: &ApiError) -> Value {
    let status = error.status();
    json!({
        "statusCode": status.as_u16(),
        "error": status.canonical_reason().unwrap_or_default(),
        "code": error.code(),
        "message": error.message(),
        "details": error.details(),
    })
}

/// What LogTide's search takes. What it does not know, it ignores.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SearchParameters {
    #[serde(alias = "service[]")]
    service: Words,
    #[serde(alias = "level[]")]
    level: Words,
    #[serde(alias = "hostname[]")]
    hostname: Words,
    #[serde(rename = "traceId")]
    trace_id: Option<Word>,
    #[serde(rename = "sessionId")]
    session_id: Option<Word>,
    q: Option<Word>,
    #[serde(rename = "searchMode")]
    search_mode: Option<Word>,
    metadata_filters: Option<Word>,
    from: Option<Word>,
    to: Option<Word>,
    interval: Option<Word>,
    limit: Option<Word>,
    offset: Option<Word>,
    cursor: Option<Word>,
}

impl SearchParameters {
    fn filter(&self) -> Result<Filter, ApiError> {
        let one_of = |attribute, values: &Words| {
            let field = |value: &String| equals(Field::Text(attribute), value.as_str());
            any(values.0.iter().map(field).collect())
        };
        let exactly = |attribute, value: &Option<Word>| match value {
            Some(Word(value)) => equals(Field::Text(attribute), value.as_str()),
            None => Filter::All,
        };
        let levels = self.level.0.iter().map(|name| level(name).map(at_level));
        limited(all([
            one_of(TextAttribute::Service, &self.service),
            any(levels.collect::<Result<_, _>>()?),
            one_of(TextAttribute::Host, &self.hostname),
            exactly(TextAttribute::TraceId, &self.trace_id),
            exactly(TextAttribute::SessionId, &self.session_id),
            self.text()?,
            metadata(self.metadata_filters.as_ref())?,
        ]))
    }

    fn text(&self) -> Result<Filter, ApiError> {
        let q = self.q.as_ref().map_or("", |q| q.0.as_str());
        match self.search_mode.as_ref().map(|mode| mode.0.as_str()) {
            None | Some("fulltext") => Ok(words(q)),
            Some("substring") if q.is_empty() => Ok(Filter::All),
            Some("substring") => Ok(contains(Field::Words, q)),
            Some(other) => Err(ApiError::parameter(format!(
                "searchMode: `{other}`, expected `fulltext` or `substring`"
            ))),
        }
    }

    /// Both bounds included; the last 24 hours, and what is dated ahead of them, unless told otherwise.
    fn range(&self) -> Result<TimeRange, ApiError> {
        let now = clock::now();
        let to = self.to.as_ref().map(|to| time("to", &to.0, now)).transpose()?;
        let behind =
            to.map_or(Timestamp::MAX, |to| Timestamp::from_nanos(to.nanos().saturating_add(1)));
        let from = window(self.from.as_ref(), self.to.as_ref(), now)?.from;
        between(from, behind)
    }
}

fn level(name: &str) -> Result<Level, ApiError> {
    name.parse().map_err(|error| ApiError::parameter(format!("level: {error}")))
}

/// One of the conditions in `metadata_filters`.
#[derive(Debug, Deserialize)]
struct MetadataFilter {
    key: String,
    op: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    values: Vec<Value>,
}

/// A JSON array of conditions that must all hold.
fn metadata(text: Option<&Word>) -> Result<Filter, ApiError> {
    const EXPECTED: &str = "expected a JSON array of {\"key\", \"op\", \"value\" or \"values\"}";
    let Some(Word(text)) = text else { return Ok(Filter::All) };
    let filters: Vec<MetadataFilter> = serde_json::from_str(text)
        .map_err(|error| ApiError::parameter(format!("metadata_filters: {error}, {EXPECTED}")))?;
    if filters.len() > LOGTIDE_FILTERS_MAX {
        let count = filters.len();
        return Err(ApiError::parameter(format!(
            "metadata_filters: {count} conditions, expected at most {LOGTIDE_FILTERS_MAX}"
        )));
    }
    Ok(all(filters.into_iter().map(MetadataFilter::filter).collect::<Result<Vec<_>, _>>()?))
}

impl MetadataFilter {
    fn filter(self) -> Result<Filter, ApiError> {
        let field = match logtide::attribute_in_metadata(&self.key) {
            Some(attribute) => Field::Text(attribute),
            None => Field::Path(self.key),
        };
        let not = |filter| Filter::Not(Box::new(filter));
        let one_of = |values: Vec<Value>| {
            any(values.iter().map(|value| equals(field.clone(), text(value))).collect())
        };
        Ok(match self.op.as_str() {
            "equals" => one_of(vec![self.value]),
            "not_equals" => not(one_of(vec![self.value])),
            "in" if !self.values.is_empty() => one_of(self.values),
            "not_in" if !self.values.is_empty() => not(one_of(self.values)),
            "exists" => is(field, Test::Exists),
            "not_exists" => not(is(field, Test::Exists)),
            "contains" => contains(field, &text(&self.value)),
            op => {
                return Err(ApiError::parameter(format!(
                    "metadata_filters: op `{op}`, expected equals, not_equals, in or not_in with values, exists, \
                     not_exists or contains"
                )));
            }
        })
    }
}

/// A JSON value as it is compared.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

async fn search(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Value>, ApiError> {
    let limit = number("limit", asked.limit.as_ref(), 1..=PAGE_RECORDS_MAX, PAGE_RECORDS)?;
    let place = place(asked.cursor.as_ref())?;
    let offset = match place {
        // It says where the page begins already; LogTide's SDK sends an offset always.
        Some(_) => 0,
        None => number("offset", asked.offset.as_ref(), 0..=OFFSET_MAX, 0)?,
    };
    let wanted = Search {
        filter: asked.filter()?,
        range: asked.range()?,
        order: Order::NewestFirst,
        place,
        offset,
        limit,
        records_max: usize::MAX,
        total: total(true, QUERY_TIME_MAX),
    };
    let found = ask(&app, &caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    let mut answer = json!({
        "logs": logs(&found, &caller),
        "total": match found.total {
            Some(Total::Exact(count) | Total::LowerBound(count)) => count,
            None => 0,
        },
        "hasMore": found.has_more,
        "limit": limit,
        "offset": offset,
    });
    if let (Some(next), Some(members)) = (found.next_page(), answer.as_object_mut()) {
        members.insert("nextCursor".to_owned(), next.to_string().into());
    }
    Ok(Json(answer))
}

async fn trace(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
) -> Result<Json<Value>, ApiError> {
    let wanted = Search {
        filter: equals(Field::Text(TextAttribute::TraceId), id),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        place: None,
        offset: 0,
        limit: PAGE_RECORDS_MAX,
        records_max: usize::MAX,
        total: None,
    };
    let found = ask(&app, &caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    Ok(Json(json!({ "logs": logs(&found, &caller) })))
}

/// The records of a page.
fn logs(found: &Found, caller: &Caller) -> Vec<Value> {
    records(&found.answer.rows)
        .filter_map(|(cursor, record)| {
            let log = logtide::log(&cursor.to_string(), caller.project.as_str(), &record);
            serde_json::from_str(&log).ok()
        })
        .collect()
}

async fn counted(app: &App, caller: &Caller, asked: &SearchParameters) -> Result<Counts, ApiError> {
    let filter = asked.filter()?;
    let range = window(asked.from.as_ref(), asked.to.as_ref(), clock::now())?;
    let hour = Word("1h".to_owned());
    let interval = interval(Some(asked.interval.as_ref().unwrap_or(&hour)), range)?;
    ask(app, caller, QUERY_TIME_MAX, |reading| count(reading, filter, range, interval)).await
}

async fn aggregated(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Value>, ApiError> {
    let counts = counted(&app, &caller, &asked).await?;
    Ok(Json(json!({
        "timeseries": counts.timeseries,
        "top_services": counts.top_services,
        "top_errors": counts.top_errors,
    })))
}

async fn top_services(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "services": counted(&app, &caller, &asked).await?.top_services })))
}

async fn top_errors(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "errors": counted(&app, &caller, &asked).await?.top_errors })))
}

async fn tail(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let caller = stream::viewer(&mut parts, &app).await?;
    let Parameters(asked) =
        Parameters::<SearchParameters>::from_request_parts(&mut parts, &app).await?;
    stream::followed(&app, &caller, &parts.headers, Form::LogTide, asked.filter()?, None)
}
