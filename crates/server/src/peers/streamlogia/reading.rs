//! What is read: pages of records, one of them, and counts.

use arrow::{array::AsArray, datatypes::Int64Type};
use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use millpond_protocols::streamlogia::{self, INFRA, SOURCE_TYPE, record_id, timestamp};
use millpond_query::{Field, Filter, Group, Stats, TimeRange};
use millpond_record::{Level, TextAttribute};
use millpond_store::{Aggregate, Answer, Matcher, Order, QueryError, records};
use serde_json::{Map, Value, json};

use super::asked::{Asked, Pairs, in_meta, of_project};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    limits::{QUERY_TIME_MAX, STREAMLOGIA_GROUPS, STREAMLOGIA_GROUPS_MAX},
    logs::{
        Parameters, Piece,
        aggregated::{interval, level, timeseries as buckets, window},
        context::find,
        page::finish,
        parameters::Word,
        reading::{Reading, ask},
        search::{Found, Search, Total, place, total},
        table::value,
    },
};

/// The levels, as they are shown.
const LEVELS: [&str; 4] = ["DEBUG", "INFO", "WARN", "ERROR"];

/// A project and a record of it, in the path.
pub(super) struct ProjectAndRecord(String, String);

impl FromRequestParts<App> for ProjectAndRecord {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let pieces = Path::<(String, String)>::from_request_parts(parts, app).await;
        pieces.map(|Path((project, record))| Self(project, record)).map_err(|rejection| {
            ApiError::parameter(format!("the path: {}", rejection.body_text()))
        })
    }
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(pairs): Pairs,
) -> Result<Response, ApiError> {
    let asked = Asked(pairs);
    page(&app, &caller, of_project(&id, &caller), &asked).await
}

pub(super) async fn list_of_key(
    State(app): State<App>,
    caller: Caller,
    Parameters(pairs): Pairs,
) -> Result<Response, ApiError> {
    let asked = Asked(pairs);
    page(&app, &caller, asked.of_named_projects(&caller)?, &asked).await
}

async fn page(
    app: &App,
    caller: &Caller,
    of_project: Filter,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let mut wanted = search(of_project, asked)?;
    wanted.limit = asked.page_limit()?;
    wanted.total = total(asked.wants_total()?, QUERY_TIME_MAX);
    let found = ask(app, caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    let mut body = String::from("{\"logs\":[");
    for (count, entry) in entries(&found, caller.project.as_str()).enumerate() {
        if count > 0 {
            body.push(',');
        }
        body.push_str(&entry);
    }
    body.push(']');
    let next = found.next_page().map(|place| place.to_string());
    let (total, is_exact) = match found.total {
        Some(Total::Exact(count)) => (Some(count), true),
        Some(Total::LowerBound(count)) => (Some(count), false),
        None => (None, false),
    };
    let mut members = vec![("nextCursor", next.into()), ("totalIsExact", is_exact.into())];
    members.extend(total.map(|total| ("total", total.into())));
    Ok(finish(body, members))
}

/// The newest records that are asked for, from the start or a cursor on.
pub(super) fn search(of_project: Filter, asked: &Asked) -> Result<Search, ApiError> {
    Ok(Search {
        filter: of_project.and(asked.filter()?),
        range: asked.range()?,
        order: Order::NewestFirst,
        place: place(asked.word("cursor").as_ref())?,
        offset: 0,
        limit: 0,
        records_max: usize::MAX,
        total: None,
    })
}

fn entries(found: &Found, project: &str) -> impl Iterator<Item = String> {
    records(&found.answer.rows)
        .map(|(cursor, record)| streamlogia::entry(&cursor.to_string(), project, &record))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    ProjectAndRecord(project, id): ProjectAndRecord,
) -> Result<Response, ApiError> {
    entry(&app, &caller, of_project(&project, &caller), &id).await
}

pub(super) async fn one_of_key(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
) -> Result<Response, ApiError> {
    entry(&app, &caller, Filter::All, &id).await
}

/// One record, if it is of the project.
async fn entry(
    app: &App,
    caller: &Caller,
    of_project: Filter,
    id: &str,
) -> Result<Response, ApiError> {
    let (_, answer) = find(app, caller, &record_id(id)).await?;
    let matcher = Matcher::new(&of_project)?;
    let found = records(&answer.rows).find(|(_, record)| matcher.selects(record));
    let (cursor, record) = found
        .ok_or_else(|| ApiError::not_found(format!("there is no record `{id}` in the project")))?;
    let entry = streamlogia::entry(&cursor.to_string(), caller.project.as_str(), &record);
    Ok(([(CONTENT_TYPE, "application/json")], entry).into_response())
}

pub(super) async fn projects(caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.require(crate::keys::Scope::Query)?;
    let name = caller.project.as_str();
    let id = streamlogia::id_of_project(name);
    Ok(Json(json!({ "projects": [{ "id": id, "name": name }] })))
}

pub(super) async fn stats(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked(pairs);
    levels(&app, &caller, of_project(&id, &caller).and(asked.source_type()?)).await
}

pub(super) async fn stats_of_key(
    State(app): State<App>,
    caller: Caller,
    Parameters(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked(pairs);
    let of_projects = asked.of_named_projects(&caller)?;
    levels(&app, &caller, of_projects.and(asked.source_type()?)).await
}

/// How many records there are of each level.
async fn levels(app: &App, caller: &Caller, filter: Filter) -> Result<Json<Value>, ApiError> {
    let counts =
        ask(app, caller, QUERY_TIME_MAX, |reading| by_level(reading, filter, TimeRange::ALL))
            .await?;
    let members =
        LEVELS.into_iter().zip(counts).map(|(name, count)| (name.to_owned(), count.into()));
    Ok(Json(Value::Object(members.collect())))
}

async fn by_level(
    reading: Reading,
    filter: Filter,
    range: TimeRange,
) -> Result<[i64; LEVELS.len()], QueryError> {
    let stats = Stats::count_by(vec![Group::Field(Field::SeverityNumber)]);
    let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: usize::MAX };
    let counted = reading.aggregate(&request).await?.rows;
    let severities = counted.column(0).as_primitive::<Int64Type>().values();
    let counts = counted.column(1).as_primitive::<Int64Type>().values();
    let mut by_level = [0; LEVELS.len()];
    for (&severity, count) in severities.iter().zip(counts) {
        let shown = streamlogia::level(level(severity));
        let place = LEVELS.iter().position(|name| *name == shown);
        if let Some(of_level) = place.and_then(|place| by_level.get_mut(place)) {
            *of_level += count;
        }
    }
    Ok(by_level)
}

pub(super) async fn timeseries(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked(pairs);
    let filter = of_project(&id, &caller).and(asked.kind()?);
    let range = asked_window(&asked)?;
    let every = asked.word("interval").unwrap_or_else(|| Word("1h".to_owned()));
    let interval = interval(Some(&every), range)?;
    let question = |reading: Reading| async move {
        let by = vec![Group::Bin(interval), Group::Field(Field::SeverityNumber)];
        let stats = Stats::count_by(by);
        let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: usize::MAX };
        reading.aggregate(&request).await
    };
    let counted = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let (entries, _) = buckets(&counted.rows, range, interval);
    let buckets: Vec<Value> = entries.iter().map(bucket).collect();
    Ok(Json(json!({
        "interval": interval.to_string(),
        "from": timestamp(range.from),
        "to": timestamp(range.to),
        "buckets": buckets,
    })))
}

fn asked_window(asked: &Asked) -> Result<TimeRange, ApiError> {
    window(asked.word("from").as_ref(), asked.word("to").as_ref(), clock::now())
}

/// A bucket with the counts of all levels.
fn bucket(entry: &Value) -> Value {
    let mut counts: Map<String, Value> =
        LEVELS.into_iter().map(|name| (name.to_owned(), 0.into())).collect();
    for known in Level::ALL {
        let count = entry["by_level"].get(known.name()).and_then(Value::as_i64).unwrap_or_default();
        if let Some(shown) = counts.get_mut(streamlogia::level(known)) {
            *shown = (shown.as_i64().unwrap_or_default() + count).into();
        }
    }
    json!({ "ts": entry["bucket"], "counts": counts })
}

pub(super) async fn aggregate(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked(pairs);
    let filter = of_project(&id, &caller).and(asked.kind()?);
    let range = asked_window(&asked)?;
    let group_by = asked.one("groupBy").unwrap_or("level").to_owned();
    let limit = asked.limit(STREAMLOGIA_GROUPS, STREAMLOGIA_GROUPS_MAX)?;
    let grouping = Grouping::named(&group_by)?;
    let question = |reading: Reading| grouping.count(reading, filter, range, limit);
    let mut groups = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    groups.retain(|(_, count)| *count > 0);
    groups.sort_by_key(|(_, count)| -count);
    let groups: Vec<Value> = groups
        .into_iter()
        .take(limit)
        .map(|(key, count)| json!({ "key": key, "count": count }))
        .collect();
    Ok(Json(json!({
        "groupBy": group_by,
        "from": timestamp(range.from),
        "to": timestamp(range.to),
        "groups": groups,
    })))
}

/// What records are counted by.
enum Grouping {
    Level,
    SourceType,
    Field(Field),
}

impl Grouping {
    fn named(name: &str) -> Result<Self, ApiError> {
        match (name, name.strip_prefix("meta.")) {
            ("level", _) => Ok(Self::Level),
            ("source_type", _) => Ok(Self::SourceType),
            ("source", _) => Ok(Self::Field(Field::Text(TextAttribute::Service))),
            (_, Some(key)) if !key.is_empty() => Ok(Self::Field(in_meta(key))),
            _ => Err(ApiError::parameter(format!(
                "groupBy: `{name}`, expected level, source, source_type or meta.KEY"
            ))),
        }
    }

    async fn count(
        self,
        reading: Reading,
        filter: Filter,
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<(String, i64)>, QueryError> {
        match self {
            Self::Level => {
                let counts = by_level(reading, filter, range).await?;
                Ok(LEVELS.into_iter().map(str::to_owned).zip(counts).collect())
            }
            Self::SourceType => {
                let all = i64::try_from(reading.count(filter.clone(), range).await?);
                let field = Field::Path(SOURCE_TYPE.to_owned());
                let kinds = shown(&reading.top(filter, range, field, limit).await?);
                let infra =
                    kinds.iter().find(|(kind, _)| kind == INFRA).map_or(0, |(_, count)| *count);
                let apps = all.unwrap_or(i64::MAX).saturating_sub(infra);
                Ok(vec![("app".to_owned(), apps), (INFRA.to_owned(), infra)])
            }
            Self::Field(field) => Ok(shown(&reading.top(filter, range, field, limit).await?)),
        }
    }
}

/// The values of a field as texts, and how often each occurs.
fn shown(top: &Answer) -> Vec<(String, i64)> {
    let [keys, counts] = top.rows.columns() else { return Vec::new() };
    let counts = counts.as_primitive::<Int64Type>().values();
    let text = |row| match value(keys, row) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    counts.iter().enumerate().map(|(row, &count)| (text(row), count)).collect()
}
