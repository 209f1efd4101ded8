//! A disk that fails.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use super::*;
use crate::spool::disk::{Disk, Step};

/// What is to fail, from now on.
#[derive(Debug, Default)]
pub(in crate::spool) struct Faults {
    steps: Mutex<Vec<Step>>,
    /// Bytes that may yet be written.
    room: Mutex<Option<usize>>,
}

impl Faults {
    pub(in crate::spool) fn at(&self, step: Step) -> io::Result<()> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.contains(&step) { Err(io::Error::other("a fault of the test")) } else { Ok(()) }
    }

    /// The bytes, or those for which there is room.
    pub(in crate::spool) fn room<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<&'a [u8], (&'a [u8], io::Error)> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *room {
            Some(room) if *room < bytes.len() => {
                Err((&bytes[..std::mem::take(room)], io::ErrorKind::StorageFull.into()))
            }
            Some(room) => {
                *room -= bytes.len();
                Ok(bytes)
            }
            None => Ok(bytes),
        }
    }

    fn set(&self, steps: &[Step], room: Option<usize>) {
        *self.steps.lock().unwrap() = steps.to_vec();
        *self.room.lock().unwrap() = room;
    }
}

/// A spool with one batch on disk.
fn spool(folder: &Folder) -> Spool {
    let spool = folder.first(1);
    spool.batch("a\n");
    spool
}

/// What a crash right now would leave to be sent.
fn after_a_crash(folder: &Folder, spool: Spool) -> Vec<Handed> {
    spool.disk.faults.set(&[], None);
    spool.crash();
    folder.open(99).0.drain()
}

#[test]
fn a_full_disk_costs_nothing_and_the_spool_goes_on_when_there_is_room() {
    for room in 0..30 {
        let folder = Folder::new();
        let spool = spool(&folder);
        let before = spool.usage();
        spool.disk.faults.set(&[], Some(room));
        let error = spool.append(&batch("b1\nb2\nb3\n"), at(0)).unwrap_err();
        assert!(error.to_string().contains("00000000000000000001.seg"), "{error}");
        assert_eq!((spool.usage(), spool.disk_bytes()), (before, before.bytes));
        spool.disk.faults.set(&[], None);
        spool.batch("b1\nb2\nb3\n");
        assert_eq!(segments(&folder.of(1)).len(), 1);
        let all = [expected(1, 1, "a\n"), expected(1, 2, "b1\nb2\nb3\n")];
        assert_eq!(spool.drain(), all);
        assert_eq!(after_a_crash(&folder, spool), all);
    }
}

#[test]
fn half_a_frame_that_can_not_be_cut_off_ends_its_segment() {
    for room in 0..30 {
        let folder = Folder::new();
        let spool = spool(&folder);
        spool.add("b\n");
        spool.disk.faults.set(&[Step::Truncate], Some(room));
        spool.append(&batch("lost1\nlost2\n"), at(0)).unwrap_err();
        assert_eq!(spool.usage().bytes, spool.disk_bytes());
        spool.disk.faults.set(&[], None);
        assert_eq!(spool.unsealed().entries, 0);
        spool.batch("c\n");
        assert_eq!(segments(&folder.of(1)).len(), 2);
        let all = [expected(1, 1, "a\n"), expected(1, 2, "b\n"), expected(1, 3, "c\n")];
        assert_eq!(spool.drain(), all);
        assert_eq!(after_a_crash(&folder, spool), all);
    }
}

#[test]
fn a_batch_goes_out_although_its_seal_finds_no_room() {
    for (room, steps) in (0..25).flat_map(|room| [(room, vec![]), (room, vec![Step::Truncate])]) {
        let folder = Folder::new();
        let spool = spool(&folder);
        spool.add("b\n");
        spool.disk.faults.set(&steps, Some(room));
        assert_eq!(spool.seal().unwrap(), 1);
        assert_eq!(spool.usage().bytes, spool.disk_bytes());
        spool.disk.faults.set(&[], None);
        spool.batch("c\n");
        let all = [expected(1, 1, "a\n"), expected(1, 2, "b\n"), expected(1, 3, "c\n")];
        assert_eq!(spool.drain(), all);
        assert_eq!(after_a_crash(&folder, spool), all);
    }
}

#[test]
fn after_a_failed_sync_the_batch_goes_out_and_the_segment_is_not_written_to_again() {
    let folder = Folder::new();
    let spool = spool(&folder);
    spool.add("b\n");
    spool.disk.faults.set(&[Step::Sync], None);
    let error = spool.seal().unwrap_err();
    assert!(error.to_string().starts_with("sync \""), "{error}");
    assert_eq!(spool.unsealed().entries, 0);
    let first = segments(&folder.of(1));
    spool.disk.faults.set(&[], None);
    spool.batch("c\n");
    assert_eq!(segments(&folder.of(1)).first(), first.first());
    let all = [expected(1, 1, "a\n"), expected(1, 2, "b\n"), expected(1, 3, "c\n")];
    assert_eq!(spool.drain(), all);
    assert_eq!(after_a_crash(&folder, spool), all);
}

#[test]
fn a_segment_that_can_not_be_begun_leaves_nothing() {
    for (steps, room) in [(vec![Step::Create], None), (vec![], Some(0)), (vec![], Some(30))] {
        let folder = Folder::new();
        let spool = folder.first(1);
        spool.disk.faults.set(&steps, room);
        spool.append(&batch("a\n"), at(0)).unwrap_err();
        assert_eq!(segments(&folder.of(1)), []);
        assert_eq!(spool.usage(), crate::Usage::default());
        spool.disk.faults.set(&[], None);
        spool.batch("a\n");
        assert_eq!(spool.drain(), [expected(1, 1, "a\n")]);
    }
}

#[test]
fn a_file_that_can_not_be_removed_is_named_and_sent_again_after_the_next_start() {
    let folder = Folder::new();
    let spool = spool(&folder);
    let taken = spool.take().unwrap();
    spool.disk.faults.set(&[Step::Remove], None);
    spool.acknowledge(&taken.ticket).unwrap();
    let error = spool.retire().unwrap_err();
    assert!(error.to_string().starts_with("remove \""), "{error}");
    assert_eq!(spool.usage(), crate::Usage::default());
    assert_eq!(after_a_crash(&folder, spool), [expected(1, 1, "a\n")]);
}

#[test]
fn unsealed_lines_are_recovered_even_if_there_is_no_room_for_their_seal() {
    for (room, steps) in (0..25).flat_map(|room| [(room, vec![]), (room, vec![Step::Truncate])]) {
        let folder = Folder::new();
        let spool = spool(&folder);
        spool.add("b\n");
        spool.crash();
        if room % 2 == 1 {
            let (path, _) = segments(&folder.of(1)).remove(0);
            fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"half").unwrap();
        }
        let all = [expected(1, 1, "a\n"), expected(1, 2, "b\n")];
        let disk = Disk::default();
        disk.faults.set(&steps, Some(room));
        let (spool, recovery) = Spool::open_on(folder.path(), &client(2), LIMITS, disk).unwrap();
        assert_eq!((spool.drain().as_slice(), recovery.records), (all.as_slice(), 2));
        assert_eq!(recovery.damaged.len(), 1, "{:?}", recovery.damaged);
        spool.crash();
        assert_eq!(folder.open(3).0.drain(), all);
    }
}

#[test]
fn a_spool_that_can_not_have_its_directory_says_so() {
    for step in [Step::Create, Step::Sync] {
        let folder = Folder::new();
        let disk = Disk::default();
        disk.faults.set(&[step], None);
        let error = Spool::open_on(folder.path(), &client(1), LIMITS, disk).unwrap_err();
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
    let folder = Folder::new();
    put(&folder.path().join("file"), b"");
    let error = Spool::open(&folder.path().join("file"), &client(1), LIMITS).unwrap_err();
    assert!(error.to_string().starts_with("create \""), "{error}");
}
