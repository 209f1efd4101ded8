//! The span that is active in OpenTelemetry, for the feature of that name.

use opentelemetry::{Context, trace::TraceContextExt as _};

use crate::{SpanId, TraceContext, TraceId};

/// The active span of this thread, if there is one.
pub(crate) fn active_span() -> Option<TraceContext> {
    Context::map_current(|context| {
        let span = context.span();
        let active = span.span_context();
        Some(TraceContext {
            trace_id: TraceId::from_bytes(active.trace_id().to_bytes())?,
            span_id: SpanId::from_bytes(active.span_id().to_bytes())?,
            sampled: active.is_sampled(),
        })
    })
}
