//! `GET /api/v1/logs/{id}`: one record, and the records around it.

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::{TextAttribute, Timestamp};
use millpond_store::{Answer, Order, QueryError, Rows, records};
use serde::Deserialize;

use super::{
    page::{finish, text, write_record, write_records},
    parameters::{NoParameters, Parameters, Piece, Word, number},
    reading::{Reading, ask},
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    limits::{CONTEXT_RECORDS, CONTEXT_RECORDS_MAX, QUERY_TIME_MAX},
};

/// What the records around have in common with the one in their middle.
#[derive(Clone, Copy, Debug)]
enum Within {
    Attribute(TextAttribute),
    All,
}

/// How many records around one are shown, and which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContextParameters {
    before: Option<Word>,
    after: Option<Word>,
    within: Option<Word>,
}

pub(crate) async fn one(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let (_, answer) = find(&app, &caller, &id).await?;
    let mut body = String::new();
    if let Some((cursor, record)) = records(&answer.rows).next() {
        write_record(&mut body, cursor, &record);
    }
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The record with this id.
pub(crate) async fn find(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<(Cursor, Answer), ApiError> {
    let absent = || {
        let id: String = id.chars().take(64).collect();
        ApiError::not_found(format!("there is no record `{id}`, expected the `id` of one"))
    };
    let sought: Option<Cursor> = id.parse().ok();
    let question = |reading: Reading| async move {
        let Some(sought) = sought else { return Ok(None) };
        let before = sought.sequence.checked_sub(1);
        let request = Rows {
            filter: Filter::All,
            range: TimeRange { from: sought.time, to: behind(sought.time) },
            order: Order::OldestFirst,
            after: before.map(|sequence| Cursor { time: sought.time, sequence }),
            limit: 1,
        };
        let answer = reading.rows(&request).await?;
        let found = records(&answer.rows).next().is_some_and(|(cursor, _)| cursor == sought);
        Ok(found.then_some((sought, answer)))
    };
    ask(app, caller, QUERY_TIME_MAX, question).await?.ok_or_else(absent)
}

/// The end of a range that just has this time in it.
fn behind(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.nanos().saturating_add(1))
}

pub(crate) async fn context(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(asked): Parameters<ContextParameters>,
) -> Result<Response, ApiError> {
    let count = |name, text| number(name, text, 0..=CONTEXT_RECORDS_MAX, CONTEXT_RECORDS);
    let before = count("before", asked.before.as_ref())?;
    let after = count("after", asked.after.as_ref())?;
    let within = within(asked.within.as_ref())?;
    let (cursor, answer) = find(&app, &caller, &id).await?;
    let filter = around(within, &answer)?;
    let question = |reading: Reading| async move {
        let older = side(&reading, filter.clone(), cursor, Order::NewestFirst, before).await?;
        let newer = side(&reading, filter, cursor, Order::OldestFirst, after).await?;
        Ok((older, newer))
    };
    let (older, newer) = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let mut body = String::from("{\"before\":");
    let mut shown: Vec<_> = records(&older.rows).take(before).collect();
    shown.reverse();
    write_records(&mut body, shown, &[]);
    body.push_str(",\"log\":");
    for (cursor, record) in records(&answer.rows) {
        write_record(&mut body, cursor, &record);
    }
    body.push_str(",\"after\":");
    write_records(&mut body, records(&newer.rows).take(after), &[]);
    let mut members = vec![
        ("has_more_before", (older.cut || older.rows.num_rows() > before).into()),
        ("has_more_after", (newer.cut || newer.rows.num_rows() > after).into()),
    ];
    let mut damaged = [older.damaged, newer.damaged].concat();
    damaged.sort();
    damaged.dedup();
    if !damaged.is_empty() {
        members.push(("damaged", damaged.into()));
    }
    Ok(finish(body, members))
}

/// The records on one side of a place, the nearest first, and one more that tells whether there are more.
async fn side(
    reading: &Reading,
    filter: Filter,
    cursor: Cursor,
    order: Order,
    count: usize,
) -> Result<Answer, QueryError> {
    let range = match order {
        Order::NewestFirst => TimeRange { to: behind(cursor.time), ..TimeRange::ALL },
        _ => TimeRange { from: cursor.time, ..TimeRange::ALL },
    };
    let request = Rows { filter, range, order, after: Some(cursor), limit: count + 1 };
    reading.rows(&request).await
}

fn within(text: Option<&Word>) -> Result<Within, ApiError> {
    match text.map(|text| text.0.as_str()) {
        None | Some("service") => Ok(Within::Attribute(TextAttribute::Service)),
        Some("trace") => Ok(Within::Attribute(TextAttribute::TraceId)),
        Some("request") => Ok(Within::Attribute(TextAttribute::RequestId)),
        Some("all") => Ok(Within::All),
        Some(other) => Err(ApiError::parameter(format!(
            "within: `{other}`, expected `service`, `trace`, `request` or `all`"
        ))),
    }
}

/// The records that have in common with the found one what was asked for.
fn around(within: Within, found: &Answer) -> Result<Filter, ApiError> {
    let Within::Attribute(attribute) = within else { return Ok(Filter::All) };
    let value = records(&found.rows)
        .next()
        .and_then(|(_, record)| text(&record, attribute).map(|value| value.text().to_owned()));
    let value = value.ok_or_else(|| {
        let name = attribute.name();
        ApiError::parameter(format!("within: the record has no `{name}`, expected another"))
    })?;
    Ok(Filter::equals(attribute, value))
}
