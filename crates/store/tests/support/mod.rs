//! What the store's tests share.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::{Decoded, LogRecord, Timestamp, decode, json::Reader};
use millpond_store::{
    Answer, Batch, BatchBuilder, EmbeddedStore, Order, Project, Rows, Store, records,
};
use millpond_wire::IdempotencyKey;

pub fn project() -> Project {
    "default".parse().unwrap()
}

pub fn key(sequence: u64) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { client: "client".to_owned(), sequence })
}

/// A batch of records given as JSON; all of them must be good.
pub fn batch<S: AsRef<str>>(records: &[S]) -> Batch {
    let observed = Timestamp::from_nanos(1_000_000_000_000_000_000);
    let mut builder = BatchBuilder::new(observed);
    for json in records {
        let json = json.as_ref();
        match decode(&mut Reader::new(json), observed).unwrap() {
            Decoded::Record(record) => builder.push(&record, json),
            Decoded::Rejected(rejection) => panic!("{rejection}: {json}"),
        }
    }
    builder.finish()
}

pub async fn append(store: &EmbeddedStore, records: &[String]) {
    store.append(&project(), None, batch(records)).await.unwrap();
}

pub fn everything(order: Order) -> Rows {
    Rows { filter: Filter::All, range: TimeRange::ALL, order, after: None, limit: 100_000 }
}

pub fn read(answer: &Answer) -> Vec<(Cursor, LogRecord<'_>)> {
    records(&answer.rows).collect()
}

/// The messages of everything, in the order of storing.
pub async fn messages(store: &EmbeddedStore) -> Vec<String> {
    let answer = store.rows(&project(), &everything(Order::Stored)).await.unwrap();
    assert_eq!(answer.damaged, Vec::<String>::new());
    read(&answer).into_iter().map(|(_, record)| record.message().to_owned()).collect()
}
