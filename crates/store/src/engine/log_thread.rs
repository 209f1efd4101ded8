//! The thread that stores batches: it alone gives sequences and writes the log.

use std::{
    collections::HashSet,
    sync::{Arc, mpsc::Receiver},
};

use millpond_wire::IdempotencyKey;

use super::{Commit, Message, Shared, lock};
use crate::{AppendError, Appended, Project, files, limits::GROUP_BYTES_MAX, wal};

impl Shared {
    pub(super) fn run_log(&self, waiting: &Receiver<Message>) {
        let mut stop = false;
        while !stop {
            let Ok(Message::Commit(first)) = waiting.recv() else { return };
            let mut bytes = first.batch.payload.zstd.len();
            let mut group = vec![*first];
            while bytes < GROUP_BYTES_MAX {
                match waiting.try_recv() {
                    Ok(Message::Commit(commit)) => {
                        bytes += commit.batch.payload.zstd.len();
                        group.push(*commit);
                    }
                    Ok(Message::Stop) => {
                        stop = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit_group(group);
        }
    }

    /// Stores a group of batches with one sync.
    fn commit_group(&self, group: Vec<Commit>) {
        let (duplicates, fresh) = self.split_duplicates(group);
        let mut sequence = lock(&self.state).next_sequence;
        let mut frames = Vec::new();
        let fresh: Vec<(u64, Commit)> = fresh
            .into_iter()
            .map(|commit| {
                let first = sequence;
                wal::write_frame(
                    &mut frames,
                    first,
                    &commit.project,
                    commit.key.as_ref(),
                    &commit.batch.payload,
                );
                sequence += commit.batch.len() as u64;
                (first, commit)
            })
            .collect();
        let written = if fresh.is_empty() { Ok(()) } else { self.write(&frames, sequence) };
        if written.is_ok() {
            self.publish(&fresh);
        }
        for (first, commit) in fresh {
            let appended = Appended { duplicate: false, first_sequence: Some(first) };
            // Whoever asked may be gone; the batch is stored all the same.
            let _ = commit.reply.send(written.clone().map(|()| appended));
        }
        for (commit, stored_before) in duplicates {
            // The twin of a batch of this group shares its fate.
            let answer = if stored_before { Ok(()) } else { written.clone() };
            let appended = Appended { duplicate: true, first_sequence: None };
            let _ = commit.reply.send(answer.map(|()| appended));
        }
    }

    /// Takes out the batches whose key was stored before (`true`) or stands twice in the group (`false`).
    fn split_duplicates(&self, group: Vec<Commit>) -> (Vec<(Commit, bool)>, Vec<Commit>) {
        let state = lock(&self.state);
        let mut seen: HashSet<(Project, IdempotencyKey)> = HashSet::new();
        let (mut duplicates, mut fresh) = (Vec::new(), Vec::new());
        for commit in group {
            match &commit.key {
                Some(key) if state.table.contains(&commit.project, key) => {
                    duplicates.push((commit, true));
                }
                Some(key) if !seen.insert((commit.project.clone(), key.clone())) => {
                    duplicates.push((commit, false));
                }
                _ => fresh.push(commit),
            }
        }
        (duplicates, fresh)
    }

    fn write(&self, frames: &[u8], end_sequence: u64) -> Result<(), AppendError> {
        let mut log = lock(&self.log);
        let written = log.append(frames, end_sequence);
        let closed = log.close_file(written.is_err());
        drop(log);
        let mut state = lock(&self.state);
        state.closed_logs.extend(closed);
        state.append_trouble = written.as_ref().err().map(ToString::to_string);
        drop(state);
        written.map_err(|error| {
            tracing::error!(%error, "a group of batches was not stored");
            let no_room = files::no_room(&error);
            let error = Arc::new(error);
            if no_room { AppendError::NoRoom(error) } else { AppendError::Failed(error) }
        })
    }

    /// Makes batches that are in the log searchable.
    fn publish(&self, fresh: &[(u64, Commit)]) {
        let mut state = lock(&self.state);
        for (first, commit) in fresh {
            if let Some(key) = &commit.key {
                state.table.insert(&commit.project, key, commit.batch.payload.observed);
            }
            state.newest_observed = state.newest_observed.max(Some(commit.batch.payload.observed));
            if let Err(error) = state.add(&commit.project, *first, &commit.batch) {
                // Columns of one length and the right types: only a bug leads here. The log has the rows.
                tracing::error!(%error, "rows of the log could not be made searchable before a restart");
            }
        }
        let next_sequence = state.next_sequence;
        let flush = state.pressed() || state.any_due();
        drop(state);
        if flush {
            self.flush.notify_all();
        }
        self.stored.send_replace(next_sequence);
    }
}
