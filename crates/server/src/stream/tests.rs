//! Tails over a real store with bounds so small that every seam is crossed.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use axum::body::Bytes;
use millpond_query::parse;
use millpond_record::{Level, LogRecord, Severity, Timestamp};
use millpond_sql::Sql;
use millpond_store::{BatchBuilder, EmbeddedStore, Project, Store};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{tail::Over, *};
use crate::{
    administration::Administration,
    budget::Budget,
    disk::Disk,
    keys::{Found, Key, KeyFile, Keys, NewKey},
    limits::QUERIES_MAX,
    memory::Shares,
    run::Queries,
    usage::Usage,
};

const SMALL: Bounds = Bounds {
    page_bytes: 2000,
    page_records: 7,
    batch_bytes: 600,
    ring_bytes_max: 40_000,
    behind_max: u64::MAX,
    pause: Duration::ZERO,
};

/// A server without its port.
struct World {
    runtime: Runtime,
    app: App,
    engine: Arc<EmbeddedStore>,
    end: watch::Sender<bool>,
    key: Key,
    keys: KeyFile,
    /// Messages that were stored, each with its project, by id; no record has the id 0.
    stored: Vec<(Project, String)>,
    _folder: TempDir,
}

fn project(name: &str) -> Project {
    name.parse().unwrap()
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let folder = TempDir::new().unwrap();
        let engine = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let keys = KeyFile::new(folder.path());
        let now = Timestamp::from_nanos(0);
        let (secret, _) = keys.create(NewKey::first(project("ours")), now).unwrap();
        let known = Keys::new(keys.clone());
        let Ok(Found::Good(key)) = known.find(&secret, now) else { panic!("no key") };
        let (end, ending) = watch::channel(false);
        let store = Arc::clone(&engine) as Arc<dyn Store>;
        let app = App {
            hubs: Arc::new(Hubs::new(Arc::clone(&store), bounds)),
            keys: Arc::new(known),
            usage: Arc::new(Usage::open(folder.path())),
            administration: Arc::new(Administration::new(folder.path())),
            queries: Arc::new(Queries::start(QUERIES_MAX).unwrap()),
            statements: Arc::new(Queries::start(QUERIES_MAX).unwrap()),
            sql: Arc::new(Sql::new(Arc::clone(&store), 0).unwrap()),
            store,
            budget: Budget::new(Shares::of(0)),
            disk: Arc::new(Disk::new(folder.path(), 0)),
            tickets: Arc::default(),
            metrics: Arc::default(),
            connections: Arc::new(Semaphore::new(1)),
            connections_max: 1,
            ending,
        };
        let stored = vec![(project("nobody"), String::new())];
        Self { runtime, app, engine, end, key, keys, stored, _folder: folder }
    }

    /// Stores `count` records; every third is an error.
    fn append(&mut self, to: &str, count: usize) {
        let mut batch = BatchBuilder::new(Timestamp::from_nanos(0));
        for _ in 0..count {
            let number = self.stored.len();
            let level = if number.is_multiple_of(3) { Level::Error } else { Level::Info };
            let message = format!("record {number}");
            // Event times that go backwards: the order is that of storing.
            let time = Timestamp::from_nanos(1_000_000 - i64::try_from(number).unwrap());
            let record = LogRecord::new(time, Severity::from(level), message.as_str());
            let mut json = String::new();
            record.write_json(&mut json);
            batch.push(&record, &json);
            self.stored.push((project(to), message));
        }
        let project = project(to);
        let stored = self.app.store.append(&project, None, batch.finish());
        self.runtime.block_on(stored).unwrap();
    }

    fn tail(&self, q: &str, form: Form, resumed: Option<u64>) -> Tail {
        // A tail starts the task of its hub.
        let _inside = self.runtime.enter();
        let caller = Caller { project: project("ours"), key: self.key.clone() };
        Tail::new(&self.app, &caller, parse(q).unwrap(), form, resumed).unwrap()
    }

    /// Lets a tail say `times` things, as far as it has something to say.
    fn listen(&self, tail: &mut Tail, times: usize) -> Vec<Said> {
        let mut said = Vec::new();
        self.runtime.block_on(async {
            for _ in 0..times {
                let Ok(piece) = timeout(Duration::from_millis(1), tail.next()).await else { break };
                let piece = piece.unwrap();
                said.extend(piece.messages().map(|message| Said::new(&message)));
            }
        });
        said
    }

    /// Lets a tail say all that it has to say.
    fn listen_to_the_end(&self, tail: &mut Tail) -> Vec<Said> {
        let newest = u64::try_from(self.stored.len()).unwrap() - 1;
        let mut said = self.listen(tail, usize::MAX);
        while tail.last_id() < newest {
            said.extend(self.listen(tail, usize::MAX));
        }
        said
    }

    /// Ids of the records of our project that a tail shows, in a range of ids.
    fn expected(&self, errors_only: bool, ids: Range<usize>) -> Vec<u64> {
        let ours = project("ours");
        let ids = ids.filter(|&id| self.stored[id].0 == ours);
        let ids = ids.filter(|id| !errors_only || id.is_multiple_of(3));
        ids.map(|id| id as u64).collect()
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Record(u64),
    Alive,
    Missed(u64, u64),
}

impl Said {
    fn new(message: &[u8]) -> Self {
        let message: Value = serde_json::from_slice(message).unwrap();
        let number = |name: &str| message[name].as_u64().unwrap();
        match message["type"].as_str().unwrap() {
            "record" => {
                let id = number("id");
                assert_eq!(message["log"]["message"], format!("record {id}"));
                Self::Record(id)
            }
            "missed" => {
                let (from, to) = (number("from_id"), number("to_id"));
                assert_eq!(number("records"), to - from + 1);
                Self::Missed(from, to)
            }
            "heartbeat" => Self::Alive,
            other => panic!("{other}"),
        }
    }
}

fn shown(said: &[Said]) -> Vec<u64> {
    let ids = said.iter().filter_map(|said| match said {
        Said::Record(id) => Some(*id),
        _ => None,
    });
    ids.collect()
}

#[derive(Clone, Debug)]
enum Act {
    Append {
        ours: bool,
        count: usize,
    },
    Flush,
    Listen {
        tail: usize,
        times: usize,
    },
    /// A tail goes, and comes again behind what it was told last.
    Reconnect {
        tail: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 1usize..60).prop_map(|(ours, count)| Act::Append { ours, count }),
        1 => Just(Act::Flush),
        4 => (0usize..4, 1usize..6).prop_map(|(tail, times)| Act::Listen { tail, times }),
        1 => (0usize..4).prop_map(|tail| Act::Reconnect { tail }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_record_is_shown_once_or_said_to_be_missed(
        acts in prop::collection::vec(act(), 1..40),
        behind_max in prop_oneof![Just(50u64), Just(u64::MAX)],
        ring_bytes_max in prop_oneof![Just(0usize), Just(30_000), Just(1 << 20)],
    ) {
        let mut world = World::new(Bounds { behind_max, ring_bytes_max, ..SMALL });
        world.append("ours", 20);
        let began = [20u64, 20, 5, 0];
        let filters = ["", "level:error", "level:error", ""];
        let mut tails: Vec<Tail> = began.iter().zip(filters)
            .map(|(id, q)| world.tail(q, Form::Messages, Some(*id)))
            .collect();
        let mut said: Vec<Vec<Said>> = vec![Vec::new(); tails.len()];
        for act in acts {
            match act {
                Act::Append { ours, count } => {
                    world.append(if ours { "ours" } else { "theirs" }, count);
                }
                Act::Flush => world.engine.flush().unwrap(),
                Act::Listen { tail, times } => {
                    let heard = world.listen(&mut tails[tail], times);
                    said[tail].extend(heard);
                }
                Act::Reconnect { tail } => {
                    let last = tails[tail].last_id();
                    tails[tail] = world.tail(filters[tail], Form::Messages, Some(last));
                }
            }
        }
        for (index, tail) in tails.iter_mut().enumerate() {
            said[index].extend(world.listen_to_the_end(tail));
            let missed: BTreeSet<u64> = said[index].iter().flat_map(|said| match said {
                Said::Missed(from, to) => *from..*to + 1,
                _ => 0..0,
            }).collect();
            prop_assert!(behind_max == 50 || missed.is_empty());
            let first = usize::try_from(began[index]).unwrap() + 1;
            let mut expected = world.expected(index == 1 || index == 2, first..world.stored.len());
            expected.retain(|id| !missed.contains(id));
            prop_assert_eq!(shown(&said[index]), expected, "tail {}", index);
        }
    }
}

#[test]
fn a_reader_that_falls_too_far_behind_is_told_what_it_missed_and_goes_on() {
    let mut world = World::new(Bounds { behind_max: 100, ..SMALL });
    world.append("ours", 10);
    let mut tail = world.tail("", Form::Messages, None);
    world.append("ours", 5);
    assert_eq!(shown(&world.listen_to_the_end(&mut tail)), [11, 12, 13, 14, 15]);
    world.append("ours", 101);
    assert_eq!(world.listen(&mut tail, 1), [Said::Missed(16, 116)]);
    world.append("ours", 2);
    assert_eq!(shown(&world.listen_to_the_end(&mut tail)), [117, 118]);
}

#[test]
fn a_reader_at_the_limit_gets_everything() {
    let mut world = World::new(Bounds { behind_max: 100, ..SMALL });
    world.append("ours", 1);
    let mut tail = world.tail("", Form::Messages, None);
    world.append("ours", 100);
    assert_eq!(shown(&world.listen_to_the_end(&mut tail)), world.expected(false, 2..102));
}

#[test]
fn who_resumes_far_back_is_not_slow_for_that() {
    let mut world = World::new(Bounds { behind_max: 10, ..SMALL });
    world.append("ours", 300);
    let mut tail = world.tail("level:error", Form::Messages, Some(0));
    let said = world.listen_to_the_end(&mut tail);
    assert_eq!(shown(&said), world.expected(true, 1..301));
}

#[test]
fn what_was_missed_is_an_event_of_its_own() {
    let mut world = World::new(Bounds { behind_max: 1, ..SMALL });
    world.append("ours", 1);
    let mut tail = world.tail("", Form::Events, None);
    world.append("ours", 2);
    let (hello, missed) = world.runtime.block_on(async {
        (tail.next().await.unwrap().bytes(), tail.next().await.unwrap().bytes())
    });
    assert_eq!(hello, "id: 1\n: connected\n\n");
    let expected = "id: 3\nevent: missed\ndata: {\"from_id\":2,\"to_id\":3,\"records\":2}\n\n";
    assert_eq!(missed, expected);
}

#[test]
fn tails_with_the_same_filter_share_what_it_selects() {
    let mut world = World::new(Bounds { ring_bytes_max: 1 << 20, ..SMALL });
    world.append("ours", 1);
    let mut tails = ["level:error", "level:error", "level:info"]
        .map(|q| (world.tail(q, Form::Events, None), Bytes::new()));
    for (tail, _) in &mut tails {
        world.runtime.block_on(tail.next()).unwrap();
    }
    world.append("ours", 3);
    for (tail, bytes) in &mut tails {
        *bytes = world.runtime.block_on(tail.next()).unwrap().bytes();
    }
    let [first, second, other] = tails.map(|(_, bytes)| bytes);
    assert_eq!((first.as_ptr(), first.len()), (second.as_ptr(), second.len()));
    assert_ne!(first, other);
}

#[test]
fn a_stream_ends_with_its_key_and_with_the_server() {
    let world = World::new(SMALL);
    let mut tail = world.tail("", Form::Messages, None);
    let mut other = world.tail("", Form::Messages, None);
    let until_over = |tail: &mut Tail| {
        world.runtime.block_on(async {
            loop {
                if let Err(over) = tail.next().await {
                    return over;
                }
            }
        })
    };
    world.end.send_replace(true);
    assert!(matches!(until_over(&mut tail), Over::Closing));
    world.end.send_replace(false);
    world.keys.revoke(&world.key.entry.id, Timestamp::from_nanos(1)).unwrap();
    assert!(matches!(until_over(&mut other), Over::KeyInvalid));
}

#[test]
fn a_hub_lives_as_long_as_somebody_follows() {
    let world = World::new(SMALL);
    let first = world.tail("", Form::Events, None);
    let second = world.tail("level:error", Form::Messages, None);
    assert_eq!(world.app.hubs.live(), 1);
    drop(first);
    assert_eq!(world.app.hubs.live(), 1);
    drop(second);
    assert_eq!(world.app.hubs.live(), 0);
}
