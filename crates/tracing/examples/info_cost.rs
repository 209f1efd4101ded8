//! What `tracing::info!` costs its caller: `cargo run --release -p millpond-tracing --example info_cost`.

#[path = "../../client/examples/support/mod.rs"]
mod support;

use support::{client, measure, sink};
use tracing_subscriber::layer::SubscriberExt as _;

fn event(number: u64) {
    tracing::info!(
        order_id = number,
        total = 19.99,
        user = "u_4711",
        cached = false,
        path = "/api/v1/orders",
        "order placed"
    );
}

fn main() {
    let address = sink();
    for (name, in_span) in [("info!, 5 fields", false), ("info!, 5 fields, in a span", true)] {
        let client = client(address);
        let subscriber =
            tracing_subscriber::registry().with(millpond_tracing::layer(client.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = in_span.then(|| {
                tracing::info_span!("request", trace_id = "4bf92f3577b34da6", method = "GET")
            });
            let _entered = span.as_ref().map(tracing::Span::enter);
            measure(name, &client, event);
        });
    }
}
