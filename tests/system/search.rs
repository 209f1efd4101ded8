//! Records found one by one, in pages, around each other and by what they belong to: `GET /api/v1/logs/{id}`, its
//! context, traces, requests, flows, facets and fields.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fixture::{Fixture, event_ids, events, ids, messages};

const DAY: &str = "2026-01-31T12:";

fn record(second: u32, message: &str, members: Value) -> Value {
    let mut record =
        json!({ "time": format!("{DAY}00:{second:02}Z"), "service": "api", "message": message });
    if let (Some(record), Value::Object(members)) = (record.as_object_mut(), members) {
        record.extend(members);
    }
    record
}

/// A server with these records, those of the first half wherever a restart puts them.
fn stored(records: &[Value]) -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let (before, after) = records.split_at(records.len() / 2);
    fixture.api.ingest(before, None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    fixture.api.ingest(after, None)?.succeeded()?;
    Ok(fixture)
}

fn id_of(fixture: &Fixture, message: &str) -> Result<String> {
    let found = fixture.api.all(&[("q", &format!("message:=\"{message}\""))])?;
    let id = found.first().and_then(|record| record["id"].as_str());
    Ok(id.with_context(|| format!("no record `{message}`"))?.to_owned())
}

fn get(fixture: &Fixture, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    Ok(fixture.api.get(path, parameters)?.succeeded()?.body)
}

fn shown(records: &Value) -> Vec<&str> {
    records.as_array().map(|records| messages(records)).unwrap_or_default()
}

#[test]
fn a_record_is_found_by_its_id() -> Result<()> {
    let fixture = stored(&[
        record(1, "one", json!({ "trace_id": "t", "fields": { "n": 1 } })),
        record(2, "two", json!({})),
    ])?;
    for message in ["one", "two"] {
        let listed = &fixture.api.all(&[("q", message)])?[0];
        let id = listed["id"].as_str().unwrap_or_default();
        assert_eq!(&get(&fixture, &format!("/api/v1/logs/{id}"), &[])?, listed);
    }
    for absent in ["0000000000000000ffffffffffffffff", "nothing", "a%2Fb"] {
        let reply = fixture.api.get(&format!("/api/v1/logs/{absent}"), &[])?;
        assert_eq!((reply.status, reply.code()), (404, "not_found"), "{absent}: {}", reply.text);
    }
    Ok(())
}

#[test]
fn a_record_of_another_project_has_neither_page_nor_context() -> Result<()> {
    let fixture = stored(&[record(1, "secret", json!({}))])?;
    let id = id_of(&fixture, "secret")?;
    let other = fixture.key(&["create", "--project", "other"])?;
    let other = fixture.api.with_key(&crate::fixture::printed_key(&other)?);
    for path in [format!("/api/v1/logs/{id}"), format!("/api/v1/logs/{id}/context")] {
        assert_eq!(other.get(&path, &[])?.status, 404, "{path}");
    }
    Ok(())
}

#[test]
fn the_context_of_a_record_is_what_stands_around_it() -> Result<()> {
    let same_instant = |message: &str| record(3, message, json!({ "trace_id": "t" }));
    let fixture = stored(&[
        record(1, "first", json!({})),
        record(2, "elsewhere", json!({ "service": "payments", "trace_id": "t" })),
        same_instant("second"),
        same_instant("middle"),
        same_instant("fourth"),
        record(4, "last", json!({ "service": "payments" })),
    ])?;
    let id = id_of(&fixture, "middle")?;
    let path = format!("/api/v1/logs/{id}/context");
    for (parameters, before, after, more) in [
        (vec![], vec!["first", "second"], vec!["fourth"], (false, false)),
        (
            vec![("within", "all"), ("before", "2")],
            vec!["elsewhere", "second"],
            vec!["fourth", "last"],
            (true, false),
        ),
        (vec![("within", "trace")], vec!["elsewhere", "second"], vec!["fourth"], (false, false)),
        (vec![("before", "0"), ("after", "0")], vec![], vec![], (true, true)),
    ] {
        let context = get(&fixture, &path, &parameters)?;
        assert_eq!(shown(&context["before"]), before, "{parameters:?}");
        assert_eq!(shown(&context["after"]), after, "{parameters:?}");
        assert_eq!(context["log"]["message"], "middle");
        assert_eq!(context["has_more_before"], more.0, "{parameters:?}");
        assert_eq!(context["has_more_after"], more.1, "{parameters:?}");
    }
    for wrong in [("within", "request"), ("within", "house"), ("before", "501")] {
        let reply = fixture.api.get(&path, &[wrong])?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn a_trace_comes_in_pages_with_a_summary_on_the_first() -> Result<()> {
    let of_trace = |second, service: &str, level: &str| {
        record(second, level, json!({ "trace_id": "t/1 ü", "service": service, "level": level }))
    };
    let fixture = stored(&[
        of_trace(1, "web", "info"),
        of_trace(2, "api", "error"),
        record(2, "other", json!({ "trace_id": "t2" })),
        of_trace(3, "api", "critical"),
    ])?;
    let path = "/api/v1/logs/trace/t%2F1%20%C3%BC";
    let summary = json!({
        "records": 3, "errors": 2,
        "services": [{ "service": "api", "count": 2 }, { "service": "web", "count": 1 }],
        "first_time": "2026-01-31T12:00:01.000000000Z", "last_time": "2026-01-31T12:00:03.000000000Z",
        "duration_ms": 2000.0,
    });
    let whole = get(&fixture, path, &[])?;
    assert_eq!(shown(&whole["logs"]), ["info", "error", "critical"]);
    assert_eq!((&whole["summary"], &whole["has_more"]), (&summary, &json!(false)));

    let first = get(&fixture, path, &[("limit", "2")])?;
    assert_eq!(shown(&first["logs"]), ["info", "error"]);
    assert_eq!(first["summary"], summary);
    let cursor = first["next_cursor"].as_str().context("no next_cursor")?;
    let second = get(&fixture, path, &[("limit", "2"), ("cursor", cursor)])?;
    assert_eq!(shown(&second["logs"]), ["critical"]);
    assert_eq!((&second["summary"], &second["has_more"]), (&Value::Null, &json!(false)));

    let unknown = get(&fixture, "/api/v1/logs/trace/unknown", &[])?;
    assert_eq!((&unknown["logs"], &unknown["summary"]["records"]), (&json!([]), &json!(0)));
    Ok(())
}

#[test]
fn a_request_is_told_with_all_its_records() -> Result<()> {
    let fixture = stored(&[
        record(1, "begins", json!({ "request_id": "r-1" })),
        record(2, "goes on", json!({ "request_id": "r-1", "service": "payments" })),
        record(3, "another", json!({ "request_id": "r-2" })),
    ])?;
    let request = get(&fixture, "/api/v1/requests/r-1", &[])?;
    assert_eq!(shown(&request["logs"]), ["begins", "goes on"]);
    assert_eq!(request["summary"]["duration_ms"], 1000.0);
    Ok(())
}

#[test]
fn a_flow_is_told_by_its_steps_and_names_those_that_are_missing() -> Result<()> {
    let step = |second, step: u32| {
        record(
            second,
            &format!("step {step}"),
            json!({ "flow_id": "checkout-a7x9k2f3", "step_index": step }),
        )
    };
    let fixture = stored(&[
        step(5, 4),
        step(1, 0),
        step(2, 1),
        record(9, "no step", json!({ "flow_id": "checkout-a7x9k2f3" })),
        step(3, 1),
    ])?;
    let flow = get(&fixture, "/api/v1/flows/checkout-a7x9k2f3", &[])?;
    let steps = flow["steps"].as_array().context("no steps")?;
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step["log"]["message"].as_str(), &step["step_index"], &step["gap_ms"]))
        .collect();
    assert_eq!(
        told,
        [
            (Some("step 0"), &json!(0), &Value::Null),
            (Some("step 1"), &json!(1), &json!(1000.0)),
            (Some("step 1"), &json!(1), &json!(1000.0)),
            (Some("step 4"), &json!(4), &json!(2000.0)),
            (Some("no step"), &Value::Null, &json!(4000.0)),
        ]
    );
    assert_eq!((&flow["name"], &flow["missing_steps"]), (&json!("checkout"), &json!([2, 3])));
    assert_eq!(flow["summary"]["duration_ms"], 8000.0);
    Ok(())
}

#[test]
fn facets_count_the_values_of_any_field() -> Result<()> {
    let with = |service: &str, status: Value| json!({ "message": "m", "service": service, "fields": { "http": { "status": status } } });
    let fixture = stored(&[
        with("api", json!(200)),
        with("api", json!(503)),
        with("api", json!(200)),
        with("web", json!("none")),
        json!({ "message": "no status", "service": "web" }),
    ])?;
    let asked = [("field", "service,http.status"), ("field", "level"), ("limit", "2")];
    let facets = get(&fixture, "/api/v1/facets", &asked)?;
    let value = |value: Value, count: u32| json!({ "value": value, "count": count });
    assert_eq!(
        facets["facets"][0],
        json!({ "field": "service", "values": [value("api".into(), 3), value("web".into(), 2)], "has_more": false })
    );
    let status = &facets["facets"][1];
    assert_eq!((&status["field"], &status["has_more"]), (&json!("http.status"), &json!(true)));
    assert_eq!(status["values"][0]["count"], 2);
    assert_eq!(facets["facets"][2]["values"], json!([value("info".into(), 5)]));
    let narrowed = get(&fixture, "/api/v1/facets", &[("field", "service"), ("q", "status")])?;
    assert_eq!(narrowed["facets"][0]["values"], json!([value("web".into(), 1)]));
    for asked in [&[][..], &[("field", "service,fields")]] {
        let reply = fixture.api.get("/api/v1/facets", asked)?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"));
    }
    Ok(())
}

#[test]
fn fields_are_named_with_their_types() -> Result<()> {
    let fixture = Fixture::start()?;
    let fields = get(&fixture, "/api/v1/fields", &[])?;
    let fields = fields["fields"].as_array().context("no fields")?;
    for (name, kind) in
        [("time", "time"), ("service", "string"), ("tags", "array"), ("step_index", "integer")]
    {
        assert!(fields.contains(&json!({ "name": name, "type": kind })), "{name}");
    }
    Ok(())
}

#[test]
fn a_search_counts_explains_orders_and_chooses_when_it_is_asked_to() -> Result<()> {
    let records: Vec<_> = (0..30)
        .map(|second| {
            record(
                second,
                &format!("m{second}"),
                json!({ "fields": { "n": second, "deep": { "er": [second] } } }),
            )
        })
        .collect();
    let fixture = stored(&records)?;
    let page = get(&fixture, "/api/v1/logs", &[("limit", "2")])?;
    assert!(page.get("total").is_none() && page.get("explain").is_none());

    let asked = [
        ("limit", "2"),
        ("total", "true"),
        ("explain", "true"),
        ("order", "asc"),
        ("offset", "3"),
        ("q", "n:>=10"),
        ("fields", "message,deep.er,user_id"),
    ];
    let page = get(&fixture, "/api/v1/logs", &asked)?;
    assert_eq!((&page["total"], &page["total_relation"]), (&json!(20), &json!("exact")));
    assert_eq!(page["explain"]["query"], "n:>=10");
    assert!(page["explain"]["elapsed_ms"].is_number() && page["explain"]["segments"].is_number());
    let first = &page["logs"][0];
    assert_eq!(first, &json!({ "id": first["id"], "message": "m13", "deep.er": [13] }));
    assert_eq!(shown(&page["logs"]), ["m13", "m14"]);

    let beyond = get(&fixture, "/api/v1/logs", &[("offset", "40"), ("total", "true")])?;
    assert_eq!((&beyond["logs"], &beyond["total"]), (&json!([]), &json!(30)));
    let cursor = page["next_cursor"].as_str().context("no next_cursor")?;
    let both = fixture.api.get("/api/v1/logs", &[("cursor", cursor), ("offset", "1")])?;
    assert_eq!((both.status, both.code()), (400, "invalid_parameter"));
    Ok(())
}

#[test]
fn several_services_and_levels_may_be_named() -> Result<()> {
    let of = |service: &str, level: &str| json!({ "message": format!("{service} {level}"), "service": service, "level": level, "host": service });
    let fixture = stored(&[of("a,b", "info"), of("c", "error"), of("d", "critical")])?;
    for (parameters, expected) in [
        (vec![("service", "a,b"), ("service", "c")], 2),
        (vec![("level", "error,critical")], 2),
        (vec![("level", "error"), ("level", "info")], 2),
        (vec![("level", "error,critical"), ("service", "d")], 1),
        (vec![("host", "c")], 1),
    ] {
        assert_eq!(fixture.api.all(&parameters)?.len(), expected, "{parameters:?}");
    }
    Ok(())
}

#[test]
fn times_may_be_said_from_now() -> Result<()> {
    let fixture = Fixture::start()?;
    fixture
        .api
        .ingest(&[json!({ "message": "now" }), record(1, "long ago", json!({}))], None)?
        .succeeded()?;
    for (parameters, expected) in [
        (vec![("from", "now-15m")], vec!["now"]),
        (vec![("from", "-1h"), ("to", "now+1h")], vec!["now"]),
        (vec![("to", "now-15m")], vec!["long ago"]),
        (vec![("from", "now+1h")], vec![]),
    ] {
        assert_eq!(messages(&fixture.api.all(&parameters)?), expected, "{parameters:?}");
    }
    Ok(())
}

#[test]
fn pages_from_the_oldest_on_neither_shift_nor_repeat_while_records_arrive() -> Result<()> {
    let fixture = Fixture::start()?;
    let before = ids("before", 250);
    fixture.api.ingest(&events(&before), None)?.succeeded()?;
    let mut seen = Vec::new();
    let mut cursor = None::<String>;
    for round in 0.. {
        let mut asked = vec![("limit", "100"), ("order", "asc"), ("q", "before")];
        asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = fixture.api.page(&asked)?;
        seen.extend(event_ids(&page.logs));
        // Records of before, which arrive late, stand before what was seen.
        let mut late = events(&ids(&format!("late-{round}"), 30));
        late.iter_mut().for_each(|record| record["time"] = "2020-01-01T00:00:00Z".into());
        fixture.api.ingest(&late, None)?.succeeded()?;
        fixture.api.ingest(&events(&ids(&format!("during-{round}"), 30)), None)?.succeeded()?;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, before);
    Ok(())
}

#[test]
fn the_path_is_decoded_or_refused_in_json() -> Result<()> {
    let fixture = stored(&[record(1, "m", json!({ "trace_id": "100%" }))])?;
    assert_eq!(fixture.api.trace("100%25")?.len(), 1);
    let reply = fixture.api.get("/api/v1/logs/trace/%ff", &[])?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"), "{}", reply.text);
    Ok(())
}
