//! `GET /metrics`: what the server counts, in Prometheus' text format. No key: totals over all projects, no names.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use crate::App;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) records_accepted: Counter,
    pub(crate) records_rejected: Counter,
    pub(crate) batches_stored: Counter,
    pub(crate) batches_duplicate: Counter,
    /// Of bodies, as they were sent.
    pub(crate) body_bytes: Counter,
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    /// Answers by status.
    answers: Mutex<BTreeMap<u16, u64>>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(crate) fn answered(&self, status: u16) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(status).or_default() += 1;
    }
}

pub(crate) async fn show(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&app)).into_response()
}

fn text(app: &App) -> String {
    let mut page = Page::default();
    let metrics = &app.metrics;
    page.family(
        "ingest_records_total",
        "counter",
        "Records of batches that were answered with 200.",
    );
    page.labelled("result", "accepted", metrics.records_accepted.get());
    page.labelled("result", "rejected", metrics.records_rejected.get());
    page.family("ingest_batches_total", "counter", "Batches that were answered with 200.");
    page.labelled("result", "stored", metrics.batches_stored.get());
    page.labelled("result", "duplicate", metrics.batches_duplicate.get());
    page.family("ingest_body_bytes_total", "counter", "Bytes of bodies, as they were sent.");
    page.value(metrics.body_bytes.get());
    page.family("http_answers_total", "counter", "Answers by HTTP status.");
    let answers = metrics.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (status, count) in answers {
        page.labelled("status", status, count);
    }
    page.family("http_connections_total", "counter", "Connections that were accepted.");
    page.value(metrics.connections.get());
    page.family("http_connections_refused_total", "counter", "Connections over the limit.");
    page.value(metrics.connections_refused.get());
    page.family("http_connections", "gauge", "Connections that are open.");
    page.value(app.connections_max - app.connections.available_permits().min(app.connections_max));
    page.family("http_connections_limit", "gauge", "Connections that may be open.");
    page.value(app.connections_max);
    page.family("queries_running", "gauge", "Queries that are running.");
    page.value(app.queries_running());
    let (bodies, records) = app.budget.held();
    page.family("memory_bytes", "gauge", "Memory that requests hold of their budget.");
    page.labelled("of", "bodies", bodies);
    page.labelled("of", "decoding", records);
    storage(app, &mut page);
    page.text
}

fn storage(app: &App, page: &mut Page) {
    let projects = app.store.projects();
    page.family("stored_projects", "gauge", "Projects that have records.");
    page.value(projects.len());
    page.family("stored_records", "gauge", "Records that are stored.");
    page.value(projects.iter().map(|project| project.records).sum::<u64>());
    page.family("stored_segments", "gauge", "Segments that are stored.");
    page.value(projects.iter().map(|project| project.segments).sum::<u64>());
    page.family("stored_bytes", "gauge", "Bytes of segments.");
    page.value(projects.iter().map(|project| project.bytes).sum::<u64>());
    page.family("stored_sequence", "gauge", "Sequence behind the last record: grows by each.");
    page.value(*app.store.stored().borrow());
    page.family("store_complaints", "gauge", "What /health complains about.");
    page.value(app.complaints().len());
    if let Some(free) = app.disk.free_bytes() {
        page.family("disk_free_bytes", "gauge", "Free bytes on the disk of the data directory.");
        page.value(free);
    }
}

/// The text as it grows, family by family.
#[derive(Debug, Default)]
struct Page {
    text: String,
    name: &'static str,
}

// Writing to a String cannot fail.
impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        let _ = writeln!(self.text, "# HELP millpond_{name} {help}\n# TYPE millpond_{name} {kind}");
    }

    fn value(&mut self, value: impl Display) {
        let _ = writeln!(self.text, "millpond_{} {value}", self.name);
    }

    fn labelled(&mut self, label: &str, of: impl Display, value: impl Display) {
        let _ = writeln!(self.text, "millpond_{}{{{label}=\"{of}\"}} {value}", self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.family("answers_total", "counter", "Answers.");
        page.labelled("status", 200, 7);
        page.family("open", "gauge", "Open.");
        page.value(1);
        let expected = "# HELP millpond_answers_total Answers.\n# TYPE millpond_answers_total counter\n\
            millpond_answers_total{status=\"200\"} 7\n\
            # HELP millpond_open Open.\n# TYPE millpond_open gauge\nmillpond_open 1\n";
        assert_eq!(page.text, expected);
    }
}
