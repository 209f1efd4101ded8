//! `POST /api/v1/sql` and `millpond sql`.

use std::process::Command;

use anyhow::Result;
use millpond_system_tests::{Api, Reply, built_program};
use serde_json::{Value, json};

use crate::fixture::{Fixture, output};

fn ask(api: &Api, question: &Value) -> Result<Reply> {
    let headers = [("Content-Type", "application/json")];
    api.post("/api/v1/sql", &headers, question.to_string().as_bytes())
}

fn rows(api: &Api, sql: &str) -> Result<Value> {
    Ok(ask(api, &json!({ "sql": sql }))?.succeeded()?.body["rows"].take())
}

/// Three records, the first two in a segment.
fn stored() -> Result<Fixture> {
    let fixture = Fixture::start()?;
    let record = |minute: u32, level: &str, service: &str, duration: u32| {
        json!({ "time": format!("2026-01-31T12:{minute:02}:00Z"), "level": level, "service": service,
                "message": format!("took {duration} ms"), "fields": { "duration_ms": duration, "http": { "status": 200 } } })
    };
    let first = [record(1, "info", "api", 12), record(2, "error", "api", 900)];
    fixture.api.ingest(&first, None)?.succeeded()?;
    let fixture = fixture.restart(|| Ok(()))?;
    fixture.api.ingest(&[record(9, "error", "pay", 501)], None)?.succeeded()?;
    Ok(fixture)
}

#[test]
fn a_statement_is_answered_with_columns_and_rows() -> Result<()> {
    let fixture = stored()?;
    let question = json!({ "sql": "SELECT time, service, severity_number, field(fields, 'http.status') AS status, \
                                   user_id FROM logs ORDER BY time DESC", "limit": 2, "timeout_ms": 20_000 });
    let answer = ask(&fixture.api, &question)?.succeeded()?.body;
    let column = |name: &str, of: &str| json!({ "name": name, "type": of });
    assert_eq!(
        answer,
        json!({
            "columns": [column("time", "time"), column("service", "string"), column("severity_number", "integer"),
                        column("status", "string"), column("user_id", "string")],
            "rows": [["2026-01-31T12:09:00.000000000Z", "pay", 17, "200", null],
                     ["2026-01-31T12:02:00.000000000Z", "api", 17, "200", null]],
            "truncated": true
        })
    );
    for (sql, expected) in [
        (
            "SELECT service, count(*) FROM logs GROUP BY service ORDER BY 1",
            json!([["api", 2], ["pay", 1]]),
        ),
        (
            "SELECT message FROM logs WHERE field_number(fields, 'duration_ms') > 600",
            json!([["took 900 ms"]]),
        ),
        (
            "SELECT date_bin(INTERVAL '5 minutes', time) AS bin, count(*) FROM logs WHERE level = 'error' \
             AND time >= '2026-01-31T12:00:00Z' GROUP BY bin ORDER BY bin",
            json!([["2026-01-31T12:00:00.000000000Z", 1], ["2026-01-31T12:05:00.000000000Z", 1]]),
        ),
        ("SELECT max(field_number(fields, 'duration_ms')) FROM logs", json!([[900.0]])),
        ("SELECT message FROM logs WHERE service = 'nobody'", json!([])),
    ] {
        assert_eq!(rows(&fixture.api, sql)?, expected, "{sql}");
    }
    Ok(())
}

#[test]
fn what_only_reads_is_answered_and_everything_else_is_refused() -> Result<()> {
    let fixture = stored()?;
    for sql in [
        "DROP TABLE logs",
        "DELETE FROM logs",
        "INSERT INTO logs SELECT * FROM logs",
        "COPY logs TO '/tmp/logs.csv'",
        "CREATE EXTERNAL TABLE t (line TEXT) STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
        "SELECT repeat('x', 1000000000)",
        "SELECT nonsense FROM logs",
        "SELECT FROM WHERE",
        "",
    ] {
        let reply = ask(&fixture.api, &json!({ "sql": sql }))?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_query"), "{sql}: {}", reply.text);
    }
    let reply = ask(&fixture.api, &json!({ "sql": "SELECT message\nFRM logs" }))?;
    assert!(reply.message().contains("line 2, column"), "{}", reply.message());
    for body in [
        json!({}),
        json!({ "sql": 1 }),
        json!({ "sql": "SELECT 1", "unknown": 1 }),
        json!({ "sql": "SELECT 1", "limit": 0 }),
        json!({ "sql": "SELECT 1", "limit": 10_001 }),
        json!({ "sql": "SELECT 1", "timeout_ms": 0 }),
        json!({ "sql": "SELECT 1", "timeout_ms": 60_001 }),
    ] {
        let reply = ask(&fixture.api, &body)?;
        assert_eq!((reply.status, reply.code()), (400, "invalid_body"), "{body}: {}", reply.text);
        assert!(reply.message().contains("expected"), "{}", reply.message());
    }
    assert_eq!(rows(&fixture.api, "SELECT count(*) FROM logs")?, json!([[3]]));
    Ok(())
}

#[test]
fn a_statement_that_takes_too_long_is_ended() -> Result<()> {
    let fixture = stored()?;
    let endless =
        "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x FROM r) SELECT count(*) FROM r";
    let reply = ask(&fixture.api, &json!({ "sql": endless, "timeout_ms": 100 }))?;
    assert_eq!((reply.status, reply.code()), (503, "query_timeout"), "{}", reply.text);
    assert_eq!(rows(&fixture.api, "SELECT count(*) FROM logs")?, json!([[3]]));
    Ok(())
}

#[test]
fn a_statement_sees_the_project_of_its_key_alone() -> Result<()> {
    let fixture = stored()?;
    let (other, _) = fixture.new_key(&["--project", "other", "--name", "other"])?;
    let (ingest, _) = fixture.new_key(&["--scopes", "ingest", "--name", "ingest"])?;
    let known = millpond_system_tests::wait_for(std::time::Duration::from_secs(30), || {
        let statuses =
            [&other, &ingest].map(|api| api.get("/api/v1/key", &[]).map(|reply| reply.status));
        Ok(statuses
            .into_iter()
            .all(|status| status.is_ok_and(|status| status == 200))
            .then_some(()))
    })?;
    assert!(known.is_some(), "the running server never took the new keys");
    other.ingest(&[json!({ "message": "theirs", "service": "secret" })], None)?.succeeded()?;
    assert_eq!(rows(&other, "SELECT message FROM logs")?, json!([["theirs"]]));
    assert_eq!(
        rows(&fixture.api, "SELECT count(*) FROM logs WHERE message = 'theirs'")?,
        json!([[0]])
    );
    for table in ["other", "other.logs", "other.public.logs", "default.public.logs"] {
        assert_eq!(
            ask(&fixture.api, &json!({ "sql": format!("SELECT * FROM {table}") }))?.status,
            400
        );
    }
    let refused = ask(&ingest, &json!({ "sql": "SELECT 1" }))?;
    assert_eq!((refused.status, refused.code()), (403, "missing_scope"));
    Ok(())
}

#[test]
fn sql_prints_a_table_or_a_line_of_json_a_row() -> Result<()> {
    let fixture = stored()?;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(built_program("millpond")?);
        command
            .arg("sql")
            .arg("SELECT service, count(*) AS n FROM logs GROUP BY service ORDER BY n DESC");
        command.args(arguments);
        command
            .env("MILLPOND_ENDPOINT", fixture.api.url())
            .env("MILLPOND_API_KEY", fixture.api.key());
        output(&mut command)
    };
    assert_eq!(run(&[])?, "service  n\napi      2\npay      1\n");
    assert_eq!(run(&["--json", "--limit", "1"])?, "{\"service\":\"api\",\"n\":2}\n");
    assert!(
        run(&["--limit", "0"])
            .is_err_and(|error| error.to_string().contains("expected 1 to 10000"))
    );
    Ok(())
}

#[test]
fn joins_that_do_not_look_at_the_time_are_answered_in_time_and_hold_up_no_search() -> Result<()> {
    const RECORDS: usize = 60_000;
    let fixture = Fixture::start()?;
    let api = &fixture.api;
    let all: Vec<Value> = (0..RECORDS).map(|n| json!({ "message": n.to_string() })).collect();
    for part in all.chunks(10_000) {
        api.ingest(part, None)?.succeeded()?;
    }
    let join = "SELECT count(*) FROM logs a JOIN logs b ON a.message < b.message";
    for _ in 0..2 {
        let reply = ask(api, &json!({ "sql": join, "timeout_ms": 300 }))?;
        assert_eq!((reply.status, reply.code()), (503, "query_timeout"), "{}", reply.text);
    }
    let found = api.get("/api/v1/logs", &[("q", "777"), ("total", "true")])?.succeeded()?;
    assert_eq!(found.body["total"], 1);
    // They work on until they have gone through what they have in hand: the search did not wait for that.
    let health = api.bare("GET", "/health", &[])?;
    assert_ne!(health.body["queries_running"], 0, "{}", health.text);
    Ok(())
}
