//! Timberlogs' routes: what its clients send is read back in its words, and errors are told in them.

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Reply};
use serde_json::{Value, json};

use crate::fixture::{Fixture, messages, sorted};

pub(crate) const LOGS: &str = "/v1/logs";

pub(crate) fn send(api: &Api, logs: &Value) -> Result<Reply> {
    let body = serde_json::to_vec(&json!({ "logs": logs }))?;
    api.post(LOGS, &[("Content-Type", "application/json")], &body)
}

/// Sends a raw body with no content type that says anything.
fn send_raw(api: &Api, parameters: &str, body: &str) -> Result<Reply> {
    let path = format!("{LOGS}?{parameters}");
    api.post(&path, &[("Content-Type", "application/octet-stream")], body.as_bytes())
}

pub(crate) fn log(minute: u32, level: &str, message: &str, more: Value) -> Value {
    let time = format!("2026-01-31T12:{minute:02}:00.500Z");
    let mut log = json!({ "level": level, "message": message, "source": "shop", "environment": "production",
        "timestamp": time });
    if let Value::Object(members) = more {
        members.into_iter().for_each(|(name, value)| log[name.as_str()] = value);
    }
    log
}

pub(crate) fn listed(api: &Api, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
    let reply = api.get(path, parameters)?.succeeded()?;
    Ok(reply.body["logs"].as_array().context("no logs")?.clone())
}

/// The messages that a route finds, in its order.
pub(crate) fn found(api: &Api, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
    let logs = listed(api, path, parameters)?;
    Ok(messages(&logs).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_log_comes_back_as_it_was_sent() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent = json!({ "level": "error", "message": "m", "source": "s", "environment": "e", "dataset": "d",
        "version": "1.4", "userId": "u", "sessionId": "i", "requestId": "r", "flowId": "f-1", "stepIndex": 3,
        "tags": ["a", "b"], "timestamp": 1_769_857_200_123_u64, "ipAddress": "203.0.113.7", "country": "DE",
        "errorName": "ValueError", "errorStack": "Traceback\n  File \"a.py\"\n\nValueError: bad\n",
        "data": { "message": "bad", "n": 9_007_199_254_740_993_u64, "a": { "b": [null, {}] } } });
    let answer = send(&fixture.api, &json!([sent]))?.succeeded()?.body;
    assert_eq!((&answer["success"], &answer["count"]), (&json!(true), &json!(1)));
    assert!(answer["timestamp"].as_u64().is_some_and(|time| time > 1_769_857_200_123), "{answer}");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3));
    let fixture = fixture.restart(|| Ok(()))?;
    let shown = listed(&fixture.api, LOGS, &[])?.remove(0);
    let mut expected = sent;
    expected["id"] = shown["id"].clone();
    assert_eq!(shown, expected);
    let ours =
        fixture.api.all(&[("q", "exception.type:ValueError fields.client.address:203.0.113.7")])?;
    assert_eq!(ours[0]["service"], "s");
    Ok(())
}

#[test]
fn good_logs_are_kept_beside_bad_ones() -> Result<()> {
    let fixture = Fixture::start()?;
    let good = log(0, "info", "good", json!({}));
    let bad = log(0, "loud", "bad", json!({}));
    let answer = send(&fixture.api, &json!([bad, good, 5]))?.succeeded()?.body;
    assert_eq!(answer["count"], 1);
    let rejected = answer["rejected"].as_array().context("nothing rejected")?;
    assert_eq!([&rejected[0]["index"], &rejected[1]["index"]], [0, 2]);
    assert!(rejected[0]["reason"].as_str().is_some_and(|reason| reason.contains("`loud`")));
    assert_eq!(found(&fixture.api, LOGS, &[])?, ["good"]);
    Ok(())
}

#[test]
fn a_body_without_a_good_log_is_refused_in_timberlogs_shape() -> Result<()> {
    let fixture = Fixture::start()?;
    let nameless = json!({ "level": "info", "message": "m", "environment": "e" });
    let refused = send(&fixture.api, &json!([log(0, "loud", "m", json!({})), nameless]))?;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("Validation error")));
    let issues = refused.body["issues"].as_array().context("no issues")?;
    assert_eq!(issues[0]["path"], json!(["logs", 0, "level"]));
    assert_eq!(issues[1]["path"], json!(["logs", 1, "source"]));
    assert!(issues.iter().all(|issue| issue["message"].is_string()), "{issues:?}");
    for body in ["", "{\"logs\":[]}", "[]", "{", "null"] {
        let refused =
            fixture.api.post(LOGS, &[("Content-Type", "application/json")], body.as_bytes())?;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.body["error"].is_string(), "{body}: {}", refused.text);
    }
    assert_eq!(fixture.api.all(&[])?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn more_logs_than_timberlogs_takes_are_taken() -> Result<()> {
    let fixture = Fixture::start()?;
    let logs: Vec<Value> = (0..250).map(|n| log(n % 60, "info", "m", json!({}))).collect();
    assert_eq!(send(&fixture.api, &json!(logs))?.succeeded()?.body["count"], 250);
    let page = fixture.api.get(LOGS, &[("limit", "5000"), ("offset", "10")])?.succeeded()?.body;
    let pagination =
        json!({ "limit": 1000, "offset": 10, "count": 240, "hasMore": false, "total": 250 });
    assert_eq!(page["pagination"], pagination);
    Ok(())
}

const RAW: [(&str, &str, &str); 6] = [
    ("json", "application/json", r#"[{"message":"m","level":"warn"}]"#),
    (
        "jsonl",
        "application/x-ndjson",
        "{\"message\":\"m\",\"level\":\"warn\"}\n{\"message\":\"m\",\"level\":\"warn\"}\n",
    ),
    ("syslog", "application/x-syslog", "<12>1 2026-01-31T12:00:00Z - - - - - m\n"),
    ("text", "text/plain; charset=utf-8", "WARN m\n"),
    ("csv", "text/csv", "level,message\nwarn,m\n"),
    (
        "obl",
        "application/obl",
        r#"/* private */{"format":"open-board-log-0.1","user_id":"u","sessions":[{"events":[{"label":"m"}]}]}"#,
    ),
];

#[test]
fn every_raw_format_is_told_by_its_name_by_its_content_type_and_by_its_look() -> Result<()> {
    let fixture = Fixture::start()?;
    for (format, content_type, body) in RAW {
        let defaults = format!("source=shop&environment=staging&level=warn&dataset={format}");
        let count = if format == "jsonl" { 2 } else { 1 };
        for reply in [
            // Who names a format means it, whatever the header says.
            fixture.api.post(
                &format!("{LOGS}?format={format}&{defaults}"),
                &[("Content-Type", "text/html")],
                body.as_bytes(),
            )?,
            fixture.api.post(
                &format!("{LOGS}?{defaults}"),
                &[("Content-Type", content_type)],
                body.as_bytes(),
            )?,
            send_raw(&fixture.api, &defaults, body)?,
        ] {
            assert_eq!(reply.succeeded()?.body["count"], count, "{format}");
        }
        let stored = listed(&fixture.api, LOGS, &[("dataset", format)])?;
        assert_eq!(stored.len(), 3 * count, "{format}");
        for log in stored {
            let told = [&log["source"], &log["environment"], &log["level"]];
            assert_eq!(told, ["shop", "staging", "warn"], "{format}");
            assert!(log["message"].as_str().is_some_and(|message| message.ends_with('m')), "{log}");
        }
    }
    Ok(())
}

#[test]
fn a_record_of_a_raw_format_wins_over_the_parameters() -> Result<()> {
    let fixture = Fixture::start()?;
    let parameters = "format=csv&source=other&environment=other&level=error&dataset=other";
    let body = "message,source,environment,level,dataset,errorName,errorStack,tags\n\
        own,shop,qa,debug,orders,Late,\"Late: 1\n  at pay\n\",a; b\nfilled,,,,,,,\n";
    send_raw(&fixture.api, parameters, body)?.succeeded()?;
    let logs = listed(&fixture.api, LOGS, &[])?;
    for (message, source, environment, level, dataset) in
        [("own", "shop", "qa", "debug", "orders"), ("filled", "other", "other", "error", "other")]
    {
        let log = logs.iter().find(|log| log["message"] == message).context("not stored")?;
        let told = [&log["source"], &log["environment"], &log["level"], &log["dataset"]];
        assert_eq!(told, [source, environment, level, dataset]);
    }
    let own = logs.iter().find(|log| log["message"] == "own").context("not stored")?;
    assert_eq!(
        (&own["errorStack"], &own["tags"]),
        (&json!("Late: 1\n  at pay\n"), &json!(["a", "b"]))
    );
    Ok(())
}

#[test]
fn a_line_that_can_not_be_read_is_named_and_nothing_is_stored() -> Result<()> {
    let fixture = Fixture::start()?;
    for (format, body, place) in [
        ("jsonl", "{\"message\":\"a\"}\n\n{\"message\":\n", "line 3: "),
        ("syslog", "<13>a\nno priority\n", "line 2: "),
        ("csv", "message\na\nx,y\n", "line 3: "),
        ("csv", "text\na\n", "body: "),
        (
            "obl",
            r#"{"format":"open-board-log-0.1","sessions":[{"events":[{"text":"a"},5]}]}"#,
            "session 1, event 2: ",
        ),
        ("obl", r#"{"format":"open-board-log-9","sessions":[]}"#, "body: `format`"),
        ("text", "\n", "body: "),
    ] {
        let parameters = format!("format={format}&source=shop&environment=e&level=info");
        let refused = send_raw(&fixture.api, &parameters, body)?;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "PARSE_ERROR"),
            "{format}: {}",
            refused.text
        );
        let error = refused.body["error"].as_str().context("no error")?;
        assert!(error.starts_with(&format!("Failed to parse {place}")), "{format}: {error}");
    }
    let nameless = send_raw(&fixture.api, "format=syslog", "<13>1 - - app - - - a\n<13>b\n")?;
    assert_eq!((nameless.status, &nameless.body["error"]), (400, &json!("Validation error")));
    assert_eq!(nameless.body["issues"][1]["path"], json!(["logs", 1, "source"]));
    assert_eq!(fixture.api.all(&[])?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn what_stray_signs_make_of_the_address_is_taken_as_it_comes() -> Result<()> {
    let fixture = Fixture::start()?;
    send_raw(&fixture.api, "format=text&source=100%&b&environment=a%zz&level=", "m\n")?
        .succeeded()?;
    let log = listed(&fixture.api, LOGS, &[])?.remove(0);
    assert_eq!((&log["source"], &log["environment"]), (&json!("100%"), &json!("a%zz")));
    Ok(())
}

#[test]
fn a_batch_sent_twice_under_one_key_is_stored_once() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = serde_json::to_vec(&json!([log(0, "info", "once", json!({}))]))?;
    for _ in 0..2 {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "client:1")];
        let answer = fixture.api.post(LOGS, &headers, &body)?.succeeded()?.body;
        assert_eq!((&answer["success"], &answer["count"]), (&json!(true), &json!(1)));
    }
    assert_eq!(found(&fixture.api, LOGS, &[])?, ["once"]);
    Ok(())
}

#[test]
fn errors_have_timberlogs_words() -> Result<()> {
    let fixture = Fixture::start()?;
    let (writer, _) = fixture.new_key(&["--scopes", "ingest"])?;
    let (reader, _) = fixture.new_key(&["--scopes", "query"])?;
    let missing = fixture.api.bare("POST", LOGS, &[])?;
    assert_eq!((missing.status, &missing.body["error"]), (401, &json!("Missing API key")));
    for header in [("X-API-Key", "tb_live_x"), ("Authorization", "Bearer tb_live_x")] {
        let invalid = fixture.api.bare("GET", LOGS, &[header])?;
        assert_eq!((invalid.status, &invalid.body["error"]), (401, &json!("Invalid API key")));
    }
    for refused in [writer.get(LOGS, &[])?, send(&reader, &json!([]))?] {
        assert_eq!((refused.status, refused.code()), (403, "missing_scope"));
        assert!(refused.body["error"].is_string(), "{}", refused.text);
    }
    for (path, parameter) in [
        (LOGS, ("level", "loud")),
        (LOGS, ("limit", "x")),
        (LOGS, ("from", "yesterday")),
        ("/v1/stats", ("groupBy", "year")),
        ("/v1/stats", ("from", "soon")),
    ] {
        let refused = fixture.api.get(path, &[parameter])?;
        assert_eq!(refused.status, 400, "{parameter:?}");
        let error = refused.body["error"].as_str().context("no error")?;
        assert!(error.starts_with(parameter.0), "{error}");
    }
    Ok(())
}

#[test]
fn too_much_is_told_with_the_time_to_wait() -> Result<()> {
    let fixture = Fixture::start()?;
    let (limited, _) = fixture.new_key(&["--scopes", "ingest", "--bytes-per-day", "1"])?;
    let body = json!([log(0, "info", "m", json!({}))]);
    send(&limited, &body)?.succeeded()?;
    let refused = send(&limited, &body)?;
    assert_eq!((refused.status, &refused.body["error"]), (429, &json!("Rate limit exceeded")));
    assert!(
        refused.body["retryAfter"].as_u64().is_some_and(|seconds| seconds > 0),
        "{}",
        refused.text
    );
    Ok(())
}

#[test]
fn the_cli_is_told_whose_key_it_has_and_that_there_is_no_other_login() -> Result<()> {
    let fixture = Fixture::start()?;
    let bearer = format!("Bearer {}", fixture.api.key());
    let told = fixture.api.bare("GET", "/v1/whoami", &[("Authorization", &bearer)])?.succeeded()?;
    assert_eq!(told.body, json!({ "workspaceName": "default" }));
    for path in ["/v1/auth/device", "/v1/auth/device/token"] {
        let refused = fixture.api.bare("POST", path, &[])?;
        assert_eq!((refused.status, refused.code()), (404, "no_login"));
        assert!(refused.body["error"].as_str().is_some_and(|error| error.contains("API key")));
    }
    Ok(())
}

#[test]
fn logs_of_all_systems_are_seen_through_timberlogs() -> Result<()> {
    let fixture = Fixture::start()?;
    let otlp =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"otlp"}}]}]}]}"#;
    fixture
        .api
        .post(LOGS, &[("Content-Type", "application/json")], otlp.as_bytes())?
        .succeeded()?;
    send(&fixture.api, &json!([log(0, "info", "timberlogs", json!({}))]))?.succeeded()?;
    fixture.api.ingest(&[json!({ "message": "ours", "host": "a1" })], None)?.succeeded()?;
    let logs = listed(&fixture.api, LOGS, &[])?;
    assert_eq!(sorted(&messages(&logs)), ["otlp", "ours", "timberlogs"]);
    let ours = logs.iter().find(|log| log["message"] == "ours").context("not there")?;
    assert_eq!(ours["data"], json!({ "hostname": "a1" }));
    Ok(())
}
