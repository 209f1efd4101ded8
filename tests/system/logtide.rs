//! LogTide's routes: told apart from ours, and answered as LogTide's clients expect.

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Reply};
use serde_json::{Value, json};

use crate::fixture::{Fixture, messages};

const LOGS: &str = "/logtide/api/v1/logs";

fn send(api: &Api, logs: &[Value]) -> Result<Value> {
    let body = serde_json::to_vec(&json!({ "logs": logs }))?;
    Ok(api
        .post("/api/v1/ingest", &[("Content-Type", "application/json")], &body)?
        .succeeded()?
        .body)
}

fn log(minute: u32, level: &str, message: &str, metadata: &Value) -> Value {
    json!({ "service": "api", "level": level, "message": message, "metadata": metadata,
        "time": format!("2026-01-31T12:{minute:02}:00.123456Z") })
}

/// Four logs of one hour long ago.
fn filled() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let mut traced = log(3, "critical", "charge timed out", &json!({ "port": 443, "paid": false }));
    traced["trace_id"] = "t/1".into();
    traced["session_id"] = "no uuid".into();
    traced["hostname"] = "a1".into();
    let answer = send(
        &fixture.api,
        &[
            log(0, "info", "order placed", &json!({ "port": 80 })),
            log(1, "warn", "slow time-out near", &json!({ "port": "443" })),
            log(2, "error", "charge failed", &json!({})),
            traced,
        ],
    )?;
    assert_eq!((&answer["received"], &answer["accepted"]), (&json!(4), &json!(4)));
    assert!(answer["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{answer}");
    Ok(fixture)
}

/// The messages that a search finds, newest first.
fn found(api: &Api, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
    let all = [("from", "2026-01-01T00:00:00")];
    let reply = api.get(LOGS, &[&all, parameters].concat())?.succeeded()?;
    let logs = reply.body["logs"].as_array().context("no logs")?;
    assert_eq!(reply.body["total"], logs.len());
    Ok(messages(logs).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_log_comes_back_in_logtides_words_with_all_that_was_sent() -> Result<()> {
    let fixture = filled()?;
    let reply =
        fixture.api.get(LOGS, &[("traceId", "t/1"), ("from", "2026-01-01")])?.succeeded()?;
    let shown = &reply.body["logs"][0];
    assert_eq!(
        shown,
        &json!({ "id": shown["id"], "time": "2026-01-31T12:03:00.123456Z", "projectId": "default", "service": "api",
            "level": "critical", "message": "charge timed out", "traceId": "t/1", "sessionId": "no uuid",
            "metadata": { "hostname": "a1", "port": 443, "paid": false } })
    );
    let rest = json!({ "total": 1, "hasMore": false, "limit": 100, "offset": 0, "logs": [shown] });
    assert_eq!(reply.body, rest);
    Ok(())
}

#[test]
fn every_parameter_selects() -> Result<()> {
    let fixture = filled()?;
    let filters = |filters: Value| filters.to_string();
    let condition = |key: &str, op: &str, rest: Value| {
        let mut condition = json!({ "key": key, "op": op });
        for (name, value) in rest.as_object().into_iter().flatten() {
            condition[name] = value.clone();
        }
        filters(json!([condition]))
    };
    for (name, value, expected) in [
        ("level", "error".to_owned(), &["charge failed"][..]),
        ("hostname", "a1".to_owned(), &["charge timed out"]),
        ("sessionId", "no uuid".to_owned(), &["charge timed out"]),
        ("service", "other".to_owned(), &[]),
        ("q", "CHARGE".to_owned(), &["charge timed out", "charge failed"]),
        ("q", "placed order".to_owned(), &["order placed"]),
        ("q", "level:error (".to_owned(), &[]),
        ("q", "time-out".to_owned(), &["slow time-out near"]),
        ("to", "2026-01-31T12:01:00.123456".to_owned(), &["slow time-out near", "order placed"]),
        (
            "metadata_filters",
            condition("port", "equals", json!({ "value": 443 })),
            &["charge timed out", "slow time-out near"],
        ),
        (
            "metadata_filters",
            condition("port", "not_equals", json!({ "value": 443 })),
            &["charge failed", "order placed"],
        ),
        (
            "metadata_filters",
            condition("port", "in", json!({ "values": [80, 81] })),
            &["order placed"],
        ),
        (
            "metadata_filters",
            condition("port", "not_in", json!({ "values": [80, 443] })),
            &["charge failed"],
        ),
        ("metadata_filters", condition("paid", "exists", json!({})), &["charge timed out"]),
        ("metadata_filters", condition("port", "not_exists", json!({})), &["charge failed"]),
        (
            "metadata_filters",
            condition("hostname", "contains", json!({ "value": "A" })),
            &["charge timed out"],
        ),
    ] {
        assert_eq!(found(&fixture.api, &[(name, &value)])?, expected, "{name}={value}");
    }
    let substring = [("q", "ME-OU"), ("searchMode", "substring")];
    assert_eq!(found(&fixture.api, &substring)?, ["slow time-out near"]);
    let levels = [("level", "error"), ("level", "info")];
    assert_eq!(found(&fixture.api, &levels)?, ["charge failed", "order placed"]);
    Ok(())
}

#[test]
fn pages_follow_each_other_by_offset_and_by_cursor() -> Result<()> {
    let fixture = filled()?;
    let page = |more: &[(&str, &str)]| -> Result<Reply> {
        let from = [("from", "2026-01-01T00:00:00"), ("limit", "3")];
        fixture.api.get(LOGS, &[&from, more].concat())?.succeeded()
    };
    let first = page(&[])?.body;
    assert_eq!((&first["total"], &first["hasMore"]), (&json!(4), &json!(true)));
    let by_offset = page(&[("offset", "3")])?.body;
    assert_eq!((&by_offset["hasMore"], &by_offset["nextCursor"]), (&json!(false), &Value::Null));
    let next = first["nextCursor"].as_str().context("no cursor")?;
    // LogTide's SDK sends an offset with everything.
    let by_cursor = page(&[("cursor", next), ("offset", "3")])?.body;
    assert_eq!(by_cursor["logs"], by_offset["logs"]);
    assert_eq!(by_cursor["logs"][0]["message"], "order placed");
    Ok(())
}

#[test]
fn without_a_start_the_last_day_is_meant() -> Result<()> {
    let fixture = filled()?;
    send(&fixture.api, &[json!({ "service": "api", "level": "info", "message": "now" })])?;
    let reply = fixture.api.get(LOGS, &[])?.succeeded()?;
    assert_eq!(messages(reply.body["logs"].as_array().context("no logs")?), ["now"]);
    Ok(())
}

#[test]
fn what_only_logtides_clients_send_tells_them_apart_from_ours() -> Result<()> {
    let fixture = filled()?;
    let ours = fixture.api.get("/api/v1/logs", &[("trace_id", "t/1")])?.succeeded()?.body;
    assert_eq!(ours["logs"][0]["fields"]["port"], 443);
    let by_parameter =
        fixture.api.get("/api/v1/logs", &[("traceId", "t/1"), ("from", "2026-01-01")]);
    assert_eq!(by_parameter?.succeeded()?.body["logs"][0]["metadata"]["port"], 443);
    let headers = [("X-API-Key", fixture.api.key()), ("Content-Type", "application/json")];
    let by_header = fixture.api.bare("GET", "/api/v1/logs/trace/t%2F1", &headers)?.succeeded()?;
    assert_eq!(by_header.body["logs"][0]["traceId"], "t/1");
    assert_eq!(by_header.body.as_object().map(serde_json::Map::len), Some(1));
    // One record and what is around it are nothing that LogTide has, whatever a client declares.
    let id = ours["logs"][0]["id"].as_str().context("no id")?;
    for path in [format!("/api/v1/logs/{id}"), format!("/api/v1/logs/{id}/context")] {
        let declared = fixture.api.bare("GET", &path, &headers)?.succeeded()?;
        assert_eq!(declared.body, fixture.api.get(&path, &[])?.succeeded()?.body);
    }
    Ok(())
}

#[test]
fn statistics_have_the_services_and_errors_that_its_clients_read() -> Result<()> {
    let fixture = filled()?;
    let hour = [("from", "2026-01-31T12:00:00"), ("to", "2026-01-31T13:00:00"), ("interval", "1h")];
    let counted = fixture.api.get(&format!("{LOGS}/aggregated"), &hour)?.succeeded()?.body;
    assert_eq!(
        counted["timeseries"],
        json!([{ "bucket": "2026-01-31T12:00:00.000000000Z", "total": 4,
            "by_level": { "info": 1, "warn": 1, "error": 1, "critical": 1 } }])
    );
    assert_eq!(counted["top_services"], json!([{ "service": "api", "count": 4 }]));
    assert_eq!(counted["top_errors"].as_array().map(Vec::len), Some(2));
    let services = fixture.api.get(&format!("{LOGS}/top-services"), &hour)?.succeeded()?.body;
    assert_eq!(services["services"], counted["top_services"]);
    let errors = fixture.api.get(&format!("{LOGS}/top-errors"), &hour)?.succeeded()?.body;
    assert_eq!(errors["errors"], counted["top_errors"]);
    Ok(())
}

#[test]
fn an_event_of_the_tail_is_flat_and_has_the_envelope_too() -> Result<()> {
    let fixture = Fixture::start()?;
    let parameters = [("service", "api"), ("level", "error"), ("searchMode", "fulltext")];
    let mut stream = fixture.api.stream(&parameters, None)?;
    send(
        &fixture.api,
        &[log(0, "info", "passed over", &json!({})), log(1, "error", "shown", &json!({ "n": 1 }))],
    )?;
    let (_, event) = stream.next().context("the stream ended")??;
    assert_eq!((&event["message"], &event["level"]), (&json!("shown"), &json!("error")));
    assert_eq!((&event["type"], &event["data"]["metadata"]), (&json!("log"), &json!({ "n": 1 })));
    assert_eq!(event["time"], event["data"]["time"]);
    Ok(())
}

#[test]
fn errors_have_logtides_shape() -> Result<()> {
    let fixture = Fixture::start()?;
    let (writer, _) = fixture.new_key(&["--scopes", "ingest"])?;
    let unknown = fixture.api.with_key("mp_wrong");
    let words = "a ".repeat(1025);
    for (api, parameters, status, error) in [
        (&unknown, ("limit", "1"), 401, "Unauthorized"),
        (&writer, ("limit", "1"), 403, "Forbidden"),
        (&fixture.api, ("limit", "1001"), 400, "Bad Request"),
        (&fixture.api, ("level", "loud"), 400, "Bad Request"),
        (&fixture.api, ("searchMode", "fuzzy"), 400, "Bad Request"),
        (&fixture.api, ("q", &words), 400, "Bad Request"),
        (&fixture.api, ("metadata_filters", "{"), 400, "Bad Request"),
        (&fixture.api, ("metadata_filters", r#"[{"key":"a","op":"like"}]"#), 400, "Bad Request"),
    ] {
        let reply = api.get(LOGS, &[parameters])?;
        assert_eq!(reply.status, status, "{parameters:?}");
        assert_eq!(
            (&reply.body["statusCode"], &reply.body["error"]),
            (&json!(status), &json!(error))
        );
        assert!(reply.body["message"].is_string(), "{}", reply.body);
    }
    Ok(())
}
