//! What the process does to the client: fork, exit, signals, frozen processes, several clients.

#![cfg(unix)]
#![allow(unsafe_code, clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use millpond::{Client, Console, ConsoleFormat, Scope, breadcrumb};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use support::{PATIENCE, Reply, Server, builder, client, eventually, flush, log, numbers};

const CHILDREN: usize = 200;

/// Runs `child` in a forked process that leaves by `_exit`: its status is 0 if `child` says so.
fn fork(child: impl FnOnce() -> bool) -> Pid {
    // SAFETY: the child uses nothing but the client, whose promise is what is tested, and the allocator, which the C
    // library makes usable after a fork.
    match unsafe { libc::fork() } {
        0 => {
            let status = if child() { 0 } else { 1 };
            // SAFETY: ends the process without running what belongs to the parent.
            unsafe { libc::_exit(status) }
        }
        pid if pid > 0 => Pid::from_raw(pid).unwrap(),
        _ => panic!("no process left"),
    }
}

/// Waits for a child; one that hangs is a failure.
fn wait(pid: Pid) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).unwrap() {
            assert_eq!(status.exit_status(), Some(0), "{status:?}");
            return;
        }
        if Instant::now() > deadline {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("the child hangs");
        }
        thread::yield_now();
    }
}

fn counts(messages: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message).or_default() += 1;
    }
    counts
}

#[test]
fn children_that_are_forked_while_threads_log_deliver_their_own_records_and_nothing_else() {
    let server = Server::start();
    let client = builder(server.address).batch_age(Duration::from_millis(5)).build().unwrap();
    client.info("before").send();
    let done = AtomicBool::new(false);
    let mut expected = thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|thread| {
                let (client, done) = (client.clone(), &done);
                scope.spawn(move || {
                    let mut written = 0;
                    while !done.load(Ordering::Relaxed) {
                        client.info(format!("parent {thread} {written}")).send();
                        written += 1;
                        // Not to fill the server's memory while children come and go.
                        if written % 100 == 0 {
                            flush(&client);
                        }
                    }
                    (0..written).map(|n| format!("parent {thread} {n}")).collect::<Vec<_>>()
                })
            })
            .collect();
        let children: Vec<String> = (0..CHILDREN)
            .map(|child| {
                let pid = fork(|| {
                    client.info(format!("child {child}")).send();
                    client.flush(PATIENCE).is_complete()
                });
                wait(pid);
                format!("child {child}")
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        let mut expected: Vec<String> =
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        expected.extend(children);
        expected
    });
    flush(&client);
    expected.push("before".to_owned());
    assert!(counts(server.messages()) == counts(expected), "lost or doubled");
}

#[test]
fn a_child_has_nothing_of_its_parents_queue_and_its_end_takes_nothing_from_it() {
    let server = Server::start();
    server.script([Reply::Hang]);
    let client = client(&server);
    log(&client, 0..3);
    assert_eq!(client.flush(Duration::from_millis(20)).left, 3);
    server.wait_for(1);
    log(&client, 3..5);
    wait(fork(|| {
        let empty = client.metrics().accepted == 0 && client.flush(PATIENCE).is_complete();
        // The last handle goes: it must neither send nor wait for what is the parent's.
        drop(client.clone());
        empty && client.close(PATIENCE).is_complete()
    }));
    wait(fork(|| {
        client.info("grand").send();
        let grandchild = fork(|| {
            client.info("grandchild").send();
            client.flush(PATIENCE).is_complete()
        });
        wait(grandchild);
        client.flush(PATIENCE).is_complete()
    }));
    server.release();
    flush(&client);
    let mut expected = numbers(0..5);
    expected.extend(["grand".to_owned(), "grandchild".to_owned()]);
    assert_eq!(counts(server.messages()), counts(expected));
}

#[test]
fn a_child_that_is_gone_before_the_server_is_there_leaves_its_records_in_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.always(Reply::Status(503, &[], ""));
    let spooling = || builder(server.address).spool(directory.path()).build().unwrap();
    let client = spooling();
    log(&client, 0..3);
    assert!(client.persist(PATIENCE).is_complete());
    for child in 1..=3 {
        wait(fork(|| {
            log(&client, child * 10..child * 10 + 3);
            client.persist(PATIENCE).is_complete()
        }));
    }
    // The children's, and not the living parent's.
    server.always(Reply::Accept);
    let next = spooling();
    next.info("next").send();
    flush(&next);
    assert_eq!(next.metrics().recovered, 9);
    flush(&client);
    let mut expected = vec!["next".to_owned()];
    expected.extend([0, 10, 20, 30].into_iter().flat_map(|first| numbers(first..first + 3)));
    assert_eq!(counts(server.messages()), counts(expected));
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Logs as much as a service can from several threads at once: to the console, with breadcrumbs that they share.
fn log_from_threads(client: &Client, scope: &Scope, until: &AtomicBool) {
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let _entered = scope.enter();
                while !until.load(Ordering::Relaxed) {
                    breadcrumb("on the way").leave();
                    client.error("of a thread").send();
                }
            });
        }
    });
}

#[test]
fn a_child_never_waits_for_a_thread_of_its_parent() {
    const NAME: &str = "a_child_never_waits_for_a_thread_of_its_parent";
    if env::var(ROLE).is_ok() {
        // Nothing listens; what matters is that every call returns.
        let client = builder(Server::nowhere())
            .console(Console::new().format(ConsoleFormat::Json))
            .queue_limits(1 << 20, 1000)
            .build()
            .unwrap();
        let scope = Scope::new().user_id("u");
        let done = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| log_from_threads(&client, &scope, &done));
            // Also when a child hangs: then this fails, and does not hang as well.
            let _done = SetOnDrop(&done);
            for _ in 0..CHILDREN {
                wait(fork(|| {
                    let _entered = scope.enter();
                    breadcrumb("of the child").leave();
                    client.error("of the child").send();
                    true
                }));
            }
        });
        println!("ready");
        return;
    }
    let server = Server::start();
    let mut child = another(NAME, &server);
    let output = BufReader::new(child.stdout.take().unwrap());
    // To its end: who prints into a pipe that nobody reads fails.
    let ready = output.lines().filter(|line| line.as_ref().unwrap().ends_with("ready")).count();
    assert_eq!(ready, 1, "a child hangs");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_sender_of_a_child_begins_whatever_threads_its_parent_was_starting() {
    const NAME: &str = "the_sender_of_a_child_begins_whatever_threads_its_parent_was_starting";
    // A thread that starts or ends holds a lock of the standard library for a part of a microsecond.
    const CHILDREN: usize = 500;
    if let Some(client) = as_another() {
        let done = AtomicBool::new(false);
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let _ = thread::spawn(|| ()).join();
                    }
                });
            }
            let _done = SetOnDrop(&done);
            for child in 0..CHILDREN {
                wait(fork(|| {
                    client.info(child.to_string()).send();
                    client.flush(Duration::from_secs(10)).is_complete()
                }));
            }
        });
        return;
    }
    let server = Server::start();
    let mut child = another(NAME, &server);
    assert!(child.wait().unwrap().success(), "a child has not delivered");
    let messages = server.messages();
    assert_eq!(messages.len(), CHILDREN);
    assert_eq!(counts(messages).len(), CHILDREN);
}

#[test]
fn two_clients_of_one_process_do_not_know_each_other() {
    let (server, other) = (Server::start(), Server::start());
    let one = client(&server);
    let two = builder(other.address).service("other").build().unwrap();
    log(&one, 0..5);
    log(&two, 5..10);
    assert!(one.close(PATIENCE).is_complete());
    log(&two, 10..12);
    flush(&two);
    assert_eq!(server.messages(), numbers(0..5));
    assert_eq!(other.messages(), numbers(5..12));
}

#[test]
fn a_guard_flushes_before_the_process_is_frozen() {
    let server = Server::start();
    let client = client(&server);
    {
        let _flushed = client.flush_on_drop(PATIENCE);
        log(&client, 0..3);
    }
    assert_eq!(server.messages(), numbers(0..3));
}

/// Tells this test program to be another program.
const ROLE: &str = "MILLPOND_TEST_ROLE";

/// This program again, as the test `name` in another role.
fn another(name: &str, server: &Server) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, server.address.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The client of the other program, if this is it.
fn as_another() -> Option<Client> {
    Some(builder(env::var(ROLE).ok()?.parse().unwrap()).build().unwrap())
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_to_end_delivers_what_is_queued_first() {
    const NAME: &str = "a_signal_to_end_delivers_what_is_queued_first";
    if let Some(client) = as_another() {
        millpond::close_on_termination(&client, PATIENCE).unwrap();
        // The child gets the handler as well; a signal to it must end it, and not its parent.
        let pid = fork(|| {
            loop {
                thread::park();
            }
        });
        kill_process(pid, Signal::TERM).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
        client.info(format!("child ended by {:?}", status.terminating_signal())).send();
        flush(&client);
        log(&client, 0..3);
        println!("ready");
        loop {
            thread::park();
        }
    }
    let server = Server::start();
    let mut child = another(NAME, &server);
    // What it has logged by then goes nowhere by itself: batches are sent when they are flushed.
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().ends_with("ready")));
    signal(&child, Signal::TERM);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(server.messages(), ["child ended by Some(15)", "0", "1", "2"]);
}

#[test]
fn a_process_that_was_frozen_goes_on_where_it_was() {
    const NAME: &str = "a_process_that_was_frozen_goes_on_where_it_was";
    if let Some(client) = as_another() {
        for number in 0..30 {
            log(&client, [number]);
            flush(&client);
        }
        return;
    }
    let server = Server::start();
    let mut child = another(NAME, &server);
    for round in 1..=5 {
        server.wait_for(round * 5);
        signal(&child, Signal::STOP);
        eventually("it stands still", || {
            let before = server.requests().len();
            thread::yield_now();
            before == server.requests().len()
        });
        signal(&child, Signal::CONT);
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(server.messages(), numbers(0..30));
}
