//! `/api/v1/query`: whole queries of the language, over records and over statistics.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fixture::{Fixture, messages, output};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Thirty records of a minute: 20 of `api`, with a duration, and 10 of `web`, of which 5 are errors.
fn stored() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let records: Vec<_> = (0..30)
        .map(|second| {
            let (service, level) = match second {
                0..20 => ("api", "info"),
                20..25 => ("web", "error"),
                _ => ("web", "info"),
            };
            let mut record = json!({ "time": format!("2026-01-31T12:00:{second:02}Z"), "service": service,
                                     "level": level, "message": format!("m{second}") });
            if service == "api" {
                record["fields"] = json!({ "duration_ms": second });
            }
            record
        })
        .collect();
    fixture.api.ingest(&records[..12], None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    fixture.api.ingest(&records[12..], None)?.succeeded()?;
    Ok(fixture)
}

fn post(fixture: &Fixture, body: &Value) -> Result<Value> {
    let body = body.to_string();
    Ok(fixture.api.post("/api/v1/query", &[JSON], body.as_bytes())?.succeeded()?.body)
}

fn ask(fixture: &Fixture, q: &str) -> Result<Value> {
    let posted = post(fixture, &json!({ "q": q }))?;
    let got = fixture.api.get("/api/v1/query", &[("q", q)])?.succeeded()?.body;
    assert_eq!(posted, got, "{q}");
    Ok(posted)
}

fn shown(page: &Value) -> Vec<&str> {
    page["logs"].as_array().map(|records| messages(records)).unwrap_or_default()
}

#[test]
fn a_query_without_pipes_is_a_page_with_its_total() -> Result<()> {
    let fixture = stored()?;
    let page = post(&fixture, &json!({ "q": "service:web", "limit": 4 }))?;
    assert_eq!(shown(&page), ["m29", "m28", "m27", "m26"]);
    assert_eq!((&page["total"], &page["total_relation"]), (&json!(10), &json!("exact")));
    let next =
        json!({ "q": "service:web", "limit": 400, "cursor": page["next_cursor"], "total": false });
    let next = post(&fixture, &next)?;
    assert_eq!(shown(&next), ["m25", "m24", "m23", "m22", "m21", "m20"]);
    assert!(next.get("total").is_none() && next.get("next_cursor").is_none());
    let narrow = json!({ "from": "2026-01-31T12:00:10Z", "to": "2026-01-31T12:00:12Z" });
    assert_eq!(shown(&post(&fixture, &narrow)?), ["m11", "m10"]);
    Ok(())
}

#[test]
fn statistics_are_a_table_of_typed_columns() -> Result<()> {
    let fixture = stored()?;
    let table = ask(
        &fixture,
        "* | stats count(), p50(duration_ms), max(duration_ms) as slowest by service | sort -count",
    )?;
    let types: Vec<_> = table["columns"]
        .as_array()
        .context("no columns")?
        .iter()
        .map(|column| (column["name"].as_str(), column["type"].as_str()))
        .collect();
    assert_eq!(types[0], (Some("service"), Some("string")));
    assert_eq!(types[1], (Some("count"), Some("integer")));
    assert_eq!(types[3].0, Some("slowest"));
    assert_eq!(table["rows"], json!([["api", 20, 9.5, 19], ["web", 10, null, null]]));
    assert_eq!(table["truncated"], false);
    Ok(())
}

#[test]
fn a_bin_is_a_time() -> Result<()> {
    let fixture = stored()?;
    let table = ask(&fixture, "service:web | stats count() by bin(10s)")?;
    assert_eq!(table["columns"][0]["type"], "time");
    assert_eq!(table["rows"], json!([["2026-01-31T12:00:20.000000000Z", 10]]));
    Ok(())
}

#[test]
fn what_the_query_limits_is_not_missing_and_what_the_caller_limits_is() -> Result<()> {
    let fixture = stored()?;
    let own = ask(&fixture, "* | stats count() by message | limit 3")?;
    assert_eq!((own["rows"].as_array().map(Vec::len), &own["truncated"]), (Some(3), &json!(false)));
    let cut = post(&fixture, &json!({ "q": "* | stats count() by message", "limit": 3 }))?;
    assert_eq!((cut["rows"].as_array().map(Vec::len), &cut["truncated"]), (Some(3), &json!(true)));
    let top = ask(&fixture, "* | top 1 service")?;
    assert_eq!(top["rows"], json!([["api", 20]]));
    Ok(())
}

#[test]
fn a_limit_in_the_query_holds_over_all_pages() -> Result<()> {
    let fixture = stored()?;
    let query = "* | sort time | limit 5";
    let first = post(&fixture, &json!({ "q": query, "limit": 3 }))?;
    assert_eq!((shown(&first), &first["total"]), (vec!["m0", "m1", "m2"], &json!(5)));
    let next = json!({ "q": query, "limit": 3, "cursor": first["next_cursor"] });
    let second = post(&fixture, &next)?;
    assert_eq!((shown(&second), &second["has_more"]), (vec!["m3", "m4"], &json!(false)));
    assert!(second.get("next_cursor").is_none());
    Ok(())
}

#[test]
fn records_are_sorted_by_a_field_and_cut_down_to_members() -> Result<()> {
    let fixture = stored()?;
    let page =
        ask(&fixture, "service:api | sort -duration_ms | fields message, duration_ms | limit 2")?;
    let logs = &page["logs"];
    assert_eq!(logs[0], json!({ "id": logs[0]["id"], "message": "m19", "duration_ms": 19 }));
    assert_eq!((shown(&page), page.get("next_cursor")), (vec!["m19", "m18"], None));
    Ok(())
}

#[test]
fn explain_shows_the_query_as_it_was_understood() -> Result<()> {
    let fixture = stored()?;
    let table =
        post(&fixture, &json!({ "q": "service:api |  stats count( ) by level", "explain": true }))?;
    assert_eq!(table["explain"]["query"], "service:api | stats count() by level");
    assert!(table["explain"]["rows"].is_number(), "{table}");
    Ok(())
}

#[test]
fn what_can_not_be_asked_is_refused_with_its_reason() -> Result<()> {
    let fixture = stored()?;
    for (body, code, word) in [
        (json!({ "q": "level:" }), "invalid_query", "a value"),
        (json!({ "q": "* | stats" }), "invalid_query", "expected"),
        (json!({ "q": "* | stats count() | sort size" }), "invalid_query", "size"),
        (json!({ "q": "* | sort level, service" }), "invalid_query", "one field"),
        (json!({ "q": "* | stats rate()" }), "invalid_parameter", "bin"),
        (json!({ "q": "x", "timeout_ms": 0 }), "invalid_parameter", "timeout_ms"),
        (json!({ "q": "x", "limit": 1001 }), "invalid_parameter", "limit"),
        (json!({ "query": "x" }), "invalid_body", "query"),
        (json!([]), "invalid_body", "expected"),
    ] {
        let reply = fixture.api.post("/api/v1/query", &[JSON], body.to_string().as_bytes())?;
        assert_eq!((reply.status, reply.code()), (400, code), "{body}: {}", reply.text);
        assert!(reply.message().contains(word), "{body}: {}", reply.text);
    }
    let wrong = fixture.api.get("/api/v1/query", &[("q", "service:api level:")])?;
    let place = json!([{ "position": 19, "expected": "a value", "found": "the end" }]);
    assert_eq!(wrong.body["details"], place);
    Ok(())
}

#[test]
fn the_program_prints_statistics_as_a_table() -> Result<()> {
    let fixture = stored()?;
    let run = |arguments: &[&str]| {
        let mut command =
            std::process::Command::new(millpond_system_tests::built_program("millpond")?);
        let key = fixture.api.key();
        output(command.arg("query").args(arguments).args([
            "--server",
            fixture.api.url(),
            "--key",
            key,
        ]))
    };
    let query = "* | stats count() by service | sort -count";
    assert_eq!(run(&[query])?, "service  count\napi         20\nweb         10\n");
    let json = "{\"service\":\"api\",\"count\":20}\n{\"service\":\"web\",\"count\":10}\n";
    assert_eq!(run(&[query, "--json"])?, json);
    assert_eq!(run(&["service:web | limit 7", "--json"])?.lines().count(), 7);
    Ok(())
}
