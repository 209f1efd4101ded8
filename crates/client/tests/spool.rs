//! The spool: what is logged survives the process and is delivered once.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails panics"
)]

mod support;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use millpond::{
    Builder, Client, DropReason, Overflow,
    limits::{FIELDS_MAX, RECORD_BYTES_MAX, SPOOL_DELAY},
};
use serde_json::Value;
use support::{PATIENCE, Reply, Server, builder, eventually, flush, log, numbers};

const SOON: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_secs(3600);

fn spooling(server: &Server, directory: &Path) -> Builder {
    builder(server.address).spool(directory)
}

/// The batch keys of a server's requests, without repetitions.
fn keys(server: &Server) -> Vec<String> {
    let mut keys: Vec<_> =
        server.requests().iter().map(|request| request.key().to_owned()).collect();
    keys.dedup();
    keys
}

/// Each stored record's message, and whether it was recovered.
fn recovered(server: &Server) -> Vec<(String, bool)> {
    let records = server.stored();
    let records = records.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .map(|record| {
            let mark = record.get("recovered").map(|mark| mark.as_bool().unwrap());
            (record["message"].as_str().unwrap().to_owned(), mark.unwrap_or_default())
        })
        .collect()
}

fn is_balanced(client: &Client) -> bool {
    let metrics = client.metrics();
    metrics.accepted
        == metrics.delivered + metrics.queued + metrics.spooled + metrics.dropped.total()
}

/// Nothing is left of a spool but its directory.
fn assert_empty(directory: &Path) {
    eventually("an empty spool", || fs::read_dir(directory).unwrap().next().is_none());
}

#[test]
fn a_spool_changes_nothing_for_a_server_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let client = spooling(&server, directory.path()).batch_entries(10).build().unwrap();
    log(&client, 0..1000);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..1000));
    assert!(server.requests().iter().all(|request| request.lines.len() <= 10));
    assert_eq!(client.metrics().delivered, 1000);
    assert!(client.close(PATIENCE).is_complete());
    drop(client);
    assert_empty(directory.path());
}

#[test]
fn a_flush_leaves_no_file_that_the_next_process_would_send_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let client = spooling(&server, directory.path()).build().unwrap();
    for round in 0..3 {
        log(&client, round * 10..round * 10 + 10);
        flush(&client);
        // A process that is killed now leaves nothing to anybody.
        let own = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let files = fs::read_dir(own).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(files.filter(|path| path.extension().is_some_and(|it| it == "seg")).count(), 0);
    }
    assert_eq!(server.messages(), numbers(0..30));
}

#[test]
fn what_one_client_could_not_deliver_the_next_one_does_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(503, &[], ""));
    let client = spooling(&server, directory.path()).retry_delay(NEVER, NEVER).build().unwrap();
    log(&client, 0..100);
    assert!(client.persist(PATIENCE).is_complete());
    let metrics = client.metrics();
    assert_eq!((metrics.queued, metrics.spooled), (0, 100));
    log(&client, 100..110);
    let outcome = client.close(Duration::ZERO);
    assert_eq!((outcome.left, outcome.is_safe()), (110, true), "{outcome:?}");
    assert!(is_balanced(&client));
    assert_eq!(client.metrics().dropped.total(), 0);
    drop(client);
    let keys_before = keys(&server);

    server.always(Reply::Accept);
    let client = until_recovered(&server, directory.path(), 110);
    let stored = recovered(&server);
    let (mine, old): (Vec<_>, Vec<_>) =
        stored.into_iter().partition(|(message, _)| message == MINE);
    assert!(mine.iter().all(|(_, recovered)| !recovered));
    // Closing tried once more: what the first client got through then is no recovered record.
    assert_eq!(old.last(), Some(&("109".to_owned(), true)));
    assert_eq!(old.into_iter().map(|(message, _)| message).collect::<Vec<_>>(), numbers(0..110));
    // Under the keys of the first client.
    assert!(keys_before.iter().all(|key| keys(&server).contains(key)));
    assert!(is_balanced(&client));
    drop(client);
    assert_empty(directory.path());
}

const MINE: &str = "mine";

/// Starts clients until one has taken over so many records: the threads of a client of this process that was closed
/// may hold its spool for a moment longer.
fn until_recovered(server: &Server, directory: &Path, records: u64) -> Client {
    let taken_over = std::cell::RefCell::new(None);
    eventually("taken over", || {
        let client = spooling(server, directory).build().unwrap();
        client.info(MINE).send();
        flush(&client);
        assert!(client.close(PATIENCE).is_complete());
        let is_taken_over = client.metrics().recovered == records;
        *taken_over.borrow_mut() = Some(client);
        is_taken_over
    });
    taken_over.take().unwrap()
}

#[test]
fn a_server_that_hangs_does_not_keep_records_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Hang);
    let client = spooling(&server, directory.path()).batch_entries(10).build().unwrap();
    log(&client, 0..10);
    server.wait_for(1);
    log(&client, 10..5_000);
    assert!(client.persist(PATIENCE).is_complete());
    assert_eq!((client.metrics().queued, client.metrics().spooled), (0, 5_000));
    assert_eq!(server.requests().len(), 1);
    server.release();
    flush(&client);
    assert_eq!(server.messages(), numbers(0..5_000));
}

#[test]
fn a_refused_key_stops_sending_and_not_spooling() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(401, &[], ""));
    let client = spooling(&server, directory.path())
        .queue_limits(1 << 20, 100)
        .overflow(Overflow::Block(PATIENCE))
        .retry_delay(NEVER, NEVER)
        .build()
        .unwrap();
    log(&client, 0..2_000);
    assert!(client.persist(PATIENCE).is_complete());
    assert_eq!(client.metrics().spooled, 2_000);
    server.always(Reply::Accept);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..2_000));
}

#[test]
fn a_bad_record_that_was_spooled_is_found_and_the_parts_keep_their_keys() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Poisoned(400, "poison"));
    // Ends in the middle of looking for the bad one, with one half delivered.
    server.script([Reply::Poisoned(400, "poison"), Reply::Accept, Reply::Status(503, &[], "")]);
    let client = spooling(&server, directory.path()).retry_delay(NEVER, NEVER).build().unwrap();
    log(&client, 0..15);
    client.info("poison").send();
    assert!(client.persist(PATIENCE).is_complete());
    server.wait_for(3);
    let _ = client.close(Duration::ZERO);
    drop(client);
    eventually("the rest is delivered", || {
        let client = spooling(&server, directory.path()).build().unwrap();
        client.info(MINE).send();
        flush(&client);
        assert!(client.close(PATIENCE).is_complete());
        let mut messages = server.messages();
        messages.retain(|message| message != MINE);
        messages == numbers(0..15)
    });
}

#[test]
fn a_spool_that_can_not_be_made_costs_nothing_but_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::File::create(&file).unwrap();
    let server = Server::start();
    let client = spooling(&server, &file).build().unwrap();
    log(&client, 0..10);
    // What was written a while ago waits for its batch as without a spool.
    eventually("some time", {
        let until = Instant::now() + 5 * SPOOL_DELAY;
        move || Instant::now() > until
    });
    log(&client, 10..20);
    flush(&client);
    assert_eq!(server.messages(), numbers(0..20));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_spool_that_is_smaller_than_a_batch_stops_nothing() {
    for bytes_max in [1, 100, 5_000] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start();
        let client =
            spooling(&server, directory.path()).spool_limits(bytes_max, NEVER).build().unwrap();
        log(&client, 0..500);
        flush(&client);
        log(&client, 500..600);
        flush(&client);
        assert_eq!(server.messages(), numbers(0..600), "{bytes_max}");
    }
}

#[test]
fn records_at_their_limits_survive_a_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(503, &[], ""));
    let client = spooling(&server, directory.path()).retry_delay(NEVER, NEVER).build().unwrap();
    client.info("x".repeat(2 * RECORD_BYTES_MAX)).send();
    client.submit(millpond::Level::Info, |line| {
        line.message("many fields");
        (0..2 * FIELDS_MAX).for_each(|number| line.field(&number.to_string(), &number));
    });
    client.info("m").field("recovered", "mine").send();
    assert!(client.persist(PATIENCE).is_complete());
    let _ = client.close(Duration::ZERO);
    drop(client);
    server.always(Reply::Accept);
    until_recovered(&server, directory.path(), 3);
    for line in server.stored() {
        assert!(line.len() <= RECORD_BYTES_MAX, "{}", line.len());
        let record: Value = serde_json::from_str(&line).unwrap();
        let fields = record["fields"].as_object().map_or(0, serde_json::Map::len);
        let mark = usize::from(record.get("recovered").is_some());
        assert!(fields + mark <= FIELDS_MAX);
        assert!(mark == 0 || record["fields"].get("recovered").is_none());
    }
}

#[test]
fn what_is_damaged_on_disk_is_counted_and_told_and_costs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(503, &[], ""));
    let client = spooling(&server, directory.path()).retry_delay(NEVER, NEVER).build().unwrap();
    for batch in 0..3 {
        log(&client, batch * 100..batch * 100 + 100);
        assert!(client.persist(PATIENCE).is_complete());
    }
    let _ = client.close(Duration::ZERO);
    drop(client);
    let segment = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let mut segments = fs::read_dir(segment).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.find(|path| path.extension().is_some_and(|seg| seg == "seg"));
    let mut bytes = fs::read(segment.as_ref().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4].fill(b'!');
    fs::File::create(segment.unwrap()).unwrap().write_all(&bytes).unwrap();

    server.always(Reply::Accept);
    let client = std::cell::RefCell::new(None);
    eventually("taken over", || {
        let next = spooling(&server, directory.path()).loss_reports(true).build().unwrap();
        next.info(MINE).send();
        flush(&next);
        let is_taken_over = next.metrics().recovered == 300;
        *client.borrow_mut() = Some(next);
        is_taken_over
    });
    let client = client.take().unwrap();
    eventually("delivered", || {
        // Of what was lost the server is told by a record that waits for others.
        flush(&client);
        client.metrics().spooled == 0
    });
    assert_eq!(client.metrics().dropped.get(DropReason::Damaged), 100);
    assert!(is_balanced(&client));
    let messages = server.messages();
    assert!(messages.contains(&"100 log records were lost".to_owned()), "{messages:?}");
    for number in numbers(0..100).iter().chain(&numbers(200..300)) {
        assert_eq!(messages.iter().filter(|message| *message == number).count(), 1, "{number}");
    }
}

#[test]
fn what_does_not_fit_into_the_spool_waits_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Hang);
    let client = spooling(&server, directory.path())
        .batch_entries(50)
        .spool_limits(40_000, NEVER)
        .build()
        .unwrap();
    log(&client, 0..3_000);
    eventually("a full spool", || client.metrics().spooled > 100);
    assert!(!client.persist(SOON).is_complete());
    assert!(client.metrics().queued > 1_000 && is_balanced(&client));
    server.release();
    flush(&client);
    assert_eq!(server.messages(), numbers(0..3_000));
}

#[test]
fn the_oldest_on_disk_make_room_if_that_is_wished() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Hang);
    let client = spooling(&server, directory.path())
        .batch_entries(50)
        .spool_limits(100_000, NEVER)
        .overflow(Overflow::DropOldest)
        .build()
        .unwrap();
    for number in 0..5_000 {
        log(&client, [number]);
        if number % 500 == 0 {
            assert!(client.persist(PATIENCE).is_complete());
        }
    }
    assert!(client.persist(PATIENCE).is_complete());
    let dropped = client.metrics().dropped.get(DropReason::Overflow);
    assert!(dropped > 1_000 && is_balanced(&client), "{dropped}");
    server.release();
    flush(&client);
    let messages = server.messages();
    assert_eq!(messages.len() as u64, 5_000 - dropped);
    assert_eq!(messages.last().unwrap(), "4999");
    assert!(messages.is_sorted_by_key(|message| message.parse::<u32>().unwrap()));
}

#[test]
fn what_is_too_old_is_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(503, &[], ""));
    let client = spooling(&server, directory.path())
        .spool_limits(1 << 20, Duration::ZERO)
        .retry_delay(NEVER, NEVER)
        .build()
        .unwrap();
    log(&client, 0..5);
    assert!(client.persist(PATIENCE).is_complete());
    eventually("the attempt, or the end of it", || {
        let metrics = client.metrics();
        metrics.errors > 0 || metrics.dropped.get(DropReason::Expired) == 5
    });
    assert!(is_balanced(&client));
}

/// A child that dies by SIGKILL when its test is done with it, also when that fails.
struct Killed(Child);

impl Killed {
    /// This program again, as the test `name` in its other role; when it says that it is ready.
    fn start(name: &str, server: &Server, directory: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{} {}", server.address, directory.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .unwrap();
        let output = BufReader::new(child.0.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().ends_with("ready")));
        child
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tells this test program to be another program: the address of its server, and its spool.
const ROLE: &str = "MILLPOND_TEST_ROLE";

/// In the other role: logs so much, and stays until it is killed.
fn log_until_killed(records: usize) {
    let Ok(role) = env::var(ROLE) else { return };
    let (address, directory) = role.split_once(' ').unwrap();
    let client = builder(address.parse().unwrap()).spool(directory).build().unwrap();
    log(&client, 0..records);
    // Not asked to persist: the keeper does so by itself. Not sealed either: nothing is due for an hour.
    eventually("written", || client.metrics().queued == 0);
    println!("ready");
    loop {
        thread::park();
    }
}

#[test]
fn what_was_left_is_delivered_by_a_client_that_logs_nothing() {
    const NAME: &str = "what_was_left_is_delivered_by_a_client_that_logs_nothing";
    log_until_killed(10);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    drop(Killed::start(NAME, &server, directory.path()));
    let client = spooling(&server, directory.path()).build().unwrap();
    eventually("delivered", || server.messages() == numbers(0..10));
    assert!(client.close(PATIENCE).is_complete());
}

#[test]
fn what_was_logged_before_a_sigkill_is_delivered_by_the_next_start() {
    const NAME: &str = "what_was_logged_before_a_sigkill_is_delivered_by_the_next_start";
    log_until_killed(1_000);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let child = Killed::start(NAME, &server, directory.path());
    // A client that starts while the other one lives leaves its records alone.
    let client = spooling(&server, directory.path()).build().unwrap();
    client.info("early").send();
    flush(&client);
    assert!(client.close(PATIENCE).is_complete());
    assert_eq!(client.metrics().recovered, 0);

    drop(child);
    let client = spooling(&server, directory.path()).build().unwrap();
    client.info("late").send();
    flush(&client);
    assert_eq!(client.metrics().recovered, 1_000);
    let mut expected = vec![("early".to_owned(), false)];
    expected.extend(numbers(0..1_000).into_iter().map(|number| (number, true)));
    expected.push(("late".to_owned(), false));
    assert_eq!(recovered(&server), expected);
}

#[test]
fn a_program_that_is_replaced_by_another_lets_go_of_its_spool() {
    const NAME: &str = "a_program_that_is_replaced_by_another_lets_go_of_its_spool";
    if let Ok(role) = env::var(ROLE) {
        let (address, directory) = role.split_once(' ').unwrap();
        let client = builder(address.parse().unwrap()).spool(directory).build().unwrap();
        log(&client, 0..50);
        eventually("written", || client.metrics().queued == 0);
        // Says that it has taken over, and stays.
        let error = Command::new("sh").args(["-c", "echo ready; read forever"]).exec();
        panic!("{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let other = Killed::start(NAME, &server, directory.path());
    let client = spooling(&server, directory.path()).build().unwrap();
    client.info("mine").send();
    flush(&client);
    assert_eq!(client.metrics().recovered, 50);
    drop(other);
}
