//! LogiScout's routes: what its clients send in all their shapes is kept exactly, and requests are put together again.

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Reply};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, messages, sorted},
    streamlogia::Tail,
};

fn post(api: &Api, body: &Value) -> Result<Reply> {
    api.post("/ingest", &[("Content-Type", "application/json")], &serde_json::to_vec(body)?)
}

fn log(millis: u32, message: &str) -> Value {
    json!({ "timestamp": format!("2026-01-31T12:00:00.{millis:03}000+00:00"), "level": "info", "message": message,
        "loggerName": "shop.orders", "metadata": {}, "exception": null })
}

/// A slice of a request that began at this second.
fn slice(second: u32, logs: &[Value]) -> Value {
    json!({ "correlationId": "c-1", "startedAt": format!("2026-01-31T12:00:{second:02}.126464Z"),
        "endedAt": format!("2026-01-31T12:00:{second:02}.139464Z"), "durationMS": 13.25,
        "request": { "method": "GET", "path": "/orders/7", "statusCode": 200 }, "logs": logs })
}

fn story(fixture: &Fixture, parameters: &[(&str, &str)]) -> Result<Value> {
    Ok(fixture.api.get("/api/v1/requests/c-1", parameters)?.succeeded()?.body)
}

#[test]
fn slices_of_a_request_are_one_run_and_nothing_is_taken_for_a_double() -> Result<()> {
    let fixture = Fixture::start()?;
    let same = log(1, "the same");
    for payload in [
        slice(0, &[same.clone(), same.clone(), log(2, "first")]),
        slice(0, &[log(3, "second"), same]),
        slice(5, &[log(4, "another request")]),
    ] {
        let answer = post(&fixture.api, &json!({ "payloads": [payload] }))?.succeeded()?.body;
        assert_eq!(answer["status"], "accepted");
    }
    let fixture = fixture.restart(|| Ok(()))?;
    let whole = story(&fixture, &[])?;
    assert_eq!(whole["logs"].as_array().map(Vec::len), Some(6));
    let run = |second: u32, records: u32| {
        json!({ "service": "unknown_service", "start": format!("2026-01-31T12:00:{second:02}.126464000Z"),
            "end": format!("2026-01-31T12:00:{second:02}.139464000Z"), "duration_ms": 13.25, "method": "GET",
            "path": "/orders/7", "status_code": 200, "records": records })
    };
    assert_eq!(whole["summary"]["runs"], json!([run(0, 5), run(5, 1)]));
    // Of what does not fit on a page it is counted.
    let page = story(&fixture, &[("limit", "1")])?;
    assert_eq!(page["summary"], whole["summary"]);
    Ok(())
}

#[test]
fn what_millponds_own_middleware_records_is_a_run_too() -> Result<()> {
    let fixture = Fixture::start()?;
    let at = |second: u32| format!("2026-01-31T12:00:{second:02}Z");
    let logged = json!({ "message": "m", "service": "shop", "request_id": "c-1", "span_id": "s-1", "time": at(1) });
    let ended = json!({ "message": "GET /a 200", "service": "shop", "request_id": "c-1", "span_id": "s-1", "time": at(2),
        "fields": { "method": "GET", "path": "/a", "status": 200, "duration_ms": 1500.5 } });
    fixture.api.ingest(&[logged, ended], None)?.succeeded()?;
    for limit in ["10", "1"] {
        let summary = story(&fixture, &[("limit", limit)])?["summary"].clone();
        assert_eq!(
            summary["runs"],
            json!([{ "service": "shop", "start": "2026-01-31T12:00:00.499500000Z", "end": "2026-01-31T12:00:02.000000000Z",
                "duration_ms": 1500.5, "method": "GET", "path": "/a", "status_code": 200, "records": 2 }])
        );
        assert_eq!(summary["runs_count"], 1);
    }
    Ok(())
}

#[test]
fn a_log_is_a_record_with_all_that_its_payload_says() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut payload = slice(0, &[]);
    payload["serviceName"] = "shop".into();
    payload["environment"] = "production".into();
    payload["logs"] = json!([{ "timestamp": "2026-01-31T12:00:00.129546+00:00", "level": "critical", "message": "no stock",
        "loggerName": "shop.orders", "metadata": { "order_id": 9_007_199_254_740_993_u64, "status": "paid" },
        "exception": { "traceback": "Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 'x'" } }]);
    post(&fixture.api, &json!({ "payloads": [payload] }))?.succeeded()?;
    let stored = fixture.api.all(&[])?;
    let mut record = stored.first().context("nothing stored")?.clone();
    record
        .as_object_mut()
        .context("no object")?
        .retain(|key, _| key != "id" && key != "observed_time");
    assert_eq!(
        record,
        json!({ "time": "2026-01-31T12:00:00.129546000Z", "level": "critical", "service": "shop",
            "environment": "production", "message": "no stock", "logger": "shop.orders", "request_id": "c-1",
            "exception": { "type": "KeyError", "message": "'x'",
                "traceback": "Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 'x'" },
            "fields": { "request.start_time": "2026-01-31T12:00:00.126464Z", "request.end_time": "2026-01-31T12:00:00.139464Z",
                "request.duration_ms": 13.25, "http.request.method": "GET", "url.path": "/orders/7",
                "http.response.status_code": 200, "order_id": 9_007_199_254_740_993_u64, "status": "paid" } })
    );
    Ok(())
}

#[test]
fn nodes_clients_are_understood_and_get_an_id_for_each_payload_without_one() -> Result<()> {
    let fixture = Fixture::start()?;
    let session = |id: Value| {
        json!({ "type": "session", "data": { "correlationId": id, "startedAt": "2026-01-31T12:00:00Z", "durationMs": 5,
            "logs": [log(1, "first"), log(2, "second")] } })
    };
    let single = json!({ "type": "single", "data": { "level": "warn", "message": "single", "meta": { "button": "buy" },
        "correlationId": "no-correlation-id", "projectName": "web" } });
    let body = json!([session(Value::Null), session("no-correlation-id".into()), single]);
    assert_eq!(
        post(&fixture.api, &body)?.succeeded()?.body,
        json!({ "status": "accepted", "count": 5 })
    );
    let stored = fixture.api.all(&[])?;
    let ids: Vec<&str> = stored.iter().filter_map(|record| record["request_id"].as_str()).collect();
    let mut different = sorted(&ids);
    different.dedup();
    assert_eq!((ids.len(), different.len()), (5, 3), "{ids:?}");
    let web = fixture.api.get("/logs", &[("project_name", "web")])?.succeeded()?.body;
    assert_eq!(messages(web["logs"].as_array().context("no logs")?), ["single"]);
    Ok(())
}

#[test]
fn bad_elements_cost_only_themselves_and_errors_are_in_logiscouts_words() -> Result<()> {
    let fixture = Fixture::start()?;
    let body =
        json!({ "payloads": [slice(0, &[log(1, "kept"), json!(5)]), { "correlationId": "c-2" }] });
    let answer = post(&fixture.api, &body)?.succeeded()?.body;
    assert_eq!((&answer["count"], &answer["rejected_count"]), (&json!(1), &json!(2)));
    let rejected = answer["rejected"].as_array().context("no rejected")?;
    assert_eq!((&rejected[0]["index"], &rejected[1]["index"]), (&json!(1), &json!(2)));

    for body in [json!([5]), json!({}), json!("text"), json!({ "payloads": 7 })] {
        let reply = post(&fixture.api, &body)?;
        assert_eq!((reply.status, &reply.body["error"]), (400, &json!(true)), "{body}");
        assert_eq!(reply.body["statusCode"], 400);
    }
    let stranger = fixture.api.with_key("mp_wrong");
    for reply in [
        post(&stranger, &json!({}))?,
        stranger.get("/logs", &[])?,
        stranger.get("/live-logs", &[])?,
    ] {
        assert_eq!(
            (reply.status, &reply.body["error"]),
            (401, &json!("Invalid or missing API token"))
        );
    }
    assert_eq!(fixture.api.all(&[])?.len(), 1);
    Ok(())
}

#[test]
fn logs_are_found_by_request_and_time_and_shown_live() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut other = slice(5, &[log(9, "other")]);
    other["correlationId"] = "c-2".into();
    let body = json!({ "payloads": [slice(0, &[log(1, "first"), log(2, "second")]), other] });
    post(&fixture.api, &body)?.succeeded()?;
    let found = |parameters: &[(&str, &str)]| -> Result<Vec<String>> {
        let answer = fixture.api.get("/logs", parameters)?.succeeded()?.body;
        let logs = answer["logs"].as_array().context("no logs")?;
        assert_eq!(answer["count"], logs.len());
        Ok(messages(logs).into_iter().map(str::to_owned).collect())
    };
    assert_eq!(found(&[("correlation_id", "c-1")])?, ["second", "first"]);
    assert_eq!(found(&[("limit", "1"), ("offset", "1")])?, ["second"]);
    assert_eq!(
        found(&[("start", "2026-01-31T12:00:00.002Z"), ("end", "2026-01-31T12:00:00.009Z")])?,
        ["second"]
    );
    assert_eq!(found(&[("project_name", "default")])?.len(), 3);
    assert!(found(&[("project_name", "unheard of")])?.is_empty());
    let live = fixture.api.get("/live-logs", &[("projectId", "any")])?.succeeded()?.body;
    assert_eq!(messages(live["logs"].as_array().context("no logs")?), ["other", "second", "first"]);
    assert_eq!(live["logs"][0]["timestamp"], "12:00:00");
    Ok(())
}

#[test]
fn the_live_socket_shows_one_log_a_frame() -> Result<()> {
    let fixture = Fixture::start()?;
    let path = format!("/live-logs/socket?projectId=any&token={}", fixture.api.key());
    let mut tail = Tail::open(&fixture, &path)?;
    post(&fixture.api, &json!({ "payloads": [slice(0, &[log(1, "first"), log(2, "second")])] }))?
        .succeeded()?;
    let (first, second) = (tail.frame()?, tail.frame()?);
    assert_eq!((&first["message"], &second["message"]), (&json!("first"), &json!("second")));
    let expected = json!({ "correlation_id": "c-1", "request_method": "GET", "request_path": "/orders/7", "status_code": "200" });
    assert_eq!((&first["timestamp"], &first["metadata"]), (&json!("12:00:00"), &expected));
    assert_ne!(first["id"], second["id"]);
    Ok(())
}
