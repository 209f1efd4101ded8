//! Statements that need more than they may have, or are no longer wanted.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use millpond_sql::{Limits, Sql, SqlError};
use millpond_store::Store;
use support::{MEMORY_BYTES, Watched, append, over, project, refused, rows};

fn many(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!(r#"{{"time":{n},"message":"message {n}","user_id":"u{n}"}}"#))
        .collect()
}

#[tokio::test]
async fn what_needs_too_much_memory_is_told_so_and_leaves_room_for_others() {
    let store = Watched::new(false);
    append(&store, &project(), &many(20_000)).await;
    let limit_bytes = 512 << 10;
    let sql = Sql::new(Arc::clone(&store) as Arc<dyn Store>, limit_bytes).unwrap();
    for statement in [
        "SELECT message, count(*) FROM logs GROUP BY message",
        "SELECT count(DISTINCT message) FROM logs",
        "SELECT max(message) FROM (SELECT message, user_id FROM logs ORDER BY message OFFSET 1) GROUP BY user_id",
        "SELECT count(*) FROM logs a JOIN logs b ON a.message = b.message",
        "WITH RECURSIVE r AS (SELECT message FROM logs UNION ALL SELECT message || 'x' FROM r) SELECT count(*) FROM r",
    ] {
        let error = refused(&sql, statement).await;
        assert!(
            matches!(error, SqlError::OutOfMemory { limit_bytes: 524_288 }),
            "{statement}: {error:?}"
        );
        assert!(
            error.to_string().contains("524288 bytes") && error.to_string().contains("expected")
        );
    }
    assert_eq!(rows(&sql, "SELECT count(*) FROM logs WHERE level = 'info'").await, ["20000"]);
    assert_eq!(
        rows(&sql, "SELECT message FROM logs ORDER BY time DESC LIMIT 1").await,
        ["message 19999"]
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let records: Vec<String> = (0..100)
        .map(|n| format!(r#"{{"time":{n},"message":"{}"}}"#, "x".repeat(100_000)))
        .collect();
    let (_, sql) = over(&records).await;
    let statement = "SELECT a.message FROM logs a, logs b LIMIT 1000";
    assert!(refused(&sql, statement).await.to_string().contains("smaller limit"));
}

#[tokio::test]
async fn a_statement_ends_at_its_time() {
    let store = Watched::new(true);
    append(&store, &project(), &many(100)).await;
    let sql = Sql::new(Arc::clone(&store) as Arc<dyn Store>, MEMORY_BYTES).unwrap();
    for statement in [
        "SELECT count(*) FROM logs",
        "SELECT count(*) FROM logs WHERE message = 'x'",
        "SELECT service, count(*) FROM logs GROUP BY service",
        "SELECT message FROM logs ORDER BY message LIMIT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM logs",
        "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x FROM r) SELECT count(*) FROM r",
    ] {
        let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
        let error = sql.query(&project(), statement, limits).await.unwrap_err();
        assert!(matches!(error, SqlError::Timeout { milliseconds: 50 }), "{statement}: {error:?}");
    }
    everything_is_let_go(&store).await;
}

#[tokio::test]
async fn a_join_of_everything_with_everything_ends_at_its_time() {
    let (_, sql) = over(&many(5000)).await;
    for condition in [
        "true",
        "a.message < b.message AND b.message < c.message",
        "a.sequence + b.sequence > c.sequence",
    ] {
        let statement = format!(
            "SELECT count(*) FROM logs a, logs b, logs c WHERE {condition} AND length(a.message || c.message) > 1"
        );
        let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
        let error = sql.query(&project(), &statement, limits).await.unwrap_err();
        assert!(matches!(error, SqlError::Timeout { .. }), "{condition}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_asker_is_gone_stops_reading() {
    let store = Watched::new(true);
    append(&store, &project(), &many(100)).await;
    let sql = Arc::new(Sql::new(Arc::clone(&store) as Arc<dyn Store>, MEMORY_BYTES).unwrap());
    let asked = Arc::clone(&sql);
    let statement = "SELECT message, count(*) FROM logs GROUP BY message";
    let task =
        tokio::spawn(async move { asked.query(&project(), statement, Limits::default()).await });
    while Arc::strong_count(&store.open) == 1 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    everything_is_let_go(&store).await;
}

/// No scan is open any more; tasks that were told to end may take a moment.
async fn everything_is_let_go(store: &Watched) {
    while Arc::strong_count(&store.open) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_limit_ends_a_scan_that_would_go_on() {
    let store = Watched::new(true);
    append(&store, &project(), &many(100)).await;
    let sql = Sql::new(Arc::clone(&store) as Arc<dyn Store>, MEMORY_BYTES).unwrap();
    let limits = Limits { rows: 150, ..Limits::default() };
    let answer = sql
        .query(&project(), "SELECT message FROM logs WHERE service != 'x'", limits)
        .await
        .unwrap();
    assert!(answer.truncated);
}
