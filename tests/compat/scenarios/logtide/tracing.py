"""Spans of OpenTelemetry, and the ids of the active one on the logs."""

from given import ADDRESS, KEY, report
from logtide_sdk import ClientOptions, LogTideClient, inject_traceparent
from logtide_sdk.otel import configure_tracing

provider = configure_tracing(
    api_url=f"{ADDRESS}/", api_key=KEY, service="svc", environment="test", release="1.2", set_global=True
)
client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))
headers = {}
with provider.get_tracer("tests").start_as_current_span("work") as span:
    context = span.get_span_context()
    client.info("svc", "inside")
    inject_traceparent(headers)
client.info("svc", "outside")
client.close()
provider.shutdown()
attributes = {name: provider.resource.attributes[name] for name in ("service.name", "deployment.environment")}
ids = [f"{context.trace_id:032x}", f"{context.span_id:016x}"]
dsn = configure_tracing(dsn=ADDRESS.replace("://", f"://{KEY}@"), service="x", set_global=False)
refused = False
try:
    configure_tracing(service="x")
except ValueError:
    refused = True
report([attributes, ids, headers["traceparent"].split("-")[1:3] == ids, type(dsn).__name__, refused])
