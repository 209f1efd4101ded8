//! Things in the directory that are not ours.

use super::*;
use crate::spool::{ADOPTED_DIRECTORIES_MAX, frame::Header};

#[test]
fn a_segment_of_an_unknown_version_is_named_and_kept() {
    let mut bytes = Header { client: 1, number: 1, sequence: 1, created: 0 }.encode();
    bytes[8] = 2;
    let folder = Folder::with_segment(1, &bytes);
    for number in [2, 3] {
        let (_, recovery) = folder.open(number);
        assert_eq!((recovery.clients, recovery.torn_bytes), (0, 0));
        assert_eq!(recovery.damaged.len(), 1);
        assert!(
            recovery.damaged[0].ends_with("1.seg: a segment of the unknown version 2"),
            "{recovery:?}"
        );
    }
    assert_eq!(segments(&folder.of(1)).len(), 1);
}

#[test]
fn foreign_files_are_named_and_kept_and_what_is_beside_them_is_sent() {
    let folder = Folder::new();
    let spool = folder.first(1);
    spool.batch("a\n");
    spool.crash();
    let path = segments(&folder.of(1))[0].0.clone();
    put(&folder.path().join("notes.txt"), b"");
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    put(&folder.of(1).join("core"), b"ELF");
    fs::create_dir(folder.of(1).join("00000000000000000009.seg")).unwrap();
    // Copies under a wrong number, and in the directory of a wrong client.
    fs::copy(&path, folder.of(1).join("00000000000000000002.seg")).unwrap();
    fs::create_dir(folder.of(5)).unwrap();
    put(&folder.of(5).join("lock"), b"");
    fs::copy(&path, folder.of(5).join("00000000000000000001.seg")).unwrap();
    for number in [2, 3] {
        let (spool, recovery) = folder.open(number);
        assert_eq!(recovery.damaged.len(), 6, "{:?}", recovery.damaged);
        assert_eq!(spool.drain(), [expected(1, 1, "a\n")]);
    }
    let (spool, _) = folder.open(4);
    spool.acknowledge(&spool.take().unwrap().ticket).unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read_dir(folder.of(1)).unwrap().count(), 4);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn a_segment_that_goes_back_in_the_sequence_is_none_of_ours() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.segment_bytes_max = 1;
    ["a\n", "b\n"].into_iter().for_each(|lines| spool.batch(lines));
    spool.crash();
    let header = Header { client: 1, number: 2, sequence: 1, created: 0 }.encode();
    let segments = segments(&folder.of(1));
    let bytes = fs::read(&segments[0].0).unwrap();
    put(&segments[1].0, &[&header, &bytes[header.len()..]].concat());
    let (spool, recovery) = folder.open(2);
    assert_eq!(spool.drain(), [expected(1, 1, "a\n")]);
    assert_eq!(recovery.damaged.len(), 1);
}

#[test]
fn a_directory_without_a_lock_is_being_made_by_somebody() {
    let folder = Folder::new();
    fs::create_dir(folder.of(1)).unwrap();
    put(&folder.of(1).join("lock.new"), b"");
    folder.first(2);
    assert!(folder.of(1).join("lock.new").exists());
}

#[test]
fn an_empty_directory_of_a_dead_client_is_removed() {
    let folder = Folder::new();
    folder.first(1).crash();
    assert!(folder.of(1).exists());
    folder.first(2);
    assert!(!folder.of(1).exists());
}

#[test]
fn a_start_that_finds_very_many_directories_leaves_some_for_later() {
    let folder = Folder::new();
    let header = |client| Header { client, number: 1, sequence: 1, created: 0 }.encode();
    let lines = crate::spool::frame::lines(1, 0, [b"x\n".as_slice()].into_iter()).unwrap();
    let count = ADOPTED_DIRECTORIES_MAX as u64 + 3;
    for number in 0..u128::from(count) {
        fs::create_dir(folder.of(number)).unwrap();
        put(&folder.of(number).join("lock"), b"");
        let bytes = [&header(number), lines.as_slice(), b"x\n"].concat();
        put(&folder.of(number).join("00000000000000000001.seg"), &bytes);
    }
    let (spool, recovery) = folder.open(1 << 64);
    assert_eq!((recovery.records, recovery.left), (count - 3, 3));
    while let Some(spooled) = spool.take() {
        spool.acknowledge(&spooled.ticket).unwrap();
    }
    let recovery = spool.adopt().unwrap();
    assert_eq!((recovery.records, recovery.left), (3, 0));
    assert_eq!(spool.drain().len(), 3);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_spool() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let (spool, _) = Spool::open(&folder.path().join("a/b"), &client(1), LIMITS).unwrap();
    spool.batch("a\n");
    let directory = folder.path().join("a/b").join(client(1));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&segments(&directory)[0].0)), (0o700, 0o600));
}
