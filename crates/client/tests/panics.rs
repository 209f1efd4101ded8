//! Panics become records. The hook is one for the whole process, so each test has a process of its own: this program,
//! started again to run one of the functions called `in_a_child`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;

use std::{
    env, panic,
    process::{Command, Output},
    thread,
};

use millpond::{Client, Scope, panics};
use serde_json::Value;
use support::{PATIENCE, Server, builder};

const ADDRESS: &str = "MILLPOND_TEST_ADDRESS";

fn run(child: &str, backtrace: &str) -> (Vec<Value>, Output) {
    let server = Server::start();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", child])
        .env(ADDRESS, server.address.to_string())
        .env("RUST_BACKTRACE", backtrace)
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    let records = server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (records, output)
}

fn client() -> Client {
    builder(env::var(ADDRESS).unwrap().parse().unwrap()).build().unwrap()
}

fn panics_in_a_thread(client: &Client) {
    thread::scope(|threads| {
        let worker = thread::Builder::new().name("worker".to_owned());
        let work = || Scope::new().request_id("r1").run(|| fails(client));
        assert!(worker.spawn_scoped(threads, work).unwrap().join().is_err());
    });
}

#[inline(never)]
fn fails(client: &Client) {
    client.info("before").send();
    panic!("expected in this test: {}", 7);
}

#[test]
#[ignore = "run by others"]
fn in_a_child_a_panic_is_caught() {
    let client = client();
    panic::set_hook(Box::new(|_| println!("the hook before")));
    panics::install(&client);
    panics_in_a_thread(&client);
    assert!(client.flush(PATIENCE).is_complete());
}

#[test]
#[ignore = "run by others"]
fn in_a_child_a_panic_ends_the_process() {
    panic::set_hook(Box::new(|_| std::process::exit(3)));
    let client = client();
    panics::install_and_flush(&client, PATIENCE);
    panics_in_a_thread(&client);
}

#[test]
#[ignore = "run by others"]
fn in_a_child_the_trace_source_panics() {
    let builder = builder(env::var(ADDRESS).unwrap().parse().unwrap());
    let client =
        builder.trace_source(|| panic!("expected in this test: the source")).build().unwrap();
    panics::install(&client);
    panics_in_a_thread(&client);
    assert!(client.flush(PATIENCE).is_complete());
}

#[test]
fn a_panic_is_a_critical_record_with_its_place_and_scope() {
    let (records, output) = run("in_a_child_a_panic_is_caught", "0");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("the hook before"), "{output:?}");
    assert_eq!((records.len(), &records[0]["message"]), (2, &"before".into()));
    let record = &records[1];
    assert_eq!(record["message"], "expected in this test: 7");
    let said = ["level", "logger", "request_id"].map(|key| record[key].as_str().unwrap());
    assert_eq!(said, ["critical", "panic", "r1"]);
    let fields = &record["fields"];
    assert_eq!(fields["thread.name"], "worker");
    assert!(fields["code.file.path"].as_str().unwrap().ends_with("panics.rs"));
    let exception = &record["exception"];
    assert_eq!((&exception["type"], &exception["message"]), (&"panic".into(), &record["message"]));
    assert_eq!(exception["stacktrace"].as_array().unwrap().len(), 1);
    assert_eq!(exception["stacktrace"][0]["line"], fields["code.line.number"]);
    assert_eq!(exception["stacktrace"][0]["column"], fields["code.column.number"]);
}

#[test]
fn the_stack_of_a_panic_ends_where_it_happened() {
    let (records, output) = run("in_a_child_a_panic_is_caught", "1");
    assert!(output.status.success(), "{output:?}");
    let stack = records[1]["exception"]["stacktrace"].as_array().unwrap().clone();
    let last = stack.last().unwrap();
    assert_eq!(last["function"], "panics::fails", "{stack:#?}");
    assert_eq!(last["line"], records[1]["fields"]["code.line.number"]);
    assert!(stack.len() > 1, "{stack:#?}");
    let text = Value::from(stack).to_string();
    assert!(!text.contains("panicking") && !text.contains("__rust_begin_short"), "{text}");
}

#[test]
fn what_was_logged_is_delivered_before_the_process_exits() {
    let (records, output) = run("in_a_child_a_panic_ends_the_process", "0");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(records.len(), 2);
}

#[test]
fn a_trace_source_that_panics_does_not_abort_the_process() {
    let (records, output) = run("in_a_child_the_trace_source_panics", "0");
    assert!(output.status.success(), "{output:?}");
    let messages: Vec<_> =
        records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        ["expected in this test: the source", "before", "expected in this test: 7"]
    );
}
