//! One request from its beginning to its end, and the record of it, which is written exactly once: by `end`, or when
//! the exchange is dropped because nobody goes on with it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use http::{Method, StatusCode};
use millpond::{Level, LineWriter, Scope, TextAttribute, display};

use crate::{layer::Settings, request::Asked};

/// The logger of these records, the same as that of the Python package.
const LOGGER: &str = "millpond.request";

/// What nginx writes when the client went away before it was answered.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// How the exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Completed,
    Disconnected,
    /// With what the error says.
    Failed(String),
    Panicked,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    settings: Arc<Settings>,
    asked: Asked,
    scope: Scope,
    begun: Instant,
    status: Option<StatusCode>,
    sent_bytes: u64,
    recorded: bool,
}

impl Exchange {
    pub(crate) fn begin(settings: Arc<Settings>, asked: Asked, scope: Scope) -> Self {
        let begun = Instant::now();
        Self { settings, asked, scope, begun, status: None, sent_bytes: 0, recorded: false }
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.asked.request_id
    }

    pub(crate) fn responded(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// Whether the response has no body that anybody would ask for.
    pub(crate) fn is_bodiless(&self) -> bool {
        let status = self.status.map_or(0, |status| status.as_u16());
        self.asked.method == Method::HEAD || matches!(status, 100..200 | 204 | 304)
    }

    /// Whether all of this many bytes were sent.
    pub(crate) fn has_sent(&self, bytes: u64) -> bool {
        self.sent_bytes >= bytes
    }

    /// The response was sent to its end.
    pub(crate) fn completed(self) {
        self.end_as(&Outcome::Completed);
    }

    /// The service, or the body of its response, ended with an error.
    pub(crate) fn failed(self, error: &impl fmt::Display) {
        let text = catch_unwind(AssertUnwindSafe(|| error.to_string()));
        self.end_as(&Outcome::Failed(text.unwrap_or_default()));
    }

    fn end_as(mut self, outcome: &Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: &Outcome) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let failed = matches!(outcome, Outcome::Failed(_) | Outcome::Panicked);
        if !failed && self.settings.skips(&self.asked.path) {
            return;
        }
        let level = match (outcome, self.status) {
            (Outcome::Failed(_) | Outcome::Panicked, _) => Level::Error,
            (Outcome::Completed, Some(status)) => self.level_of(status),
            (Outcome::Disconnected, Some(status)) => self.level_of(status).max(Level::Warn),
            (_, None) => Level::Warn,
        };
        self.scope.run(|| self.settings.client.submit(level, |line| self.write(line, outcome)));
    }

    /// Code of the application, and maybe inside of a drop, where a panic would be the end.
    fn level_of(&self, status: StatusCode) -> Level {
        catch_unwind(AssertUnwindSafe(|| (self.settings.level_of)(status))).unwrap_or(Level::Error)
    }

    fn write(&self, line: &mut LineWriter<'_>, outcome: &Outcome) {
        let Asked { method, path, route, ip, user_agent, parent_span_id, headers, .. } =
            &self.asked;
        let status = match (self.status, outcome) {
            (Some(status), _) => status.as_u16(),
            (None, Outcome::Failed(_) | Outcome::Panicked) => 500,
            (None, _) => CLIENT_CLOSED_REQUEST,
        };
        line.message_fmt(format_args!("{method} {path} {status}"));
        line.text(TextAttribute::Logger, LOGGER);
        line.field("method", method.as_str());
        line.field("path", path);
        line.field("status", &status);
        line.field("duration_ms", &(self.begun.elapsed().as_micros() as f64 / 1000.0));
        line.field("response_bytes", &self.sent_bytes);
        if let Some(route) = route {
            line.field("route", route);
        }
        if let Some(ip) = ip {
            line.field("ip", &display(ip));
        }
        if let Some(user_agent) = user_agent {
            line.field("user_agent", user_agent);
        }
        if let Some(parent) = parent_span_id {
            line.field("parent_span_id", &display(parent));
        }
        if !headers.is_empty() {
            line.field_with("request_headers", |out| {
                out.object(|object| {
                    headers.iter().for_each(|(name, value)| object.member(name, value));
                });
            });
        }
        write_outcome(line, outcome);
    }
}

fn write_outcome(line: &mut LineWriter<'_>, outcome: &Outcome) {
    let name = match outcome {
        Outcome::Completed => return,
        Outcome::Disconnected => "disconnected",
        Outcome::Failed(_) => "failed",
        Outcome::Panicked => "panicked",
    };
    line.field("outcome", name);
    if *outcome == Outcome::Disconnected {
        line.field("disconnected", &true);
    }
    if let Outcome::Failed(error) = outcome {
        line.exception_with(|object| object.member("message", error));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let panicking = thread::panicking();
        self.end(if panicking { &Outcome::Panicked } else { &Outcome::Disconnected });
    }
}

/// Runs code of the application in its scope. If it does not come back, because it panics, that is recorded and the
/// panic goes on; who catches it later is not asked.
pub(crate) fn watched<R>(
    exchange: &mut Option<Exchange>,
    scope: &Scope,
    work: impl FnOnce() -> R,
) -> R {
    let _entered = scope.enter();
    let watch = Watch(exchange);
    let result = work();
    // Came back.
    std::mem::forget(watch);
    result
}

struct Watch<'e>(&'e mut Option<Exchange>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.end_as(&Outcome::Panicked);
        }
    }
}
