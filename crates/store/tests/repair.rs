//! Damaged data directories: what `check` says of them, and what `repair` makes of them.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::Path;

use fs_err as fs;
use millpond_store::{EmbeddedStore, OpenError, Project, Store, check, repair};
use support::{append, batch, copy, files, key, killed, messages, project};
use tempfile::TempDir;

fn record(day: u32, message: &str) -> String {
    format!(r#"{{"time":"2026-01-{day:02}T12:00:00Z","message":"{message}"}}"#)
}

/// Two segments and a log of a killed process: "a" and "b" in segments, "c" only in the log.
async fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for (number, message) in [(1, "a"), (2, "b")] {
        let batch = batch(&[record(31, message)]);
        store.append(&project(), key(number), batch).await.unwrap();
        store.flush().unwrap();
    }
    store.append(&project(), key(3), batch(&[record(30, "c")])).await.unwrap();
    killed(&directory)
}

fn problems(directory: &Path) -> Vec<String> {
    check(directory).unwrap().problems
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

async fn messages_of(directory: &Path) -> Vec<String> {
    let store = EmbeddedStore::open(directory).unwrap();
    assert_eq!(store.complaints(), Vec::<String>::new());
    let mut messages = messages(&store).await;
    messages.sort();
    messages
}

#[tokio::test]
async fn a_whole_directory_has_no_problems_and_repair_leaves_it_as_it_is() {
    let directory = directory().await;
    let checked = check(directory.path()).unwrap();
    assert_eq!(checked.problems, Vec::<String>::new());
    assert_eq!((checked.segments, checked.records, checked.log_records), (2, 2, 1));
    assert_eq!(repair(directory.path()).unwrap(), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["a", "b", "c"]);
    assert!(!directory.path().join("damaged").exists());
}

#[tokio::test]
async fn a_directory_that_is_in_use_or_none_is_neither_checked_nor_repaired() {
    let directory = directory().await;
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert!(matches!(check(directory.path()), Err(OpenError::InUse(_))));
    assert!(repair(directory.path()).unwrap_err().to_string().contains("in use"));
    drop(store);
    let none = tempfile::tempdir().unwrap();
    assert!(check(none.path()).unwrap_err().to_string().contains("is no data directory"));
    assert_eq!(fs::read_dir(none.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_damaged_segment_is_found_and_moved_and_the_rest_goes_on() {
    let directory = directory().await;
    let damaged = files(directory.path(), "parquet").remove(0);
    flip(&damaged, 100);
    let found = problems(directory.path());
    assert!(found.len() == 1 && found[0].contains("checksum"), "{found:?}");
    let done = repair(directory.path()).unwrap();
    assert!(done.len() == 1 && done[0].contains("1 records moved to"), "{done:?}");
    assert_eq!(problems(directory.path()), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["b", "c"]);
    let name = damaged.strip_prefix(directory.path()).unwrap();
    assert!(directory.path().join("damaged").join(name).exists());
}

#[tokio::test]
async fn a_segment_that_is_gone_is_found_and_said_to_be_lost() {
    let directory = directory().await;
    fs::remove_file(files(directory.path(), "parquet").remove(1)).unwrap();
    assert_eq!(problems(directory.path()).len(), 1);
    let done = repair(directory.path()).unwrap();
    assert!(done.len() == 1 && done[0].ends_with("1 records lost"), "{done:?}");
    assert_eq!(messages_of(directory.path()).await, ["a", "c"]);
}

#[tokio::test]
async fn a_file_that_nothing_names_is_found_and_moved_unless_the_next_start_removes_it() {
    let directory = directory().await;
    let riddle = directory.path().join("segments/default/2026-01-31/riddle.txt");
    fs::write(&riddle, "?").unwrap();
    let leftover = directory.path().join("segments/default/2026-01-31/000000000099.parquet");
    fs::write(&leftover, "?").unwrap();
    let found = problems(directory.path());
    assert!(found.len() == 1 && found[0].contains("no manifest names"), "{found:?}");
    repair(directory.path()).unwrap();
    assert!(!riddle.exists() && leftover.exists());
    assert_eq!(problems(directory.path()), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_damaged_log_is_found_and_rewritten_without_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for message in ["a", "b", "c"] {
        append(&store, &[record(31, message)]).await;
    }
    let directory = killed(&directory);
    let log = files(directory.path(), "wal").remove(0);
    let before = fs::read(&log).unwrap();
    flip(&log, before.len() / 2);
    let broken = fs::read(&log).unwrap();
    let found = problems(directory.path());
    assert!(found.len() == 1 && found[0].contains("could not be read"), "{found:?}");
    let done = repair(directory.path()).unwrap();
    assert_eq!(done.len(), 2, "{done:?}");
    assert_eq!(problems(directory.path()), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["a", "c"]);
    let kept = directory.path().join("damaged").join(log.strip_prefix(directory.path()).unwrap());
    assert_eq!(fs::read(kept).unwrap(), broken);
}

#[tokio::test]
async fn a_record_in_two_segments_is_found_and_then_in_one() {
    let directory = directory().await;
    let path = directory.path().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let segments = &mut manifest["projects"]["default"]["segments"];
    let mut twin = segments[0].clone();
    twin["file"] = "default/2026-01-31/000000000009.parquet".into();
    let original = segments[0]["file"].as_str().unwrap().to_owned();
    segments.as_array_mut().unwrap().push(twin);
    manifest["next_segment"] = 10.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let segments = directory.path().join("segments");
    fs::copy(segments.join(original), segments.join("default/2026-01-31/000000000009.parquet"))
        .unwrap();
    let found = problems(directory.path());
    assert!(found.len() == 1 && found[0].contains("in another segment as well"), "{found:?}");
    repair(directory.path()).unwrap();
    assert_eq!(problems(directory.path()), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_manifest_that_is_gone_or_broken_is_made_anew_and_every_record_is_there_once() {
    for broken in [None, Some("{")] {
        let directory = directory().await;
        let manifest = directory.path().join("manifest.json");
        let keys = directory.path().join("keys.json");
        fs::write(&keys, "keys").unwrap();
        match broken {
            None => fs::remove_file(&manifest).unwrap(),
            Some(content) => fs::write(&manifest, content).unwrap(),
        }
        assert_eq!(problems(directory.path()).len(), 1);
        let done = repair(directory.path()).unwrap();
        assert!(done.last().unwrap().contains("3 segments with 3 records"), "{done:?}");
        assert_eq!(problems(directory.path()), Vec::<String>::new());
        assert_eq!(fs::read(&keys).unwrap(), b"keys");
        let store = EmbeddedStore::open(directory.path()).unwrap();
        // What the log knows of batches is known still.
        let again = batch(&[record(30, "c")]);
        assert!(store.append(&project(), key(3), again).await.unwrap().duplicate);
        append(&store, &[record(30, "d")]).await;
        store.flush().unwrap();
        drop(store);
        assert_eq!(messages_of(directory.path()).await, ["a", "b", "c", "d"]);
        assert_eq!(problems(directory.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_manifest_is_made_anew_also_where_a_flush_or_a_merge_was_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let other: Project = "other".parse().unwrap();
    // The log stays for the sake of the other project.
    store.append(&other, None, batch(&[record(31, "other")])).await.unwrap();
    append(&store, &[record(30, "a"), record(31, "b")]).await;
    let before = killed(&directory);
    store.flush().unwrap();
    append(&store, &[record(30, "c"), record(31, "d")]).await;
    store.flush().unwrap();
    let sources = killed(&directory);
    store.merge().unwrap();
    drop(store);
    // Segments, what they were merged into, and the log that they came from, all at once.
    for from in [&before, &sources] {
        copy(from.path(), directory.path());
    }
    fs::remove_file(directory.path().join("manifest.json")).unwrap();
    repair(directory.path()).unwrap();
    assert_eq!(problems(directory.path()), Vec::<String>::new());
    assert_eq!(messages_of(directory.path()).await, ["a", "b", "c", "d"]);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let counts: Vec<u64> = store.projects().iter().map(|info| info.records).collect();
    assert_eq!(counts, [4, 1]);
}

#[tokio::test]
async fn a_log_without_a_manifest_is_refused_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record(30, "a"), record(31, "b")]).await;
    let copy = killed(&directory);
    fs::remove_file(copy.path().join("manifest.json")).unwrap();
    let logs = files(copy.path(), "wal");
    let error = EmbeddedStore::open(copy.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.json is missing"), "{error}");
    assert_eq!(files(copy.path(), "wal"), logs);
    repair(copy.path()).unwrap();
    assert_eq!(problems(copy.path()), Vec::<String>::new());
    assert_eq!(messages_of(copy.path()).await, ["a", "b"]);
}
