//! Tells the server of records that it will never get: a record of its own, once there is a way again.

use std::time::Instant;

use millpond_queue::{DropReason, Dropped};
use millpond_record::{Level, TextAttribute, Timestamp};

use crate::{LineWriter, limits::LOSS_REPORT_INTERVAL, value::display};

/// What a loss report calls itself: `logger:millpond` finds all of them.
pub(crate) const LOGGER: &str = "millpond";

/// What was told, and when.
#[derive(Debug, Default)]
pub(crate) struct LossReports {
    told: Dropped,
    last: Option<Instant>,
    since: Option<Timestamp>,
}

/// One report: how many records were lost for which reasons since the last one.
#[derive(Debug)]
pub(crate) struct LossReport {
    lost: Vec<(DropReason, u64)>,
    since: Option<Timestamp>,
    until: Timestamp,
}

impl LossReports {
    /// What there is to tell, if the last report is long enough ago or this may be the last chance.
    pub(crate) fn due(
        &mut self,
        dropped: Dropped,
        last_chance: bool,
        now: Timestamp,
        clock: Instant,
    ) -> Option<LossReport> {
        // A count that is lower than what was told began anew.
        let untold = |reason, count: u64| count.checked_sub(self.told.get(reason)).unwrap_or(count);
        let lost: Vec<_> = dropped
            .iter()
            .map(|(reason, count)| (reason, untold(reason, count)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let too_soon = self
            .last
            .is_some_and(|last| clock.saturating_duration_since(last) < LOSS_REPORT_INTERVAL);
        if lost.is_empty() || too_soon && !last_chance {
            return None;
        }
        self.told = dropped;
        self.last = Some(clock);
        Some(LossReport { lost, since: self.since.replace(now), until: now })
    }
}

impl LossReport {
    pub(crate) const LEVEL: Level = Level::Warn;

    pub(crate) fn write(&self, line: &mut LineWriter<'_>) {
        let total: u64 = self.lost.iter().map(|(_, count)| count).sum();
        line.message_fmt(format_args!("{total} log records were lost"));
        line.text(TextAttribute::Logger, LOGGER);
        line.field("lost", &total);
        line.field_with("lost_by_reason", |out| {
            out.object(|object| {
                for (reason, count) in &self.lost {
                    object.member(reason.name(), count);
                }
            });
        });
        if let Some(since) = self.since {
            line.field("lost_since", &display(since));
        }
        line.field("lost_until", &display(self.until));
        line.field("process", &std::process::id());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millpond_queue::{Due, Limits, Overflow, Queue};

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_763_692_800_000_000_000);

    fn counts(report: Option<LossReport>) -> Vec<(DropReason, u64)> {
        report.map(|report| report.lost).unwrap_or_default()
    }

    #[test]
    fn a_loss_is_told_once_and_not_too_often() {
        let queue = Queue::new(
            Limits { bytes_max: 9, entries_max: 9 },
            Overflow::DropNewest,
            Due { entries_due: 9, entries_max: 9, bytes_max: 9, age_max: Duration::ZERO },
        );
        let mut reports = LossReports::default();
        let start = Instant::now();
        let mut told = |queue: &Queue, last_chance, seconds| {
            let clock = start + Duration::from_secs(seconds);
            counts(reports.due(queue.counters().dropped, last_chance, NOW, clock))
        };
        assert_eq!(told(&queue, true, 0), []);
        queue.refuse(DropReason::TooLarge);
        queue.refuse(DropReason::Panicked);
        assert_eq!(told(&queue, false, 0), [(DropReason::TooLarge, 1), (DropReason::Panicked, 1)]);
        queue.refuse(DropReason::TooLarge);
        assert_eq!(told(&queue, false, 9), []);
        assert_eq!(told(&queue, false, 10), [(DropReason::TooLarge, 1)]);
        assert_eq!(told(&queue, false, 30), []);
        queue.refuse(DropReason::Panicked);
        assert_eq!(told(&queue, true, 30), [(DropReason::Panicked, 1)]);
        // Counted anew.
        queue.reset_counters();
        queue.refuse(DropReason::TooLarge);
        assert_eq!(told(&queue, true, 30), [(DropReason::TooLarge, 1)]);
    }
}
