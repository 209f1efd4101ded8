//! `GET /api/v1/logs`, `/logs/trace/{id}` and `/logs/aggregated` over records that are partly in the log, partly in
//! segments.

use anyhow::Result;
use serde_json::{Value, json};

use crate::fixture::{Fixture, event_ids, events, ids, messages};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn shop() -> [Value; 4] {
    let at = |minute: u32| format!("2026-01-31T12:{minute:02}:00Z");
    [
        json!({ "time": at(1), "level": "info", "service": "api", "message": "order placed",
                "fields": { "duration_ms": 12, "http": { "status": 200 } } }),
        json!({ "time": at(2), "level": "error", "service": "api", "message": "upstream did not respond in time",
                "trace_id": TRACE, "fields": { "duration_ms": 900, "http": { "status": 503 } } }),
        json!({ "time": at(3), "level": "error", "service": "payments", "message": "card did respond with code 51",
                "trace_id": TRACE, "fields": { "duration_ms": 501, "http": { "status": 402 } } }),
        json!({ "time": at(9), "level": "warn", "service": "api", "message": "slow order" }),
    ]
}

/// The records are in two places: the first two in a segment or wherever a restart puts them, the others fresh.
fn stored() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let records = shop();
    fixture.api.ingest(&records[..2], None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    fixture.api.ingest(&records[2..], None)?.succeeded()?;
    Ok(fixture)
}

#[test]
fn a_query_finds_what_it_says_newest_first() -> Result<()> {
    let fixture = stored()?;
    let [placed, upstream, card, slow] = [
        "order placed",
        "upstream did not respond in time",
        "card did respond with code 51",
        "slow order",
    ];
    for (query, expected) in [
        ("", vec![slow, card, upstream, placed]),
        ("ORDER", vec![slow, placed]),
        ("order -slow", vec![placed]),
        ("\"did not respond\"", vec![upstream]),
        ("respond OR placed", vec![card, upstream, placed]),
        ("level:error", vec![card, upstream]),
        ("level:error service:api", vec![upstream]),
        ("(level:error OR level:warn) service:api", vec![slow, upstream]),
        ("duration_ms:>500", vec![card, upstream]),
        ("fields.http.status:503", vec![upstream]),
        ("service:pay*", vec![card]),
        (&format!("trace_id:{TRACE}"), vec![card, upstream]),
        ("nothing_like_this", vec![]),
    ] {
        let found = fixture.api.all(&[("q", query)])?;
        assert_eq!(messages(&found), expected, "{query}");
    }
    Ok(())
}

#[test]
fn parameters_and_times_narrow_what_a_query_finds() -> Result<()> {
    let fixture = stored()?;
    for (parameters, expected) in [
        (vec![("service", "api"), ("level", "error")], 1),
        (vec![("q", "respond"), ("service", "payments")], 1),
        (vec![("trace_id", TRACE)], 2),
        // `from` is included, `to` is not.
        (vec![("from", "2026-01-31T12:02:00Z"), ("to", "2026-01-31T12:09:00Z")], 2),
        (vec![("from", "2026-01-31T14:02:00+02:00")], 3),
    ] {
        assert_eq!(fixture.api.all(&parameters)?.len(), expected, "{parameters:?}");
    }
    Ok(())
}

#[test]
fn a_trace_is_told_oldest_first_across_services() -> Result<()> {
    let fixture = stored()?;
    let records = fixture.api.trace(TRACE)?;
    let services: Vec<_> = records.iter().map(|record| &record["service"]).collect();
    assert_eq!(services, ["api", "payments"]);
    assert!(fixture.api.trace("00000000000000000000000000000001")?.is_empty());
    Ok(())
}

#[test]
fn counts_over_time_by_level_add_up_and_show_the_gaps() -> Result<()> {
    let fixture = stored()?;
    let window = [("from", "2026-01-31T12:00:00Z"), ("to", "2026-01-31T12:10:00Z")];
    let counts = fixture.api.aggregated(&[&window[..], &[("interval", "1m")]].concat())?;
    assert_eq!(counts["total"], 4);
    let series = counts["timeseries"].as_array().cloned().unwrap_or_default();
    let totals: Vec<_> = series.iter().map(|bucket| bucket["total"].as_u64()).collect();
    let expected = [0, 1, 1, 1, 0, 0, 0, 0, 0, 1].map(Some);
    assert_eq!(totals, expected);
    assert_eq!(series[3]["by_level"], json!({ "error": 1 }));
    assert_eq!(counts["top_services"][0], json!({ "service": "api", "count": 3 }));
    let errors =
        fixture.api.aggregated(&[&window[..], &[("q", "level:error service:api")]].concat())?;
    assert_eq!(errors["total"], 1);
    let message = "upstream did not respond in time";
    assert_eq!(
        errors["top_errors"],
        json!([{ "message": message, "count": 1, "template": message, "last_time": "2026-01-31T12:02:00.000000000Z" }])
    );
    Ok(())
}

#[test]
fn errors_that_differ_in_numbers_are_of_one_kind() -> Result<()> {
    let fixture = Fixture::start()?;
    let failed = |minute: u32, order: u32| {
        json!({ "time": format!("2026-01-31T12:{minute:02}:00Z"), "level": "error",
                "message": format!("order {order} failed") })
    };
    let mut records = vec![failed(1, 7), failed(9, 8), failed(3, 9)];
    records.push(
        json!({ "time": "2026-01-31T12:05:00Z", "level": "critical", "message": "disk full" }),
    );
    records.push(json!({ "time": "2026-01-31T12:05:00Z", "message": "order 10 failed" }));
    fixture.api.ingest(&records, None)?.succeeded()?;
    let window = [("from", "2026-01-31T12:00:00Z"), ("to", "2026-01-31T13:00:00Z")];
    let errors = fixture.api.aggregated(&window)?;
    assert_eq!(
        errors["top_errors"],
        json!([
            { "message": "order 8 failed", "count": 3, "template": "order <*> failed",
              "last_time": "2026-01-31T12:09:00.000000000Z" },
            { "message": "disk full", "count": 1, "template": "disk full",
              "last_time": "2026-01-31T12:05:00.000000000Z" },
        ])
    );
    Ok(())
}

#[test]
fn pages_neither_shift_nor_repeat_while_records_arrive() -> Result<()> {
    let fixture = Fixture::start()?;
    let before = ids("before", 250);
    fixture.api.ingest(&events(&before), None)?.succeeded()?;
    let mut seen = Vec::new();
    let mut cursor = None::<String>;
    for round in 0.. {
        let mut asked = vec![("limit", "100")];
        asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = fixture.api.page(&asked)?;
        seen.extend(event_ids(&page.logs));
        fixture.api.ingest(&events(&ids(&format!("during-{round}"), 30)), None)?.succeeded()?;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(crate::fixture::sorted(&seen), crate::fixture::sorted(&before));
    Ok(())
}

#[test]
fn records_of_the_same_instant_keep_the_order_in_which_they_were_sent() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent = ids("same-instant", 300);
    let mut records = events(&sent);
    for record in &mut records {
        record["time"] = json!("2026-01-31T12:00:00Z");
    }
    for (sequence, batch) in records.chunks(100).enumerate() {
        fixture.api.ingest(batch, Some(&format!("client-a:{sequence}")))?.succeeded()?;
    }
    let mut found = event_ids(&fixture.api.all(&[])?);
    found.reverse();
    assert_eq!(found, sent);
    let fixture = fixture.restart(|| Ok(()))?;
    let mut found = event_ids(&fixture.api.all(&[])?);
    found.reverse();
    assert_eq!(found, sent);
    Ok(())
}

#[test]
fn a_wrong_query_says_where_and_what_was_expected() -> Result<()> {
    let fixture = Fixture::start()?;
    for query in ["(level:error", "level:", "duration_ms:>", "\"open"] {
        let reply = fixture.api.get("/api/v1/logs", &[("q", query)])?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_query"), "{query}: {}", reply.text);
        assert!(reply.message().contains("expected"), "{query}: {}", reply.message());
        let place = &reply.body["details"][0];
        assert!(place["position"].is_number() && place["expected"].is_string(), "{}", reply.text);
    }
    Ok(())
}

#[test]
fn a_thousand_terms_are_answered_and_more_are_refused() -> Result<()> {
    let fixture = stored()?;
    let ids = (0..1000).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" OR ");
    for query in [format!("trace_id:({ids})"), "-x ".repeat(1024), format!("service:* -({ids})")] {
        let reply = fixture.api.get("/api/v1/logs/aggregated", &[("q", &query)])?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let reply = fixture.api.get("/api/v1/logs", &[("q", &query)])?;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    for query in ["x ".repeat(1025), "x".repeat(60_000), "(".repeat(1000)] {
        let reply = fixture.api.get("/api/v1/logs", &[("q", &query)])?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_query"), "{}", reply.text);
    }
    Ok(())
}

#[test]
fn a_wrong_parameter_is_named() -> Result<()> {
    let fixture = Fixture::start()?;
    for (name, value) in [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "many"),
        ("from", "yesterday"),
        ("level", "loud"),
        ("level", ""),
        ("level", "error,"),
        ("order", "random"),
        ("total", "yes"),
        ("timeout_ms", "60001"),
        ("cursor", "not a cursor"),
    ] {
        let reply = fixture.api.get("/api/v1/logs", &[(name, value)])?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"), "{name}={value}");
        assert!(reply.message().contains(name), "{name}={value}: {}", reply.message());
    }
    let backwards = [("from", "2026-02-01T00:00:00Z"), ("to", "2026-01-01T00:00:00Z")];
    assert_eq!(fixture.api.get("/api/v1/logs", &backwards)?.code(), "invalid_parameter");
    assert_eq!(fixture.api.get("/api/v1/logs/trace/t", &[("q", "x")])?.code(), "invalid_parameter");
    let reply = fixture.api.get("/api/v1/logs/aggregated", &[("interval", "often")])?;
    assert_eq!((reply.status, reply.code()), (400, "invalid_parameter"), "{}", reply.text);
    Ok(())
}
