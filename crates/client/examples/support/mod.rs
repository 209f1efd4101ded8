//! A server that takes everything and keeps nothing, so that what is measured is the client; and the stopwatch.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a measuring program"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use millpond::Client;

const ROUNDS: u32 = 20;
const CALLS_PER_ROUND: u32 = 50_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || swallow(stream));
        }
    });
    address
}

fn swallow(mut stream: TcpStream) {
    // More than any batch has: all of it was accepted.
    let receipt = r#"{"accepted":1000000000,"rejected":[],"duplicate":false}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{receipt}", receipt.len());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut body, mut length) = (String::new(), Vec::new(), 0);
    while reader.read_line(&mut line).unwrap() > 0 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            body.resize(length, 0);
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        line.clear();
    }
}

/// The time for which this thread has had a processor, where Linux tells: what a call costs on a machine that is
/// busy with something else.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Calls in rounds and prints the mean; the queue is emptied between rounds, outside of what is measured.
pub fn measure(name: &str, client: &Client, call: impl Fn(u64)) {
    let begun = Instant::now();
    let (mut in_calls, mut on_processor_in_calls) = (Duration::ZERO, Duration::ZERO);
    let mut round_best = Duration::MAX;
    let mut number = 0;
    for _ in 0..ROUNDS {
        let (start, start_on_processor) = (Instant::now(), on_processor());
        for _ in 0..CALLS_PER_ROUND {
            call(number);
            number += 1;
        }
        let round = start.elapsed();
        on_processor_in_calls += on_processor().saturating_sub(start_on_processor);
        in_calls += round;
        round_best = round_best.min(round);
        assert!(client.flush(PATIENCE).is_complete());
    }
    let metrics = client.metrics();
    println!(
        "{name:<28} mean {:>5.0} ns ({:>5.0} ns on the processor), best round {:>5.0} ns; delivered {} ({} dropped), {:.0} bytes each, {:.1} on the \
         wire, {:.0} records/s end to end",
        in_calls.as_nanos() as f64 / f64::from(ROUNDS * CALLS_PER_ROUND),
        on_processor_in_calls.as_nanos() as f64 / f64::from(ROUNDS * CALLS_PER_ROUND),
        round_best.as_nanos() as f64 / f64::from(CALLS_PER_ROUND),
        metrics.delivered,
        metrics.dropped.total(),
        metrics.encoded_bytes as f64 / metrics.delivered as f64,
        metrics.sent_bytes as f64 / metrics.delivered as f64,
        f64::from(ROUNDS * CALLS_PER_ROUND) / begun.elapsed().as_secs_f64(),
    );
}

pub fn client(address: SocketAddr) -> Client {
    Client::builder()
        .endpoint(format!("http://{address}"))
        .service("call_cost")
        .environment("bench")
        .version("1.0.0")
        .build()
        .unwrap()
}
