//! Errors as the exception of a record.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod support;

use std::{backtrace::Backtrace, io};

use anyhow::Context as _;
use millpond::Event;
use serde_json::{Value, json};
use support::{Server, client, flush};

fn exception(write: impl for<'c> FnOnce(Event<'c>) -> Event<'c>) -> Value {
    let server = Server::start();
    let client = client(&server);
    write(client.error("m")).send();
    flush(&client);
    let record: Value = serde_json::from_str(&server.stored()[0]).unwrap();
    record["exception"].clone()
}

#[test]
fn an_error_comes_with_the_stack_that_was_captured() {
    let error = io::Error::other("outer");
    let exception =
        exception(|event| event.error_with_backtrace(&error, &Backtrace::force_capture()));
    assert_eq!(exception["type"], "std::io::error::Error");
    assert_eq!(exception["message"], "outer");
    let stack = exception["stacktrace"].as_array().unwrap();
    let last = stack.last().unwrap();
    let function = last["function"].as_str().unwrap();
    assert!(function.contains("an_error_comes_with_the_stack_that_was_captured"), "{stack:#?}");
    assert!(last["file"].as_str().unwrap().ends_with("errors.rs"));
    assert!(last["line"].is_u64() && last["column"].is_u64());
}

#[test]
fn a_backtrace_that_was_not_captured_is_left_out() {
    let error = io::Error::other("outer");
    let exception = exception(|event| event.error_with_backtrace(&error, &Backtrace::disabled()));
    assert_eq!(exception, json!({"type": "std::io::error::Error", "message": "outer"}));
}

#[test]
fn an_error_of_anyhow_comes_with_its_causes() {
    let read: Result<(), _> = Err(io::Error::other("no disk"));
    let error = read.context("read the key").context("open the shop").unwrap_err();
    let mut exception = exception(|event| event.error_with_backtrace(&*error, error.backtrace()));
    // Whether it was captured is for the environment of the test to say.
    exception.as_object_mut().unwrap().remove("stacktrace");
    assert_eq!(
        exception,
        json!({"message": "open the shop", "cause": {"message": "read the key", "cause": {"message": "no disk"}}})
    );
}

#[test]
fn the_first_error_of_a_record_stays() {
    let (first, second) = (io::Error::other("first"), io::Error::other("second"));
    let exception = exception(|event| {
        event.error(&first).error_with_backtrace(&second, &Backtrace::force_capture())
    });
    assert_eq!(exception["message"], "first");
    assert!(exception["stacktrace"].is_null());
}
