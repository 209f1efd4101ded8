//! What records take from their surroundings.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod support;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
};

use millpond::{Client, Level, Scope, TextAttribute, TraceContext, breadcrumb, limits};
use serde_json::{Value, json};
use support::{Server, builder, client, flush};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The records that `log` makes.
fn records(log: impl FnOnce(&Client)) -> Vec<Value> {
    let server = Server::start();
    let client = client(&server);
    log(&client);
    flush(&client);
    stored(&server)
}

fn stored(server: &Server) -> Vec<Value> {
    server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn all(records: &[Value], key: &str) -> Vec<Option<String>> {
    records.iter().map(|record| record[key].as_str().map(str::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn a_record_says_what_its_scope_knows() {
    let records = records(|client| {
        let scope = Scope::current()
            .trace(TraceContext::parse(TRACE).unwrap())
            .user_id("u1")
            .session_id("s1")
            .request_id("r1")
            .text(TextAttribute::Dataset, "orders")
            .tag("shop")
            .tag("shop")
            .field("shard", 7)
            .field("path", ["a", "b"]);
        let _entered = scope.enter();
        client.info("m").tag("own").field("k", 1).send();
    });
    let mut record = records[0].clone();
    for key in ["time", "host", "level", "message", "service"] {
        record.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(
        record,
        json!({
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "user_id": "u1",
            "session_id": "s1", "request_id": "r1", "dataset": "orders", "tags": ["own", "shop"],
            "fields": {"k": 1, "shard": 7, "path": ["a", "b"]},
        })
    );
}

#[test]
fn what_a_record_says_itself_wins() {
    let records = records(|client| {
        let scope = Scope::new().user_id("scope").request_id("scope").field("k", "scope");
        scope.run(|| {
            client.info("m").user_id("own").field("k", "own").send();
            client.submit(Level::Info, |line| line.text(TextAttribute::UserId, "submitted"));
        });
    });
    assert_eq!(all(&records, "user_id"), some(&["own", "submitted"]));
    assert_eq!(all(&records, "request_id"), some(&["scope", "scope"]));
    assert_eq!(records[0]["fields"], json!({"k": "own"}));
}

#[test]
fn a_nested_scope_builds_on_the_outer_one_and_leaves_it_as_it_was() {
    let records = records(|client| {
        let _outer = Scope::current().user_id("outer").request_id("outer").enter();
        {
            let _inner = Scope::current().user_id("inner").enter();
            client.info("inside").send();
            Scope::new().run(|| client.info("apart").send());
        }
        client.info("outside").send();
    });
    assert_eq!(all(&records, "user_id"), [Some("inner".into()), None, Some("outer".into())]);
    assert_eq!(all(&records, "request_id"), [Some("outer".into()), None, Some("outer".into())]);
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let user = || Scope::current().get(TextAttribute::UserId).unwrap_or("none").to_owned();
    let first = Scope::new().user_id("first").enter();
    let second = Scope::new().user_id("second").enter();
    let third = Scope::new().user_id("third").enter();
    drop(second);
    assert_eq!(user(), "third");
    drop(third);
    assert_eq!(user(), "first");
    drop(first);
    assert_eq!(user(), "none");
}

#[test]
fn a_panic_leaves_the_scope() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _entered = Scope::new().user_id("u1").enter();
        panic!("expected in this test");
    }));
    assert!(panicked.is_err());
    assert_eq!(Scope::current().get(TextAttribute::UserId), None);
}

#[test]
fn a_scope_goes_to_another_thread_if_it_is_taken_there() {
    let records = records(|client| {
        let _entered = Scope::new().user_id("u1").enter();
        let scope = Scope::current();
        thread::scope(|threads| {
            threads.spawn(|| client.info("without").send()).join().unwrap();
            threads.spawn(|| scope.run(|| client.info("with").send())).join().unwrap();
        });
    });
    assert_eq!(all(&records, "user_id"), [None, Some("u1".into())]);
}

#[test]
fn a_value_that_panics_is_left_out_of_the_scope() {
    struct Bomb;
    impl millpond::Value for Bomb {
        fn write(&self, _: millpond::ValueWriter<'_>) {
            panic!("expected in this test")
        }
    }
    let records = records(|client| {
        Scope::new().field("bomb", Bomb).field("k", 1).run(|| client.info("m").send());
    });
    assert_eq!(records[0]["fields"], json!({"k": 1}));
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

/// Ready when it is polled a second time; logs whenever it can.
struct Twice<'c>(&'c Client, bool);

impl Future for Twice<'_> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0.info("polled").send();
        if std::mem::replace(&mut self.1, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Twice<'_> {
    fn drop(&mut self) {
        self.0.info("dropped").send();
    }
}

#[test]
fn a_future_is_in_its_scope_when_it_is_polled_and_when_it_is_dropped() {
    let records = records(|client| {
        let waker = Waker::from(Arc::new(Nothing));
        let mut context = Context::from_waker(&waker);
        {
            let mut first = pin!(Scope::new().user_id("1").attach(Twice(client, false)));
            let mut second = pin!(Scope::new().user_id("2").attach(Twice(client, false)));
            for _ in 0..2 {
                let _ = first.as_mut().poll(&mut context);
                let _ = second.as_mut().poll(&mut context);
                client.info("between").send();
            }
        }
        // One that was never polled.
        drop(Scope::new().user_id("3").attach(Twice(client, false)));
    });
    let users: Vec<_> = all(&records, "user_id").into_iter().flatten().collect();
    // Of the pinned ones the later one is dropped first.
    assert_eq!(users, ["1", "2", "1", "2", "2", "1", "3"]);
    assert_eq!(records.len(), users.len() + 2);
}

#[test]
fn a_trace_is_taken_whole_from_the_record_the_source_or_the_scope() {
    fn source() -> Option<TraceContext> {
        TraceContext::parse("00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-01")
    }
    let server = Server::start();
    let client = builder(server.address).trace_source(source).auto_trace_id(true).build().unwrap();
    let _entered = Scope::new().trace_id("of the scope").span_id("of the scope").enter();
    client.info("a").trace_id("own").send();
    client.info("b").send();
    client.info("c").span_id("own").send();
    flush(&client);
    let records = stored(&server);
    let trace = "a".repeat(32);
    assert_eq!(all(&records, "trace_id"), some(&["own", &trace, &trace]));
    let spans = [None, Some("a".repeat(16)), Some("own".into())];
    assert_eq!(all(&records, "span_id"), spans);
}

#[test]
fn a_record_without_a_trace_gets_its_own_if_that_is_wanted() {
    let server = Server::start();
    let client = builder(server.address).auto_trace_id(true).trace_source(|| None).build().unwrap();
    client.info("a").send();
    client.info("b").send();
    Scope::new().trace_id("of the scope").run(|| client.info("c").send());
    Scope::new().user_id("u1").run(|| client.info("d").send());
    flush(&client);
    let records = stored(&server);
    let traces: Vec<_> = all(&records, "trace_id").into_iter().flatten().collect();
    assert_eq!((traces.len(), traces[2].as_str()), (4, "of the scope"));
    for own in [&traces[0], &traces[1], &traces[3]] {
        assert!(millpond::TraceId::parse(own).is_some(), "{own}");
    }
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn a_source_that_panics_or_logs_costs_no_record() {
    static CLIENT: std::sync::OnceLock<Client> = std::sync::OnceLock::new();
    fn source() -> Option<TraceContext> {
        CLIENT.get()?.info("about tracing").send();
        panic!("expected in this test");
    }
    let server = Server::start();
    let client = builder(server.address).trace_source(source).build().unwrap();
    CLIENT.set(client.clone()).unwrap();
    client.info("m").send();
    client.info("n").send();
    flush(&client);
    assert_eq!(server.messages(), ["about tracing", "m", "about tracing", "n"]);
}

#[test]
fn a_span_does_not_follow_into_another_trace() {
    let scope = Scope::new().trace(TraceContext::parse(TRACE).unwrap());
    assert_eq!(scope.trace_context().unwrap().traceparent(), TRACE);
    let same = scope.clone().trace_id("4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(same.trace_context(), scope.trace_context());
    let other = scope.trace_id("t2");
    assert_eq!((other.get(TextAttribute::SpanId), other.trace_context()), (None, None));
}

fn breadcrumbs(record: &Value) -> Vec<&str> {
    let breadcrumbs = record["fields"]["breadcrumbs"].as_array();
    breadcrumbs.into_iter().flatten().map(|one| one["message"].as_str().unwrap()).collect()
}

#[test]
fn an_error_comes_with_the_breadcrumbs_of_its_scope() {
    let records = records(|client| {
        breadcrumb("before any scope").leave();
        let _entered = Scope::new().enter();
        breadcrumb("asked").category("cache").field("hit", false).field("hit", 2).leave();
        breadcrumb("slow").level(Level::Warn).leave();
        client.warn("not yet").send();
        client.error("now").send();
        client.critical("still there").field("breadcrumbs", "own").send();
    });
    assert_eq!(records[0]["fields"], Value::Null);
    let left = &records[1]["fields"]["breadcrumbs"];
    assert!(left[0]["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&left[0]["level"], &left[0]["category"], &left[0]["message"], &left[0]["fields"]),
        (&json!("info"), &json!("cache"), &json!("asked"), &json!({"hit": false}))
    );
    assert_eq!(
        (&left[1]["level"], breadcrumbs(&records[1])),
        (&json!("warn"), vec!["asked", "slow"])
    );
    assert_eq!(records[2]["fields"], json!({"breadcrumbs": "own"}));
}

#[test]
fn a_clone_has_the_breadcrumbs_of_its_scope_and_a_scope_built_upon_it_has_its_own() {
    let records = records(|client| {
        let scope = Scope::new();
        let _entered = scope.enter();
        breadcrumb("outer").leave();
        thread::scope(|threads| {
            threads.spawn(|| scope.run(|| breadcrumb("of a clone").leave())).join().unwrap();
        });
        Scope::current().user_id("u1").run(|| {
            breadcrumb("inner").leave();
            client.error("inside").send();
        });
        client.error("outside").send();
    });
    assert_eq!(breadcrumbs(&records[0]), ["outer", "of a clone", "inner"]);
    assert_eq!(breadcrumbs(&records[1]), ["outer", "of a clone"]);
}

#[test]
fn a_fork_begins_with_the_breadcrumbs_so_far_and_goes_its_own_way() {
    let scope = Scope::new().user_id("u1");
    let records = records(|client| {
        scope.run(|| breadcrumb("before").leave());
        let fork = scope.fork();
        fork.run(|| breadcrumb("of the fork").leave());
        scope.run(|| breadcrumb("after").leave());
        fork.run(|| client.error("in the fork").send());
        scope.run(|| client.error("in the scope").send());
    });
    assert_eq!(breadcrumbs(&records[0]), ["before", "of the fork"]);
    assert_eq!(breadcrumbs(&records[1]), ["before", "after"]);
    assert_eq!(records[0]["user_id"], "u1");
}

#[test]
fn the_last_breadcrumbs_stay() {
    let records = records(|client| {
        let _entered = Scope::new().enter();
        for number in 0..=limits::BREADCRUMBS_MAX {
            breadcrumb(number.to_string()).leave();
        }
        client.error("m").send();
    });
    let left = breadcrumbs(&records[0]);
    assert_eq!((left.len(), left[0], left[99]), (limits::BREADCRUMBS_MAX, "1", "100"));
}

#[test]
fn breadcrumbs_never_make_a_record_too_large() {
    let large = "x".repeat(limits::BREADCRUMB_BYTES_MAX / 2);
    let records = records(|client| {
        let _entered = Scope::new().enter();
        for number in 0..limits::BREADCRUMBS_MAX {
            let breadcrumb = breadcrumb(format!("{number} {large}")).field("a", &large);
            breadcrumb.field("b", &large).leave();
        }
        client.error("m").send();
        client.error("x".repeat(millpond_record::limits::RECORD_BYTES_MAX - 2000)).send();
    });
    let left = records[0]["fields"]["breadcrumbs"].as_array().unwrap();
    // Without the fields, which made each of them too large.
    assert!(left.iter().all(|one| one["fields"].is_null()));
    assert_eq!(left.len(), limits::BREADCRUMBS_MAX);
    assert!(breadcrumbs(&records[0])[99].starts_with("99 x"));
    // There was room for none.
    assert_eq!(breadcrumbs(&records[1]).len(), 0);
}

#[test]
fn the_level_from_which_breadcrumbs_go_along_is_a_setting() {
    let server = Server::start();
    let client = builder(server.address).breadcrumbs_min_level(Level::Info).build().unwrap();
    let _entered = Scope::new().enter();
    breadcrumb("b").leave();
    client.debug("no").send();
    client.info("yes").send();
    flush(&client);
    let records = stored(&server);
    assert_eq!((breadcrumbs(&records[0]).len(), breadcrumbs(&records[1]).len()), (0, 1));
}
