//! Statements that must be refused, or must not do what they try.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fmt::Write, sync::Arc};

use millpond_sql::{Limits, Position, STACK_BYTES_MIN, Sql, SqlError};
use millpond_store::Store;
use support::{MEMORY_BYTES, Watched, append, ask, over, project, refused, rows, written};

const RECORD: [&str; 1] =
    [r#"{"time":1,"message":"m","service":"s","tags":["t"],"fields":{"a":1}}"#];

#[tokio::test]
async fn only_one_statement_that_reads_is_answered() {
    let (_, sql) = over(&RECORD).await;
    for statement in [
        "",
        " ;; -- nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE logs",
        "DROP TABLE logs",
        "DELETE FROM logs",
        "TRUNCATE logs",
        "UPDATE logs SET message = 'x'",
        "INSERT INTO logs (message) VALUES ('x')",
        "INSERT INTO logs SELECT * FROM logs",
        "WITH x AS (SELECT 1) INSERT INTO logs SELECT * FROM x",
        "WITH x AS (DELETE FROM logs RETURNING *) SELECT * FROM x",
        "MERGE INTO logs USING logs b ON true WHEN MATCHED THEN DELETE",
        "SELECT * INTO copy FROM logs",
        "CREATE TABLE copy AS SELECT * FROM logs",
        "CREATE VIEW copy AS SELECT * FROM logs",
        "CREATE EXTERNAL TABLE passwords (line TEXT) STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN $1",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "COPY logs TO '/tmp/logs.csv'",
        "COPY (SELECT 1) TO '/tmp/logs.json' STORED AS JSON",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW TABLES",
        "SHOW ALL",
        "SHOW FUNCTIONS",
        "DESCRIBE logs",
        "USE other",
        "BEGIN",
        "COMMIT",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "KILL 1",
        "LOAD DATA INPATH '/etc/passwd' INTO TABLE logs",
        "EXPLAIN DROP TABLE logs",
        "EXPLAIN ANALYZE INSERT INTO logs SELECT * FROM logs",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPLAIN COPY logs TO '/tmp/logs.csv'",
    ] {
        let error = refused(&sql, statement).await;
        assert!(matches!(error, SqlError::Invalid { .. }), "{statement}: {error:?}");
    }
    let error = refused(&sql, "\n  DELETE FROM logs").await;
    let SqlError::Invalid { message, position } = &error else { panic!("{error:?}") };
    assert_eq!(
        message,
        "`DELETE` is not offered, expected one SELECT, WITH or EXPLAIN over the table `logs`"
    );
    assert_eq!(*position, Some(Position { line: 2, column: 3 }));
    assert_eq!(rows(&sql, "SELECT message FROM logs").await, ["m"]);
}

#[tokio::test]
async fn there_is_one_table_and_no_file() {
    let (_, sql) = over(&RECORD).await;
    for table in [
        "other",
        "'/etc/passwd'",
        "\"/etc/passwd\"",
        "'file:///etc/passwd'",
        "'http://127.0.0.1/x.csv'",
        "'s3://bucket/x.parquet'",
        "read_csv('/etc/passwd')",
        "read_json('/etc/passwd')",
        "read_parquet('x')",
        "generate_series(1, 10)",
        "range(1, 10)",
        "information_schema.tables",
        "information_schema.columns",
        "information_schema.df_settings",
        "pg_catalog.pg_tables",
        "other.public.logs",
        "millpond.other.logs",
        "datafusion.public.logs",
    ] {
        let error = refused(&sql, &format!("SELECT * FROM {table}")).await;
        assert!(matches!(error, SqlError::Invalid { .. }), "{table}: {error:?}");
    }
    assert_eq!(rows(&sql, "SELECT l.message FROM millpond.public.logs l").await, ["m"]);
}

#[tokio::test]
async fn functions_that_fill_the_memory_are_not_there() {
    let (_, sql) = over(&RECORD).await;
    for call in [
        "repeat('x', 1000000000)",
        "lpad('x', 1000000000, 'y')",
        "rpad('x', 1000000000)",
        "range(1, 10000000000)",
        "generate_series(1, 10000000000)",
        "array_repeat('x', 1000000000)",
        "array_resize([1], 1000000000, 0)",
        "levenshtein(message, message)",
        "array_agg(message)",
        "string_agg(message, ',')",
        "count(*) OVER ()",
        "row_number() OVER (ORDER BY time)",
        "arrow_cast('x', 'FixedSizeBinary(1000000000)')",
        "version()",
    ] {
        let error = refused(&sql, &format!("SELECT {call} FROM logs")).await;
        assert!(matches!(error, SqlError::Invalid { .. }), "{call}: {error:?}");
    }
}

#[tokio::test]
async fn texts_do_not_grow_without_a_bound() {
    let (_, sql) = over(&RECORD).await;
    let thousand = "x".repeat(1000);
    let mut replaced = "'x'".to_owned();
    for _ in 0..5 {
        replaced = format!("replace({replaced}, 'x', '{thousand}')");
    }
    let mut captured = "message".to_owned();
    for _ in 0..5 {
        captured = format!("regexp_replace({captured}, '.', '{thousand}', 'g')");
    }
    let groups = "(".repeat(2000) + ".*" + &")".repeat(2000);
    for (what, statement) in [
        ("replace in replace", format!("SELECT length({replaced}) FROM logs")),
        ("regexp_replace in regexp_replace", format!("SELECT length({captured}) FROM logs")),
        ("doubled again and again", doubled("a || a", "message", 40)),
        ("concat doubled", doubled("concat(a, a)", "'x'", 40)),
        ("lists doubled", doubled("[a, a]", "message", 40)),
        ("sums doubled", doubled("a + a", "severity_number", 40)),
        (
            "a thousand times a thousand",
            format!(
                "SELECT concat({}) FROM (SELECT replace(message, 'm', '{thousand}{thousand}{thousand}{thousand}') a FROM logs)",
                vec!["replace(a, 'x', 'xxxxxxxxxx')"; 900].join(",")
            ),
        ),
        (
            "a long text in many columns",
            format!(
                "SELECT {} FROM (SELECT '{}' AS a FROM logs)",
                (0..900).map(|n| format!("max(a) AS a{n}")).collect::<Vec<_>>().join(","),
                "x".repeat(40_000)
            ),
        ),
        ("many groups", format!("SELECT regexp_match(message, '{groups}') FROM logs")),
    ] {
        match ask(&sql, &statement).await {
            Err(SqlError::Invalid { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(rows(&sql, "SELECT replace(message, 'm', 'mm') || 'x' FROM logs").await, ["mmx"]);
}

/// `SELECT a || a FROM (SELECT a || a AS a FROM …)`
fn doubled(expression: &str, first: &str, levels: usize) -> String {
    let mut statement = format!("SELECT {first} AS a FROM logs");
    for _ in 0..levels {
        statement = format!("SELECT {expression} AS a FROM ({statement})");
    }
    statement
}

#[tokio::test]
async fn a_text_that_many_rows_make_long_is_made_as_long_as_it_may_be() {
    let records: Vec<String> =
        (0..4000).map(|n| format!(r#"{{"time":{n},"message":"{}"}}"#, "x".repeat(200))).collect();
    let (_, sql) = over(&records).await;
    // Could be 4,000 times 200 times 100 bytes, and is not.
    let to = "y".repeat(100);
    let statement = format!("SELECT DISTINCT regexp_replace(message, '^x+$', '{to}') FROM logs");
    assert_eq!(rows(&sql, &statement).await, std::slice::from_ref(&to));
    let statement = format!("SELECT sum(length(replace(message, 'x', '{to}'))) FROM logs");
    assert!(refused(&sql, &statement).await.to_string().contains("`replace` made more than"));
    let statement = format!("SELECT max(to_char(time, '{}')) FROM logs", "%c".repeat(1000));
    assert!(refused(&sql, &statement).await.to_string().contains("`to_char` made more than"));
}

#[tokio::test]
async fn a_statement_that_is_large_when_it_is_planned_is_refused() {
    let (_, sql) = over(&RECORD).await;
    let mut laughs = "WITH a0 AS (SELECT 1 AS x)".to_owned();
    for n in 1..30 {
        write!(laughs, ", a{n} AS (SELECT l.x FROM a{} l, a{} r)", n - 1, n - 1).unwrap();
    }
    for (what, statement) in [
        ("names of names", format!("{laughs} SELECT * FROM a29")),
        ("too many bytes", format!("SELECT '{}'", "x".repeat(64 << 10))),
        ("too many words", format!("SELECT {}1", "1+".repeat(10_000))),
        ("deep parentheses", format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))),
        ("a long chain", format!("SELECT 'a'{}", " || 'a'".repeat(1500))),
        ("many alternatives", format!("SELECT 1 FROM logs WHERE a = 1{}", " OR a = 1".repeat(100))),
        (
            "many readings of the table",
            format!("SELECT message FROM logs{}", " UNION ALL SELECT message FROM logs".repeat(16)),
        ),
        (
            "deep subqueries",
            format!("SELECT * FROM {}logs{}", "(SELECT * FROM ".repeat(300), ")".repeat(300)),
        ),
        ("many signs", format!("SELECT {}1", "- ".repeat(3000))),
        ("many NOTs", format!("SELECT {} true", "NOT ".repeat(3000))),
        (
            "many CASEs",
            format!("SELECT {} 1 {}", "CASE WHEN true THEN ".repeat(500), "END ".repeat(500)),
        ),
    ] {
        match ask(&sql, &statement).await {
            Err(SqlError::Invalid { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn the_longest_chain_fits_the_stack() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES_MIN)
        .enable_time()
        .build()
        .unwrap();
    let asked = runtime.spawn(async {
        let (_, sql) = over(&RECORD).await;
        for (chain, expected) in [
            (
                format!(
                    "SELECT count(*) FROM logs WHERE message = 'm'{}",
                    " OR message = 'x'".repeat(60)
                ),
                "1",
            ),
            (
                format!(
                    "SELECT count(*) FROM logs WHERE time > '1970-01-01'{}",
                    " AND severity_number > 1".repeat(60)
                ),
                "1",
            ),
            (format!("SELECT 1{}", "+1".repeat(60)), "61"),
            (
                format!("SELECT count(*) FROM logs WHERE trace_id IN ('x'{})", ",'y'".repeat(1900)),
                "0",
            ),
        ] {
            assert_eq!(rows(&sql, &chain).await, [expected], "{}", &chain[..60]);
        }
    });
    runtime.block_on(asked).unwrap();
}

#[tokio::test]
async fn an_error_says_what_where_and_what_was_expected() {
    let (_, sql) = over(&RECORD).await;
    for (statement, expected) in [
        ("SELECT\n message FRM logs", "at line 2, column 14"),
        ("SELECT 'open", "at line 1, column 8"),
        ("SELECT nonsense FROM logs", "at line 1, column 8"),
        ("SELECT nonsense FROM logs", "nonsense"),
        ("SELECT message FROM log", "log"),
        ("SELECT nofunction(message) FROM logs", "nofunction"),
        ("SELECT 1 / 0", "ivide by zero"),
        ("SELECT CAST('x' AS BIGINT)", "x"),
        ("SELECT message FROM logs WHERE message ~ '('", "unclosed group"),
        ("SELECT message, count(*) FROM logs", "message"),
    ] {
        let error = refused(&sql, statement).await;
        let text = error.to_string();
        assert!(
            matches!(error, SqlError::Invalid { .. } | SqlError::Store(_)),
            "{statement}: {error:?}"
        );
        assert!(text.contains(expected), "{statement}: {text}");
        assert!(!text.contains("backtrace") && !text.contains(".rs"), "{statement}: {text}");
    }
}

#[tokio::test]
async fn another_projects_records_are_never_reached() {
    let store = Watched::new(false);
    let other = "other".parse().unwrap();
    append(&store, &project(), &RECORD).await;
    append(&store, &other, &[r#"{"time":2,"message":"theirs","service":"secret"}"#]).await;
    let sql = Sql::new(Arc::clone(&store) as Arc<dyn Store>, MEMORY_BYTES).unwrap();
    let statement = "SELECT message FROM logs UNION ALL SELECT service FROM logs ORDER BY 1";
    for (project, expected) in [(project(), ["m", "s"]), (other, ["secret", "theirs"])] {
        let answer = sql.query(&project, statement, Limits::default()).await.unwrap();
        assert_eq!(written(&answer), expected);
    }
    for statement in [
        "SELECT * FROM other.logs",
        "SELECT * FROM other",
        "SELECT * FROM \"other\".\"public\".\"logs\"",
    ] {
        refused(&sql, statement).await;
    }
}
