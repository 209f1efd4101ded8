//! Who owns a directory: within a process, and among several.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

use super::*;

const DIRECTORY: &str = "MILLPOND_TEST_SPOOL";

#[test]
fn two_spools_of_one_process_leave_each_other_alone() {
    let folder = Folder::new();
    let first = folder.first(1);
    first.batch("a\n");
    let second = folder.first(2);
    second.batch("b\n");
    assert_eq!(second.drain(), [expected(2, 1, "b\n")]);
    // The lock of the first one must have outlived the visit of the second: so says a process that asks.
    let child = Holder::start(folder.path(), 3);
    assert_eq!(child.said, "0 records");
    drop(child);
    drop(first);
    let recovery = second.adopt().unwrap();
    assert_eq!(recovery.records, 3);
    drop(second);
    assert_eq!(Holder::start(folder.path(), 4).said, "4 records");
}

#[test]
fn the_directory_of_a_killed_process_is_taken_over_and_of_a_living_one_not() {
    let folder = Folder::new();
    let child = Holder::start(folder.path(), 1);
    let spool = folder.first(2);
    assert_eq!(spool.adopt().unwrap(), Recovery::default());
    drop(child);
    let recovery = spool.adopt().unwrap();
    assert_eq!((recovery.clients, recovery.records, recovery.torn_bytes), (1, 2, 0));
    let batches = [expected(1, 1, "sealed\n"), expected(1, 2, "unsealed\n")];
    assert_eq!(spool.drain(), batches);
    spool.crash();
    assert_eq!(folder.open(3).0.drain(), batches);
}

#[test]
fn of_many_threads_that_open_at_once_one_takes_over_what_is_there() {
    let folder = Folder::new();
    for round in 0..20 {
        let dead = folder.first(1);
        dead.batch("a\n");
        dead.crash();
        let records = thread::scope(|scope| {
            let threads = [1, 2, 3, 4].map(|number| {
                let folder = &folder;
                scope.spawn(move || folder.open(100 + number))
            });
            let opened = threads.map(|thread| thread.join().unwrap());
            for (spool, _) in &opened {
                while let Some(spooled) = spool.take() {
                    spool.acknowledge(&spooled.ticket).unwrap();
                }
            }
            opened.iter().map(|(_, recovery)| recovery.records).sum::<u64>()
        });
        assert_eq!(records, 1, "round {round}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_forked_child_can_do_nothing_with_the_spool_of_its_parent() {
    let folder = Folder::new();
    let mut spool = folder.first(1);
    spool.add("a\n");
    // As the child would find it, the lock held by a thread that it does not have.
    let process = std::mem::replace(&mut spool.process, 0);
    assert!(matches!(spool.append(&batch("b\n"), at(0)), Err(SpoolError::Forked)));
    assert!(matches!(spool.seal(), Err(SpoolError::Forked)));
    assert!(matches!(spool.next(Duration::ZERO), Err(SpoolError::Forked)));
    assert!(matches!(spool.retire(), Err(SpoolError::Forked)));
    assert_eq!((spool.drop_oldest_segment(), spool.usage()), (0, crate::Usage::default()));
    spool.process = process;
    spool.seal().unwrap();
    spool.acknowledge(&spool.take().unwrap().ticket).unwrap();
    spool.crash();
    assert!(folder.of(1).exists());
}

/// A process that has a spool with a sealed and an unsealed batch; killed when this is dropped.
struct Holder {
    child: Child,
    said: String,
}

impl Holder {
    fn start(directory: &Path, number: u128) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "spool::tests::processes::hold", "--nocapture"])
            .env(DIRECTORY, directory)
            .env("MILLPOND_TEST_CLIENT", client(number))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines.map(Result::unwrap).find(|line| line.contains("recovered "));
        let said = found.unwrap().split("recovered ").nth(1).unwrap().to_owned();
        Self { child, said }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What [`Holder`] starts; nothing by itself.
#[test]
fn hold() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let client = env::var("MILLPOND_TEST_CLIENT").unwrap();
    let (spool, recovery) = Spool::open(Path::new(&directory), &client, LIMITS).unwrap();
    spool.batch("sealed\n");
    spool.add("unsealed\n");
    println!("recovered {} records", recovery.records);
    // Until it is killed, or whoever would kill it is dead.
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}
