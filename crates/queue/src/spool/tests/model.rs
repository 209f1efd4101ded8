//! Whatever happens in whatever order: each record is handed out until it is acknowledged, under one name.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::Ticket;

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(usize),
    Seal,
    Take,
    /// One of those that were taken.
    Acknowledge(prop::sample::Index),
    Retire,
    /// The process dies, its last file loses so many bytes behind the last seal, and the next process starts.
    Crash(usize),
    /// The spool is dropped in order, and the next one is opened.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_usize).prop_map(Step::Append),
        4 => Just(Step::Seal),
        5 => Just(Step::Take),
        4 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
        1 => Just(Step::Retire),
        1 => prop_oneof![Just(0), 1..60_usize].prop_map(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// Client and sequence.
type Name = (u128, u64);

struct Model {
    folder: Folder,
    spool: Spool,
    client: u128,
    /// The own client's next sequence, and the frames behind the last seal.
    sequence: u64,
    unsealed: Vec<String>,
    records: u64,
    batches: BTreeMap<Name, String>,
    acknowledged: BTreeSet<Name>,
    /// Since the last start.
    taken: Vec<(Name, Ticket)>,
    last: Option<Name>,
    settled: BTreeSet<Name>,
}

impl Model {
    fn new() -> Self {
        let folder = Folder::new();
        let spool = Self::open(&folder, 1);
        Self {
            folder,
            spool,
            client: 1,
            sequence: 1,
            unsealed: Vec::new(),
            records: 0,
            batches: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            taken: Vec::new(),
            last: None,
            settled: BTreeSet::new(),
        }
    }

    fn open(folder: &Folder, number: u128) -> Spool {
        let (mut spool, recovery) = folder.open(number);
        assert_eq!(recovery.damaged, Vec::<String>::new());
        spool.segment_bytes_max = 250;
        spool
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Append(records) => {
                let lines = (0..records as u64).map(|place| format!("{}\n", self.records + place));
                let lines: String = lines.collect();
                // A client that began later has a later time.
                self.spool.append(&batch(&lines), at(self.client as u64)).unwrap();
                self.records += records as u64;
                self.unsealed.push(lines);
            }
            Step::Seal => {
                assert_eq!(self.spool.seal().unwrap(), self.unsealed_records());
                self.seal();
            }
            Step::Take => {
                self.take();
            }
            Step::Acknowledge(index) => {
                if self.taken.is_empty() {
                    return;
                }
                let (name, ticket) = self.taken.remove(index.index(self.taken.len()));
                self.spool.acknowledge(&ticket).unwrap();
                self.acknowledged.insert(name);
                self.settled.insert(name);
            }
            Step::Retire => drop(self.spool.retire().unwrap()),
            Step::Crash(cut) => self.restart(Some(cut)),
            Step::Restart => self.restart(None),
        }
        assert_eq!(self.spool.usage().bytes, self.spool.disk_bytes());
    }

    fn unsealed_records(&self) -> u64 {
        self.unsealed.concat().lines().count() as u64
    }

    fn seal(&mut self) {
        if !self.unsealed.is_empty() {
            let lines = std::mem::take(&mut self.unsealed).concat();
            self.batches.insert((self.client, self.sequence), lines);
            self.sequence += 1;
        }
    }

    fn take(&mut self) -> bool {
        let Some(spooled) = self.spool.take() else { return false };
        let name = (client_number(&spooled.client).unwrap(), spooled.sequence);
        assert_eq!(self.batches.get(&name), Some(&handed(&spooled).3), "{name:?}");
        assert_eq!(spooled.recovered, name.0 != self.client);
        assert!(self.last.is_none_or(|last| last < name), "{name:?} after {:?}", self.last);
        assert!(!self.settled.contains(&name));
        self.last = Some(name);
        self.taken.push((name, spooled.ticket));
        true
    }

    fn restart(&mut self, cut: Option<usize>) {
        if let Some(cut) = cut {
            self.lose(cut);
        }
        self.seal();
        self.client += 1;
        self.sequence = 1;
        // There is no state in which the next one can be opened before the last one is gone.
        let elsewhere = Folder::new();
        let last = std::mem::replace(&mut self.spool, elsewhere.first(1 << 100));
        if cut.is_some() {
            last.crash();
        } else {
            drop(last);
        }
        self.spool = Self::open(&self.folder, self.client);
        self.taken.clear();
        self.settled.clear();
        self.last = None;
    }

    /// Cuts bytes of lines that are not sealed off the last segment, as a power cut may.
    fn lose(&mut self, cut: usize) {
        let mut cut = cut.min(self.spool.unsealed().bytes as usize);
        if cut == 0 {
            return;
        }
        let (path, bytes) = segments(&self.folder.of(self.client)).pop().unwrap();
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes - cut as u64).unwrap();
        while cut > 0 {
            cut = cut.saturating_sub(self.unsealed.pop().unwrap().len() + 25);
        }
        // As far as the spool is concerned, which is about to end.
        self.spool.index().unwrap().usage = crate::Usage::default();
    }

    /// Everything that was not acknowledged comes; then nothing is left.
    fn finish(mut self) {
        self.perform(Step::Seal);
        while self.take() {}
        let taken: BTreeSet<Name> = self.taken.iter().map(|taken| taken.0).collect();
        for name in self.batches.keys().filter(|name| !self.acknowledged.contains(name)) {
            assert!(taken.contains(name), "{name:?} was lost");
        }
        for (_, ticket) in &self.taken {
            self.spool.acknowledge(ticket).unwrap();
        }
        assert_eq!(self.spool.usage().records, 0);
        drop(self.spool);
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 0);
    }
}

proptest! {
    #[test]
    fn each_record_is_handed_out_until_it_is_acknowledged(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::new();
        for step in steps {
            model.perform(step);
        }
        model.finish();
    }
}
