//! Statements over records whose answers are known.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millpond_sql::{ANSWER_BYTES_MAX, Limits, ROWS, ROWS_MAX, SQL_BYTES_MAX, TIME, TIME_MAX};
use support::{ask, over, project, rows, written};

const SHOP: [&str; 5] = [
    r#"{"time":"2026-01-31T12:00:01Z","level":"info","service":"api","message":"order placed","tags":["shop","new"],"fields":{"duration_ms":12,"http":{"status":200},"user":"anna"}}"#,
    r#"{"time":"2026-01-31T12:00:02.5Z","level":"error","service":"api","message":"upstream 10.0.0.1 did not respond","trace_id":"t1","fields":{"duration_ms":900,"http":{"status":503},"user":"ben"}}"#,
    r#"{"time":"2026-01-31T12:04:59Z","level":"error","service":"pay","message":"upstream 10.0.0.2 did not respond","trace_id":"t1","fields":{"duration_ms":"501","user":null}}"#,
    r#"{"time":"2026-01-31T12:05:00Z","level":"warn","service":"api","message":"slow order","user_id":"u_7"}"#,
    r#"{"time":"2026-01-31T12:09:00Z","level":"info","service":"pay","message":"paid 100%","fields":{"duration_ms":20.5}}"#,
];

#[tokio::test]
async fn statements_give_the_rows_that_they_ask_for() {
    let (_, sql) = over(&SHOP).await;
    for (statement, expected) in [
        ("SELECT count(*) FROM logs", vec!["5"]),
        ("SELECT message FROM logs WHERE level = 'warn'", vec!["slow order"]),
        (
            "SELECT service, count(*) AS n FROM logs GROUP BY service ORDER BY n DESC, service",
            vec!["api|3", "pay|2"],
        ),
        ("SELECT message FROM logs ORDER BY time DESC LIMIT 1", vec!["paid 100%"]),
        (
            "SELECT date_bin(INTERVAL '5 minutes', time) AS bin, count(*) FROM logs GROUP BY bin ORDER BY bin",
            vec!["2026-01-31T12:00:00Z|3", "2026-01-31T12:05:00Z|2"],
        ),
        (
            "SELECT count(*) FROM logs WHERE time >= '2026-01-31T12:00:02.5Z' AND time < '2026-01-31 12:05:00Z'",
            vec!["2"],
        ),
        (
            "SELECT field(fields, 'http.status') FROM logs WHERE trace_id = 't1' ORDER BY time",
            vec!["503", ""],
        ),
        ("SELECT field(fields, 'user') FROM logs WHERE service = 'pay'", vec!["", ""]),
        ("SELECT sum(field_number(fields, 'duration_ms')) FROM logs", vec!["1433.5"]),
        (
            "SELECT message FROM logs WHERE field_number(fields, 'duration_ms') = 501",
            vec!["upstream 10.0.0.2 did not respond"],
        ),
        (
            "SELECT approx_percentile_cont(1.0) WITHIN GROUP (ORDER BY field_number(fields, 'duration_ms')) FROM logs",
            vec!["900.0"],
        ),
        (
            "SELECT regexp_replace(message, '\\d+', '#', 'g') AS kind, count(*) FROM logs WHERE level = 'error' \
             GROUP BY kind",
            vec!["upstream #.#.#.# did not respond|2"],
        ),
        ("SELECT count(*) FROM logs WHERE message ~ '^up.*respond$'", vec!["2"]),
        ("SELECT count(*) FROM logs WHERE message ILIKE '%ORDER%'", vec!["2"]),
        ("SELECT service || ':' || level FROM logs WHERE user_id = 'u_7'", vec!["api:warn"]),
        ("SELECT count(*) FROM logs WHERE array_has(tags, 'shop')", vec!["1"]),
        ("SELECT tags[2] FROM logs WHERE tags IS NOT NULL", vec!["new"]),
        ("SELECT count(*) FROM logs WHERE array_has_any(tags, ['x', 'new'])", vec!["1"]),
        (
            "WITH slow AS (SELECT * FROM logs WHERE field_number(fields, 'duration_ms') > 100) \
             SELECT a.service, b.service FROM slow a JOIN slow b ON a.trace_id = b.trace_id AND a.time < b.time",
            vec!["api|pay"],
        ),
        (
            "SELECT service FROM logs WHERE level IN (SELECT level FROM logs WHERE user_id = 'u_7')",
            vec!["api"],
        ),
        ("SELECT count(DISTINCT service) FILTER (WHERE level = 'error') FROM logs", vec!["2"]),
        ("SELECT severity_number, sequence FROM logs WHERE message LIKE 'slow%'", vec!["13|4"]),
        ("SELECT DISTINCT level FROM logs WHERE severity_number >= 17;", vec!["error"]),
        ("SELECT count(*) FROM logs WHERE time < now() + INTERVAL '1 day'", vec!["5"]),
        ("VALUES (1, 'a')", vec!["1|a"]),
    ] {
        assert_eq!(rows(&sql, statement).await, expected, "{statement}");
    }
}

#[tokio::test]
async fn a_star_has_the_columns_of_the_store() {
    let (_, sql) = over(&SHOP).await;
    let answer = ask(&sql, "SELECT * FROM logs LIMIT 0").await.unwrap();
    assert_eq!(answer.schema.fields(), millpond_store::schema().fields());
    assert!(!answer.truncated);
}

#[tokio::test]
async fn a_project_without_records_has_the_table() {
    let (_, sql) = over(&SHOP).await;
    let other = "other".parse().unwrap();
    let answer = sql.query(&other, "SELECT count(*) FROM logs", Limits::default()).await.unwrap();
    assert_eq!(written(&answer), ["0"]);
}

#[tokio::test]
async fn an_answer_ends_at_its_limit_and_says_so() {
    let records: Vec<String> =
        (0..9000).map(|n| format!(r#"{{"time":{n},"message":"m{n}"}}"#)).collect();
    let (_, sql) = over(&records).await;
    for (limit, rows, truncated) in [
        (0, 0, true),
        (10, 10, true),
        (8999, 8999, true),
        (9000, 9000, false),
        (99_999, 9000, false),
    ] {
        let limits = Limits { rows: limit, ..Limits::default() };
        let answer = sql.query(&project(), "SELECT message FROM logs", limits).await.unwrap();
        let found: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!((found, answer.truncated), (rows, truncated), "limit {limit}");
    }
    let limits = Limits { rows: 1, ..Limits::default() };
    let answer = sql.query(&project(), "EXPLAIN SELECT message FROM logs", limits).await.unwrap();
    assert!(answer.truncated && written(&answer)[0].contains("TableScan: logs"));
    assert_eq!(rows(&sql, "SELECT count(*), max(sequence) FROM logs").await, ["9000|9000"]);
}

#[tokio::test]
async fn what_the_documentation_shows_can_be_asked() {
    let (_, sql) = over(&SHOP).await;
    let page = include_str!("../../../docs/sql.md");
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let statements: Vec<&str> = blocks.flat_map(|block| block.split(";\n\n")).collect();
    assert_eq!(statements.len(), 2);
    for statement in statements {
        rows(&sql, statement).await;
    }
    for said in ["1 to 10,000 | 1000", "1 to 60,000 | 30,000", "at most 64 KiB", "at most 32 MiB"] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!((ROWS, ROWS_MAX, SQL_BYTES_MAX), (1000, 10_000, 64 << 10));
    assert_eq!((TIME.as_millis(), TIME_MAX.as_millis()), (30_000, 60_000));
    assert_eq!(ANSWER_BYTES_MAX, 32 << 20);
}
