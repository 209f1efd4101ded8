//! Flows: records that are steps of a process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use millpond::{Decision, Flow, FlowError, Level};
use serde_json::Value;
use support::{Server, builder, client, flush};

fn stored(server: &Server) -> Vec<Value> {
    server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn steps(records: &[Value], flow: &Flow) -> Vec<u64> {
    assert!(records.iter().all(|record| record["flow_id"] == flow.id()));
    records.iter().map(|record| record["step_index"].as_u64().unwrap()).collect()
}

#[test]
fn the_records_of_a_flow_are_its_steps() {
    let server = Server::start();
    let client = client(&server);
    let flow = client.flow("checkout");
    flow.info("first").field("k", 1).send();
    flow.step("second").log_step(Level::Error, "third");
    flow.clone().debug("fourth").flow("not another one", 77).send();
    flush(&client);
    let records = stored(&server);
    assert_eq!(steps(&records, &flow), [0, 1, 2, 3]);
    assert_eq!(records[2]["level"], "error");
    let suffix = flow.id().strip_prefix("checkout-").unwrap();
    assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!((flow.name(), flow.next_step()), ("checkout", 4));
    assert_ne!(client.flow("checkout").id(), flow.id());
}

#[test]
fn a_flow_writes_itself_into_a_record_of_no_other_flow() {
    let server = Server::start();
    let client = client(&server);
    let (flow, other) = (client.flow("a"), client.flow("b"));
    client.submit(Level::Info, |line| {
        flow.write(line);
        other.write(line);
    });
    client.event(Level::Info).written_by(|line| flow.write(line)).send();
    flush(&client);
    let records = stored(&server);
    assert_eq!(steps(&records, &flow), [0, 1]);
    assert_eq!(other.next_step(), 0);
}

#[test]
fn a_record_that_is_not_kept_is_no_step() {
    let server = Server::start();
    let client = builder(server.address)
        .min_level(Level::Debug)
        .sample(Level::Debug, 0.0)
        .before_send(
            |draft| {
                if draft.message() == "dropped" { Decision::Drop } else { Decision::Keep }
            },
        )
        .build()
        .unwrap();
    let flow = client.flow("f");
    flow.log(Level::Trace, "below the least level").send();
    flow.debug("sampled out").send();
    drop(flow.info("not sent"));
    flow.info("dropped").send();
    flow.info("not for the server").local_only().send();
    flow.info("kept").send();
    flow.warn("kept").send();
    flush(&client);
    assert_eq!(steps(&stored(&server), &flow), [0, 1]);
    assert_eq!(client.metrics().filtered, 3);
}

#[test]
fn a_step_keeps_its_record_within_the_limit_of_a_record() {
    let server = Server::start();
    let client = client(&server);
    let flow = client.resume_flow("f-aaaaaaaa", u32::MAX);
    let max = millpond_record::limits::RECORD_BYTES_MAX;
    // More and more room is left for the rest of the record.
    for room in 0..400 {
        flow.info("x".repeat(max - room)).send();
    }
    flush(&client);
    let stored = server.stored();
    assert!(!stored.is_empty() && stored.iter().all(|line| line.len() <= max));
}

#[test]
fn a_flow_goes_on_in_another_process() {
    let server = Server::start();
    let client = client(&server);
    let here = client.flow("f");
    here.step("a").step("b");
    let there = client.resume_flow(here.id(), here.next_step());
    there.step("c");
    flush(&client);
    assert_eq!(steps(&stored(&server), &here), [0, 1, 2]);
}

#[test]
fn steps_from_several_threads_are_all_different() {
    let server = Server::start();
    let client = client(&server);
    let flow = client.flow("f");
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..100 {
                    flow.step("s");
                }
            });
        }
    });
    flush(&client);
    let mut steps = steps(&stored(&server), &flow);
    steps.sort_unstable();
    assert_eq!(steps, (0..400).collect::<Vec<_>>());
}

/// Answers one request; the request.
fn answering(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        let mut buffer = [0; 1024];
        while !request.ends_with('}') {
            let bytes = stream.read(&mut buffer).unwrap();
            request.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
        }
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (address, served)
}

#[test]
fn the_server_makes_a_flow() {
    let (address, served) = answering(
        "HTTP/1.1 201 Created\r\nContent-Length: 44\r\n\r\n{ \"name\":\"a\\\"b\", \"flow_id\":\"a\\\"b-x7y8z9ab\" }",
    );
    let client = builder(address).api_key("mp_secret").build().unwrap();
    let flow = client.flow_from_server("a\"b").unwrap();
    assert_eq!((flow.id(), flow.name(), flow.next_step()), ("a\"b-x7y8z9ab", "a\"b", 0));
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /api/v1/flows HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-api-key: mp_secret\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"name\":\"a\\\"b\"}"), "{request}");
}

#[test]
fn a_flow_that_the_server_does_not_make_is_an_error() {
    let (address, _) = answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let error = builder(address).build().unwrap().flow_from_server("f").unwrap_err();
    assert_eq!(error.to_string(), "ask the server for flow `f`: it answered 403 `no`");

    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"flow_id\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[\"flow\"]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (address, _) = answering(answer);
        let error = builder(address).build().unwrap().flow_from_server("f").unwrap_err();
        assert!(matches!(error, FlowError::Answer { .. }), "{answer}: {error}");
    }

    let client = builder(Server::nowhere()).build().unwrap();
    let error = client.flow_from_server("f").unwrap_err();
    assert!(matches!(error, FlowError::Unreachable { .. }), "{error}");
}
