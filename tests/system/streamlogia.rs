//! Streamlogia's routes: what its clients and collectors send, what is read of it, and the live tail.

use std::{collections::BTreeSet, net::TcpStream, time::Duration};

use anyhow::{Context, Result, bail};
use millpond_system_tests::{Api, Reply, wait_for};
use serde_json::{Value, json};
use tungstenite::{
    ClientRequestBuilder, Message, WebSocket, client, protocol::frame::coding::CloseCode,
};

use crate::fixture::{Fixture, messages, printed_key};

const PROJECT: &str = "7f8c1b7e-5a53-4b8e-9d62-2f7a4d5b8c01";

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

fn entry(minute: u32, level: &str, message: &str, meta: &Value) -> Value {
    json!({ "projectId": PROJECT, "level": level, "message": message, "source": "shop",
        "timestamp": format!("2026-01-31T12:{minute:02}:00.123456+00:00"), "tags": ["orders"], "meta": meta })
}

fn send(api: &Api, body: &Value) -> Result<Reply> {
    api.post("/v1/ingest", &JSON, &serde_json::to_vec(body)?)
}

/// Five records, the newest last: three of one project, one of another, one of a collector.
fn filled() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let mut other = entry(3, "ERROR", "other project", &json!({}));
    other["projectId"] = "other".into();
    other["source"] = "billing".into();
    let body = json!([
        entry(0, "INFO", "Order Created", &json!({ "order_id": 7, "paid": true })),
        entry(1, "WARN", "slow", &json!({ "order_id": "7", "big": 9_007_199_254_740_993_u64 })),
        entry(2, "DEBUG", "cache", &json!({ "user.name": "a" })),
        other,
    ]);
    send(&fixture.api, &body)?.succeeded()?;
    let infra = json!({ "message": "started", "level": "critical", "source": "nginx", "host": "a1",
        "ts": "2026-01-31T12:04:00Z", "tags": ["edge"], "attributes": { "port": 443 } });
    let reply = fixture.api.post("/v1/ingest/bulk", &JSON, &serde_json::to_vec(&infra)?)?;
    assert_eq!((reply.status, &reply.body["accepted"]), (202, &json!(1)), "{}", reply.text);
    Ok(fixture)
}

fn logs_of(project: &str) -> String {
    format!("/v1/projects/{project}/logs")
}

fn found(api: &Api, project: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
    let answer = api.get(&logs_of(project), parameters)?.succeeded()?.body;
    let logs = answer["logs"].as_array().context("no logs")?;
    Ok(messages(logs).into_iter().map(str::to_owned).collect())
}

#[test]
fn an_entry_comes_back_in_streamlogias_words_by_the_id_that_it_was_given() -> Result<()> {
    let fixture = Fixture::start()?;
    let meta = json!({ "order_id": 9_007_199_254_740_993_u64, "nested": { "ratio": 1.5 } });
    let sent = json!([entry(0, "INFO", "first", &json!({})), entry(1, "ERROR", "second", &meta)]);
    let answer = send(&fixture.api, &sent)?.succeeded()?.body;
    assert_eq!(answer["ingested"], 2);
    let fixture = fixture.restart(|| Ok(()))?;
    let id = answer["ids"][1].as_str().context("no id")?;
    let expected = json!({ "id": id, "pid": PROJECT, "projectId": PROJECT, "level": "ERROR", "message": "second",
        "source": "shop", "timestamp": "2026-01-31T12:01:00.123456Z", "ts": "2026-01-31T12:01:00.123456Z",
        "tags": ["orders"], "meta": meta, "sourceType": "app", "sourceId": null, "attributes": {} });
    for path in [
        format!("{}/{id}", logs_of(PROJECT)),
        format!("{}/log_{id}", logs_of("default")),
        format!("/v1/query/logs/{id}"),
    ] {
        assert_eq!(fixture.api.get(&path, &[])?.succeeded()?.body, expected, "{path}");
    }
    for path in [format!("{}/{id}", logs_of("other")), format!("{}/unheard-of", logs_of(PROJECT))] {
        let reply = fixture.api.get(&path, &[])?;
        assert_eq!((reply.status, reply.code()), (404, "not_found"), "{path}");
    }
    Ok(())
}

#[test]
fn a_bad_entry_costs_no_other_and_ids_stay_in_order() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut late = entry(1, "INFO", "late", &json!({}));
    late["timestamp"] = "soon".into();
    let sent =
        json!([entry(0, "LOUD", "m", &json!({})), entry(0, "INFO", "kept", &json!({})), late]);
    let answer = send(&fixture.api, &sent)?.succeeded()?.body;
    assert_eq!(
        (&answer["ingested"], &answer["ids"][0], &answer["ids"][2]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    let id = answer["ids"][1].as_str().context("no id")?;
    assert_eq!(
        fixture.api.get(&format!("/v1/query/logs/{id}"), &[])?.succeeded()?.body["message"],
        "kept"
    );
    let fields: Vec<_> =
        answer["rejected"].as_array().context("no rejected")?.iter().map(|r| &r["field"]).collect();
    assert_eq!(fields, ["[0].level", "[2].ts"]);

    let reply = send(&fixture.api, &json!([{ "projectId": "p" }, 7]))?;
    assert_eq!(
        (reply.status, reply.code(), &reply.body["error"]),
        (400, "invalid_argument", &json!("invalid_argument"))
    );
    assert_eq!(reply.body["details"][0]["field"], "[0].level");
    assert_eq!(reply.body["details"][1]["field"], "[1]");
    for body in ["[]", "null", "", "[{", "hello"] {
        let reply = fixture.api.post("/v1/ingest", &JSON, body.as_bytes())?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_argument"), "{body}");
        assert!(reply.body.get("details").is_none());
    }
    assert_eq!(fixture.api.all(&[])?.len(), 1);
    Ok(())
}

#[test]
fn what_pythons_json_may_hold_is_kept() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = br#"{"projectId":"p","level":"info","message":"lone \ud800, NUL \u0000","source":"s","timestamp":"2026-01-31T12:00:00",
        "meta":{"nan":NaN,"digits":123456789012345678901234567890}}"#;
    fixture.api.post("/v1/ingest", &JSON, body)?.succeeded()?;
    let reply = fixture.api.get(&logs_of("p"), &[])?.succeeded()?;
    assert_eq!(reply.body["logs"][0]["message"], "lone \u{fffd}, NUL \u{fffd}");
    assert!(reply.text.contains("\"digits\":123456789012345678901234567890"), "{}", reply.text);
    Ok(())
}

#[test]
fn a_batch_that_is_sent_again_is_stored_once() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = serde_json::to_vec(&json!([entry(0, "INFO", "once", &json!({}))]))?;
    let key = ("Idempotency-Key", "00000000000000000000000000000007:1");
    for _ in 0..2 {
        let answer = fixture.api.post("/v1/ingest", &[JSON[0], key], &body)?.succeeded()?.body;
        assert_eq!(
            (&answer["ingested"], answer["ids"].as_array().map(Vec::len)),
            (&json!(1), Some(1))
        );
    }
    assert_eq!(fixture.api.all(&[])?.len(), 1);
    Ok(())
}

#[test]
fn collectors_send_lines_arrays_and_objects_and_are_told_what_was_refused() -> Result<()> {
    let fixture = Fixture::start()?;
    let lines = "{\"message\":\"a\"}\n{\"message\":\n{\"message\":\"b\",\"level\":\"nonsense\"}\n{\"level\":\"info\"}\n";
    let reply = fixture.api.post(
        "/v1/ingest/bulk",
        &[("Content-Type", "application/x-ndjson")],
        lines.as_bytes(),
    )?;
    assert_eq!(
        (reply.status, &reply.body["accepted"], &reply.body["rejected"]),
        (202, &json!(2), &json!(2))
    );
    assert_eq!(
        (&reply.body["errors"][1]["index"], &reply.body["errors"][1]["line"]),
        (&json!(3), &json!(4))
    );
    let reply = fixture.api.post("/v1/ingest/bulk", &JSON, b"[]")?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_argument"));
    let otlp = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": { "stringValue": "o" } }] }] }] });
    let reply = fixture.api.post("/v1/ingest/otlp", &JSON, &serde_json::to_vec(&otlp)?)?;
    assert_eq!((reply.status, &reply.body["accepted"]), (202, &json!(1)), "{}", reply.text);
    let stored = fixture.api.all(&[])?;
    assert_eq!(messages(&stored).into_iter().collect::<BTreeSet<_>>(), ["a", "b", "o"].into());
    Ok(())
}

#[test]
fn every_parameter_of_a_search_narrows_it() -> Result<()> {
    let fixture = filled()?;
    let of = |parameters: &[(&str, &str)]| found(&fixture.api, "default", parameters);
    let all = ["started", "other project", "cache", "slow", "Order Created"];
    assert_eq!(of(&[])?, all);
    assert_eq!(found(&fixture.api, PROJECT, &[])?, all[2..]);
    let own = fixture.api.get("/v1/query/projects", &[])?.succeeded()?.body;
    let own = own["projects"][0]["id"].as_str().context("no id")?.to_owned();
    assert_eq!(found(&fixture.api, &own, &[])?, all);
    for (parameters, expected) in [
        (&[("level", "WARN,DEBUG")][..], &["cache", "slow"][..]),
        (&[("level", "ERROR"), ("level", "INFO")], &["started", "other project", "Order Created"]),
        (&[("q", "ORDER C")], &["Order Created"]),
        (&[("search", "BILL")], &["other project"]),
        (&[("q", "%")], &[]),
        (&[("source", "nginx")], &["started"]),
        (&[("tag", "orders"), ("source", "billing")], &["other project"]),
        (&[("tag", "orders,edge")], &[]),
        (&[("meta.order_id", "7")], &["slow", "Order Created"]),
        (&[("meta.paid", "true")], &["Order Created"]),
        (&[("meta.user.name", "a")], &["cache"]),
        (&[("source_type", "infra")], &["started"]),
        (&[("source_type", "app"), ("level", "ERROR")], &["other project"]),
        (
            &[("from", "2026-01-31T12:02:00.123456Z"), ("to", "2026-01-31T12:03:00.123456Z")],
            &["other project", "cache"],
        ),
        (&[("unknown", "x"), ("limit", "1")], &["started"]),
    ] {
        assert_eq!(of(parameters)?, expected, "{parameters:?}");
    }
    for wrong in
        [("level", "LOUD"), ("cursor", "garbage"), ("limit", "0"), ("total", "x"), ("from", "soon")]
    {
        let reply = fixture.api.get(&logs_of(PROJECT), &[wrong])?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_argument"), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn pages_lead_to_every_record_once_and_count_them() -> Result<()> {
    let fixture = filled()?;
    let mut seen = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let mut parameters = vec![("limit", "2")];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = fixture.api.get("/v1/query/logs", &parameters)?.succeeded()?.body;
        assert_eq!((&page["total"], &page["totalIsExact"]), (&json!(5), &json!(true)));
        seen.extend(
            messages(page["logs"].as_array().context("no logs")?).into_iter().map(str::to_owned),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ["started", "other project", "cache", "slow", "Order Created"]);
    let page = fixture
        .api
        .get("/v1/query/logs", &[("total", "none"), ("projectId", "other")])?
        .succeeded()?
        .body;
    assert_eq!((page.get("total"), page["logs"].as_array().map(Vec::len)), (None, Some(1)));
    Ok(())
}

#[test]
fn counts_are_by_level_over_time_and_by_field() -> Result<()> {
    let fixture = filled()?;
    let get = |path: &str, parameters: &[(&str, &str)]| -> Result<Value> {
        Ok(fixture.api.get(path, parameters)?.succeeded()?.body)
    };
    let of_project = json!({ "DEBUG": 1, "INFO": 1, "WARN": 1, "ERROR": 0 });
    assert_eq!(get(&format!("{}/stats", logs_of(PROJECT)), &[])?, of_project);
    assert_eq!(get("/v1/query/stats", &[("projectId", PROJECT)])?, of_project);
    assert_eq!(get("/v1/query/stats", &[("source_type", "infra")])?["ERROR"], 1);

    let times = [("from", "2026-01-31T12:00:00Z"), ("to", "2026-01-31T12:15:00Z")];
    let series = get(
        &format!("{}/timeseries", logs_of(PROJECT)),
        &[&times[..], &[("interval", "5m")]].concat(),
    )?;
    assert_eq!(series["interval"], "5m");
    let empty = json!({ "DEBUG": 0, "INFO": 0, "WARN": 0, "ERROR": 0 });
    let counts: Vec<_> =
        series["buckets"].as_array().context("no buckets")?.iter().map(|b| &b["counts"]).collect();
    assert_eq!(counts, [&of_project, &empty, &empty]);
    let aggregate = |group: &str, more: &[(&str, &str)]| -> Result<Value> {
        let asked = [&times[..], &[("groupBy", group)], more].concat();
        Ok(get(&format!("{}/aggregate", logs_of("default")), &asked)?["groups"].clone())
    };
    let group = |key: &str, count: u32| json!({ "key": key, "count": count });
    assert_eq!(aggregate("source", &[("limit", "1")])?, json!([group("shop", 3)]));
    assert_eq!(aggregate("source_type", &[])?, json!([group("app", 4), group("infra", 1)]));
    assert_eq!(
        aggregate("level", &[("source_type", "app"), ("level", "WARN")])?,
        json!([group("WARN", 1)])
    );
    assert_eq!(aggregate("meta.user.name", &[])?, json!([group("a", 1)]));
    let reply = fixture.api.get(&format!("{}/aggregate", logs_of("p")), &[("groupBy", "x")])?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_argument"));
    Ok(())
}

#[test]
fn an_export_has_every_record_over_all_pages() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent: Vec<Value> = (0..2500)
        .map(|count| entry(count % 60, "INFO", &format!("m{count}"), &json!({ "n": count })))
        .collect();
    send(&fixture.api, &sent.into())?.succeeded()?;
    let export = |parameters: &[(&str, &str)]| {
        fixture.api.get(&format!("{}/export", logs_of(PROJECT)), parameters)?.succeeded()
    };
    let lines = export(&[])?.text;
    let read: BTreeSet<String> = lines
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["message"].to_string()))
        .collect::<Result<_>>()?;
    assert_eq!((lines.lines().count(), read.len()), (2500, 2500));
    let rows = export(&[("format", "csv"), ("maxRows", "1200")])?.text;
    assert_eq!(rows.lines().count(), 1201);
    assert!(
        rows.starts_with("id,timestamp,level,source,message,projectId,sourceType,tags,meta\n"),
        "{rows:.100}"
    );
    assert_eq!(export(&[("q", "no such thing")])?.text, "");
    let reply = fixture.api.get("/v1/query/logs/export", &[("format", "xml")])?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_argument"));
    Ok(())
}

#[test]
fn errors_of_all_kinds_are_in_the_envelope() -> Result<()> {
    let fixture = Fixture::start()?;
    let created = fixture.key(&["create", "--name", "reader", "--scopes", "query"])?;
    let reader = fixture.api.with_key(&printed_key(&created)?);
    let stranger = fixture.api.with_key("mp_wrong");
    let (expired, _) = fixture.new_key(&["--expires", "1s"])?;
    wait_for(Duration::from_secs(30), || {
        let refused = expired.get("/v1/query/projects", &[])?;
        Ok(((refused.status, refused.code()) == (403, "key_expired")).then_some(()))
    })?
    .context("the key is good for ever")?;
    let large = vec![b' '; 65 << 20];
    for (reply, expected) in [
        (send(&stranger, &json!([]))?, (401, "unauthenticated")),
        (stranger.get("/v1/query/projects", &[])?, (401, "unauthenticated")),
        (send(&reader, &json!([entry(0, "INFO", "m", &json!({}))]))?, (403, "permission_denied")),
        (fixture.api.post("/v1/ingest", &JSON, &large)?, (413, "payload_too_large")),
        (
            fixture.api.post("/v1/ingest", &[("Content-Encoding", "br")], b"[]")?,
            (415, "invalid_argument"),
        ),
    ] {
        assert_eq!((reply.status, reply.code()), expected, "{}", reply.text);
        assert_eq!(reply.body["error"], expected.1);
        assert!(!reply.message().is_empty());
    }
    Ok(())
}

/// A live tail that says nothing but records.
pub(crate) struct Tail(WebSocket<TcpStream>);

impl Tail {
    pub(crate) fn open(fixture: &Fixture, path: &str) -> Result<Self> {
        let address = &fixture.server.serve().address;
        let socket = TcpStream::connect(address)?;
        // An answer slower than this is a hang.
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        let request = ClientRequestBuilder::new(format!("ws://{address}{path}").parse()?);
        let (socket, _) = client(request, socket).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut tail = Self(socket);
        // It follows from then on.
        tail.alive()?;
        Ok(tail)
    }

    /// Waits for a ping.
    fn alive(&mut self) -> Result<()> {
        match self.0.read()? {
            Message::Ping(_) => Ok(()),
            other => bail!("{other:?}"),
        }
    }

    /// The next frame that is no ping.
    pub(crate) fn frame(&mut self) -> Result<Value> {
        loop {
            match self.0.read()? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("{other:?}"),
            }
        }
    }

    /// The messages of the next entries.
    fn next(&mut self, count: usize) -> Result<Vec<String>> {
        let mut entries = Vec::new();
        while entries.len() < count {
            let frame = self.frame()?;
            let frame = frame.as_array().context("no array")?;
            entries.extend(messages(frame).into_iter().map(str::to_owned));
        }
        Ok(entries)
    }
}

#[test]
fn a_tail_shows_arrays_of_entries_and_nothing_else() -> Result<()> {
    let fixture = Fixture::start()?;
    let token = format!("token={}", fixture.api.key());
    let mut tail =
        Tail::open(&fixture, &format!("{}/stream?{token}&level=ERROR,WARN", logs_of(PROJECT)))?;
    let mut other = entry(1, "ERROR", "of another project", &json!({}));
    other["projectId"] = "other".into();
    tail.0.send(Message::text("what a client says is not listened to"))?;
    send(
        &fixture.api,
        &json!([
            entry(0, "INFO", "dull", &json!({})),
            other,
            entry(2, "WARN", "first", &json!({}))
        ]),
    )?;
    send(&fixture.api, &entry(3, "ERROR", "second", &json!({})))?.succeeded()?;
    assert_eq!(tail.next(2)?, ["first", "second"]);
    tail.alive()?;
    let stopping = std::thread::spawn(move || fixture.server.stop().map(drop));
    loop {
        match tail.0.read()? {
            Message::Ping(_) => {}
            Message::Close(Some(frame)) => {
                assert_eq!(frame.code, CloseCode::Away);
                break;
            }
            other => bail!("{other:?}"),
        }
    }
    stopping.join().map_err(|_| anyhow::anyhow!("stopping panicked"))?
}

#[test]
fn a_ticket_opens_one_tail_of_its_project() -> Result<()> {
    let fixture = Fixture::start()?;
    let ticket = || -> Result<String> {
        let answer = fixture
            .api
            .post(&format!("{}/stream-ticket", logs_of(PROJECT)), &[], b"")?
            .succeeded()?
            .body;
        assert_eq!(answer["expiresInSeconds"], 30);
        Ok(answer["ticket"].as_str().context("no ticket")?.to_owned())
    };
    let upgrade = |path: &str| {
        let headers = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        fixture.api.bare("GET", path, &headers)
    };
    let used = format!("{}/stream?ticket={}", logs_of(PROJECT), ticket()?);
    let mut tail = Tail::open(&fixture, &used)?;
    send(&fixture.api, &entry(0, "INFO", "shown", &json!({})))?.succeeded()?;
    assert_eq!(tail.next(1)?, ["shown"]);
    for refused in [
        used,
        format!("{}/stream?ticket={}", logs_of("other"), ticket()?),
        format!("{}/stream?ticket=unheard-of", logs_of(PROJECT)),
        format!("{}/stream", logs_of(PROJECT)),
    ] {
        let reply = upgrade(&refused)?;
        assert_eq!((reply.status, reply.code()), (401, "unauthenticated"), "{refused}");
    }
    let plain = format!("{}/stream", logs_of(PROJECT));
    let reply = fixture.api.get(&plain, &[])?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_argument"));
    Ok(())
}
