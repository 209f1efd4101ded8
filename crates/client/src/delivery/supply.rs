//! Where the sender's batches come from, and who is told of their fate: the memory queue, or the spool that the
//! keeper fills.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millpond_queue::{
    Batch, DropReason, Recovery, Settlement, Spool, SpoolError, Spooled, SpooledRecords, Taken,
    Ticket,
};

use millpond_record::{
    Decoded, Timestamp, decode,
    json::Reader,
    limits::{FIELDS_MAX, RECORD_BYTES_MAX},
};

use crate::{
    clock::Steady,
    delivery::keeper::{self, Handover},
    delivery::parcel::Parcel,
    diagnostics::{Complaint, Complaints},
    engine::Engine,
    limits::{SPOOL_ADOPT_INTERVAL, SPOOL_RETRY_INTERVAL},
    random,
};

/// Where a batch came from.
#[derive(Debug)]
pub(crate) enum Source {
    Memory,
    Spool { ticket: Ticket, recovered: bool },
}

/// A batch to be sent.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) parcel: Parcel,
    pub(crate) source: Source,
}

/// The spool of a process, and the keeper that fills it.
#[derive(Clone, Debug)]
pub(crate) struct Spooling {
    spool: Arc<Spool>,
    handover: Arc<Handover>,
    clock: Steady,
}

#[derive(Debug)]
pub(crate) struct Supply {
    /// Names the batches that come straight from memory.
    client: String,
    sequence: u64,
    spooling: Option<Spooling>,
    adopted: Instant,
}

impl Spooling {
    /// Removes the file that is written to, if all of it is delivered. What can't be removed is found again after the
    /// next start.
    pub(crate) fn retire(&self) {
        let _ = self.spool.retire();
    }
}

impl Supply {
    /// Opens the spool, if there is to be one. Without it records go from memory.
    pub(crate) fn open(engine: &Arc<Engine>, complaints: &mut Complaints) -> Self {
        let spooling = engine.spooling(|directory| match open(engine, directory) {
            Ok((spooling, recovery)) => {
                take_over(engine, &recovery, complaints);
                Some(spooling)
            }
            Err(error) => {
                complaints.say(
                    Complaint::Spool,
                    &format_args!("there is no spool: {error}; records are kept in memory"),
                );
                None
            }
        });
        Self { client: random::client_id(), sequence: 0, spooling, adopted: Instant::now() }
    }

    /// Waits for the next batch. `None` means that there will be none.
    pub(crate) fn next(&mut self, engine: &Engine, complaints: &mut Complaints) -> Option<Load> {
        let Some(spooling) = self.spooling.clone() else {
            let batch = engine.queue.take()?;
            return Some(self.load(batch));
        };
        loop {
            if engine.queue.is_abandoned() {
                return None;
            }
            // Before looking: what comes into the spool after it is not missed.
            let (direct, ended) = (spooling.handover.is_direct(), spooling.handover.has_ended());
            self.keep_house(engine, &spooling, complaints);
            let patience = if direct || ended { Duration::ZERO } else { SPOOL_ADOPT_INTERVAL };
            match spooling.spool.next(patience) {
                Ok(Some(spooled)) => {
                    return Some(load_of(spooled, engine.settings.envelope.is_none()));
                }
                Ok(None) if direct => {
                    let deadline = Instant::now().checked_add(SPOOL_RETRY_INTERVAL);
                    match engine.queue.take_by(deadline, None, engine.settings.delivery.due.age_max)
                    {
                        Taken::Batch(batch) => return Some(self.load(batch)),
                        Taken::Nothing => {}
                        Taken::Ended => return None,
                    }
                }
                Ok(None) if ended => return None,
                Ok(None) => {}
                Err(error) => lament(engine, &error, complaints),
            }
        }
    }

    /// Lets go of what is too old, and looks for what was left by processes that died meanwhile.
    fn keep_house(
        &mut self,
        engine: &Engine,
        Spooling { spool, clock, .. }: &Spooling,
        complaints: &mut Complaints,
    ) {
        let expired = spool.expire(clock.now());
        if expired > 0 {
            engine.queue.drop_spooled(expired, DropReason::Expired);
        }
        if self.adopted.elapsed() >= SPOOL_ADOPT_INTERVAL {
            self.adopted = Instant::now();
            if let Ok(recovery) = spool.adopt() {
                take_over(engine, &recovery, complaints);
            }
        }
    }

    fn load(&mut self, batch: Batch) -> Load {
        self.sequence += 1;
        Load { parcel: Parcel::new(batch, &self.client, self.sequence), source: Source::Memory }
    }

    /// Decides the fate of a part of a batch, or of all of it; `is_last` says that no part is left.
    pub(crate) fn settle(
        &self,
        engine: &Engine,
        source: &Source,
        batch: Batch,
        settlement: Settlement,
        is_last: bool,
    ) {
        let (ticket, recovered) = match source {
            Source::Memory => return engine.queue.settle(batch, settlement),
            Source::Spool { ticket, recovered } => (ticket, *recovered),
        };
        let records = batch.entries();
        let records = if recovered {
            SpooledRecords { own: 0, recovered: records }
        } else {
            SpooledRecords { own: records, recovered: 0 }
        };
        if let Some(Spooling { spool, .. }) = self.spooling.as_ref().filter(|_| is_last) {
            // A file that can't be removed is found again after the next start; its batches are known by their keys.
            let _ = spool.acknowledge(ticket);
        }
        engine.queue.settle_spooled(records, settlement);
    }

    /// The sender ends with a part of a batch left. On disk it stays, for the next start.
    pub(crate) fn give_up(
        &self,
        engine: &Engine,
        source: &Source,
        parts: Vec<Batch>,
        reason: DropReason,
    ) {
        let is_kept = reason == DropReason::Closed && matches!(source, Source::Spool { .. });
        if is_kept {
            return;
        }
        let mut left = parts.len();
        for part in parts {
            left -= 1;
            self.settle(engine, source, part, Settlement::dropped(reason), left == 0);
        }
    }

    /// The sender ends because the client was closed. What is in memory is the keeper's if there is one.
    pub(crate) fn close(&self, engine: &Engine) {
        let is_keeper_at_work =
            self.spooling.as_ref().is_some_and(|spooling| !spooling.handover.has_ended());
        if !is_keeper_at_work {
            engine.queue.discard(DropReason::Closed);
        }
    }
}

fn open(engine: &Arc<Engine>, directory: &Path) -> Result<(Spooling, Recovery), SpoolError> {
    let (spool, recovery) =
        Spool::open(directory, &random::client_id(), engine.settings.delivery.spool_limits)?;
    let (spool, clock) = (Arc::new(spool), Steady::begin());
    let handover = keeper::start(engine, &spool, clock).map_err(|source| SpoolError::Io {
        action: "start a thread for",
        path: directory.to_owned(),
        source,
    })?;
    Ok((Spooling { spool, handover, clock }, recovery))
}

fn take_over(engine: &Engine, recovery: &Recovery, complaints: &mut Complaints) {
    engine.queue.recovered(recovery.records + recovery.lost_records);
    engine.queue.drop_spooled(recovery.lost_records, DropReason::Damaged);
    if !recovery.damaged.is_empty() {
        let damaged = recovery.damaged.join("; ");
        complaints.say(Complaint::Damaged, &format_args!("in the spool: {damaged}"));
    }
}

fn lament(engine: &Engine, error: &SpoolError, complaints: &mut Complaints) {
    complaints.say(Complaint::Damaged, &format_args!("read the spool: {error}"));
    match error {
        SpoolError::Damaged { records, .. } => {
            engine.queue.drop_spooled(*records, DropReason::Damaged);
        }
        // It can't be read at the moment.
        _ => {
            engine.queue.pause(SPOOL_RETRY_INTERVAL, engine.queue.asked(), false);
        }
    }
}

/// Only our own records have a place for a mark.
fn load_of(spooled: Spooled, may_mark: bool) -> Load {
    let Spooled { batch, ticket, client, sequence, recovered } = spooled;
    let batch = if recovered && may_mark { mark_recovered(batch) } else { batch };
    Load {
        parcel: Parcel::new(batch, &client, sequence),
        source: Source::Spool { ticket, recovered },
    }
}

/// Adds a field `recovered` to records that another process had left: each is an object on a line. One that has no room
/// for it, or such a field of its own, stays as it is.
fn mark_recovered(batch: Batch) -> Batch {
    const MARK: &[u8] = b",\"recovered\":true}\n";
    let entries = batch.entries();
    let mut marked =
        Vec::with_capacity(batch.bytes() + usize::try_from(entries).unwrap_or(0) * MARK.len());
    for part in batch.parts() {
        for line in part.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"}\n") {
                // The newline of the mark is not part of the record.
                Some(start)
                    if start.len() + MARK.len() <= RECORD_BYTES_MAX + 1 && takes_mark(line) =>
                {
                    marked.extend_from_slice(start);
                    marked.extend_from_slice(MARK);
                }
                _ => marked.extend_from_slice(line),
            }
        }
    }
    Batch::from_lines(marked, entries).unwrap_or(batch)
}

/// Whether the record has room for one more field, and none of that name.
fn takes_mark(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    match decode(&mut Reader::new(text), Timestamp::from_nanos(0)) {
        Ok(Decoded::Record(record)) => {
            record.fields.members().count() < FIELDS_MAX
                && record.fields.members().all(|(key, _)| key != "recovered")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(line: &str) -> String {
        let batch = Batch::from_lines(format!("{line}\n").into_bytes(), 1).unwrap();
        let marked = mark_recovered(batch);
        marked.parts().map(|part| std::str::from_utf8(part).unwrap().trim_end()).collect()
    }

    #[test]
    fn a_record_is_marked_if_it_has_room_for_it() {
        assert_eq!(marked(r#"{"message":"m"}"#), r#"{"message":"m","recovered":true}"#);
        let fields = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!("\"k{n}\":1")).collect();
            format!("{{\"message\":\"m\",\"fields\":{{{}}}}}", members.join(","))
        };
        assert!(marked(&fields(FIELDS_MAX - 1)).ends_with(r#","recovered":true}"#));
        let of_size = |bytes: usize| {
            format!("{{\"message\":\"{}\"}}", "x".repeat(bytes - r#"{"message":""}"#.len()))
        };
        for full in [
            fields(FIELDS_MAX),
            of_size(RECORD_BYTES_MAX),
            r#"{"message":"m","fields":{"recovered":"mine"}}"#.to_owned(),
            "no record".to_owned(),
        ] {
            assert_eq!(marked(&full), full);
        }
        let largest = of_size(RECORD_BYTES_MAX - r#","recovered":true"#.len());
        assert_eq!(marked(&largest).len(), RECORD_BYTES_MAX);
    }
}
