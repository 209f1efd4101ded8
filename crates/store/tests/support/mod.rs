//! What the store's tests share.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};

use fs_err as fs;
use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::{Decoded, LogRecord, Timestamp, decode, json::Reader};
use millpond_store::{
    Answer, Batch, BatchBuilder, EmbeddedStore, Order, Project, Rows, Store, records,
};
use millpond_wire::IdempotencyKey;
use tempfile::TempDir;

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

/// The files with this ending below a directory.
pub fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The directory as a kill would leave it at this moment: a copy, taken while the store is open.
pub fn killed(directory: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(directory.path(), "wal").into_iter().chain(files(directory.path(), "parquet"))
    {
        let to = copy.path().join(file.strip_prefix(directory.path()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    if directory.path().join("manifest.json").exists() {
        fs::copy(directory.path().join("manifest.json"), copy.path().join("manifest.json"))
            .unwrap();
    }
    copy
}

/// Copies a directory with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A directory in memory where there is one: for tests that sync thousands of times and cut no power.
pub fn quick_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
