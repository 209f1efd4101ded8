"""OpenTelemetry's own exporter of logs, and its exporter of spans, which this server does not keep."""

from __future__ import annotations

import logging
import os

from given import ADDRESS, KEY, report
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = ADDRESS
os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = f"x-api-key={KEY}"
resource = Resource({"service.name": "shop", "host.name": "a1", "cloud.region": "eu"})
spans = OTLPSpanExporter()
results: list[SpanExportResult] = []


class Told(SimpleSpanProcessor):
    """Keeps what the exporter makes of the server's answer."""

    def on_end(self, span) -> None:
        results.append(self.span_exporter.export((span,)))


tracing = TracerProvider(resource=resource)
tracing.add_span_processor(Told(spans))
for compression in (Compression.Gzip, Compression.NoCompression):
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(compression=compression)))
    logger = logging.getLogger(f"orders.{compression.value}")
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=logs))
    with tracing.get_tracer("t").start_as_current_span("s") as span:
        trace_id = format(span.get_span_context().trace_id, "032x")
        logger.warning("charge %s failed", 7, extra={"amount": 9007199254740993, "card": {"kind": "debit"}})
    try:
        raise TimeoutError("too late")
    except TimeoutError:
        logger.exception("gave up")
    logs.shutdown()
report({"trace_id": trace_id, "spans": [result.name for result in results]})
