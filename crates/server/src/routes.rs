//! Every route of the server, once. The router, the OpenAPI document and the test of `docs/http-api.md` are made from
//! this table, so that none can have a route that the others don't.

use std::future::ready;

use axum::{
    Router,
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get, post},
};

use crate::{
    App, admin, flows, health, ingest,
    keys::Scope,
    logs, metrics, openapi, own_key,
    peers::{self, Peer},
    sql, stream,
};

/// What is asked for, and who may ask.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As axum and OpenAPI write it: `/logs/{id}`.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// What it is for, in a line.
    pub(crate) about: &'static str,
    /// Parameters of the query string.
    pub(crate) parameters: &'static [&'static [Parameter]],
    /// Schema of the body, in `openapi.json`.
    pub(crate) body: Option<&'static str>,
    /// Schema of the answer, in `openapi.json`.
    pub(crate) answer: &'static str,
    /// The system in whose words it answers, unless it is ours.
    pub(crate) peer: Option<Peer>,
    handler: fn() -> MethodRouter<App>,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Access {
    Everyone,
    AnyKey,
    Scope(Scope),
}

/// A parameter of the query string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// `string`, `integer`, `boolean`, or `array` of strings.
    pub(crate) kind: &'static str,
    pub(crate) about: &'static str,
}

pub(crate) const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: "string", about }
}

pub(crate) const fn number(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: "integer", about }
}

const fn flag(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: "boolean", about }
}

const fn texts(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: "array", about }
}

const Q: &[Parameter] = &[text("q", "a query of Millpond's language; everything if left out")];

const TIMES: &[Parameter] = &[
    text(
        "from",
        "event time, included: RFC 3339, a number since the epoch, or from now as in now-15m",
    ),
    text("to", "event time, excluded"),
];

/// As `logs::selection` reads them.
const EQUAL: &[Parameter] = &[
    texts("service", "one of these services"),
    texts("level", "one of these levels, also separated by commas"),
    text("environment", "exactly this environment"),
    text("host", "exactly this host"),
    text("trace_id", "exactly this trace"),
    text("request_id", "exactly this request"),
    text("session_id", "exactly this session"),
    text("user_id", "exactly this user"),
    text("flow_id", "exactly this flow"),
    text("dataset", "exactly this dataset"),
];

const PAGE: &[Parameter] = &[
    number("limit", "records on the page, 1 to 1000"),
    text("cursor", "next_cursor of the page before"),
];

const TIMEOUT: &[Parameter] = &[number("timeout_ms", "how long the query may run, 1 to 60000")];

const TOTAL: &[Parameter] = &[flag("total", "whether to count the records of all pages")];

const EXPLAIN: &[Parameter] =
    &[flag("explain", "whether to tell what was read and what was skipped")];

const SEARCH: &[Parameter] = &[
    text("order", "desc, newest first, or asc"),
    number("offset", "records left out before the page, at most 10000; a cursor goes further"),
    texts("fields", "the only members of each record, also separated by commas"),
];

const DEFAULTS: &[Parameter] = &[
    text("format", "json, jsonl, syslog, text, csv or obl; by Content-Type if left out"),
    text("service", "for records that have none"),
    text("environment", "for records that have none"),
    text("level", "for records that have none"),
    text("dataset", "for records that have none"),
    text("tags", "for records that have none, separated by commas"),
    text("user_id", "for records that have none"),
    text("session_id", "for records that have none"),
    text("request_id", "for records that have none"),
    text("flow_id", "for records that have none"),
];

const AROUND: &[Parameter] = &[
    number("before", "records before it, 0 to 500"),
    number("after", "records behind it, 0 to 500"),
    text("within", "service, trace, request or all"),
];

const STREAM: &[Parameter] = &[
    text("service", "exactly this service"),
    text("level", "exactly this level"),
    number("last_event_id", "resume behind this event; as the header Last-Event-ID"),
    text("token", "the key, where no header can be sent"),
];

impl Route {
    pub(crate) const fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: fn() -> MethodRouter<App>,
    ) -> Self {
        Self {
            method,
            path,
            access,
            about: "",
            parameters: &[],
            body: None,
            answer: "",
            peer: None,
            handler,
        }
    }

    /// Of another system: what it takes and answers is documented there.
    pub(crate) const fn of(self, peer: Peer) -> Self {
        Self { peer: Some(peer), answer: "Foreign", ..self }
    }

    pub(crate) const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub(crate) const fn takes(self, parameters: &'static [&'static [Parameter]]) -> Self {
        Self { parameters, ..self }
    }

    pub(crate) const fn reads(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) const fn answers(self, answer: &'static str) -> Self {
        Self { answer, ..self }
    }
}

pub(crate) const QUERY: Access = Access::Scope(Scope::Query);
pub(crate) const INGEST: Access = Access::Scope(Scope::Ingest);

/// All routes.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(admin::ROUTES).chain(peers::routes())
}

/// All but those of a module that has many.
const ROUTES: &[Route] = &[
    Route::new("POST", millpond_wire::INGEST_PATH, INGEST, || post(ingest::ingest))
        .about("Stores records.")
        .takes(&[DEFAULTS])
        .reads("Records")
        .answers("Ingested"),
    Route::new("POST", millpond_wire::FLOWS_PATH, INGEST, || post(flows::create))
        .about("Makes an id for a new flow.")
        .reads("NewFlow")
        .answers("NamedFlow"),
    Route::new("GET", millpond_wire::KEY_PATH, Access::AnyKey, || get(own_key::show))
        .about("Tells what the key may do.")
        .answers("OwnKey"),
    Route::new("GET", "/api/v1/logs", QUERY, || get(logs::search))
        .about("Finds records.")
        .takes(&[Q, TIMES, EQUAL, SEARCH, PAGE, TOTAL, TIMEOUT, EXPLAIN])
        .answers("Page"),
    Route::new("GET", "/api/v1/query", QUERY, || get(logs::get_query))
        .about("Answers a whole query with records or statistics.")
        .takes(&[Q, TIMES, PAGE, TOTAL, TIMEOUT, EXPLAIN])
        .answers("QueryAnswer"),
    Route::new("POST", "/api/v1/query", QUERY, || post(logs::post_query))
        .about("Answers a whole query with records or statistics.")
        .reads("Query")
        .answers("QueryAnswer"),
    Route::new("POST", "/api/v1/sql", QUERY, || post(sql::query))
        .about("Answers a statement of SQL that only reads.")
        .reads("Sql")
        .answers("SqlAnswer"),
    Route::new("GET", "/api/v1/logs/{id}", QUERY, || get(logs::one))
        .about("Shows one record.")
        .answers("StoredRecord"),
    Route::new("GET", "/api/v1/logs/{id}/context", QUERY, || get(logs::context))
        .about("Shows the records around one.")
        .takes(&[AROUND])
        .answers("Context"),
    Route::new("GET", "/api/v1/logs/trace/{trace_id}", QUERY, || get(logs::trace))
        .about("Shows a trace across services, oldest first.")
        .takes(&[PAGE])
        .answers("Story"),
    Route::new("GET", "/api/v1/requests/{request_id}", QUERY, || get(logs::request))
        .about("Shows a request across services, oldest first.")
        .takes(&[PAGE])
        .answers("Story"),
    Route::new("GET", "/api/v1/flows/{flow_id}", QUERY, || get(logs::flow))
        .about("Shows a flow by its steps.")
        .answers("Flow"),
    Route::new("GET", "/api/v1/logs/aggregated", QUERY, || get(logs::aggregated))
        .about("Counts records over time, by level, service and kind of error.")
        .takes(&[Q, TIMES, EQUAL, &[text("interval", "width of a bucket, such as 5m")], TIMEOUT])
        .answers("Aggregated"),
    Route::new("GET", "/api/v1/facets", QUERY, || get(logs::facets))
        .about("Counts the values of fields.")
        .takes(&[
            &[texts("field", "names of fields, also separated by commas")],
            Q,
            TIMES,
            EQUAL,
            &[number("limit", "values of each, 1 to 1000")],
            TIMEOUT,
        ])
        .answers("Facets"),
    Route::new("GET", "/api/v1/fields", QUERY, || get(logs::fields))
        .about("Names the fields that records have.")
        .answers("Fields"),
    Route::new("GET", "/api/v1/logs/stream", QUERY, || get(stream::stream))
        .about("Streams records as they are stored, as events or over a WebSocket.")
        .takes(&[Q, STREAM])
        .answers("Events"),
    Route::new("GET", "/api/v1/openapi.json", Access::Everyone, || get(openapi::show))
        .about("This document.")
        .answers("Document"),
    Route::new("GET", "/health", Access::Everyone, || get(health))
        .about("Tells how the server is.")
        .answers("Health"),
    Route::new("GET", "/metrics", Access::Everyone, || get(metrics::show))
        .about("Counts what the server does, in Prometheus' text format.")
        .answers("Metrics"),
];

/// The routes as a router.
pub(crate) fn router() -> Router<App> {
    routes().fold(Router::new(), |router, route| {
        let handler = (route.handler)();
        let handler = match route.peer {
            Some(peer) => handler.route_layer(map_response(move |response: Response| {
                ready(peers::in_words_of(peer, response))
            })),
            None => handler,
        };
        router.route(route.path, handler)
    })
}
