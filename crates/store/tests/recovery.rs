//! What a store holds after it was closed, killed, or damaged.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::PathBuf;

use fs_err as fs;

use millpond_store::{AppendError, EmbeddedStore, OpenError, Order, Store};
use support::{append, batch, everything, files, key, killed, messages, project};

fn record(message: &str) -> String {
    format!(r#"{{"time":"2026-01-31T12:00:00Z","message":"{message}"}}"#)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_after_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a"), record("b")]).await;
    let copy = killed(&directory);
    append(&store, &[record("c")]).await;
    assert_eq!(messages(&store).await, ["a", "b", "c"]);

    let recovered = EmbeddedStore::open(copy.path()).unwrap();
    assert_eq!(recovered.recovery().records, 2);
    assert_eq!(messages(&recovered).await, ["a", "b"]);

    store.close();
    assert!(matches!(
        store.append(&project(), None, batch(&[record("d")])).await,
        Err(AppendError::Closed)
    ));
    drop(store);
    assert_eq!(files(directory.path(), "wal"), Vec::<PathBuf>::new());
    let reopened = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(reopened.recovery().records, 0);
    assert_eq!(messages(&reopened).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once_also_after_a_kill_a_flush_and_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let send = async |store: &EmbeddedStore| {
        store.append(&project(), key(1), batch(&[record("a")])).await.unwrap().duplicate
    };
    assert!(!send(&store).await);
    assert!(send(&store).await);
    let recovered_directory = killed(&directory);
    let recovered = EmbeddedStore::open(recovered_directory.path()).unwrap();
    assert!(send(&recovered).await);
    store.flush().unwrap();
    assert!(send(&store).await);
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert!(send(&store).await);
    assert_eq!(messages(&store).await, ["a"]);
    // Another project and another number are other batches.
    assert!(
        !store
            .append(&"other".parse().unwrap(), key(1), batch(&[record("a")]))
            .await
            .unwrap()
            .duplicate
    );
    assert!(!store.append(&project(), key(2), batch(&[record("b")])).await.unwrap().duplicate);
}

#[tokio::test]
async fn the_same_batch_sent_by_many_at_once_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    let senders: Vec<_> = (0..32)
        .map(|_| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                store.append(&project(), key(7), batch(&[record("a")])).await.unwrap()
            })
        })
        .collect();
    let mut fresh = 0;
    for sender in senders {
        fresh += usize::from(!sender.await.unwrap().duplicate);
    }
    assert_eq!(fresh, 1);
    assert_eq!(messages(&store).await, ["a"]);
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_flush_loses_nothing_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    let before = killed(&directory);
    store.flush().unwrap();
    let after = killed(&directory);

    // Segments written, the manifest not: they are removed and the log has the rows.
    let unnamed = killed(&before);
    for file in files(after.path(), "parquet") {
        let to = unnamed.path().join(file.strip_prefix(after.path()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    // The manifest written, the log not cut.
    let uncut = killed(&after);
    for file in files(before.path(), "wal") {
        fs::create_dir_all(uncut.path().join("wal")).unwrap();
        fs::copy(&file, uncut.path().join("wal").join(file.file_name().unwrap())).unwrap();
    }
    for (name, directory) in
        [("before", before), ("unnamed", unnamed), ("uncut", uncut), ("after", after)]
    {
        let store = EmbeddedStore::open(directory.path()).unwrap();
        assert_eq!(messages(&store).await, ["a"], "{name}");
        append(&store, &[record("b")]).await;
        store.flush().unwrap();
        assert_eq!(messages(&store).await, ["a", "b"], "{name}");
        assert_eq!(files(directory.path(), "wal"), Vec::<PathBuf>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_damaged_log_tail_costs_only_what_was_never_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    append(&store, &[record("b")]).await;
    let copy = killed(&directory);
    let log = files(copy.path(), "wal").remove(0);
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(b"MPF1 half a frame");
    fs::write(&log, bytes).unwrap();
    let recovered = EmbeddedStore::open(copy.path()).unwrap();
    assert_eq!(messages(&recovered).await, ["a", "b"]);
    let damages = &recovered.recovery().damages;
    assert_eq!((damages.len(), damages[0].bytes, damages[0].torn_tail), (1, 17, true));
    assert_eq!(recovered.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_middle_of_the_log_is_reported_kept_aside_and_everything_around_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for message in ["a", "b", "c"] {
        append(&store, &[record(message)]).await;
    }
    let copy = killed(&directory);
    let log = files(copy.path(), "wal").remove(0);
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&log, bytes).unwrap();
    let recovered = EmbeddedStore::open(copy.path()).unwrap();
    assert_eq!(messages(&recovered).await, ["a", "c"]);
    let complaints = recovered.complaints();
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].contains("could not be read"), "{complaints:?}");
    recovered.flush().unwrap();
    assert_eq!(files(copy.path(), "damaged").len(), 1);
    assert_eq!(messages(&recovered).await, ["a", "c"]);
}

#[tokio::test]
async fn a_damaged_log_that_is_kept_stays_when_another_of_its_number_is_damaged() {
    let mut directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let store = EmbeddedStore::open(directory.path()).unwrap();
        for message in ["a", "b", "c"] {
            append(&store, &[record(&format!("{message} {round}"))]).await;
        }
        let copy = killed(&directory);
        let kept = fs::read_dir(directory.path().join("wal")).unwrap().map(|file| file.unwrap());
        for file in kept.filter(|file| file.file_name().to_string_lossy().contains("damaged")) {
            fs::copy(file.path(), copy.path().join("wal").join(file.file_name())).unwrap();
        }
        let log = files(copy.path(), "wal").remove(0);
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&log, bytes).unwrap();
        drop(EmbeddedStore::open(copy.path()).unwrap());
        drop(store);
        directory = copy;
    }
    assert_eq!(fs::read_dir(directory.path().join("wal")).unwrap().count(), 3);
}

#[tokio::test]
async fn a_damaged_segment_is_named_in_the_answer_and_the_rest_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    store.flush().unwrap();
    append(&store, &[record("b")]).await;
    store.flush().unwrap();
    append(&store, &[record("c")]).await;
    drop(store);
    let segments = files(directory.path(), "parquet");
    let mut bytes = fs::read(&segments[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segments[0], bytes).unwrap();

    let store = EmbeddedStore::open(directory.path()).unwrap();
    let answer = store.rows(&project(), &everything(Order::Stored)).await.unwrap();
    let found: Vec<_> =
        support::read(&answer).iter().map(|(_, record)| record.message().to_owned()).collect();
    assert_eq!(found, ["b", "c"]);
    assert_eq!(answer.damaged.len(), 1);
    assert!(answer.damaged[0].contains("checksum"), "{:?}", answer.damaged);
    assert_eq!(store.complaints().len(), 1);
    // It stays where it is: a backup may mend it.
    drop(store);
    assert_eq!(files(directory.path(), "parquet"), segments);
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = EmbeddedStore::open(directory.path()).unwrap();
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)));
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
}

#[test]
fn a_manifest_that_is_none_or_newer_is_refused_and_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("segments/default/2026-01-31")).unwrap();
    let segment = directory.path().join("segments/default/2026-01-31/000000000001.parquet");
    fs::write(&segment, b"x").unwrap();
    for (content, reason) in [
        ("{", "manifest.json can't be read"),
        (
            r#"{"format_version":3,"next_sequence":1,"next_segment":1,"projects":{},"clients":[]}"#,
            "format 3",
        ),
    ] {
        fs::write(directory.path().join("manifest.json"), content).unwrap();
        let error = EmbeddedStore::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(segment.exists());
    }
}

#[tokio::test]
async fn a_segment_is_plain_parquet_that_any_reader_opens() {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };

    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(
        &store,
        &[r#"{"time":"2026-01-31T12:00:00Z","message":"a","level":"warn","service":"s","n":7}"#
            .to_owned()],
    )
    .await;
    append(&store, &[r#"{"time":"2026-01-30T12:00:00Z","message":"late"}"#.to_owned()]).await;
    drop(store);
    let segments = files(directory.path(), "parquet");
    let days: Vec<_> = segments
        .iter()
        .map(|path| path.parent().unwrap().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(days, ["2026-01-30", "2026-01-31"]);
    let reader =
        SerializedFileReader::new(fs::File::open(&segments[1]).unwrap().into_file()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1);
    let columns: Vec<&String> = rows[0].get_column_iter().map(|(name, _)| name).collect();
    let text = |name: &str| {
        rows[0]
            .get_string(columns.iter().position(|column| *column == name).unwrap())
            .unwrap()
            .clone()
    };
    assert_eq!(
        [text("message"), text("level"), text("service"), text("fields")],
        ["a", "warn", "s", "{\"n\":7}"]
    );
}

#[tokio::test]
async fn segments_without_a_manifest_are_refused_and_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    drop(store);
    let manifest = directory.path().join("manifest.json");
    let content = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let foreign = directory.path().join("segments/README.txt");
    fs::write(&foreign, "not ours").unwrap();
    let segments = files(directory.path(), "parquet");
    let error = EmbeddedStore::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.json is missing"), "{error}");
    assert_eq!(files(directory.path(), "parquet"), segments);
    fs::write(&manifest, content).unwrap();
    assert_eq!(messages(&EmbeddedStore::open(directory.path()).unwrap()).await, ["a"]);
    assert!(foreign.exists());
}

#[tokio::test]
async fn a_segment_that_breaks_while_it_is_open_is_left_out_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    store.flush().unwrap();
    append(&store, &[record("b")]).await;
    assert_eq!(messages(&store).await, ["a", "b"]);
    let segment = files(directory.path(), "parquet").remove(0);
    let length = fs::metadata(&segment).unwrap().len();
    fs::write(&segment, vec![0; usize::try_from(length).unwrap()]).unwrap();
    for _ in 0..2 {
        let answer = store.rows(&project(), &everything(Order::Stored)).await.unwrap();
        let found: Vec<_> =
            support::read(&answer).iter().map(|(_, record)| record.message().to_owned()).collect();
        assert_eq!((found, answer.damaged.len()), (vec!["b".to_owned()], 1));
    }
    assert_eq!(store.complaints().len(), 1);
}

#[tokio::test]
async fn a_last_frame_that_is_all_there_and_wrong_is_damage_and_a_part_of_one_never_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    append(&store, &[record("b")]).await;
    let (flipped, torn) = (killed(&directory), killed(&directory));
    let log = files(flipped.path(), "wal").remove(0);
    let mut bytes = fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&log, &bytes).unwrap();
    let recovered = EmbeddedStore::open(flipped.path()).unwrap();
    assert_eq!(messages(&recovered).await, ["a"]);
    assert_eq!(recovered.complaints().len(), 1);

    // Also when it is found again behind a second crash.
    bytes.pop();
    fs::write(files(torn.path(), "wal").remove(0), &bytes).unwrap();
    let once = EmbeddedStore::open(torn.path()).unwrap();
    append(&once, &[record("c")]).await;
    let twice = killed(&torn);
    let recovered = EmbeddedStore::open(twice.path()).unwrap();
    assert_eq!(messages(&recovered).await, ["a", "c"]);
    assert_eq!(recovered.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_flush_that_fails_leaves_no_files_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a"), record("b").replace("01-31", "02-01")]).await;
    // The first day can be written, the second can't: a file is where its directory should be.
    let obstacle = directory.path().join("segments/default/2026-02-01");
    fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    fs::write(&obstacle, "in the way").unwrap();
    for _ in 0..2 {
        assert!(store.flush().is_err());
        assert_eq!(files(directory.path(), "parquet"), Vec::<PathBuf>::new());
        assert_eq!(files(directory.path(), "tmp"), Vec::<PathBuf>::new());
    }
    assert_eq!(messages(&store).await, ["a", "b"]);
    fs::remove_file(&obstacle).unwrap();
    store.flush().unwrap();
    assert_eq!(files(directory.path(), "parquet").len(), 2);
    assert_eq!(messages(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn an_error_that_passes_does_not_make_a_segment_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[record("a")]).await;
    store.flush().unwrap();
    let segment = files(directory.path(), "parquet").remove(0);
    let aside = segment.with_extension("aside");
    // Reading a directory fails, and says nothing about the file.
    fs::rename(&segment, &aside).unwrap();
    fs::create_dir(&segment).unwrap();
    assert!(store.rows(&project(), &everything(Order::Stored)).await.is_err());
    assert_eq!(store.complaints(), Vec::<String>::new());
    fs::remove_dir(&segment).unwrap();
    fs::rename(&aside, &segment).unwrap();
    assert_eq!(messages(&store).await, ["a"]);
}
