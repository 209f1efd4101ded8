//! What a record takes from its surroundings when it is finished: the trace that it belongs to, and the current
//! [`Scope`]. What the record says itself goes before all of it.

pub(crate) mod breadcrumb;
pub(crate) mod flow;
pub(crate) mod kept;
#[cfg(feature = "opentelemetry")]
pub(crate) mod opentelemetry;
pub(crate) mod scope;
pub(crate) mod trace;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use millpond_record::{Level, TextAttribute};

use crate::{Builder, LineWriter, Scope, TraceContext, TraceId, panics};

/// Asks the tracing library of the application for the span that is active in this thread.
pub type TraceSource = fn() -> Option<TraceContext>;

/// What the builder decided about it.
#[derive(Clone, Debug)]
pub(crate) struct ContextSettings {
    pub(crate) trace_source: Option<TraceSource>,
    pub(crate) auto_trace_id: bool,
    pub(crate) breadcrumbs_min_level: Level,
}

impl Default for ContextSettings {
    fn default() -> Self {
        Self { trace_source: None, auto_trace_id: false, breadcrumbs_min_level: Level::Error }
    }
}

/// The source that is asked unless there is another.
#[cfg(feature = "opentelemetry")]
const BUILT_IN: Option<TraceSource> = Some(crate::context::opentelemetry::active_span);
#[cfg(not(feature = "opentelemetry"))]
const BUILT_IN: Option<TraceSource> = None;

impl Builder {
    /// Asks the tracing library of the application for the active span: records that name no trace themselves belong
    /// to that one, before the trace of their [`Scope`](crate::Scope). It is asked in the thread that logs, so it must
    /// be quick. With the feature `opentelemetry` this is OpenTelemetry's span unless another source is set.
    pub fn trace_source(mut self, source: TraceSource) -> Self {
        self.context.trace_source = Some(source);
        self
    }

    /// Whether a record that belongs to no trace gets a new one of its own; not by default.
    pub fn auto_trace_id(mut self, auto: bool) -> Self {
        self.context.auto_trace_id = auto;
        self
    }

    /// The least level of the records that breadcrumbs go with; `error` by default.
    pub fn breadcrumbs_min_level(mut self, level: Level) -> Self {
        self.context.breadcrumbs_min_level = level;
        self
    }
}

/// Adds to the record what it did not say itself.
pub(crate) fn complete_from_context(line: &mut LineWriter<'_>, settings: &ContextSettings) {
    let scope = Scope::entered();
    complete_trace(line, settings, scope.as_ref());
    let Some(scope) = scope else { return };
    scope.write(line);
    if line.current_severity().level() >= settings.breadcrumbs_min_level {
        scope.breadcrumbs().write(line);
    }
}

/// Trace and span come from the same place, lest the span be one of another trace: from the record, else from the
/// active span, else from the scope. Without any of them a trace of its own is better than none, if that is wanted.
fn complete_trace(line: &mut LineWriter<'_>, settings: &ContextSettings, scope: Option<&Scope>) {
    if line.has_text(TextAttribute::TraceId) {
        return;
    }
    let source = match settings.trace_source {
        // Code of the application, which may panic.
        Some(_) if panics::in_hook() => None,
        Some(source) => Some(source),
        None => BUILT_IN,
    };
    if let Some(trace) = source.and_then(ask) {
        line.text_fmt(TextAttribute::TraceId, format_args!("{}", trace.trace_id));
        line.text_fmt(TextAttribute::SpanId, format_args!("{}", trace.span_id));
        return;
    }
    if let Some(scope) = scope {
        scope.write_trace(line);
    }
    if settings.auto_trace_id && !line.has_text(TextAttribute::TraceId) {
        line.text_fmt(TextAttribute::TraceId, format_args!("{}", TraceId::generate()));
    }
}

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Asks the source: code of the application, which may panic, or log.
fn ask(source: TraceSource) -> Option<TraceContext> {
    if ASKING.try_with(|asking| asking.replace(true)).unwrap_or(true) {
        return None;
    }
    let trace = catch_unwind(AssertUnwindSafe(source));
    let _ = ASKING.try_with(|asking| asking.set(false));
    trace.ok().flatten()
}
