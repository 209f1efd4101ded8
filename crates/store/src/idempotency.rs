//! Remembers which batches were stored, so that one that is sent again is not stored again.
//!
//! Per project and client it keeps the stored sequences as ranges: a client that counts up costs one range however
//! many batches it sends, and one that sends out of order is still told apart exactly.

use std::collections::HashMap;

use millpond_record::Timestamp;
use millpond_wire::IdempotencyKey;
use serde::{Deserialize, Serialize};

use crate::{
    limits::{IDEMPOTENCY_CLIENTS_MAX, IDEMPOTENCY_RANGES_MAX, IDEMPOTENCY_WINDOW},
    project::Project,
};

/// What is remembered of one client. The serialised form is part of the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    project: Project,
    client: String,
    /// Arrival of its last batch, nanoseconds since the epoch.
    last_seen: i64,
    /// Stored sequences: ranges, both ends included, ascending, not touching.
    stored: Vec<(u64, u64)>,
}

/// The stored batches of all clients.
#[derive(Debug, Default)]
pub(crate) struct Table {
    clients: HashMap<(Project, String), Stored>,
}

/// When a client was last seen, and which of its batches are stored.
type Stored = (i64, Vec<(u64, u64)>);

impl Table {
    pub(crate) fn contains(&self, project: &Project, key: &IdempotencyKey) -> bool {
        let client = self.clients.get(&(project.clone(), key.client.clone()));
        client.is_some_and(|(_, stored)| {
            let place = stored.partition_point(|&(_, last)| last < key.sequence);
            stored.get(place).is_some_and(|&(first, _)| first <= key.sequence)
        })
    }

    pub(crate) fn insert(&mut self, project: &Project, key: &IdempotencyKey, seen: Timestamp) {
        let (last_seen, stored) =
            self.clients.entry((project.clone(), key.client.clone())).or_default();
        *last_seen = (*last_seen).max(seen.nanos());
        insert_range(stored, key.sequence);
        if stored.len() > IDEMPOTENCY_RANGES_MAX {
            stored.remove(0);
        }
    }

    /// Forgets clients that were silent for longer than the window, and the longest silent beyond the limit.
    pub(crate) fn forget_silent(&mut self, now: Timestamp) {
        let window = i64::try_from(IDEMPOTENCY_WINDOW.as_nanos()).unwrap_or(i64::MAX);
        let mut oldest = now.nanos().saturating_sub(window);
        if self.clients.len() > IDEMPOTENCY_CLIENTS_MAX {
            let mut seen: Vec<i64> =
                self.clients.values().map(|&(last_seen, _)| last_seen).collect();
            let excess = seen.len() - IDEMPOTENCY_CLIENTS_MAX;
            let (_, &mut limit, _) = seen.select_nth_unstable(excess);
            oldest = oldest.max(limit);
        }
        self.clients.retain(|_, &mut (last_seen, _)| last_seen >= oldest);
    }

    pub(crate) fn to_clients(&self) -> Vec<Client> {
        let entries = self.clients.iter().map(|((project, client), (last_seen, stored))| Client {
            project: project.clone(),
            client: client.clone(),
            last_seen: *last_seen,
            stored: stored.clone(),
        });
        entries.collect()
    }

    pub(crate) fn from_clients(clients: Vec<Client>) -> Self {
        let entries = clients
            .into_iter()
            .map(|client| ((client.project, client.client), (client.last_seen, client.stored)));
        Self { clients: entries.collect() }
    }
}

fn insert_range(stored: &mut Vec<(u64, u64)>, sequence: u64) {
    let place = stored.partition_point(|&(_, last)| last < sequence);
    if stored.get(place).is_some_and(|&(first, _)| first <= sequence) {
        return;
    }
    let touches_next =
        stored.get(place).is_some_and(|&(first, _)| first.checked_sub(1) == Some(sequence));
    let before = place.checked_sub(1).and_then(|before| stored.get_mut(before));
    match before {
        Some((_, last)) if last.checked_add(1) == Some(sequence) => {
            *last = sequence;
            if touches_next {
                let (_, end) = stored.remove(place);
                if let Some((_, last)) =
                    place.checked_sub(1).and_then(|before| stored.get_mut(before))
                {
                    *last = end;
                }
            }
        }
        _ if touches_next => {
            if let Some((first, _)) = stored.get_mut(place) {
                *first = sequence;
            }
        }
        _ => stored.insert(place, (sequence, sequence)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_was_inserted(sequences in prop::collection::vec(prop_oneof![0_u64..20, u64::MAX - 5..=u64::MAX], 0..60)) {
            let mut stored = Vec::new();
            for &sequence in &sequences {
                insert_range(&mut stored, sequence);
            }
            let expected: BTreeSet<u64> = sequences.into_iter().collect();
            let held: BTreeSet<u64> = stored.iter().flat_map(|&(first, last)| first..=last).collect();
            prop_assert_eq!(held, expected);
            prop_assert!(stored.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }

    #[test]
    fn a_client_that_skips_about_is_remembered_up_to_a_limit() {
        let project: Project = "p".parse().unwrap();
        let mut table = Table::default();
        let key = |sequence| IdempotencyKey { client: "c".into(), sequence };
        for sequence in (0..=IDEMPOTENCY_RANGES_MAX as u64).map(|n| n * 2) {
            table.insert(&project, &key(sequence), Timestamp::from_nanos(1));
        }
        assert!(!table.contains(&project, &key(0)));
        assert!(table.contains(&project, &key(2)) && !table.contains(&project, &key(3)));
    }

    #[test]
    fn a_client_that_counts_up_costs_one_range_and_silence_is_forgotten() {
        let (project, other): (Project, Project) = ("p".parse().unwrap(), "q".parse().unwrap());
        let mut table = Table::default();
        for sequence in 1..=1000 {
            table.insert(
                &project,
                &IdempotencyKey { client: "c".into(), sequence },
                Timestamp::from_nanos(1),
            );
        }
        let key = IdempotencyKey { client: "c".into(), sequence: 1000 };
        assert!(table.contains(&project, &key) && !table.contains(&other, &key));
        assert_eq!(table.to_clients()[0].stored, [(1, 1000)]);
        let restored = Table::from_clients(table.to_clients());
        assert!(restored.contains(&project, &key));
        table.forget_silent(Timestamp::from_nanos(i64::MAX));
        assert!(!table.contains(&project, &key));
    }
}
