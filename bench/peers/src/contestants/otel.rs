//! OpenTelemetry: its bridge from `tracing` or its own logger, the batch processor, and the exporter for OTLP over
//! HTTP with the blocking client, as its documentation sets it up.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use opentelemetry::{
    KeyValue,
    logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity},
};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder, BatchLogProcessor, SdkLogger, SdkLoggerProvider},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{Account, Contestant, ENVIRONMENT, Room, SERVICE, VERSION, install, tracing_event};

/// Records of one request where more than by default may wait: what ours puts into one.
const LARGE_BATCH: usize = 4_096;

/// How long the end may take: what could not be exported by then is lost either way.
const SHUTDOWN: Duration = Duration::from_millis(500);

pub(super) fn set_up(name: &str, room: Room, port: u16) -> Result<Contestant> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_endpoint(format!("http://127.0.0.1:{port}/v1/logs"))
        .build()?;
    let batches = match room {
        Room::Default => BatchConfigBuilder::default(),
        Room::Records(records) => BatchConfigBuilder::default()
            .with_max_queue_size(records)
            .with_max_export_batch_size(LARGE_BATCH),
        Room::CallerWaits => bail!("OpenTelemetry's callers never wait"),
    };
    let resource = Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("deployment.environment.name", ENVIRONMENT))
        .with_attribute(KeyValue::new("service.version", VERSION));
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource.build())
        .with_log_processor(
            BatchLogProcessor::builder(exporter).with_batch_config(batches.build()).build(),
        )
        .build();
    let call: Box<dyn Fn(u64)> = if name == "otel" {
        let logger = provider.logger(SERVICE);
        Box::new(move |number| emit(&logger, number))
    } else {
        install(OpenTelemetryTracingBridge::new(&provider))?;
        Box::new(tracing_event)
    };
    let flushed = provider.clone();
    Ok(Contestant {
        call,
        flush: Box::new(move |patience| {
            let begun = Instant::now();
            // It gives up after five seconds of its own.
            while flushed.force_flush().is_err() {
                if begun.elapsed() > patience {
                    return false;
                }
            }
            true
        }),
        account: Box::new(move || Account { told_lost: Some(shut_down(&provider)), written: None }),
    })
}

fn emit(logger: &SdkLogger, number: u64) {
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Info);
    record.set_severity_text("INFO");
    record.set_body("order placed".into());
    record.add_attribute("order_id", i64::try_from(number).unwrap_or(i64::MAX));
    record.add_attribute("total", 19.99);
    record.add_attribute("user", "u_4711");
    record.add_attribute("cached", AnyValue::Boolean(false));
    record.add_attribute("path", "/api/v1/orders");
    logger.emit(record);
}

/// Ends it, and listens to what it says about itself meanwhile: how many records did not fit into the queue.
fn shut_down(provider: &SdkLoggerProvider) -> u64 {
    let dropped = Arc::new(AtomicU64::new(0));
    let subscriber = tracing_subscriber::registry().with(Listener(Arc::clone(&dropped)));
    tracing::subscriber::with_default(subscriber, || {
        // What is left then is what the sink's count is short of.
        let _ = provider.shutdown_with_timeout(SHUTDOWN);
    });
    dropped.load(Ordering::Relaxed)
}

struct Listener(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut DroppedLogs(&self.0));
    }
}

struct DroppedLogs<'a>(&'a AtomicU64);

impl Visit for DroppedLogs<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "dropped_logs_count" {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
