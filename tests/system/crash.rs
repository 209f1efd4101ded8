//! SIGKILL at random moments while clients write: every acknowledged record is there afterwards, exactly once.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use millpond_system_tests::{Account, Api, pause};
use serde_json::json;

use crate::fixture::{Fixture, event_ids, events, ids};

const ROUNDS: usize = 20;
const CLIENTS: usize = 4;

/// Small numbers from a seed (xorshift), so that a run can be told apart from another by one number.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What one client knows about its batches.
#[derive(Default)]
struct Sent {
    acknowledged: Vec<(String, Vec<String>)>,
    /// Sent, never answered, and given up: stored whole or not at all.
    abandoned: Vec<Vec<String>>,
}

/// One client: batch after batch, the same again while it gets no answer, some given up, some sent again on purpose.
fn client(number: usize, api: &Api, stopped: &AtomicBool, mut random: Random) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut sequence = 0;
    while !stopped.load(Ordering::Relaxed) {
        sequence += 1;
        let key = format!("client-{number}:{sequence}");
        let batch = ids(&format!("{number}-{sequence}"), 1 + usize::try_from(random.below(40))?);
        loop {
            match api.ingest(&events(&batch), Some(&key)) {
                Ok(reply) if reply.status == 200 => {
                    assert_eq!(reply.body["accepted"], batch.len());
                    sent.acknowledged.push((key, batch));
                    break;
                }
                Ok(reply) if ![429, 503].contains(&reply.status) => {
                    anyhow::bail!("answered {}: {}", reply.status, reply.text)
                }
                _ if random.below(8) == 0 => {
                    sent.abandoned.push(batch);
                    break;
                }
                _ if stopped.load(Ordering::Relaxed) => {
                    sent.abandoned.push(batch);
                    break;
                }
                _ => pause(Duration::from_millis(5)),
            }
        }
        if random.below(10) == 0
            && let Some((key, batch)) = sent.acknowledged.last()
        {
            // A retry whose first try had been answered after all. The server may be dead; then it is no retry.
            let again = api.ingest(&events(batch), Some(key));
            if let Ok(again) = again
                && again.status == 200
            {
                assert_eq!(again.body["duplicate"], json!(true), "{key}");
            }
        }
    }
    Ok(sent)
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_nothing_and_keeps_nothing_twice() -> Result<()> {
    let seed = RandomState::new().hash_one("seed") | 1;
    println!("seed {seed}");
    let fixture = Fixture::start()?;
    let api = fixture.api.clone();
    let stopped = AtomicBool::new(false);
    let (survived, sent) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                // Connections of its own, as another process would have.
                let api = Api::new(api.url(), api.key());
                let random = Random(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let stopped = &stopped;
                scope.spawn(move || client(number, &api, stopped, random))
            })
            .collect();
        let survived = kill_in_rounds(fixture, Random(seed));
        stopped.store(true, Ordering::Relaxed);
        let sent: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (survived, sent)
    });
    let fixture = survived?;
    let mut clients = Vec::new();
    for sent in sent {
        clients.push(sent.ok().context("a client panicked")??);
    }
    check(&fixture, &clients)
}

/// Kills and starts the server, each time after it has run for a while of random length. Every other time it is
/// killed while it ends: it is then writing segments and the manifest and cutting the log.
fn kill_in_rounds(mut fixture: Fixture, mut random: Random) -> Result<Fixture> {
    for round in 0..ROUNDS {
        pause(Duration::from_millis(20 + random.below(300)));
        if round % 2 == 1 {
            fixture.server.process().ask_to_end()?;
            pause(Duration::from_millis(random.below(60)));
        }
        fixture = fixture.crash(|| Ok(()))?;
    }
    Ok(fixture)
}

fn check(fixture: &Fixture, clients: &[Sent]) -> Result<()> {
    // Once more, every batch that was acknowledged: each is known, and nothing is stored again.
    for (key, batch) in clients.iter().flat_map(|sent| &sent.acknowledged) {
        let again = fixture.api.ingest(&events(batch), Some(key))?.succeeded()?;
        assert_eq!(
            (&again.body["duplicate"], &again.body["accepted"]),
            (&json!(true), &json!(batch.len())),
            "{key}"
        );
    }
    let stored = event_ids(&fixture.api.all(&[])?);
    let abandoned: BTreeSet<_> =
        clients.iter().flat_map(|sent| sent.abandoned.iter().flatten()).collect();
    let acknowledged = clients.iter().flat_map(|sent| &sent.acknowledged);
    let acknowledged: Vec<_> = acknowledged.flat_map(|(_, batch)| batch).collect();
    println!("{} records acknowledged, {} given up", acknowledged.len(), abandoned.len());

    let (given_up, kept): (Vec<_>, Vec<_>) = stored.iter().partition(|id| abandoned.contains(id));
    let account =
        Account::new(acknowledged.iter().map(|id| id.as_str()), kept.iter().map(|id| id.as_str()));
    assert!(account.is_clean(), "{account}: {account:?}");
    let given_up_once: BTreeSet<_> = given_up.iter().collect();
    assert_eq!(given_up_once.len(), given_up.len(), "a batch that was given up is there twice");
    for batch in clients.iter().flat_map(|sent| &sent.abandoned) {
        let there = batch.iter().filter(|id| given_up_once.contains(&id)).count();
        assert!([0, batch.len()].contains(&there), "half a batch: {there} of {}", batch.len());
    }
    Ok(())
}
