//! What queries cost in the store itself, without HTTP: `cargo run --release -p millpond-store --example query_cost --
//! LINES_FILE DIRECTORY [QUERY…]`. Reads lines of JSON (none from `-`) into the store of the directory, and asks.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement may panic"
)]

use std::{io::BufRead, path::Path, sync::Arc, time::Instant};

use millpond_query::{Query, SortBy, TimeRange, parse_query};
use millpond_record::{Decoded, Timestamp, decode, json::Reader};
use millpond_store::{Aggregate, BatchBuilder, EmbeddedStore, Order, Project, Rows, Store};

const BATCH_LINES: usize = 3000;
const ROUNDS: usize = 9;

const QUERIES: [&str; 18] = [
    "* | stats count()",
    "\"did not respond\" | stats count()",
    "deadlock",
    "rareword",
    "trace_id:TRACE",
    "MESSAGEWORD",
    "*imeou* | stats count()",
    "/time.?out/ | stats count()",
    "level:error service:api-gateway",
    "http.status:503 | stats count()",
    "duration_ms:>1000 | stats count()",
    "* | stats count() by service",
    "* | stats count() by level, bin(5m)",
    "* | top 10 user_id",
    "* | stats p95(duration_ms) by service",
    "* | stats count_distinct(trace_id)",
    "*",
    "level:>=error | top 10 template",
];

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

async fn load(store: &EmbeddedStore, project: &Project, path: &str) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let observed = Timestamp::from_nanos(1_795_000_000_000_000_000);
    let mut builder = BatchBuilder::new(observed);
    for line in file.lines() {
        let line = line.unwrap();
        if let Decoded::Record(record) = decode(&mut Reader::new(&line), observed).unwrap() {
            builder.push(&record, &line);
        }
        if builder.len() == BATCH_LINES {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(observed));
            store.append(project, None, full.finish()).await.unwrap();
        }
    }
    store.append(project, None, builder.finish()).await.unwrap();
}

async fn ask(store: &EmbeddedStore, project: &Project, query: &Query) -> usize {
    let range = TimeRange::ALL;
    let answer = if let Some(stats) = &query.stats {
        let sort = query.sort.iter().filter_map(|key| match key.by {
            SortBy::Column(place) => Some((place, key.descending)),
            SortBy::Field(_) => None,
        });
        let request = Aggregate {
            filter: query.filter.clone(),
            range,
            stats: stats.clone(),
            sort: sort.collect(),
            limit: query.limit.unwrap_or(10_000),
        };
        store.aggregate(project, &request).await.unwrap()
    } else {
        let filter = query.filter.clone();
        let request = Rows { filter, range, order: Order::NewestFirst, after: None, limit: 100 };
        store.rows(project, &request).await.unwrap()
    };
    answer.rows.num_rows()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let store = Arc::new(EmbeddedStore::open(Path::new(&arguments[2])).unwrap());
    let project: Project = "default".parse().unwrap();
    let started = Instant::now();
    if arguments[1] != "-" {
        load(&store, &project, &arguments[1]).await;
        println!(
            "loaded: {:.2} s, {:.2} CPU-seconds",
            started.elapsed().as_secs_f64(),
            cpu_seconds()
        );
    }
    for flushed in [false, true] {
        if !flushed && arguments[1] == "-" {
            continue;
        }
        if flushed {
            store.flush().unwrap();
            println!("flushed: {:.2} CPU-seconds", cpu_seconds());
        }
        let sample = parse_query("service:checkout").unwrap();
        let request = Rows {
            filter: sample.filter,
            range: TimeRange::ALL,
            order: Order::OldestFirst,
            after: None,
            limit: 777,
        };
        let rows = store.rows(&project, &request).await.unwrap();
        let (_, record) = millpond_store::records(&rows.rows).last().unwrap();
        let trace =
            record.text(millpond_record::TextAttribute::TraceId).unwrap_or("none").to_owned();
        let word = record
            .message()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
            .max_by_key(|word| word.len())
            .unwrap_or("x1")
            .to_owned();
        // Further arguments are queries to ask instead.
        let own: Vec<&str> = arguments.iter().skip(3).map(String::as_str).collect();
        for text in if own.is_empty() { QUERIES.as_slice() } else { &own } {
            let text = text.replace("TRACE", &trace).replace("MESSAGEWORD", &word);
            let query = parse_query(&text).unwrap();
            let mut times = Vec::new();
            let mut found = 0;
            let cpu = cpu_seconds();
            for _ in 0..ROUNDS {
                let started = Instant::now();
                found = ask(&store, &project, &query).await;
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            let first = times[0];
            times.sort_by(f64::total_cmp);
            let cpu_ms = (cpu_seconds() - cpu) * 1e3 / ROUNDS as f64;
            println!(
                "{text:44} {found:6} first {first:8.2} median {:8.2} ms, CPU {cpu_ms:6.1} ms",
                times[ROUNDS / 2]
            );
        }
    }
}
