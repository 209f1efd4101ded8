"""OpenTelemetry's tracing, set up to send spans where the logs go; needs ``opentelemetry-sdk`` and
``opentelemetry-exporter-otlp-proto-http``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from millpond._opentelemetry import active_span
from millpond.compat.logtide_sdk.dsn import parse_dsn
from millpond.compat.logtide_sdk.tracecontext import register_active_context_provider

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
) -> Any:
    """A ``TracerProvider`` that sends spans; logs carry the ids of the active span from now on.

    :raises ValueError: there is no address or key.
    :raises ImportError: OpenTelemetry's SDK or its exporter is not installed.
    """
    # By name: whoever checks types need not have them.
    exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    resources, sdk = import_module("opentelemetry.sdk.resources"), import_module("opentelemetry.sdk.trace")
    export, sampling = (
        import_module("opentelemetry.sdk.trace.export"),
        import_module("opentelemetry.sdk.trace.sampling"),
    )
    if dsn:
        parts = parse_dsn(dsn)
        api_url, api_key = api_url or parts.api_url, api_key or parts.api_key
    if not api_url or not api_key:
        raise ValueError("configure_tracing needs api_url and api_key, or a dsn")
    about = {"service.name": service, "deployment.environment": environment, "service.version": release}
    provider = sdk.TracerProvider(
        resource=resources.Resource.create({name: value for name, value in about.items() if value}),
        sampler=sampling.ParentBased(root=sampling.TraceIdRatioBased(traces_sample_rate)),
    )
    sender = exporter.OTLPSpanExporter(endpoint=f"{api_url.rstrip('/')}/v1/otlp/traces", headers={"X-API-Key": api_key})
    provider.add_span_processor(export.BatchSpanProcessor(sender))
    if set_global:
        import_module("opentelemetry.trace").set_tracer_provider(provider)
    register_active_context_provider(_active_span)
    return provider


def _active_span() -> tuple[str | None, str | None]:
    return active_span() or (None, None)
