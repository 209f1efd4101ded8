//! How large an answer may be.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use arrow::{
    array::AsArray,
    datatypes::{Float64Type, Int64Type},
};
use millpond_query::{Filter, TimeRange, parse_query};
use millpond_store::{Aggregate, EmbeddedStore, Options, Order, QueryError, Rows, Store};
use support::{append, project, read};

/// Large records: more of them than an answer may have.
const RECORDS: usize = 140;

#[tokio::test]
async fn an_answer_of_large_records_is_cut_and_the_next_one_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let text = "x".repeat(600_000);
    for number in 0..RECORDS {
        append(&store, &[format!(r#"{{"message":"{number} {text}","time":{}}}"#, 1_000 + number)])
            .await;
    }
    let mut request = Rows {
        filter: Filter::All,
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        after: None,
        limit: RECORDS,
    };
    let mut sizes = Vec::new();
    let mut numbers = Vec::new();
    loop {
        let answer = store.rows(&project(), &request).await.unwrap();
        for (cursor, record) in read(&answer) {
            numbers.push(record.message().split(' ').next().unwrap().parse::<usize>().unwrap());
            request.after = Some(cursor);
        }
        sizes.push(answer.rows.num_rows());
        if !answer.cut {
            break;
        }
        if sizes.len() == 1 {
            store.flush().unwrap();
        }
    }
    assert!(sizes.len() > 1, "{sizes:?}");
    assert_eq!(numbers, (0..RECORDS).collect::<Vec<_>>());
}

fn asked(text: &str) -> Aggregate {
    let query = parse_query(text).unwrap();
    let stats = query.stats.unwrap();
    Aggregate {
        filter: query.filter,
        range: TimeRange::ALL,
        stats,
        sort: vec![(0, false)],
        limit: 1000,
    }
}

#[tokio::test]
async fn different_values_that_are_too_many_for_the_memory_are_counted_all_the_same() {
    const BATCH: usize = 2_000;
    const BATCHES: usize = 30;
    let directory = tempfile::tempdir().unwrap();
    // A quarter is for queries: 1 MiB, where 60,000 hashes take two.
    let options = Options { memory_bytes: 4 << 20 };
    let store = EmbeddedStore::open_with(directory.path(), options).unwrap();
    for batch in 0..BATCHES {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let record =
            |n| format!(r#"{{"message":"m","service":"s{}","id":"{n:x}","n":{n}}}"#, n % 3);
        append(&store, &numbers.map(record).collect::<Vec<_>>()).await;
        store.flush().unwrap();
    }
    let request =
        asked("* | stats count(), count_distinct(id), avg(n), count_distinct(service) by service");
    let answer = store.aggregate(&project(), &request).await.unwrap();
    let rows = &answer.rows;
    let ints = |column: usize| rows.column(column).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ints(1), [20_000; 3]);
    assert_eq!(ints(2), [20_000; 3]);
    assert_eq!(
        rows.column(3).as_primitive::<Float64Type>().values(),
        &[29_998.5, 29_999.5, 30_000.5]
    );
    assert_eq!(ints(4), [1; 3]);
    // Other functions can't be taken in parts.
    let numbers = asked("* | stats p50(n), p90(n), p95(n), p99(n)");
    let refused = store.aggregate(&project(), &numbers).await.unwrap_err();
    assert!(matches!(refused, QueryError::OutOfMemory { .. }), "{refused}");
}
