//! Records belong to the span that is active in OpenTelemetry.

mod support;

use millpond::Scope;
use opentelemetry::{
    Context,
    trace::{TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use support::{Server, client, flush};

#[test]
fn the_active_span_goes_before_the_scope_and_behind_the_record() {
    let server = Server::start();
    let client = client(&server);
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let _scope = Scope::new().trace_id("of the scope").user_id("u1").enter();
    client.info("before").send();
    let span = tracer.in_span("work", |context: Context| {
        client.info("inside").send();
        client.info("explicit").trace_id("own").send();
        context.span().span_context().clone()
    });
    client.info("after").send();
    flush(&client);

    let records: Vec<Value> =
        server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let traces: Vec<_> =
        records.iter().map(|record| record["trace_id"].as_str().unwrap()).collect();
    let trace = span.trace_id().to_string();
    assert_eq!(traces, ["of the scope", &trace, "own", "of the scope"]);
    assert_eq!(records[1]["span_id"], span.span_id().to_string());
    assert!(records.iter().all(|record| record["user_id"] == "u1"));
    assert!(records[2]["span_id"].is_null());
}
