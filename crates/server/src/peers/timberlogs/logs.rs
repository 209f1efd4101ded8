//! `GET /v1/logs`, `/v1/logs/search` and `/v1/logs/{id}`: logs out, as Timberlogs shows them.

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use millpond_protocols::timberlogs;
use millpond_query::{Cursor, Field, Filter, TimeRange};
use millpond_record::{Level, LogRecord, TextAttribute, Timestamp};
use millpond_store::{Order, Rows, records};
use serde::Deserialize;
use serde_json::json;

use super::words;
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    limits::{FLOW_RECORDS_MAX, OFFSET_MAX, PAGE_RECORDS, PAGE_RECORDS_MAX, QUERY_TIME_MAX},
    logs::{
        Parameters, Piece,
        context::find,
        page::finish,
        parameters::{Word, between, number, time},
        reading::{Reading, ask},
        search::{Search, Total, total},
    },
    peers::filters::{all, any, at_level, equals, limited},
};

/// What stands in front of our ids.
const ID: &str = "log_";

/// Records on a page of a search unless told otherwise.
const FOUND_RECORDS: usize = 50;

/// Fewest characters that are searched for.
const SEARCH_CHARACTERS_MIN: usize = 2;

/// What Timberlogs' routes for reading take. What they do not know, they ignore.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogsParameters {
    q: Option<Word>,
    fields: Option<Word>,
    level: Option<Word>,
    source: Option<Word>,
    environment: Option<Word>,
    dataset: Option<Word>,
    user_id: Option<Word>,
    session_id: Option<Word>,
    flow_id: Option<Word>,
    from: Option<Word>,
    to: Option<Word>,
    limit: Option<Word>,
    offset: Option<Word>,
}

impl LogsParameters {
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let exactly = [
            (TextAttribute::Service, &self.source),
            (TextAttribute::Environment, &self.environment),
            (TextAttribute::Dataset, &self.dataset),
            (TextAttribute::UserId, &self.user_id),
            (TextAttribute::SessionId, &self.session_id),
            (TextAttribute::FlowId, &self.flow_id),
        ];
        let exactly = exactly.into_iter().filter_map(|(attribute, value)| {
            let Word(value) = said(value)?;
            Some(equals(Field::Text(attribute), value.as_str()))
        });
        let level = said(&self.level).map_or(Ok(Filter::All), level)?;
        Ok(all(exactly.chain([level])))
    }

    /// Both bounds included, by the milliseconds that a log shows; all times unless told otherwise.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        const MILLI_NANOS: i64 = 1_000_000;
        let now = clock::now();
        let from = said(&self.from).map(|from| time("from", &from.0, now)).transpose()?;
        let to = said(&self.to).map(|to| time("to", &to.0, now)).transpose()?;
        let behind = to.map_or(Timestamp::MAX, |to| {
            let millis = to.nanos().div_euclid(MILLI_NANOS);
            Timestamp::from_nanos(millis.saturating_add(1).saturating_mul(MILLI_NANOS))
        });
        between(from.unwrap_or(Timestamp::MIN), behind)
    }

    /// How many records, and how many are left out before them. Whoever asks for more than a page has gets a page.
    pub(super) fn page(&self, default: usize) -> Result<(usize, usize), ApiError> {
        let limit = number("limit", said(&self.limit), 1..=usize::MAX, default)?;
        let offset = number("offset", said(&self.offset), 0..=OFFSET_MAX, 0)?;
        Ok((limit.min(PAGE_RECORDS_MAX), offset))
    }

    /// The fields that are searched, by their names in Timberlogs.
    fn fields(&self) -> Result<Vec<(&str, Vec<Field>)>, ApiError> {
        let names = said(&self.fields).map_or("", |fields| fields.0.as_str());
        let mut names: Vec<&str> =
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            names.push("message");
        }
        names.into_iter().map(|name| Ok((name, fields_of(name)?))).collect()
    }
}

/// A parameter that is there and not empty.
fn said(parameter: &Option<Word>) -> Option<&Word> {
    parameter.as_ref().filter(|Word(text)| !text.is_empty())
}

/// Logs that are shown with this level.
fn level(Word(name): &Word) -> Result<Filter, ApiError> {
    let level: Level =
        name.parse().map_err(|error| ApiError::parameter(format!("level: {error}")))?;
    let shown = timberlogs::level(level);
    let same = Level::ALL.into_iter().filter(|level| timberlogs::level(*level) == shown);
    Ok(any(same.map(at_level).collect()))
}

fn fields_of(name: &str) -> Result<Vec<Field>, ApiError> {
    let exception = |path: &str| Field::Exception(path.to_owned());
    match name {
        "message" => Ok(vec![Field::Words]),
        "errorName" => Ok(vec![exception("type")]),
        "errorStack" => Ok(vec![exception("raw"), exception("stacktrace")]),
        "data" => Ok(vec![Field::Fields]),
        other => Err(ApiError::parameter(format!(
            "fields: `{other}`, expected message, errorName, errorStack or data"
        ))),
    }
}

/// A page of logs.
struct Page {
    logs: String,
    count: usize,
    limit: usize,
    offset: usize,
    has_more: bool,
    total: Option<usize>,
}

impl Page {
    fn response(self, members: Vec<(&'static str, serde_json::Value)>) -> Response {
        let Self { logs, count, limit, offset, has_more, total } = self;
        let pagination = json!({
            "limit": limit, "offset": offset, "count": count, "hasMore": has_more, "total": total,
        });
        let body = format!("{{\"logs\":[{logs}]");
        finish(body, [members, vec![("pagination", pagination)]].concat())
    }
}

fn shown(cursor: Cursor, record: &LogRecord<'_>) -> String {
    timberlogs::log(&format!("{ID}{cursor}"), record)
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<LogsParameters>,
) -> Result<Response, ApiError> {
    let (limit, offset) = asked.page(PAGE_RECORDS)?;
    let (filter, range) = (asked.filter()?, asked.range()?);
    let page = match said(&asked.flow_id) {
        Some(_) => flow(&app, &caller, filter, range, limit, offset).await?,
        None => newest(&app, &caller, filter, range, limit, offset).await?,
    };
    Ok(page.response(Vec::new()))
}

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<LogsParameters>,
) -> Result<Response, ApiError> {
    let raw = asked.q.as_ref().map_or("", |q| q.0.trim());
    if raw.chars().count() < SEARCH_CHARACTERS_MIN {
        let message = format!("Search query must be at least {SEARCH_CHARACTERS_MIN} characters");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", message));
    }
    let (limit, offset) = asked.page(FOUND_RECORDS)?;
    let fields = asked.fields()?;
    let (names, fields): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let sought = words::Search::read(raw);
    let filter = limited(asked.filter()?.and(sought.filter(&fields.concat())))?;
    let query = json!({ "raw": raw, "parsed": sought.parsed(), "fields": names });
    let page = newest(&app, &caller, filter, asked.range()?, limit, offset).await?;
    Ok(page.response(vec![("query", query)]))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
) -> Result<Response, ApiError> {
    let ours = id.strip_prefix(ID).unwrap_or(&id);
    let found = find(&app, &caller, ours).await;
    let (_, answer) = found.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => ApiError::not_found("Log not found"),
        _ => error,
    })?;
    let log = records(&answer.rows).next().map(|(cursor, record)| shown(cursor, &record));
    let body = format!("{{\"log\":{}}}", log.unwrap_or_default());
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The newest logs, newest first.
async fn newest(
    app: &App,
    caller: &Caller,
    filter: Filter,
    range: TimeRange,
    limit: usize,
    offset: usize,
) -> Result<Page, ApiError> {
    let wanted = Search {
        filter,
        range,
        order: Order::NewestFirst,
        place: None,
        offset,
        limit,
        records_max: usize::MAX,
        total: total(true, QUERY_TIME_MAX),
    };
    let found = ask(app, caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    let logs: Vec<String> =
        records(&found.answer.rows).map(|(cursor, record)| shown(cursor, &record)).collect();
    let total = match found.total {
        Some(Total::Exact(count)) => Some(count),
        Some(Total::LowerBound(_)) | None => None,
    };
    let (count, has_more) = (logs.len(), found.has_more);
    Ok(Page { logs: logs.join(","), count, limit, offset, has_more, total })
}

/// The logs of a flow by their steps; those of one step, and at the end those of none, by time.
async fn flow(
    app: &App,
    caller: &Caller,
    filter: Filter,
    range: TimeRange,
    limit: usize,
    offset: usize,
) -> Result<Page, ApiError> {
    let most = FLOW_RECORDS_MAX.max(offset + limit);
    // One more tells whether there are more.
    let request = Rows { filter, range, order: Order::OldestFirst, after: None, limit: most + 1 };
    let question = |reading: Reading| async move { reading.rows(&request).await };
    let answer = ask(app, caller, QUERY_TIME_MAX, question).await?;
    let mut steps: Vec<_> = records(&answer.rows).take(most).collect();
    steps.sort_by_key(|(cursor, record)| (record.step_index.is_none(), record.step_index, *cursor));
    let is_whole = !answer.cut && answer.rows.num_rows() <= most;
    let page = steps.iter().skip(offset).take(limit);
    let logs: Vec<String> = page.map(|(cursor, record)| shown(*cursor, record)).collect();
    let count = logs.len();
    Ok(Page {
        logs: logs.join(","),
        count,
        limit,
        offset,
        has_more: !is_whole || steps.len() > offset + count,
        total: is_whole.then_some(steps.len()),
    })
}
