//! What a log call costs its caller: `cargo run --release -p millpond --example call_cost`.

mod support;

use millpond::{Client, Level};
use support::{client, measure, sink};

fn event(client: &Client, number: u64) {
    client
        .info("order placed")
        .field("order_id", number)
        .field("total", 19.99)
        .field("user", "u_4711")
        .field("cached", false)
        .field("path", "/api/v1/orders")
        .send();
}

fn main() {
    let address = sink();
    let direct = client(address);
    measure("event, 5 fields", &direct, |number| event(&direct, number));
    let submitted = client(address);
    measure("submit, 5 fields", &submitted, |number| {
        submitted.submit(Level::Info, |line| {
            line.message("order placed");
            line.field("order_id", &number);
            line.field("total", &19.99);
            line.field("user", "u_4711");
            line.field("cached", &false);
            line.field("path", "/api/v1/orders");
        });
    });
    let bare = client(address);
    measure("event, no field", &bare, |_| bare.info("order placed").send());
    let off = client(address);
    off.set_min_level(Level::Warn);
    let start = std::time::Instant::now();
    (0..1_000_000).for_each(|number| event(std::hint::black_box(&off), number));
    #[expect(clippy::print_stdout, reason = "a measuring program")]
    {
        println!(
            "{:<28} mean {:>6.1} ns",
            "event below min_level",
            start.elapsed().as_nanos() as f64 / 1e6
        );
    }
}
