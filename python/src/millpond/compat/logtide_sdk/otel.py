"""OpenTelemetry's tracing, set up to send spans where the logs go; needs ``opentelemetry-sdk`` and
``opentelemetry-exporter-otlp-proto-http``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.compat.logtide_sdk.dsn import parse_dsn
from millpond.compat.logtide_sdk.tracecontext import register_active_context_provider

if TYPE_CHECKING:
    TracerProvider = Any

__all__ = ["configure_tracing"]


def configure_tracing(
    *,
    api_url: str | None = None,
    api_key: str | None = None,
    dsn: str | None = None,
    service: str,
    environment: str | None = None,
    release: str | None = None,
    traces_sample_rate: float = 1.0,
    set_global: bool = True,
) -> TracerProvider:
    """A tracer provider that sends spans; logs carry the ids of the active span from now on.

    :raises ValueError: there is no address or key.
    :raises ImportError: OpenTelemetry's SDK or its exporter is not installed.
    """
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    if dsn:
        parts = parse_dsn(dsn)
        api_url, api_key = api_url or parts.api_url, api_key or parts.api_key
    if not api_url or not api_key:
        raise ValueError("configure_tracing needs api_url and api_key, or a dsn")
    about = {"service.name": service, "deployment.environment": environment, "service.version": release}
    provider = TracerProvider(
        resource=Resource.create({name: value for name, value in about.items() if value}),
        sampler=ParentBased(root=TraceIdRatioBased(traces_sample_rate)),
    )
    endpoint = f"{api_url.rstrip('/')}/v1/otlp/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, headers={"X-API-Key": api_key})))
    if set_global:
        trace.set_tracer_provider(provider)
    register_active_context_provider(_active_span)
    return provider


def _active_span() -> tuple[str | None, str | None]:
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else (None, None)
