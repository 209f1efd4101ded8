//! Timberlogs' routes for reading: lists, searches, flows and statistics, as it documents them.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, messages},
    timberlogs::{LOGS, found, listed, log, send},
};

/// Four logs of one hour long ago.
fn filled() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let failed = json!({ "errorName": "PaymentError", "errorStack": "Traceback\n  at pay\nPaymentError: declined\n",
        "data": { "message": "declined", "card": { "kinds": ["visa debit"] } }, "flowId": "f-1", "stepIndex": 0,
        "userId": "u-1", "sessionId": "s-1", "dataset": "orders" });
    let logs = [
        log(0, "debug", "connecting to the bank", json!({ "source": "bank", "environment": "qa" })),
        log(1, "info", "order placed by test", json!({ "flowId": "f-1", "stepIndex": 1 })),
        log(2, "warn", "slow answer of the bank", json!({ "flowId": "f-1" })),
        log(3, "error", "payment failed", failed),
    ];
    send(&fixture.api, &json!(logs))?.succeeded()?;
    Ok(fixture)
}

#[test]
fn a_log_is_found_by_its_id_and_by_ours() -> Result<()> {
    let fixture = filled()?;
    let shown = listed(&fixture.api, LOGS, &[])?.remove(0);
    let id = shown["id"].as_str().context("no id")?;
    let ours = id.strip_prefix("log_").context("an id begins with `log_`")?;
    for id in [id, ours] {
        let found = fixture.api.get(&format!("{LOGS}/{id}"), &[])?.succeeded()?;
        assert_eq!(found.body, json!({ "log": shown }));
    }
    for id in ["log_nothing", "log_00000000000000000000000000000000"] {
        let absent = fixture.api.get(&format!("{LOGS}/{id}"), &[])?;
        assert_eq!((absent.status, &absent.body["error"]), (404, &json!("Log not found")));
    }
    Ok(())
}

#[test]
fn logs_are_listed_newest_first_by_every_filter() -> Result<()> {
    let fixture = filled()?;
    let [connecting, placed, slow, failed] = [
        "connecting to the bank",
        "order placed by test",
        "slow answer of the bank",
        "payment failed",
    ];
    for (name, value, expected) in [
        ("limit", "4", &[failed, slow, placed, connecting][..]),
        ("level", "error", &[failed]),
        ("level", "WARNING", &[slow]),
        ("source", "bank", &[connecting]),
        ("environment", "qa", &[connecting]),
        ("dataset", "orders", &[failed]),
        ("dataset", "default", &[slow, placed, connecting]),
        ("userId", "u-1", &[failed]),
        ("sessionId", "s-1", &[failed]),
        ("from", "1769860920500", &[failed, slow]),
        ("to", "1769860860500", &[placed, connecting]),
        ("to", "2026-01-31T12:00:00Z", &[]),
        ("level", "", &[failed, slow, placed, connecting]),
        ("unknown", "x", &[failed, slow, placed, connecting]),
    ] {
        assert_eq!(found(&fixture.api, LOGS, &[(name, value)])?, expected, "{name}={value}");
    }
    let pages = |offset| -> Result<(Vec<String>, Value)> {
        let parameters = [("limit", "3"), ("offset", offset)];
        let page = fixture.api.get(LOGS, &parameters)?.succeeded()?.body;
        Ok((found(&fixture.api, LOGS, &parameters)?, page["pagination"]["hasMore"].clone()))
    };
    assert_eq!(pages("0")?, (vec![failed.into(), slow.into(), placed.into()], json!(true)));
    assert_eq!(pages("3")?, (vec![connecting.into()], json!(false)));
    Ok(())
}

#[test]
fn levels_that_timberlogs_has_not_are_found_as_what_they_are_shown() -> Result<()> {
    let fixture = Fixture::start()?;
    let records = ["trace", "critical"].map(|level| json!({ "message": level, "level": level }));
    fixture.api.ingest(&records, None)?.succeeded()?;
    for (level, message) in [("debug", "trace"), ("error", "critical")] {
        let logs = listed(&fixture.api, LOGS, &[("level", level)])?;
        assert_eq!((messages(&logs), &logs[0]["level"]), (vec![message], &json!(level)));
    }
    Ok(())
}

#[test]
fn a_flow_is_listed_by_its_steps() -> Result<()> {
    let fixture = filled()?;
    let steps = ["payment failed", "order placed by test", "slow answer of the bank"];
    assert_eq!(found(&fixture.api, LOGS, &[("flowId", "f-1"), ("limit", "1000")])?, steps);
    let page = fixture
        .api
        .get(LOGS, &[("flowId", "f-1"), ("limit", "1"), ("offset", "1")])?
        .succeeded()?;
    assert_eq!(page.body["logs"][0]["message"], steps[1]);
    let pagination = json!({ "limit": 1, "offset": 1, "count": 1, "hasMore": true, "total": 3 });
    assert_eq!(page.body["pagination"], pagination);
    assert_eq!(found(&fixture.api, LOGS, &[("flowId", "f-2")])?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_search_understands_words_phrases_exclusions_and_alternatives() -> Result<()> {
    let fixture = filled()?;
    let search = "/v1/logs/search";
    let [connecting, placed, slow, failed] = [
        "connecting to the bank",
        "order placed by test",
        "slow answer of the bank",
        "payment failed",
    ];
    for (parameters, expected) in [
        (&[("q", "BANK the")][..], &[slow, connecting][..]),
        (&[("q", "\"the bank\"")], &[slow, connecting]),
        (&[("q", "\"bank the\"")], &[]),
        (&[("q", "bank -slow")], &[connecting]),
        (&[("q", "placed OR failed")], &[failed, placed]),
        (&[("q", "placed OR failed -test")], &[failed]),
        (&[("q", "PaymentError")], &[]),
        (&[("q", "PaymentError"), ("fields", "message,errorName")], &[failed]),
        (&[("q", "\"at pay\""), ("fields", "errorStack")], &[failed]),
        (&[("q", "visa"), ("fields", "data")], &[failed]),
        (&[("q", "visa"), ("fields", ",")], &[]),
        (&[("q", "bank"), ("source", "bank")], &[connecting]),
        (&[("q", "bank"), ("limit", "1")], &[slow]),
        (&[("q", "bank"), ("limit", "1"), ("offset", "1")], &[connecting]),
        (&[("q", "bank"), ("to", "1769860800500"), ("level", "debug")], &[connecting]),
    ] {
        assert_eq!(found(&fixture.api, search, parameters)?, expected, "{parameters:?}");
    }
    let parameters = [("q", "a \"b c\" -d e OR f"), ("fields", "message,data")];
    let reply = fixture.api.get(search, &parameters)?.succeeded()?;
    let parsed =
        json!({ "required": ["a"], "phrases": ["b c"], "excluded": ["d"], "optional": ["e", "f"] });
    let query = json!({ "raw": parameters[0].1, "parsed": parsed, "fields": ["message", "data"] });
    assert_eq!(reply.body["query"], query);
    assert_eq!(reply.body["pagination"]["limit"], 50);
    for (q, fields, error) in [
        ("x", "message", "Search query must be at least 2 characters"),
        ("xx", "title", "fields: `title`, expected message, errorName, errorStack or data"),
    ] {
        let refused = fixture.api.get(search, &[("q", q), ("fields", fields)])?;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!(error)));
    }
    Ok(())
}

#[test]
fn statistics_count_by_day_hour_and_source() -> Result<()> {
    let fixture = filled()?;
    let earlier = json!({ "timestamp": "2026-01-30T23:59:59Z" });
    send(&fixture.api, &json!([log(0, "info", "earlier", earlier)]))?.succeeded()?;
    let days = [("from", "2026-01-30"), ("to", "2026-01-31")];
    let asked = |by: &'static str| -> Result<Value> {
        let parameters = [&days[..], &[("groupBy", by)]].concat();
        Ok(fixture.api.get("/v1/stats", &parameters)?.succeeded()?.body)
    };
    let counts = |[debug, info, warn, error]: [i32; 4], more: Value| {
        let total = debug + info + warn + error;
        let mut counts =
            json!({ "debug": debug, "info": info, "warn": warn, "error": error, "total": total });
        for (name, value) in more.as_object().into_iter().flatten() {
            counts[name] = value.clone();
        }
        counts
    };
    let by_day = asked("day")?;
    let rows = [
        counts([1, 1, 1, 1], json!({ "date": "2026-01-31" })),
        counts([0, 1, 0, 0], json!({ "date": "2026-01-30" })),
    ];
    let period = json!({ "from": "2026-01-30", "to": "2026-01-31", "groupBy": "day" });
    let totals = counts([1, 2, 1, 1], json!({}));
    assert_eq!(by_day, json!({ "stats": rows, "totals": totals, "period": period }));
    let rows = [
        counts([1, 1, 1, 1], json!({ "date": "2026-01-31", "hour": 12 })),
        counts([0, 1, 0, 0], json!({ "date": "2026-01-30", "hour": 23 })),
    ];
    assert_eq!(asked("hour")?["stats"], json!(rows));
    let rows = [
        counts([0, 2, 1, 1], json!({ "source": "shop" })),
        counts([1, 0, 0, 0], json!({ "source": "bank" })),
    ];
    assert_eq!(asked("source")?["stats"], json!(rows));
    let of_bank = fixture.api.get("/v1/stats", &[&days[..], &[("source", "bank")]].concat())?;
    assert_eq!(of_bank.succeeded()?.body["totals"]["total"], 1);
    let long_ago = fixture.api.get("/v1/stats", &[])?.succeeded()?.body;
    assert_eq!(long_ago["stats"], json!([]));
    Ok(())
}

#[test]
fn the_summary_compares_today_with_yesterday() -> Result<()> {
    let fixture = filled()?;
    let now = json!([{ "level": "fatal", "message": "m", "source": "s", "environment": "e" }]);
    send(&fixture.api, &now)?.succeeded()?;
    let summary = fixture.api.get("/v1/stats/summary", &[])?.succeeded()?.body;
    let (today, comparison) = (&summary["today"], &summary["comparison"]);
    if today["total"] == 1 {
        let counts = json!({ "debug": 0, "info": 0, "warn": 0, "error": 1, "total": 1 });
        let compared = json!({ "yesterdayTotal": 0, "changePercent": 100, "trend": "up" });
        assert_eq!((today, comparison), (&counts, &compared));
    } else {
        // Midnight was between sending and asking.
        let compared = json!({ "yesterdayTotal": 1, "changePercent": -100, "trend": "down" });
        assert_eq!((&today["total"], comparison), (&json!(0), &compared));
    }
    Ok(())
}

#[test]
fn flows_are_made_and_listed() -> Result<()> {
    let fixture = filled()?;
    let long = "x".repeat(60);
    for name in ["checkout", &long] {
        let body = json!({ "name": name }).to_string();
        let made = fixture.api.post("/v1/flows", &[], body.as_bytes())?.succeeded()?.body;
        let id = made["flowId"].as_str().context("no id")?;
        assert!(
            id.len() <= 50 && name.starts_with(id.rsplit_once('-').context("no dash")?.0),
            "{id}"
        );
        assert_eq!(made["name"], name);
        let named = json!({ "flowId": id, "source": "till" });
        assert_eq!(
            send(&fixture.api, &json!([log(9, "info", "m", named)]))?.succeeded()?.body["count"],
            1
        );
    }
    let refused = fixture.api.post("/v1/flows", &[], b"{}")?;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("Validation error")));
    let listed =
        fixture.api.get("/v1/flows", &[("limit", "3"), ("to", "1769861100500")])?.succeeded()?;
    let expected = json!({ "flowId": "f-1", "source": "shop", "logCount": 3, "firstSeen": 1_769_860_860_500_u64,
        "lastSeen": 1_769_860_980_500_u64 });
    assert_eq!(listed.body["flows"], json!([expected]));
    let page = fixture.api.get("/v1/flows", &[("limit", "1"), ("offset", "1")])?.succeeded()?.body;
    let pagination = json!({ "limit": 1, "offset": 1, "count": 1, "hasMore": true, "total": 3 });
    assert_eq!((&page["pagination"], &page["flows"][0]["source"]), (&pagination, &json!("till")));
    let of_shop = fixture.api.get("/v1/flows", &[("source", "shop")])?.succeeded()?.body;
    assert_eq!(of_shop["flows"], json!([expected]));
    Ok(())
}
