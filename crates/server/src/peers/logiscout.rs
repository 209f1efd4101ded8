//! LogiScout's routes. The key decides the project.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use millpond_protocols::{Defaults, Protocol, logiscout};
use millpond_query::{Field, Filter, TimeRange};
use millpond_record::{LogRecord, TextAttribute, limits::ATTRIBUTE_BYTES_MAX};
use millpond_store::{Order, records};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Peer,
    filters::{all, equals},
};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    ingest::{Wanted, take},
    limits::{OFFSET_MAX, PAGE_RECORDS, PAGE_RECORDS_MAX, QUERY_TIME_MAX},
    logs::{
        Parameters,
        page::finish,
        parameters::{Word, number, range},
        reading::ask,
        search::{Found, Search},
    },
    routes::{INGEST, QUERY, Route},
    stream::{self, Form},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new("POST", "/ingest", INGEST, || post(ingest))
        .about("Stores what LogiScout's clients logged.")
        .of(Peer::LogiScout),
    Route::new("GET", "/logs", QUERY, || get(search))
        .about("Finds records, as LogiScout does.")
        .of(Peer::LogiScout),
    Route::new("GET", "/live-logs", QUERY, || get(live))
        .about("Shows the newest records, as LogiScout does.")
        .of(Peer::LogiScout),
    Route::new("GET", "/live-logs/socket", QUERY, || get(tail))
        .about("Streams records over a WebSocket, as LogiScout does.")
        .of(Peer::LogiScout),
];

pub(super) fn error(error: &ApiError) -> Value {
    if error.status() == 401 {
        return json!({ "error": "Invalid or missing API token", "message": error.message() });
    }
    json!({ "error": true, "message": error.message(), "statusCode": error.status().as_u16() })
}

async fn ingest(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    let wanted = Wanted {
        protocol: Protocol::LogiScout,
        defaults: Defaults::default(),
        places: false,
        whole: false,
    };
    let taken = take(&app, &caller, &headers, request, |_| Ok(wanted)).await?;
    if let (0, Some(first)) = (taken.accepted, taken.rejected.first()) {
        let message = format!("no log could be kept; of the first: {}", first.reason);
        return Err(ApiError::body(message));
    }
    let mut answer = json!({ "status": "accepted", "count": taken.accepted });
    if let Some(members) = answer.as_object_mut().filter(|_| taken.rejected_count > 0) {
        let rejected = taken.rejected.iter();
        let rejected =
            rejected.map(|rejected| json!({ "index": rejected.index, "reason": rejected.reason }));
        members.insert("rejected".to_owned(), rejected.collect());
        members.insert("rejected_count".to_owned(), taken.rejected_count.into());
    }
    Ok(Json(answer))
}

/// What LogiScout's search takes. What it does not know, it ignores.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SearchParameters {
    project_name: Option<Word>,
    correlation_id: Option<Word>,
    start: Option<Word>,
    end: Option<Word>,
    limit: Option<Word>,
    offset: Option<Word>,
}

impl SearchParameters {
    /// The project's own name means all of it, another what was sent under that.
    fn filter(&self, caller: &Caller) -> Filter {
        let project = self.project_name.as_ref().filter(|name| name.0 != caller.project.as_str());
        let project =
            project.map(|name| equals(Field::Path(logiscout::PROJECT.to_owned()), name.0.as_str()));
        let request = self.correlation_id.as_ref().map(|Word(id)| {
            let field = match id.len() > ATTRIBUTE_BYTES_MAX {
                true => Field::Path(logiscout::CORRELATION_ID.to_owned()),
                false => Field::Text(TextAttribute::RequestId),
            };
            equals(field, id.as_str())
        });
        all(project.into_iter().chain(request))
    }
}

async fn search(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Response, ApiError> {
    let limit = number("limit", asked.limit.as_ref(), 1..=PAGE_RECORDS_MAX, PAGE_RECORDS)?;
    let offset = number("offset", asked.offset.as_ref(), 0..=OFFSET_MAX, 0)?;
    let wanted = Search {
        filter: asked.filter(&caller),
        range: range(asked.start.as_ref(), asked.end.as_ref(), clock::now())?,
        ..newest(offset, limit)
    };
    let found = ask(&app, &caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    let project = caller.project.as_str();
    let members = vec![
        ("count", found.answer.rows.num_rows().into()),
        ("limit", limit.into()),
        ("offset", offset.into()),
        ("hasMore", found.has_more.into()),
    ];
    Ok(answer(&found, members, |id, record| logiscout::log(id, project, record)))
}

async fn live(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let wanted = newest(0, PAGE_RECORDS);
    let found = ask(&app, &caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
    Ok(answer(&found, Vec::new(), logiscout::live))
}

async fn tail(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let caller = stream::viewer(&mut parts, &app).await?;
    stream::upgraded(&app, &caller, &mut parts, Form::LogiScout, Filter::All, None).await
}

/// A page of the newest records.
fn newest(offset: usize, limit: usize) -> Search {
    Search {
        filter: Filter::All,
        range: TimeRange::ALL,
        order: Order::NewestFirst,
        place: None,
        offset,
        limit,
        records_max: usize::MAX,
        total: None,
    }
}

/// The records of a page, each written by `write`, and members beside them.
fn answer(
    found: &Found,
    members: Vec<(&'static str, Value)>,
    write: impl Fn(&str, &LogRecord<'_>) -> String,
) -> Response {
    let mut body = String::from("{\"logs\":[");
    for (count, (cursor, record)) in records(&found.answer.rows).enumerate() {
        if count > 0 {
            body.push(',');
        }
        body.push_str(&write(&cursor.to_string(), &record));
    }
    body.push(']');
    finish(body, members)
}
