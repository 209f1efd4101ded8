//! What happens between the steps of a flush or a merge, which only the engine itself can stop at.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    compute,
    datatypes::{DataType, Schema},
};
use fs_err as fs;
use millpond_record::{Decoded, Timestamp, decode, json::Reader};

use super::{change::Change, lock, merge::When};
use crate::{
    BatchBuilder, EmbeddedStore, Project, Retention, Store, hot::Chunk, limits::MERGE_BYTES,
    manifest, records, segment::Segment,
};

fn project() -> Project {
    "p".parse().unwrap()
}

/// Stores records of these seconds of one day.
async fn append(store: &EmbeddedStore, seconds: &[u32]) {
    let mut builder = BatchBuilder::new(Timestamp::from_nanos(1));
    for second in seconds {
        let json = format!(r#"{{"time":"2026-01-31T00:00:{second:02}Z","message":"{second}"}}"#);
        let Decoded::Record(record) =
            decode(&mut Reader::new(&json), Timestamp::from_nanos(1)).unwrap()
        else {
            panic!("{json}")
        };
        builder.push(&record, &json);
    }
    store.append(&project(), None, builder.finish()).await.unwrap();
}

/// Stores so many records of one day with stack traces of 63 kB as a segment of its own.
async fn large_segment(store: &EmbeddedStore, records: usize) {
    let mut builder = BatchBuilder::new(Timestamp::from_nanos(1));
    let stack = "at main".repeat(9_000);
    let json = format!(
        r#"{{"time":"2026-01-31T00:00:00Z","message":"m","exception":{{"type":"T","stacktrace":["{stack}"]}}}}"#
    );
    let decoded = decode(&mut Reader::new(&json), Timestamp::from_nanos(1)).unwrap();
    let Decoded::Record(record) = decoded else { panic!("{json}") };
    for _ in 0..records {
        builder.push(&record, &json);
    }
    store.append(&project(), None, builder.finish()).await.unwrap();
    store.flush().unwrap();
}

/// Stores them as a segment of its own.
async fn segment(store: &EmbeddedStore, seconds: &[u32]) {
    append(store, seconds).await;
    store.flush().unwrap();
}

fn segments(store: &EmbeddedStore) -> Vec<Arc<Segment>> {
    store.snapshot(&project()).segments
}

fn row_counts(store: &EmbeddedStore) -> Vec<u64> {
    segments(store).iter().map(|segment| segment.entry.rows).collect()
}

fn file_numbers(directory: &Path) -> BTreeSet<u64> {
    let day = fs::read_dir(directory.join("segments/p/2026-01-31")).unwrap();
    day.filter_map(|file| manifest::file_number(&file.unwrap().path())).collect()
}

#[tokio::test]
async fn a_query_reads_the_files_of_its_snapshot_after_a_merge_and_then_they_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    segment(&store, &[1]).await;
    segment(&store, &[2]).await;
    let snapshot = segments(&store);
    store.merge().unwrap();
    assert_eq!(file_numbers(directory.path()), [1, 2, 3].into());
    assert!(snapshot.iter().all(|segment| segment.rows().is_ok()));
    drop(snapshot);
    store.clean_up(Timestamp::from_nanos(1)).unwrap();
    assert_eq!(file_numbers(directory.path()), [3].into());
    assert_eq!(row_counts(&store), [2]);
}

#[tokio::test]
async fn what_a_crash_left_of_a_merge_is_removed_at_the_next_start_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    segment(&store, &[1]).await;
    segment(&store, &[2]).await;
    let held = segments(&store);
    // A merged segment that is written and does not count yet, when another change saves the manifest.
    let rows = held[0].rows().unwrap();
    store.shared.write_segment(&project(), "2026-01-31", &rows).unwrap();
    store.merge().unwrap();
    segment(&store, &[3]).await;
    let riddle = directory.path().join("segments/p/2026-01-31/riddle.parquet");
    fs::write(&riddle, "?").unwrap();
    drop(store);
    assert_eq!(file_numbers(directory.path()), [1, 2, 3, 4, 5].into());
    let reopened = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(file_numbers(directory.path()), [4, 5].into());
    assert_eq!(row_counts(&reopened), [2, 1]);
    assert!(riddle.exists());
}

#[tokio::test]
async fn merged_rows_are_sorted_by_time_and_then_by_sequence() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    segment(&store, &[5]).await;
    segment(&store, &[4, 5]).await;
    segment(&store, &[3, 9]).await;
    store.merge().unwrap();
    let rows = segments(&store)[0].rows().unwrap();
    let places: Vec<(i64, u64)> = records(&rows)
        .map(|(cursor, _)| (cursor.time.nanos() / 1_000_000_000 % 60, cursor.sequence))
        .collect();
    assert_eq!(places, [(3, 4), (4, 2), (5, 1), (5, 3), (9, 5)]);
}

#[tokio::test]
async fn a_tier_is_merged_when_it_has_enough_segments_and_a_row_goes_up_a_tier_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for second in 0..3 {
        segment(&store, &[second]).await;
    }
    let merge = || store.shared.merge_all(When::Tiered, || false).unwrap();
    merge();
    assert_eq!(row_counts(&store), [1, 1, 1]);
    segment(&store, &[3]).await;
    merge();
    assert_eq!(row_counts(&store), [4]);
    segment(&store, &[4]).await;
    for quad in 1..4 {
        segment(&store, &[quad; 4]).await;
    }
    merge();
    assert_eq!(row_counts(&store), [1, 16]);
}

#[tokio::test]
async fn a_merge_whose_sources_were_deleted_meanwhile_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    segment(&store, &[1]).await;
    segment(&store, &[2]).await;
    let run = store.shared.pick(When::Any, &HashSet::new()).unwrap();
    store.delete_project(&project()).await.unwrap();
    store.shared.merge(&run).unwrap();
    assert_eq!(row_counts(&store), Vec::<u64>::new());
    drop(run);
    store.clean_up(Timestamp::from_nanos(1)).unwrap();
    assert!(!directory.path().join("segments/p").exists());
}

#[tokio::test]
async fn a_flush_whose_rows_were_deleted_meanwhile_leaves_nothing_but_what_came_since() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[1, 2]).await;
    let begun = store.shared.begin_flush(&project()).unwrap();
    append(&store, &[3]).await;
    store.delete_project(&project()).await.unwrap();
    append(&store, &[4]).await;
    store.shared.finish_flush(&project(), &begun).unwrap();
    assert_eq!(row_counts(&store), Vec::<u64>::new());
    assert_eq!(file_numbers(directory.path()), [].into());
    assert_eq!(store.snapshot(&project()).hot.len(), 1);
    assert!(lock(&store.shared.state).unfinished.is_empty());
    store.flush().unwrap();
    assert_eq!(row_counts(&store), [1]);
}

#[tokio::test]
async fn segments_that_are_small_on_disk_and_large_in_memory_are_merged_up_to_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    // Of 25 MB each when they are decoded, and of some kB on disk.
    for _ in 0..3 {
        large_segment(&store, 400).await;
    }
    assert!(segments(&store).iter().all(|segment| segment.entry.bytes < 1 << 20));
    store.merge().unwrap();
    let mut counts = row_counts(&store);
    counts.sort_unstable();
    assert_eq!(counts, [400, 800]);
    let decoded = |segment: &Arc<Segment>| segment.entry.decoded_bytes;
    assert!(segments(&store).iter().all(|segment| decoded(segment) <= MERGE_BYTES as u64));
}

#[tokio::test]
async fn a_segment_whose_size_in_memory_no_manifest_tells_is_merged_only_if_it_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for records in [1, 600, 1] {
        large_segment(&store, records).await;
    }
    drop(store);
    let path = directory.path().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for segment in manifest["projects"]["p"]["segments"].as_array_mut().unwrap() {
        segment.as_object_mut().unwrap().remove("decoded_bytes").unwrap();
    }
    fs::write(&path, manifest.to_string()).unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    store.merge().unwrap();
    assert_eq!(row_counts(&store), [600, 2]);
}

/// Puts a directory in the place of a file: neither reading nor removing it works, which says nothing about the file.
fn block(file: &Path) -> PathBuf {
    let aside = file.with_extension("aside");
    fs::rename(file, &aside).unwrap();
    fs::create_dir(file).unwrap();
    aside
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_now_stops_no_other_merge() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let later: Project = "q".parse().unwrap();
    for second in 1..4 {
        segment(&store, &[second]).await;
        let json = r#"{"time":"2026-01-31T00:00:00Z","message":"m"}"#;
        let mut builder = BatchBuilder::new(Timestamp::from_nanos(1));
        let decoded = decode(&mut Reader::new(json), Timestamp::from_nanos(1)).unwrap();
        let Decoded::Record(record) = decoded else { panic!("{json}") };
        builder.push(&record, json);
        store.append(&later, None, builder.finish()).await.unwrap();
    }
    store.flush().unwrap();
    let first = directory.path().join("segments").join(&segments(&store)[0].entry.file);
    let aside = block(&first);
    assert!(store.merge().is_err());
    assert_eq!(row_counts(&store), [1, 2]);
    assert_eq!(store.snapshot(&later).segments.len(), 1);
    fs::remove_dir(&first).unwrap();
    fs::rename(&aside, &first).unwrap();
    store.merge().unwrap();
    assert_eq!(row_counts(&store), [3]);
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_stops_neither_other_files_nor_the_retention() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    for second in 1..4 {
        segment(&store, &[second]).await;
    }
    store
        .shared
        .change(
            &lock(&store.shared.saving),
            &project(),
            Change { removed: segments(&store)[..2].to_vec(), ..Change::default() },
        )
        .unwrap();
    let first = directory.path().join("segments/p/2026-01-31/000000000001.parquet");
    block(&first);
    let nothing = Retention { age_seconds: None, bytes: Some(0) };
    store.set_retention(&project(), nothing).await.unwrap();
    assert!(store.shared.maintain(true).is_err());
    assert_eq!(row_counts(&store), Vec::<u64>::new());
    assert_eq!(file_numbers(directory.path()), [1].into());
}

#[tokio::test]
async fn hot_rows_that_cannot_be_joined_are_counted_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    append(&store, &[1]).await;
    {
        // A chunk with a column of another type, which no other rows can be joined with.
        let mut state = lock(&store.shared.state);
        let hot = &mut state.projects.get_mut(&project()).unwrap().hot;
        let rows = hot[0].rows.clone();
        let fields = rows.schema_ref().fields().iter().cloned();
        let fields: Vec<_> = fields
            .map(|field| match field.name().as_str() {
                "message" => Arc::new(field.as_ref().clone().with_data_type(DataType::LargeUtf8)),
                _ => field,
            })
            .collect();
        let columns = rows.columns().iter().zip(&fields);
        let columns =
            columns.map(|(column, field)| compute::cast(column, field.data_type()).unwrap());
        let columns = columns.collect();
        let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        hot[0] = Arc::new(Chunk::new(other));
        state.hot_bytes = state.projects[&project()].hot_bytes();
    }
    append(&store, &[2]).await;
    let state = lock(&store.shared.state);
    assert_eq!(state.projects[&project()].hot.len(), 2);
    assert_eq!(state.hot_bytes, state.projects[&project()].hot_bytes());
}
