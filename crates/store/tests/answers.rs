//! How large an answer may be.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millpond_query::{Filter, TimeRange};
use millpond_store::{EmbeddedStore, Order, Rows, Store};
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
