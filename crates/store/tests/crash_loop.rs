//! A process that does everything a store can, killed at any moment, again and again: what it said is true.
//!
//! The process is this test binary. `MILLPOND_CRASH_ROUNDS` is the number of kills, 40 unless given.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use millpond_record::Timestamp;
use millpond_store::{EmbeddedStore, Order, Project, Retention, Store, check};
use support::{batch, copy, everything, key, quick_directory, read};

const DIRECTORY: &str = "MILLPOND_CRASH_DIRECTORY";
const BEGIN: &str = "MILLPOND_CRASH_BEGIN";

/// A store grows for so many rounds; then the next begins empty.
const ROUNDS_OF_A_STORE: usize = 20;

/// Retention is applied as if it were this moment, 2026-02-01.
const NOW: Timestamp = Timestamp::from_nanos(1_769_904_000_000_000_000);

fn named(project: &str) -> Project {
    project.parse().unwrap()
}

/// Batch `number`: a record of an old day and one of a new day.
fn pair(number: u64) -> [String; 2] {
    let day = number % 3;
    ["old", "new"].map(|age| {
        let month = if age == "old" { "2020-01" } else { "2026-01" };
        format!(r#"{{"time":"{month}-1{day}T12:00:00Z","message":"{age} {number}"}}"#)
    })
}

fn say(what: &str, number: u64) {
    let mut out = std::io::stdout();
    writeln!(out, "{what} {number}").unwrap();
}

/// Stores batches from a number on, and says each that was acknowledged.
async fn send(store: &EmbeddedStore, project: &str, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        store.append(&named(project), key(number), batch(&pair(number))).await.unwrap();
        say(project, number);
    }
}

/// The process that is killed. As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let begin = std::env::var(BEGIN).unwrap();
    let begin: Vec<u64> = begin.split(' ').map(|number| number.parse().unwrap()).collect();
    let (kept, aged, deleted) = (begin[0], begin[1], begin[2]);
    let store = Arc::new(EmbeddedStore::open(Path::new(&directory)).unwrap());
    let year = Retention { age_seconds: Some(365 * 86_400), bytes: None };
    store.set_retention(&named("aged"), year).await.unwrap();
    let of_kept = Arc::clone(&store);
    tokio::spawn(async move { send(&of_kept, "kept", kept..).await });
    let of_aged = Arc::clone(&store);
    tokio::spawn(async move { send(&of_aged, "aged", aged..).await });
    let keeper = Arc::clone(&store);
    tokio::task::spawn_blocking(move || {
        loop {
            keeper.flush().unwrap();
            keeper.merge().unwrap();
            keeper.clean_up(NOW).unwrap();
        }
    });
    let mut number = deleted;
    loop {
        send(&store, "deleted", number..number + 7).await;
        number += 7;
        say("deleting", number);
        store.delete_project(&named("deleted")).await.unwrap();
        say("gone", number);
    }
}

/// What the processes said so far.
#[derive(Debug, Default)]
struct Said {
    /// By project, behind the last acknowledged number.
    acknowledged: BTreeMap<String, u64>,
    /// Numbers below it are being deleted.
    deleting: u64,
    /// Numbers below it are deleted.
    gone: u64,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let (what, number) = line.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        match what {
            "deleting" => self.deleting = number,
            "gone" => self.gone = number,
            project => {
                self.acknowledged.insert(project.to_owned(), number + 1);
            }
        }
    }

    fn end(&self, project: &str) -> u64 {
        self.acknowledged.get(project).copied().unwrap_or_default()
    }
}

/// Runs the process until it has said so many things, and kills it.
fn run_and_kill(directory: &Path, said: &mut Said, things: usize) {
    let begin = ["kept", "aged", "deleted"].map(|project| said.end(project).to_string()).join(" ");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--quiet"])
        .env(DIRECTORY, directory)
        .env(BEGIN, begin)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut heard = 0;
    while lines.read_line(&mut line).unwrap() > 0 {
        let words = ["kept ", "aged ", "deleted ", "deleting ", "gone "];
        // The last line may be cut off, and the test harness says things as well.
        if line.ends_with('\n') && words.iter().any(|word| line.starts_with(word)) {
            said.hear(line.trim_end());
            heard += 1;
            if heard == things {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(heard >= things, "the process ended by itself");
}

/// How often each message is there.
async fn counts(store: &EmbeddedStore, project: &str) -> BTreeMap<String, usize> {
    let answer = store.rows(&named(project), &everything(Order::Stored)).await.unwrap();
    assert_eq!(answer.damaged, Vec::<String>::new());
    let mut counts = BTreeMap::new();
    for (_, record) in read(&answer) {
        *counts.entry(record.message().to_owned()).or_default() += 1;
    }
    counts
}

async fn what_was_said_is_true(directory: &Path, said: &Said, about: &str) {
    let checked = check(directory).unwrap();
    assert_eq!(checked.problems, Vec::<String>::new(), "{about}");
    let store = EmbeddedStore::open(directory).unwrap();
    for project in ["kept", "aged", "deleted"] {
        let counts = counts(&store, project).await;
        let twice: Vec<_> = counts.iter().filter(|&(_, &count)| count > 1).collect();
        assert!(twice.is_empty(), "{about}, {project}: {twice:?} are there more than once");
        let has = |age: &str, number: u64| counts.contains_key(&format!("{age} {number}"));
        let end = said.end(project);
        for number in 0..=end {
            let whole = has("old", number) == has("new", number);
            let right = match project {
                // The last one was perhaps stored and not said.
                "kept" => whole && (has("new", number) || number == end),
                "aged" => has("new", number) || number == end,
                _ if number < said.gone => !has("old", number) && !has("new", number),
                _ if number < said.deleting => whole,
                _ => whole && (has("new", number) || number == end),
            };
            assert!(right, "{about}, {project}: {number} is wrong, {said:?}");
        }
        let beyond = counts.keys().filter_map(|message| message.split(' ').nth(1));
        assert!(
            beyond.flat_map(str::parse).all(|number: u64| number <= end),
            "{about}: {counts:?}"
        );
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_nothing_doubles_nothing_and_brings_nothing_back() {
    let rounds = std::env::var("MILLPOND_CRASH_ROUNDS");
    let rounds: usize = rounds.map_or(40, |rounds| rounds.parse().unwrap());
    let mut directory = quick_directory();
    let mut said = Said::default();
    let mut random = 88_172_645_463_325_252_u64;
    for round in 0..rounds {
        if round % ROUNDS_OF_A_STORE == 0 {
            (directory, said) = (quick_directory(), Said::default());
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let things = 1 + (random % 80) as usize;
        run_and_kill(directory.path(), &mut said, things);
        // A copy is looked at, so that the next process finds what the killed one left.
        let place = quick_directory();
        copy(directory.path(), place.path());
        what_was_said_is_true(place.path(), &said, &format!("round {round}")).await;
    }
}
