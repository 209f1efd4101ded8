//! What becomes of segments: merged, kept, deleted; and data of earlier formats.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use fs_err as fs;
use millpond_query::parse;
use millpond_record::Timestamp;
use millpond_store::{EmbeddedStore, Order, Project, Retention, Rows, Store, check, repair};
use support::{append, batch, everything, files, key, killed, messages, project, read};

/// Midnight after 2026-01-31.
const FEBRUARY: i64 = 1_769_904_000_000_000_000;

fn record(day: u32, message: &str) -> String {
    format!(r#"{{"time":"2026-01-{day:02}T12:00:00Z","message":"{message}"}}"#)
}

async fn sorted(store: &EmbeddedStore) -> Vec<String> {
    let mut messages = messages(store).await;
    messages.sort();
    messages
}

#[tokio::test]
async fn merging_leaves_one_small_segment_a_day_and_every_record_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let mut expected = Vec::new();
    for round in 0..12 {
        let rows = [record(30, &format!("a{round:02}")), record(31, &format!("b{round:02}"))];
        append(&store, &rows).await;
        store.flush().unwrap();
        expected.extend([format!("a{round:02}"), format!("b{round:02}")]);
    }
    expected.sort();
    store.merge().unwrap();
    assert_eq!(files(directory.path(), "parquet").len(), 2);
    assert_eq!(sorted(&store).await, expected);
    let killed = killed(&directory);
    assert_eq!(sorted(&EmbeddedStore::open(killed.path()).unwrap()).await, expected);
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(sorted(&store).await, expected);
    // Nothing is left to do.
    let before = files(directory.path(), "parquet");
    store.merge().unwrap();
    assert_eq!(files(directory.path(), "parquet"), before);
}

#[tokio::test]
async fn the_store_merges_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for message in ["a", "b", "c", "d"] {
        append(&store, &[record(31, message)]).await;
        store.flush().unwrap();
    }
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while files(directory.path(), "parquet").len() > 1 {
        look.tick().await;
    }
    assert_eq!(messages(&store).await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_damaged_segment_is_neither_merged_nor_removed_and_the_others_are() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for message in ["a", "b", "c"] {
        append(&store, &[record(31, message)]).await;
        store.flush().unwrap();
    }
    let damaged = files(directory.path(), "parquet").remove(1);
    let content = fs::read(&damaged).unwrap();
    fs::write(&damaged, vec![0; content.len()]).unwrap();
    store.merge().unwrap();
    let retention = Retention { age_seconds: Some(1), bytes: Some(0) };
    store.set_retention(&project(), retention).await.unwrap();
    assert_eq!(files(directory.path(), "parquet").len(), 2);
    store.clean_up(Timestamp::from_nanos(i64::MAX)).unwrap();
    assert_eq!(files(directory.path(), "parquet"), [damaged]);
    let answer = store.rows(&project(), &everything(Order::Stored)).await.unwrap();
    assert_eq!((answer.rows.num_rows(), answer.damaged.len()), (0, 1));
}

#[tokio::test]
async fn segments_that_are_older_than_the_retention_go_and_hot_rows_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record(1, "old"), record(30, "new")]).await;
    store.flush().unwrap();
    append(&store, &[record(1, "hot")]).await;
    let retention = Retention { age_seconds: Some(10 * 86_400), bytes: None };
    store.set_retention(&project(), retention).await.unwrap();
    let now = Timestamp::from_nanos(FEBRUARY);
    store.clean_up(now).unwrap();
    assert_eq!(messages(&store).await, ["new", "hot"]);
    assert_eq!(files(directory.path(), "parquet").len(), 1);
    // Another project keeps what it has, and the setting survives.
    let other: Project = "other".parse().unwrap();
    store.append(&other, None, batch(&[record(1, "other")])).await.unwrap();
    store.flush().unwrap();
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    store.clean_up(now).unwrap();
    assert_eq!(messages(&store).await, ["new"]);
    let kept = store.rows(&other, &everything(Order::Stored)).await.unwrap();
    assert_eq!(kept.rows.num_rows(), 1);
}

#[tokio::test]
async fn the_oldest_segments_go_while_all_are_larger_than_the_retention() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record(3, "c"), record(1, "a"), record(2, "b")]).await;
    store.flush().unwrap();
    let bytes = store.projects()[0].bytes;
    let keep = async |bytes: u64| {
        let retention = Retention { age_seconds: None, bytes: Some(bytes) };
        store.set_retention(&project(), retention).await.unwrap();
        store.clean_up(Timestamp::from_nanos(FEBRUARY)).unwrap();
        sorted(&store).await
    };
    assert_eq!(keep(bytes).await, ["a", "b", "c"]);
    assert_eq!(keep(bytes - 1).await, ["b", "c"]);
    assert_eq!(keep(1).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_project_stays_deleted_after_a_kill_and_its_batches_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let other: Project = "other".parse().unwrap();
    store.append(&other, key(1), batch(&[record(31, "other")])).await.unwrap();
    store.append(&project(), key(1), batch(&[record(31, "in a segment")])).await.unwrap();
    store.flush().unwrap();
    store.append(&project(), key(2), batch(&[record(31, "hot")])).await.unwrap();
    store.append(&other, key(2), batch(&[record(31, "keeps the log")])).await.unwrap();
    store.delete_project(&project()).await.unwrap();
    let copy = killed(&directory);
    for store in [store, EmbeddedStore::open(copy.path()).unwrap()] {
        assert_eq!(messages(&store).await, Vec::<String>::new());
        for number in [1, 2] {
            let sent = async |project: &Project| {
                let batch = batch(&[record(31, &format!("again {number}"))]);
                store.append(project, key(number), batch).await.unwrap().duplicate
            };
            assert!(!sent(&project()).await);
            assert!(sent(&other).await);
        }
        assert_eq!(messages(&store).await, ["again 1", "again 2"]);
        let kept = store.rows(&other, &everything(Order::Stored)).await.unwrap();
        assert_eq!(kept.rows.num_rows(), 2);
    }
    let reopened = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(messages(&reopened).await, ["again 1", "again 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_while_a_project_is_deleted_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    let sender = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..300 {
                append(&store, &[record(31, &format!("{number:03}"))]).await;
            }
        })
    };
    let mut look = tokio::time::interval(Duration::from_millis(1));
    while !sender.is_finished() {
        store.flush().unwrap();
        store.delete_project(&project()).await.unwrap();
        look.tick().await;
    }
    sender.await.unwrap();
    append(&store, &[record(31, "last")]).await;
    // Whatever is left came last, without a gap, and once.
    let left = messages(&store).await;
    let expected: Vec<String> = (0..300)
        .map(|number| format!("{number:03}"))
        .chain(["last".to_owned()])
        .skip(301 - left.len())
        .collect();
    assert_eq!(left, expected);
    assert_eq!(messages(&EmbeddedStore::open(killed(&directory).path()).unwrap()).await, left);
}

#[tokio::test]
async fn projects_are_listed_with_what_they_have() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.projects(), []);
    append(&store, &[record(30, "a"), record(1, "b")]).await;
    store.flush().unwrap();
    append(&store, &[record(31, "c")]).await;
    let retention = Retention { age_seconds: None, bytes: Some(7) };
    store.set_retention(&"empty".parse().unwrap(), retention).await.unwrap();
    let projects = store.projects();
    let names: Vec<&str> = projects.iter().map(|info| info.project.as_str()).collect();
    assert_eq!(names, ["default", "empty"]);
    assert_eq!((projects[0].records, projects[1].records), (3, 0));
    let on_disk: u64 = files(directory.path(), "parquet")
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert_eq!((projects[0].bytes, projects[1].retention), (on_disk, retention));
    let segments = files(directory.path(), "parquet").len() as u64;
    assert_eq!((projects[0].segments, projects[1].segments), (segments, 0));
    let times = projects[0].times.map(|(oldest, newest)| (oldest.to_string(), newest.to_string()));
    let (oldest, newest) = times.unwrap();
    assert!(oldest.starts_with("2026-01-01T12") && newest.starts_with("2026-01-31T12"));
    assert_eq!(projects[1].times, None);
    store.delete_project(&project()).await.unwrap();
    assert_eq!(store.projects().len(), 1);
}

#[tokio::test]
async fn a_data_directory_of_format_1_is_read_and_goes_on() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    let directory = tempfile::tempdir().unwrap();
    support::copy(&fixture, directory.path());
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.recovery().records, 1);
    let old = ["first", "late by a day", "second", "only in the log"];
    assert_eq!(messages(&store).await, old);
    let answer = store.rows(&project(), &everything(Order::Stored)).await.unwrap();
    let rows = read(&answer);
    assert_eq!(rows[0].1.fields.as_str(), r#"{"status":503,"user":{"id":"u_1"}}"#);
    assert_eq!((rows[0].1.tags.join(" "), rows[1].1.step_index), ("a b".to_owned(), Some(2)));
    for number in 1..=3 {
        let again = batch(&[record(31, "again")]);
        assert!(store.append(&project(), key(number), again).await.unwrap().duplicate);
    }
    append(&store, &[record(31, "new")]).await;
    store.flush().unwrap();
    store.merge().unwrap();
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(messages(&store).await, [&old[..], &["new"]].concat());
    assert_eq!(store.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_segment_of_format_2_is_read_with_its_larger_filters_and_is_merged() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2");
    let directory = tempfile::tempdir().unwrap();
    support::copy(&fixture, directory.path());
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let found = async |text: &str| {
        let filter = parse(text).unwrap();
        let request = Rows { filter, ..everything(Order::Stored) };
        let answer = store.rows(&project(), &request).await.unwrap();
        read(&answer).iter().map(|(_, record)| record.message().to_owned()).collect::<Vec<_>>()
    };
    let ask = async || {
        // In its first 2048 rows, behind them, and behind its first 8192.
        for number in [1, 3_000, 8_500] {
            let message = format!("order x{number:04x} paid");
            assert_eq!(found(&format!("x{number:04x}")).await, [message]);
        }
        assert_eq!(found(&format!("trace_id:{:032x}", 8_500)).await, ["order x2134 paid"]);
        assert_eq!(found("user.id:u_500 level:info").await, ["order x01f4 paid"]);
        assert_eq!(found("paid").await.len(), 9_000);
    };
    ask().await;
    for _ in 0..4 {
        append(&store, &[record(31, "new")]).await;
        store.flush().unwrap();
    }
    store.merge().unwrap();
    ask().await;
    assert_eq!(store.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn records_of_very_many_days_make_few_segments_that_are_merged_checked_and_kept_as_any() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let mut expected = Vec::new();
    for round in 0..2 {
        let years = (1700..2200).map(|year| (year, 1 + year % 12));
        let rows = years.map(|(year, month)| {
            let message = format!("{round} {year}");
            expected.push(message.clone());
            format!(r#"{{"time":"{year}-{month:02}-07T12:00:00Z","message":"{message}"}}"#)
        });
        append(&store, &rows.collect::<Vec<_>>()).await;
        // So many of one day that it has a segment of its own.
        let today: Vec<_> = (0..50).map(|number| format!("{round} {number:02}")).collect();
        append(&store, &today.iter().map(|message| record(31, message)).collect::<Vec<_>>()).await;
        expected.extend(today);
        store.flush().unwrap();
    }
    expected.sort();
    assert!(files(directory.path(), "parquet").len() < 20);
    store.merge().unwrap();
    assert!(directory.path().join("segments/default/2026-01-31").exists());
    assert!(directory.path().join("segments/default/18").exists());
    assert_eq!(files(directory.path(), "parquet").len(), 6);
    assert_eq!(sorted(&store).await, expected);
    drop(store);
    assert_eq!(check(directory.path()).unwrap().problems, Vec::<String>::new());
    let manifest = directory.path().join("manifest.json");
    fs::rename(&manifest, directory.path().join("aside.json")).unwrap();
    repair(directory.path()).unwrap();
    assert_eq!(check(directory.path()).unwrap().problems, Vec::<String>::new());
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(sorted(&store).await, expected);
    // A segment goes when all of its records are too old.
    let year = Retention { age_seconds: Some(365 * 86_400), bytes: None };
    store.set_retention(&project(), year).await.unwrap();
    store.clean_up(Timestamp::from_nanos(FEBRUARY)).unwrap();
    let kept = sorted(&store).await;
    assert!(kept.len() < expected.len());
    let mut today = expected.iter().filter(|message| message.len() == "0 00".len());
    assert!(today.all(|message| kept.contains(message)));
    assert!(!kept.contains(&"0 1999".to_owned()) && kept.contains(&"0 2199".to_owned()));
}
