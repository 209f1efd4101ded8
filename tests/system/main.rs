//! The whole system as its users meet it: the real program `millpond`, started on a temporary directory and asked over
//! loopback. Run by `cargo xtask test`, or after `cargo build --workspace` by
//! `cargo test --workspace --features millpond-system-tests/system --test system`.
//!
//! A test may wait for something to happen, but none asserts how long it took.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing serde_json's values answers null; the rest is a test's own"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "damaging files is what some of these tests are for"
)]
#![expect(clippy::print_stdout, reason = "the test runner shows it when the test fails")]

mod access;
mod access_admin;
mod access_limits;
mod connections;
mod crash;
mod damage;
mod exactly_once;
mod fixture;
mod full_disk;
mod hostile;
mod ingest;
mod logiscout;
mod logtide;
mod memory;
mod openapi;
mod otlp;
mod pipes;
mod program;
mod query;
mod raw;
mod sdk;
mod search;
mod sql;
mod stream;
mod streamlogia;
mod tails;
mod timberlogs;
mod timberlogs_read;
mod websocket;
