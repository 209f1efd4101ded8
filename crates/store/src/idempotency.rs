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
    projects: HashMap<Project, Clients>,
}

/// What is remembered of the clients of one project.
pub(crate) type Clients = HashMap<String, Stored>;

/// When a client was last seen, and which of its batches are stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    last_seen: i64,
    ranges: Vec<(u64, u64)>,
}

impl Table {
    pub(crate) fn contains(&self, project: &Project, key: &IdempotencyKey) -> bool {
        let client = self.projects.get(project).and_then(|clients| clients.get(&key.client));
        client.is_some_and(|Stored { ranges, .. }| {
            let place = ranges.partition_point(|&(_, last)| last < key.sequence);
            ranges.get(place).is_some_and(|&(first, _)| first <= key.sequence)
        })
    }

    pub(crate) fn insert(&mut self, project: &Project, key: &IdempotencyKey, seen: Timestamp) {
        if !self.projects.contains_key(project) {
            self.projects.insert(project.clone(), Clients::new());
        }
        let Some(clients) = self.projects.get_mut(project) else { return };
        let client = clients.entry(key.client.clone()).or_default();
        client.last_seen = client.last_seen.max(seen.nanos());
        insert_range(&mut client.ranges, key.sequence);
        if client.ranges.len() > IDEMPOTENCY_RANGES_MAX {
            client.ranges.remove(0);
        }
    }

    /// Forgets clients that were silent for longer than the window; and beyond the limit the longest silent of the
    /// projects that have more than their share, so that no project makes the table forget the clients of another.
    pub(crate) fn forget_silent(&mut self, now: Timestamp) {
        let window = i64::try_from(IDEMPOTENCY_WINDOW.as_nanos()).unwrap_or(i64::MAX);
        let oldest = now.nanos().saturating_sub(window);
        for clients in self.projects.values_mut() {
            clients.retain(|_, client| client.last_seen >= oldest);
        }
        self.projects.retain(|_, clients| !clients.is_empty());
        let counts = self.projects.values().map(Clients::len).collect();
        if let Some(share) = share(counts, IDEMPOTENCY_CLIENTS_MAX) {
            for clients in self.projects.values_mut() {
                keep_newest(clients, share);
            }
        }
    }

    /// What is remembered of a project's clients now.
    pub(crate) fn clients(&self, project: &Project) -> Clients {
        self.projects.get(project).cloned().unwrap_or_default()
    }

    /// Forgets of a project what was remembered at an earlier moment. What came since stays.
    pub(crate) fn forget(&mut self, project: &Project, earlier: &Clients) {
        let Some(clients) = self.projects.get_mut(project) else { return };
        for (name, before) in earlier {
            if let Some(client) = clients.get_mut(name) {
                for &range in &before.ranges {
                    remove_range(&mut client.ranges, range);
                }
            }
        }
        clients.retain(|_, client| !client.ranges.is_empty());
    }

    /// Everything, in the form of the manifest; without one project, if it is given.
    pub(crate) fn to_clients(&self, without: Option<&Project>) -> Vec<Client> {
        let kept = self.projects.iter().filter(|&(project, _)| Some(project) != without);
        let entries = kept.flat_map(|(project, clients)| {
            clients.iter().map(|(client, stored)| Client {
                project: project.clone(),
                client: client.clone(),
                last_seen: stored.last_seen,
                stored: stored.ranges.clone(),
            })
        });
        entries.collect()
    }

    pub(crate) fn from_clients(clients: Vec<Client>) -> Self {
        let mut projects: HashMap<Project, Clients> = HashMap::new();
        for Client { project, client, last_seen, stored } in clients {
            let stored = Stored { last_seen, ranges: stored };
            projects.entry(project).or_default().insert(client, stored);
        }
        Self { projects }
    }
}

/// The most that each may keep so that all together keep at most `limit`, if they have more: those that have less
/// than their share leave the rest of it to the others.
fn share(mut counts: Vec<usize>, limit: usize) -> Option<usize> {
    counts.sort_unstable();
    let mut left = limit;
    let mut sharing = counts.len();
    for count in counts {
        let share = left / sharing;
        if count > share {
            return Some(share);
        }
        left -= count;
        sharing -= 1;
    }
    None
}

fn keep_newest(clients: &mut Clients, count: usize) {
    let Some(excess) = clients.len().checked_sub(count).filter(|&excess| excess > 0) else {
        return;
    };
    let mut by_age: Vec<(i64, String)> =
        clients.iter().map(|(name, client)| (client.last_seen, name.clone())).collect();
    by_age.sort_unstable();
    for (_, name) in by_age.into_iter().take(excess) {
        clients.remove(&name);
    }
}

fn remove_range(stored: &mut Vec<(u64, u64)>, (first, last): (u64, u64)) {
    let mut left = Vec::with_capacity(stored.len() + 1);
    for &(start, end) in stored.iter() {
        if end < first || start > last {
            left.push((start, end));
            continue;
        }
        // What stands out on either side stays.
        left.extend(
            first.checked_sub(1).filter(|&before| start <= before).map(|before| (start, before)),
        );
        left.extend(
            last.checked_add(1).filter(|&behind| behind <= end).map(|behind| (behind, end)),
        );
    }
    *stored = left;
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

        #[test]
        fn removing_ranges_leaves_exactly_the_others(
            sequences in prop::collection::vec(prop_oneof![0_u64..20, u64::MAX - 5..=u64::MAX], 0..40),
            removed in prop::collection::vec(prop_oneof![0_u64..20, u64::MAX - 5..=u64::MAX], 0..10),
        ) {
            let (mut stored, mut ranges) = (Vec::new(), Vec::new());
            for &sequence in &sequences {
                insert_range(&mut stored, sequence);
            }
            for &sequence in &removed {
                insert_range(&mut ranges, sequence);
            }
            for range in ranges {
                remove_range(&mut stored, range);
            }
            let mut expected: BTreeSet<u64> = sequences.into_iter().collect();
            expected.retain(|sequence| !removed.contains(sequence));
            let held: BTreeSet<u64> = stored.iter().flat_map(|&(first, last)| first..=last).collect();
            prop_assert_eq!(held, expected);
        }
    }

    #[test]
    fn no_project_makes_the_table_forget_the_clients_of_another() {
        assert_eq!(share(vec![3, 4], 7), None);
        assert_eq!(share(vec![9, 1, 4], 8), Some(3));
        assert_eq!(share(vec![9, 9, 9], 9), Some(3));

        let (small, large): (Project, Project) = ("s".parse().unwrap(), "l".parse().unwrap());
        let key = |client: usize| IdempotencyKey { client: client.to_string(), sequence: 1 };
        let mut table = Table::default();
        for client in 0..3 {
            table.insert(&small, &key(client), Timestamp::from_nanos(client as i64));
        }
        for client in 0..IDEMPOTENCY_CLIENTS_MAX {
            table.insert(&large, &key(client), Timestamp::from_nanos(1_000 + client as i64));
        }
        table.forget_silent(Timestamp::from_nanos(1_000_000));
        assert!((0..3).all(|client| table.contains(&small, &key(client))));
        assert!((0..3).all(|client| !table.contains(&large, &key(client))));
        assert!((3..IDEMPOTENCY_CLIENTS_MAX).all(|client| table.contains(&large, &key(client))));
    }

    #[test]
    fn a_project_is_forgotten_but_for_what_came_since() {
        let (project, other): (Project, Project) = ("p".parse().unwrap(), "q".parse().unwrap());
        let key = |sequence| IdempotencyKey { client: "c".into(), sequence };
        let mut table = Table::default();
        let seen = Timestamp::from_nanos(1);
        table.insert(&project, &key(1), seen);
        table.insert(&other, &key(1), seen);
        let earlier = table.clients(&project);
        table.insert(&project, &key(2), seen);
        table.forget(&project, &earlier);
        assert!(!table.contains(&project, &key(1)) && table.contains(&project, &key(2)));
        assert!(table.contains(&other, &key(1)));
        assert_eq!(table.to_clients(Some(&project)).len(), 1);
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
        assert_eq!(table.to_clients(None)[0].stored, [(1, 1000)]);
        let restored = Table::from_clients(table.to_clients(None));
        assert!(restored.contains(&project, &key));
        table.forget_silent(Timestamp::from_nanos(i64::MAX));
        assert!(!table.contains(&project, &key));
    }
}
