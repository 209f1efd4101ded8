//! What leaves the process, and what does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use millpond::{
    Builder, Client, Decision, DropReason, Level, LineWriter, Redaction, TextAttribute, Value,
    ValueWriter,
};
use serde_json::{Value as Json, json};
use support::{Server, builder, flush};

/// The record that would be sent.
fn preview(builder: Builder, message: &str, write: impl FnOnce(&mut LineWriter<'_>)) -> Json {
    let client = builder.build().unwrap();
    serde_json::from_str(&client.preview(Level::Info, message, write).unwrap()).unwrap()
}

/// Must not be asked.
struct Untouchable;

impl Value for Untouchable {
    fn write(&self, _: ValueWriter<'_>) {
        panic!("nobody needs it");
    }
}

#[test]
fn keys_that_name_a_secret_are_redacted_at_every_depth_without_asking_for_the_value() {
    let write = |line: &mut LineWriter<'_>| {
        line.field("password", &Untouchable);
        line.field("X-Api-Key", &7);
        line.field("max_tokens", &100);
        line.field("session", "s1");
        line.field_with("request", |out| {
            out.object(|object| {
                object.member("Set-Cookie", &["sid=1"]);
                object.member("path", "/");
                object.member_with("list", |out| {
                    out.array(|array| {
                        array.element_with(|out| {
                            out.object(|object| object.member("token", &Untouchable));
                        });
                    });
                });
            });
        });
        line.exception_with(|object| object.member("client_secret", &Untouchable));
    };
    let record = preview(Client::builder(), "password=hunter2", write);
    assert_eq!(
        record["fields"],
        json!({
            "password": "[REDACTED]",
            "X-Api-Key": "[REDACTED]",
            "max_tokens": 100,
            "session": "s1",
            "request": {"Set-Cookie": "[REDACTED]", "path": "/", "list": [{"token": "[REDACTED]"}]},
        })
    );
    assert_eq!(record["exception"]["client_secret"], "[REDACTED]");
    // Texts are not looked into unless that was asked for.
    assert_eq!(record["message"], "password=hunter2");

    let record = preview(Client::builder().redaction(Redaction::Off), "m", |line| {
        line.field("password", "hunter2");
    });
    assert_eq!(record["fields"]["password"], "hunter2");
}

#[test]
fn keys_can_be_added_and_fields_excluded() {
    let builder =
        Client::builder().redact_keys(["iban"]).exclude_fields(["body"]).exclude_fields(["token"]);
    let record = preview(builder, "m", |line| {
        line.field("IBAN", &Untouchable);
        line.field("response.body", &Untouchable);
        line.field("token", &Untouchable);
        line.field("secret", &Untouchable);
    });
    assert_eq!(
        record["fields"],
        json!({"IBAN": "[REDACTED]", "response.body": "[EXCLUDED]", "token": "[EXCLUDED]", "secret": "[REDACTED]"})
    );
}

#[test]
fn texts_are_looked_into_wherever_they_are() {
    let builder = Client::builder().redaction(Redaction::KeysAndValues);
    let record = preview(builder, "mail to a@b.example failed", |line| {
        line.text(TextAttribute::UserId, "a@b.example");
        line.tag("of a@b.example");
        line.error(&std::io::Error::other("no route to redis://:hunter2@cache"));
        line.field("card", &4_111_111_111_111_111_u64);
        line.field("order", &4_111_111_111_111_112_i64);
        line.field("at", &1_763_692_800_000_000_000_i64);
        line.field("shown", &millpond::display(format_args!("<{}>", "a@b.example")));
        line.field("list", &["x", "4111 1111 1111 1111"]);
        line.field("plain", "nothing");
    });
    assert_eq!(record["message"], "mail to [REDACTED:email] failed");
    assert_eq!(record["user_id"], "[REDACTED:email]");
    assert_eq!(record["tags"], json!(["of [REDACTED:email]"]));
    assert_eq!(record["exception"]["message"], "no route to redis://[REDACTED:credentials]@cache");
    assert_eq!(
        record["fields"],
        json!({
            "card": "[REDACTED:card]",
            "order": 4_111_111_111_111_112_u64,
            "at": 1_763_692_800_000_000_000_u64,
            "shown": "<[REDACTED:email]>",
            "list": ["x", "[REDACTED:card]"],
            "plain": "nothing",
        })
    );
}

#[test]
fn long_texts_base64_and_deep_values_are_cut() {
    let base64 = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==";
    let builder = Client::builder().max_field_size(30).remove_base64(true).max_depth(2);
    let record = preview(builder, &"ü".repeat(31), |line| {
        line.field("image", base64);
        line.field("fits", &"ü".repeat(30));
        line.field("deep", &[[[1]]]);
        line.exception_with(|object| {
            object.member_with("stacktrace", |out| {
                out.array(|frames| {
                    frames.element_with(|out| out.object(|frame| frame.member("file", "a.py")));
                });
            });
        });
    });
    assert_eq!(record["message"], format!("{}...[TRUNCATED]", "ü".repeat(30)));
    assert_eq!(
        record["fields"],
        json!({"image": "[BASE64 DATA REMOVED]", "fits": "ü".repeat(30), "deep": [["[TOO DEEP]"]]})
    );
    assert_eq!(record["exception"]["stacktrace"][0]["file"], "a.py");
}

#[test]
fn a_secret_at_the_place_where_a_text_is_cut_is_redacted_first() {
    let builder = Client::builder().redaction(Redaction::KeysAndValues).max_field_size(12);
    let record = preview(builder, "by someone@shop.example", |_| {});
    assert_eq!(record["message"], "by [REDACTED...[TRUNCATED]");
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    for (builder, error) in [
        (
            Client::builder().max_log_size(10),
            "build client: `max_log_size` is 10, expected 1024 to 1048576",
        ),
        (Client::builder().max_depth(65), "build client: `max_depth` is 65, expected 1 to 64"),
        (
            Client::builder().sample(Level::Info, 1.5),
            "build client: the rate of `sample` is 1.5, expected 0 to 1",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), error);
    }
    assert!(Client::builder().max_field_size(0).build().is_err());
}

#[test]
fn what_is_withheld_is_counted() {
    let server = Server::start();
    let client = builder(server.address)
        .redaction(Redaction::KeysAndValues)
        .max_field_size(40)
        .max_log_size(1024)
        .field("of_all", "x")
        .build()
        .unwrap();
    client.info("a@b.example and c@d.example").field("password", 1).send();
    client.info("m").field("long", "x".repeat(41)).send();
    let many = client.info("too large");
    (0..100).fold(many, |event, n| event.field(&format!("field {n}"), "x".repeat(20))).send();
    client.info("nothing").send();
    flush(&client);
    let metrics = client.metrics();
    assert_eq!((metrics.redacted, metrics.truncated), (3, 2));
    assert_eq!((metrics.accepted, metrics.delivered, metrics.filtered), (4, 4, 0));
    let stored = server.stored();
    assert!(stored[2].contains("\"fields\":{\"_truncated\":true,\"_original_size\":"));
    assert!(stored[2].contains("\"message\":\"too large\""));
}

#[test]
fn what_every_record_says_is_said_unless_the_record_says_it_itself() {
    let builder = || {
        Client::builder()
            .field("region", "eu")
            .field("zone", 1)
            .field("zone", 2)
            .field("token", "t")
            .field("wide", u128::MAX)
    };
    let client = builder().build().unwrap();
    let record = client.preview(Level::Info, "m", |line| line.field("region", "us")).unwrap();
    assert!(
        record.ends_with(&format!(
            r#""fields":{{"region":"us","zone":2,"token":"[REDACTED]","wide":{}}}}}"#,
            u128::MAX
        )),
        "{record}"
    );
    assert_eq!(preview(builder(), "m", |_| {})["fields"]["region"], "eu");
}

#[test]
fn sampling_keeps_traces_together_and_says_its_rate() {
    let server = Server::start();
    let sampled = || builder(server.address).sample(Level::Info, 0.5).build().unwrap();
    let clients = [sampled(), sampled()];
    for client in &clients {
        for trace in 0..200 {
            client.info(trace.to_string()).trace_id(&format!("{trace:032x}")).send();
            client.debug(trace.to_string()).trace_id(&format!("{trace:032x}")).send();
        }
        flush(client);
    }
    let messages = server.messages();
    let half = messages.len() / 2;
    assert!((50..350).contains(&half), "{half}");
    assert_eq!(messages[..half], messages[half..]);
    for pair in messages.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    assert!(server.stored().iter().all(|line| line.contains("\"fields\":{\"sample_rate\":0.5}")));
    let metrics = clients[0].metrics();
    assert_eq!((metrics.accepted, metrics.filtered), (half as u64, 400 - half as u64));
}

#[test]
fn sampling_without_a_trace_keeps_a_share_and_all_above_its_level() {
    let client = |rate| builder(Server::nowhere()).sample(Level::Warn, rate).build().unwrap();
    for (rate, kept) in [(0.0, 0..=0), (0.5, 350..=650), (1.0, 1000..=1000)] {
        let client = client(rate);
        (0..1000).for_each(|_| client.warn("m").send());
        let metrics = client.metrics();
        assert!(kept.contains(&metrics.accepted), "{rate}: {metrics:?}");
        assert_eq!(metrics.accepted + metrics.filtered, 1000);
        client.error("m").send();
        assert_eq!(client.metrics().accepted, metrics.accepted + 1);
    }
}

#[test]
fn the_hook_sees_all_and_changes_what_it_wants() {
    let seen = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&seen);
    let hooked = Client::builder().service("shop").field("of_all", 1).before_send(move |draft| {
        *shown.lock().unwrap() = format!(
            "{} {} {:?} {:?} {}",
            draft.level(),
            draft.message(),
            draft.text(TextAttribute::Service),
            draft.exception().map(|exception| &exception["message"]),
            Json::Object(draft.fields().clone()),
        );
        draft.set_level(Level::Error);
        draft.set_message("changed");
        draft.set_text(TextAttribute::UserId, "u1");
        draft.remove_text(TextAttribute::TraceId);
        let fields = draft.fields_mut();
        fields.shift_remove("gone");
        fields.insert("new".to_owned(), json!({"password": "hunter2", "deep": [1.5, null]}));
        Decision::Keep
    });
    let client = hooked.build().unwrap();
    let record = client.preview(Level::Info, "m", |line| {
        line.field("wide", &u128::MAX);
        line.field("gone", &1);
        line.field("token", "t");
        line.text(TextAttribute::TraceId, "t1");
        line.text(TextAttribute::SpanId, "s1");
        line.step_index(3);
        line.error(&std::io::Error::other("no luck"));
    });
    assert_eq!(
        *seen.lock().unwrap(),
        "info m Some(\"shop\") Some(String(\"no luck\")) {\"wide\":3.402823669209385e+38,\"gone\":1,\
         \"token\":\"[REDACTED]\",\"of_all\":1}"
    );
    let record = record.unwrap();
    for part in [
        "\"level\":\"error\"",
        "\"message\":\"changed\"",
        "\"user_id\":\"u1\"",
        "\"span_id\":\"s1\"",
        "\"step_index\":3",
        "\"service\":\"shop\"",
        "\"message\":\"no luck\"",
        "\"fields\":{\"wide\":340282366920938463463374607431768211455,\"token\":\"[REDACTED]\",\"of_all\":1,\
         \"new\":{\"password\":\"[REDACTED]\",\"deep\":[1.5,null]}}",
    ] {
        assert!(record.contains(part), "{part} in {record}");
    }
    assert!(!record.contains("trace_id"));
}

#[test]
fn a_hook_that_changes_nothing_costs_no_byte() {
    let write = |line: &mut LineWriter<'_>| {
        line.time(millpond::Timestamp::from_nanos(1_763_692_800_000_000_000));
        line.field("wide", &u128::MAX);
        line.field("a\u{8}\"b", "c\u{7f}");
        line.exception_with(|object| object.member("code", &i128::MIN));
    };
    let plain = Client::builder().build().unwrap();
    let hooked = Client::builder().before_send(|draft| {
        assert_eq!(draft.fields().len(), 2);
        Decision::Keep
    });
    let touched = Client::builder().before_send(|draft| {
        let message = draft.message().to_owned();
        draft.set_message(message);
        draft.fields_mut();
        Decision::Keep
    });
    let expected = plain.preview(Level::Info, "m", write).unwrap();
    for builder in [hooked, touched] {
        let client = builder.build().unwrap();
        assert_eq!(client.preview(Level::Info, "m", write).unwrap(), expected);
    }
}

#[test]
fn the_hook_drops_records_and_its_panic_costs_nothing_but_itself() {
    let server = Server::start();
    let client = builder(server.address)
        .before_send(|draft| {
            if draft.message() == "boom" {
                draft.set_message("half done");
                panic!("expected in this test");
            }
            if draft.level() < Level::Info { Decision::Drop } else { Decision::Keep }
        })
        .build()
        .unwrap();
    client.debug("dropped").send();
    client.info("boom").send();
    client.info("kept").send();
    flush(&client);
    assert_eq!(server.messages(), ["boom", "kept"]);
    let metrics = client.metrics();
    assert_eq!((metrics.accepted, metrics.filtered, metrics.hook_failures), (2, 1, 1));
    assert_eq!(metrics.dropped.total(), 0);
}

#[test]
fn a_log_call_inside_the_hook_goes_without_it() {
    let server = Server::start();
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = Arc::new(Mutex::new(None::<Client>));
    let (counted, shared) = (Arc::clone(&calls), Arc::clone(&inner));
    let client = builder(server.address)
        .before_send(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            let client = shared.lock().unwrap().clone();
            client.unwrap().info("from inside").send();
            Decision::Keep
        })
        .build()
        .unwrap();
    *inner.lock().unwrap() = Some(client.clone());
    client.info("first").send();
    client.info("second").send();
    flush(&client);
    assert_eq!(server.messages(), ["from inside", "first", "from inside", "second"]);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    *inner.lock().unwrap() = None;
}

#[test]
fn a_local_record_is_never_sent() {
    let server = Server::start();
    let client = support::client(&server);
    client.info("local").local_only().send();
    client.submit(Level::Info, |line| {
        line.message("local too");
        line.local_only();
    });
    client.info("sent").send();
    flush(&client);
    assert_eq!(server.messages(), ["sent"]);
    let metrics = client.metrics();
    assert_eq!((metrics.accepted, metrics.filtered), (1, 2));
    assert_eq!(metrics.dropped.get(DropReason::TooLarge), 0);
}

#[test]
fn a_preview_leaves_no_trace() {
    let server = Server::start();
    let client = support::client(&server);
    assert!(client.preview(Level::Info, "m", |line| line.field("password", &1)).is_some());
    assert!(client.preview(Level::Info, "m", |_| panic!("expected in this test")).is_none());
    flush(&client);
    assert_eq!(client.metrics(), millpond::Metrics::default());
    assert!(server.requests().is_empty());
}
