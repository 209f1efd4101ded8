//! From `tracing` to a request.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "../../client/tests/support/mod.rs"]
mod support;

use std::{error::Error, fmt, io};

use millpond::{Client, DropReason};
use serde_json::{Value, json};
use support::{Server, client, flush};
use tracing::{debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt as _;

/// Runs `traced` under a subscriber with the layer; the records that reach the server.
fn records(traced: impl FnOnce()) -> Vec<Value> {
    let server = Server::start();
    let client = client(&server);
    run(&client, traced);
    server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run(client: &Client, traced: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(millpond_tracing::layer(client.clone()));
    tracing::subscriber::with_default(subscriber, traced);
    flush(client);
}

/// The fields but for the place in the source.
fn fields(record: &Value) -> Value {
    let mut fields = record["fields"].clone();
    let members = fields.as_object_mut().unwrap();
    members.remove("code.file.path");
    members.remove("code.line.number");
    fields
}

#[test]
fn an_event_becomes_a_record_with_typed_fields() {
    let records = records(|| {
        info!(
            count = 3_u64,
            below = -1,
            ratio = 0.5,
            on = true,
            name = "tea",
            wide = u128::MAX,
            shown = %io::ErrorKind::NotFound,
            debugged = ?Some("x"),
            "order {} placed",
            4711
        );
    });
    let record = &records[0];
    assert_eq!(
        (&record["message"], &record["level"]),
        (&json!("order 4711 placed"), &json!("info"))
    );
    assert_eq!(record["logger"], "layer");
    assert_eq!(record["service"], "test");
    assert_eq!(
        fields(record),
        serde_json::from_str::<Value>(concat!(
            r#"{"count":3,"below":-1,"ratio":0.5,"on":true,"name":"tea","wide":340282366920938463463374607431768211455,"#,
            r#""shown":"entity not found","debugged":"Some(\"x\")"}"#
        ))
        .unwrap()
    );
    assert!(record["fields"]["code.file.path"].as_str().unwrap().ends_with("layer.rs"));
    assert!(record["fields"]["code.line.number"].is_u64());
}

#[test]
fn levels_and_targets_are_kept() {
    let records = records(|| {
        trace!("a");
        debug!("b");
        info!("c");
        warn!("d");
        error!(target: "shop::cart", "e");
    });
    let levels: Vec<&Value> = records.iter().map(|record| &record["level"]).collect();
    assert_eq!(levels, ["trace", "debug", "info", "warn", "error"]);
    assert_eq!(records[4]["logger"], "shop::cart");
}

#[test]
fn an_event_inherits_the_fields_of_its_spans_and_what_is_closer_wins() {
    let records = records(|| {
        let outer =
            info_span!("outer", who = "outer", outer_only = 1, late = tracing::field::Empty);
        let _outer = outer.enter();
        let _inner =
            info_span!("inner", who = "inner", inner_only = true, what = "inner").entered();
        outer.record("late", "recorded");
        outer.record("outer_only", 2);
        info!(what = "event", "m");
    });
    assert_eq!(
        fields(&records[0]),
        json!({"what": "event", "who": "inner", "inner_only": true, "outer_only": 2, "late": "recorded"})
    );
}

#[test]
fn a_field_that_was_empty_in_a_span_without_fields_is_inherited_once_it_is_there() {
    let records = records(|| {
        let span = info_span!("span", late = tracing::field::Empty);
        let _entered = span.enter();
        info!("before");
        span.record("late", 7);
        info!("after");
    });
    assert_eq!(fields(&records[0]), json!({}));
    assert_eq!(fields(&records[1]), json!({"late": 7}));
}

#[test]
fn ids_become_attributes_wherever_they_are_said() {
    let records = records(|| {
        let _request =
            info_span!("request", trace_id = "t-outer", request_id = "r1", user_id = 42, session_id = ?"s").entered();
        let _step = info_span!("step", trace_id = %"t-inner", span_id = "s1").entered();
        info!(span_id = 7, flow_id = "f1", "m");
    });
    let record = &records[0];
    let said: Vec<&Value> =
        ["trace_id", "span_id", "request_id", "user_id", "session_id", "flow_id"]
            .map(|key| &record[key])
            .into();
    assert_eq!(said, ["t-inner", "7", "r1", "42", "\"s\"", "f1"]);
    assert_eq!(fields(record), json!({}));
}

#[test]
fn an_error_becomes_the_exception_and_a_second_one_a_field() {
    #[derive(Debug)]
    struct Outer(io::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let records = records(|| {
        let outer = Outer(io::Error::other("inner"));
        let second = io::Error::other("second");
        error!(error = &outer as &dyn Error, second = &second as &dyn Error, "m");
    });
    assert_eq!(records[0]["exception"], json!({"message": "outer", "cause": {"message": "inner"}}));
    assert_eq!(fields(&records[0]), json!({"second": "second"}));
}

#[test]
fn what_is_about_our_own_work_is_left_out() {
    let records = records(|| {
        info!(target: "millpond", "no");
        info!(target: "millpond::sender", "no");
        info!(target: "millpond_tracing::layer", "no");
        info!(target: "millponds", "yes");
    });
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["message"], "yes");
}

#[test]
fn a_value_that_logs_while_it_is_written_costs_neither_record() {
    struct Talkative(Client);
    impl fmt::Debug for Talkative {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.info("inner").send();
            f.write_str("talkative")
        }
    }
    let server = Server::start();
    let client = client(&server);
    run(&client, || info!(value = ?Talkative(client.clone()), "outer"));
    assert_eq!(server.messages(), ["inner", "outer"]);
}

#[test]
fn a_value_that_panics_costs_its_record_only() {
    struct Bomb;
    impl fmt::Debug for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("expected in this test")
        }
    }
    let server = Server::start();
    let client = client(&server);
    run(&client, || {
        info!(bomb = ?Bomb, "a");
        info!("b");
    });
    assert_eq!(server.messages(), ["b"]);
    assert_eq!(client.metrics().dropped.get(DropReason::Panicked), 1);
}

#[test]
fn a_value_of_a_span_that_panics_is_left_out() {
    struct Bomb;
    impl fmt::Debug for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("expected in this test")
        }
    }
    let records = records(|| {
        let span = info_span!("span", bomb = ?Bomb, kept = 1, late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Bomb));
        info!("m");
    });
    assert_eq!(fields(&records[0]), json!({"kept": 1}));
}

#[test]
fn a_value_of_a_span_may_log_while_it_is_recorded() {
    struct Talkative;
    impl fmt::Debug for Talkative {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("inner");
            f.write_str("talkative")
        }
    }
    let records = records(|| {
        let span = info_span!("span", first = 1, late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Talkative));
        info!("outer");
    });
    assert_eq!(fields(&records[0]), json!({"first": 1}));
    assert_eq!(fields(&records[1]), json!({"first": 1, "late": "talkative"}));
}

#[test]
fn two_layers_may_stand_side_by_side() {
    let server = Server::start();
    let client = client(&server);
    let layer = || millpond_tracing::layer(client.clone());
    let subscriber = tracing_subscriber::registry().with(layer()).with(layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("span", k = 1, late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", 2);
        info!("m");
    });
    flush(&client);
    for line in server.stored() {
        assert_eq!(fields(&serde_json::from_str(&line).unwrap()), json!({"k": 1, "late": 2}));
    }
    assert_eq!(server.messages(), ["m", "m"]);
}

#[test]
fn an_event_belongs_to_its_scope_unless_a_span_says_otherwise() {
    let records = records(|| {
        let scope = millpond::Scope::new().trace_id("of the scope").user_id("u1");
        let _entered = scope.field("shard", 7).enter();
        info!("a");
        info_span!("span", trace_id = "of the span").in_scope(|| info!("b"));
    });
    let traces: Vec<_> = records.iter().map(|record| &record["trace_id"]).collect();
    assert_eq!(traces, ["of the scope", "of the span"]);
    assert!(records.iter().all(|record| record["user_id"] == "u1"));
    assert!(records.iter().all(|record| fields(record) == json!({"shard": 7})));
}

#[test]
fn an_event_that_was_a_record_of_log_is_from_where_that_was() {
    let records = records(|| {
        info!(
            target: "log",
            { log.target = "shop::cart", log.module_path = "shop", log.file = "cart.rs", log.line = 7_u64 },
            "m"
        );
    });
    assert_eq!(records[0]["logger"], "shop::cart");
    assert_eq!(
        records[0]["fields"],
        json!({"code.namespace": "shop", "code.file.path": "cart.rs", "code.line.number": 7})
    );
}
