//! What it costs to look for secrets in a text: `cargo run --release -p millpond-record --example content_cost`.

#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::{hint::black_box, time::Instant};

use millpond_record::content::{KeySet, SECRET_KEYS, prepare, redact, without_base64};

const CALLS: u32 = 2_000_000;

fn measure<R>(name: &str, work: impl Fn() -> R) {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(work());
    }
    println!("{name:<44} {:>7.1} ns", start.elapsed().as_nanos() as f64 / f64::from(CALLS));
}

fn main() {
    prepare();
    let keys = KeySet::new(SECRET_KEYS);
    for key in ["order_id", "total", "user", "cached", "path", "code.line.number", "password"] {
        measure(&format!("key `{key}`"), || keys.contains(black_box(key)));
    }
    for text in [
        "short",
        "GET /api/v1/orders/4711 answered 200 after 12 ms to shop-web",
        "at 2026-01-31T12:00:00.123456789Z the worker 17 took a job..",
        "a bearer of news has come to town with a basket of oranges..",
        "GET /api/v1/orders/4711 by someone@shop.example took 120 ms.",
    ] {
        measure(&format!("redact: {:.24}…, {} bytes", text, text.len()), || {
            redact(black_box(text))
        });
    }
    let long = "the quick brown fox jumps over the lazy dog; ".repeat(10);
    measure(&format!("redact: {} bytes of words", long.len()), || redact(black_box(&long)));
    measure(&format!("without_base64: {} bytes of words", long.len()), || {
        without_base64(black_box(&long))
    });
}
