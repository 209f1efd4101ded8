//! What belongs together: the records of a trace or of a request, across services, with a summary.

use std::collections::BTreeMap;

use arrow::{array::AsArray, datatypes::Int64Type};
use axum::{extract::State, response::Response};
use millpond_query::{Field, Filter, Group, Stats, TimeRange};
use millpond_record::{Level, LogRecord, TextAttribute, Timestamp};
use millpond_store::{Aggregate, Order, QueryError, Rows, records};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    aggregated::level,
    page::{self, Extras},
    parameters::{Parameters, Piece, Word, number},
    reading::{Reading, ask},
    runs::Runs,
    search::{Search, place},
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    limits::{PAGE_RECORDS_MAX, QUERY_TIME_MAX},
};

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoryParameters {
    limit: Option<Word>,
    cursor: Option<Word>,
}

pub(crate) async fn trace(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(asked): Parameters<StoryParameters>,
) -> Result<Response, ApiError> {
    story(&app, &caller, TextAttribute::TraceId, id, &asked).await
}

pub(crate) async fn request(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(asked): Parameters<StoryParameters>,
) -> Result<Response, ApiError> {
    story(&app, &caller, TextAttribute::RequestId, id, &asked).await
}

/// One page, oldest first; the first one has the summary of all, and that of a request also its runs.
async fn story(
    app: &App,
    caller: &Caller,
    attribute: TextAttribute,
    id: String,
    asked: &StoryParameters,
) -> Result<Response, ApiError> {
    let filter = Filter::equals(attribute, id);
    let search = Search {
        filter: filter.clone(),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        place: place(asked.cursor.as_ref())?,
        offset: 0,
        limit: number("limit", asked.limit.as_ref(), 1..=PAGE_RECORDS_MAX, PAGE_RECORDS_MAX)?,
        records_max: usize::MAX,
        total: None,
    };
    let first = search.place.is_none();
    let of_request = attribute == TextAttribute::RequestId;
    let question = |reading: Reading| async move {
        let found = search.run(reading.clone()).await?;
        let (mut summary, mut runs) = (Summary::default(), Runs::default());
        if found.is_whole {
            for (_, record) in records(&found.answer.rows) {
                summary.add(&record);
                if of_request {
                    runs.add(&record);
                }
            }
        } else if first {
            if of_request {
                runs = Runs::count(&reading, &filter).await?;
            }
            summary = Summary::count(&reading, filter).await?;
        }
        Ok((found, summary, runs))
    };
    let (found, summary, runs) = ask(app, caller, QUERY_TIME_MAX, question).await?;
    let mut summary = summary.json();
    if let Some(members) = summary.as_object_mut().filter(|_| of_request) {
        let (runs, count) = runs.json();
        members.insert("runs".to_owned(), runs);
        members.insert("runs_count".to_owned(), count.into());
    }
    let members = if first { vec![("summary", summary)] } else { Vec::new() };
    Ok(page::response(&found, Extras { members, ..Extras::default() }))
}

/// What can be said of all records in a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Summary {
    records: i64,
    errors: i64,
    services: BTreeMap<String, i64>,
    times: Option<(Timestamp, Timestamp)>,
}

impl Summary {
    pub(crate) fn add(&mut self, record: &LogRecord<'_>) {
        self.add_count(record.service(), record.severity.level(), 1);
        self.add_time(record.time);
    }

    fn add_count(&mut self, service: &str, level: Level, count: i64) {
        self.records += count;
        self.errors += if level >= Level::Error { count } else { 0 };
        *self.services.entry(service.to_owned()).or_default() += count;
    }

    fn add_time(&mut self, time: Timestamp) {
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }

    /// The summary of records that are not all at hand.
    async fn count(reading: &Reading, filter: Filter) -> Result<Self, QueryError> {
        let by = [Field::Text(TextAttribute::Service), Field::SeverityNumber].map(Group::Field);
        let request = Aggregate {
            filter: filter.clone(),
            range: TimeRange::ALL,
            stats: Stats::count_by(by.to_vec()),
            sort: Vec::new(),
            limit: usize::MAX,
        };
        let counted = reading.aggregate(&request).await?.rows;
        let services = counted.column(0).as_string::<i32>().iter();
        let severities = counted.column(1).as_primitive::<Int64Type>().values();
        let counts = counted.column(2).as_primitive::<Int64Type>().values();
        let mut summary = Self::default();
        for ((service, &severity), &count) in services.zip(severities).zip(counts) {
            summary.add_count(service.unwrap_or_default(), level(severity), count);
        }
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let (filter, range) = (filter.clone(), TimeRange::ALL);
            let end = Rows { filter, range, order, after: None, limit: 1 };
            let answer = reading.rows(&end).await?;
            records(&answer.rows).for_each(|(cursor, _)| summary.add_time(cursor.time));
        }
        Ok(summary)
    }

    /// Services by the number of their records.
    pub(crate) fn json(&self) -> Value {
        let mut services: Vec<_> = self.services.iter().collect();
        services.sort_by_key(|&(_, &count)| -count);
        let services: Vec<Value> = services
            .into_iter()
            .map(|(service, count)| json!({ "service": service, "count": count }))
            .collect();
        json!({
            "records": self.records,
            "errors": self.errors,
            "services": services,
            "first_time": self.times.map(|(first, _)| first.to_string()),
            "last_time": self.times.map(|(_, last)| last.to_string()),
            "duration_ms": self.times.map_or(0.0, |(first, last)| millis(first, last)),
        })
    }
}

/// Milliseconds from one time to another, exact to the nanosecond while they are less than a few months.
pub(crate) fn millis(from: Timestamp, to: Timestamp) -> f64 {
    let nanos = i128::from(to.nanos()) - i128::from(from.nanos());
    nanos as f64 / 1e6
}
