//! A file system that fails at any step: nothing that was acknowledged is lost, nothing is there twice, and the store
//! goes on when the trouble is over.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{collections::BTreeSet, io::ErrorKind, path::Path};

use millpond_record::Timestamp;
use millpond_store::{EmbeddedStore, Project, Retention, Store, check, faults::Faults};
use support::{batch, copy, key, messages, project, quick_directory};

fn record(number: u64) -> String {
    let day = 1 + number % 2;
    format!(r#"{{"time":"2026-01-{day:02}T12:00:00Z","message":"{number}"}}"#)
}

fn other() -> Project {
    "other".parse().unwrap()
}

/// Batches that a client wants to have stored: each is one record, sent under its number until it is taken.
#[derive(Default)]
struct Client {
    taken: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

impl Client {
    async fn send(&mut self, store: &EmbeddedStore, number: u64) {
        let stored = store.append(&project(), key(number), batch(&[record(number)])).await;
        let (to, from) = match stored {
            Ok(_) => (&mut self.taken, &mut self.refused),
            Err(_) => (&mut self.refused, &mut self.taken),
        };
        to.insert(number);
        from.remove(&number);
    }

    async fn send_again(&mut self, store: &EmbeddedStore) {
        for number in self.refused.clone() {
            self.send(store, number).await;
        }
    }
}

/// Everything that a store does; each step may fail.
async fn everything(store: &EmbeddedStore, client: &mut Client) {
    client.send(store, 1).await;
    client.send(store, 2).await;
    let _ = store.append(&other(), None, batch(&[record(0)])).await;
    let _ = store.flush();
    client.send_again(store).await;
    client.send(store, 3).await;
    client.send(store, 4).await;
    let _ = store.flush();
    let _ = store.merge();
    client.send(store, 5).await;
    let bytes = Some(0);
    let _ = store.set_retention(&other(), Retention { bytes, ..Retention::default() }).await;
    let _ = store.clean_up(Timestamp::from_nanos(1));
    let _ = store.delete_project(&other()).await;
    let _ = store.flush();
    // What is only in the log when the process is killed.
    client.send(store, 6).await;
    client.send(store, 7).await;
    client.send_again(store).await;
}

async fn holds_exactly(store: &EmbeddedStore, client: &Client, about: &str) {
    let mut found: Vec<u64> =
        messages(store).await.iter().map(|number| number.parse().unwrap()).collect();
    found.sort_unstable();
    let taken: Vec<u64> = client.taken.iter().copied().collect();
    // What was refused may be there all the same, once: the log had it when its sync failed.
    found.retain(|number| !client.refused.contains(number) || client.taken.contains(number));
    assert_eq!(found, taken, "{about}");
}

/// What a kill at this moment leaves.
async fn a_killed_copy_is_whole(directory: &Path, client: &Client, about: &str) {
    let place = quick_directory();
    copy(directory, place.path());
    // Before the first manifest there is nothing to check.
    if place.path().join("manifest.json").exists() {
        let checked = check(place.path()).unwrap();
        assert_eq!(checked.problems, Vec::<String>::new(), "{about}");
    }
    let store = EmbeddedStore::open(place.path()).unwrap();
    holds_exactly(&store, client, about).await;
}

/// Whether a fault was reached.
async fn trouble_at(before: u64, count: u64, error: ErrorKind) -> bool {
    let about = format!("{count} steps from {before} on fail with {error:?}");
    let directory = quick_directory();
    let faults = Faults::inject(directory.path(), before, count, error);
    let mut client = Client::default();
    let opened = EmbeddedStore::open(directory.path());
    if let Ok(store) = &opened {
        everything(store, &mut client).await;
        holds_exactly(store, &client, &about).await;
        a_killed_copy_is_whole(directory.path(), &client, &about).await;
    }
    let steps = faults.steps();
    drop(faults);
    let store = opened.unwrap_or_else(|_| EmbeddedStore::open(directory.path()).unwrap());
    client.send_again(&store).await;
    client.send(&store, 8).await;
    assert!(client.refused.is_empty(), "{about}: {:?} refused afterwards", client.refused);
    store.flush().unwrap();
    store.merge().unwrap();
    store.delete_project(&other()).await.unwrap();
    store.clean_up(Timestamp::from_nanos(1)).unwrap();
    holds_exactly(&store, &client, &about).await;
    a_killed_copy_is_whole(directory.path(), &client, &about).await;
    drop(store);
    assert_eq!(check(directory.path()).unwrap().problems, Vec::<String>::new(), "{about}");
    let store = EmbeddedStore::open(directory.path()).unwrap();
    holds_exactly(&store, &client, &about).await;
    steps > before
}

/// Tries each `stride`-th step.
async fn trouble_everywhere(count: u64, error: ErrorKind, stride: u64) {
    let mut before = 0;
    while trouble_at(before, count, error).await {
        before += stride;
    }
    assert!(before > 50, "only {before} steps");
}

#[tokio::test]
async fn one_step_that_fails_wherever_it_is_loses_nothing_and_doubles_nothing() {
    trouble_everywhere(1, ErrorKind::Other, 1).await;
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_loses_nothing_and_doubles_nothing() {
    trouble_everywhere(4, ErrorKind::StorageFull, 3).await;
}

#[tokio::test]
async fn a_disk_that_fails_from_some_step_on_loses_nothing_and_doubles_nothing() {
    trouble_everywhere(u64::MAX, ErrorKind::Other, 5).await;
}
