//! `GET /api/v1/logs/stream`: records as server-sent events, as they are stored.
//!
//! A stream holds no queue: it asks the store for the records behind the last one that it sent, whenever more were
//! stored and its reader took the last. A slow reader is therefore late, but misses nothing, and costs no memory.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::stream;
use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::Timestamp;
use millpond_store::{Order, Project, Rows, records};
use serde::Deserialize;
use tokio::{sync::watch, time::timeout};

use crate::{
    App,
    auth::Caller,
    error::ApiError,
    keys::{Key, Scope},
    limits::{HEARTBEAT, STREAM_RECORDS},
    logs::{Parameters, filter, write_event},
};

/// The parameters of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StreamParameters {
    q: Option<String>,
    service: Option<String>,
    level: Option<String>,
    last_event_id: Option<u64>,
}

/// Where a stream stands.
struct Tail {
    app: App,
    project: Project,
    key: Key,
    filter: Filter,
    stored: watch::Receiver<u64>,
    /// Sequence of the last record that was looked at.
    last: u64,
    started: bool,
}

pub(crate) async fn stream(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(parameters): Parameters<StreamParameters>,
) -> Result<Response, ApiError> {
    caller.require(Scope::Query)?;
    let filter = filter(
        parameters.q.as_deref(),
        parameters.service.as_deref(),
        parameters.level.as_deref(),
    )?;
    let stored = app.store.stored();
    let newest = stored.borrow().saturating_sub(1);
    let resumed = match headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            Some(id.ok_or_else(|| {
                ApiError::parameter("Last-Event-ID: expected the id of an event of this stream")
            })?)
        }
        None => parameters.last_event_id,
    };
    let last = resumed.unwrap_or(newest);
    if last > newest {
        let message = format!("Last-Event-ID: {last} is behind the newest record, {newest}");
        return Err(ApiError::parameter(message));
    }
    let tail = Tail {
        app,
        project: caller.project,
        key: caller.key,
        filter,
        stored,
        last,
        started: false,
    };
    let events = stream::unfold(tail, |mut tail| async move {
        let events = tail.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(events)), tail))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Tail {
    /// The next piece of the stream; `None` when the server ends.
    async fn next(&mut self) -> Option<String> {
        if !self.started {
            self.started = true;
            return Some(self.comment("connected"));
        }
        let mut ending = self.app.ending.clone();
        loop {
            if *ending.borrow() || !self.app.keys.is_valid(&self.key) {
                return None;
            }
            let stored = *self.stored.borrow_and_update();
            if stored.saturating_sub(1) > self.last {
                match self.read(stored).await {
                    Ok(events) if events.is_empty() => {}
                    Ok(events) => return Some(events),
                    Err(error) => {
                        tracing::error!(?error, "a stream could not be read");
                        return None;
                    }
                }
                continue;
            }
            let changed = async {
                tokio::select! {
                    changed = self.stored.changed() => changed.is_ok(),
                    _ = ending.changed() => false,
                }
            };
            match timeout(HEARTBEAT, changed).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(self.comment("heartbeat")),
            }
        }
    }

    /// A comment that tells where the stream stands, so that a client that was shown nothing yet can resume too.
    fn comment(&self, text: &str) -> String {
        format!("id: {}\n: {text}\n\n", self.last)
    }

    /// The events of the records behind the last one and below `stored`.
    async fn read(&mut self, stored: u64) -> Result<String, ApiError> {
        let after = Cursor { time: Timestamp::MIN, sequence: self.last };
        let request = Rows {
            filter: self.filter.clone(),
            range: TimeRange::ALL,
            order: Order::Stored,
            after: Some(after),
            limit: STREAM_RECORDS,
        };
        let (store, project) = (Arc::clone(&self.app.store), self.project.clone());
        let answer =
            self.app.queries.run(async move { store.rows(&project, &request).await }).await?;
        let mut events = String::new();
        let mut count = 0;
        for (cursor, record) in records(&answer.rows) {
            write_event(&mut events, cursor, &record);
            self.last = cursor.sequence;
            count += 1;
        }
        if count < STREAM_RECORDS {
            // Everything below was looked at, whether it passed the filter or belongs to another project.
            self.last = self.last.max(stored - 1);
        }
        Ok(events)
    }
}
