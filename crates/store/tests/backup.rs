//! Copies of a data directory that is being written to.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use fs_err as fs;
use millpond_store::{EmbeddedStore, backup, check};
use support::{append, files, messages};

fn record(number: u64) -> String {
    let day = 1 + number % 9;
    format!(r#"{{"time":"2026-01-{day:02}T12:00:00Z","message":"{number}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_copy_made_while_everything_goes_on_has_all_that_was_stored_before_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sender = {
        let (store, acknowledged, stop) =
            (Arc::clone(&store), Arc::clone(&acknowledged), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(SeqCst) {
                append(&store, &[record(number)]).await;
                number += 1;
                acknowledged.store(number, SeqCst);
            }
        })
    };
    let keeper = {
        let (store, acknowledged, stop) =
            (Arc::clone(&store), Arc::clone(&acknowledged), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || {
            for round in 0.. {
                store.flush().unwrap();
                if round % 4 == 0 {
                    store.merge().unwrap();
                }
                let flushed = acknowledged.load(SeqCst);
                while acknowledged.load(SeqCst) < flushed + 10 {
                    if stop.load(SeqCst) {
                        return;
                    }
                    std::thread::yield_now();
                }
            }
        })
    };
    while files(directory.path(), "parquet").is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..12 {
        let before = acknowledged.load(SeqCst);
        let place = tempfile::tempdir().unwrap();
        let copy = place.path().join("copy");
        let done = backup(directory.path(), &copy).unwrap();
        assert_eq!(done.damaged, Vec::<String>::new());
        assert_eq!(check(&copy).unwrap().problems, Vec::<String>::new());
        let found = messages(&EmbeddedStore::open(&copy).unwrap()).await;
        let numbers: BTreeSet<u64> = found.iter().map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers.len(), found.len(), "a record is there twice");
        assert!((0..before).all(|number| numbers.contains(&number)), "{before}: {found:?}");
    }
    stop.store(true, SeqCst);
    sender.await.unwrap();
    keeper.await.unwrap();
}

#[tokio::test]
async fn a_copy_has_the_other_files_says_what_is_damaged_and_is_made_only_in_an_empty_place() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for number in 0..2 {
        append(&store, &[record(0)]).await;
        store.flush().unwrap();
        fs::write(directory.path().join("keys.json"), format!("keys {number}")).unwrap();
    }
    let segments = files(directory.path(), "parquet");
    fs::remove_file(&segments[0]).unwrap();
    fs::write(&segments[1], "damaged").unwrap();
    let copy = tempfile::tempdir().unwrap();
    let done = backup(directory.path(), copy.path()).unwrap();
    assert_eq!((done.segments, done.damaged.len()), (2, 2), "{done:?}");
    assert!(done.damaged[0].contains("missing"), "{done:?}");
    assert_eq!(fs::read(copy.path().join("keys.json")).unwrap(), b"keys 1");
    let again = backup(directory.path(), copy.path()).unwrap_err().to_string();
    assert!(again.contains("is not empty"), "{again}");
    let none = tempfile::tempdir().unwrap();
    let error = backup(none.path(), &copy.path().join("new")).unwrap_err().to_string();
    assert!(error.contains("is no data directory"), "{error}");
}
