//! RFC 3164 behind its priority: `Mmm dd hh:mm:ss HOSTNAME TAG[PID]: CONTENT`, of which everything may be missing.

use millpond_record::{TextAttribute, Timestamp};

use super::{set, set_field};
use crate::{
    draft::Draft,
    time::{is_clock, leading_time},
};

const DAY_NANOS: i64 = 86_400 * 1_000_000_000;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Never fails: without a time the whole is the message (RFC 3164, 4.3.3).
pub(super) fn read(line: &str, observed: Timestamp, draft: &mut Draft) {
    let dated = dated(line, observed).filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
    let Some((time, rest)) = dated else {
        draft.text(TextAttribute::Message, line);
        return;
    };
    draft.time(time);
    let rest = rest.trim_start();
    // A local sender leaves its host out: then the first word is the tag.
    let (tag, message) = match tag(rest) {
        Some((tag, message)) => (Some(tag), message),
        None => {
            let (host, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            set(draft, TextAttribute::Host, host);
            match tag(rest) {
                Some((tag, message)) => (Some(tag), message),
                None => (None, rest),
            }
        }
    };
    if let Some(Tag { name, process }) = tag {
        set(draft, TextAttribute::Service, name);
        set_field(draft, "proc_id", process);
    }
    draft.text(TextAttribute::Message, message);
}

/// The time in front: that of RFC 3164, or RFC 3339, which rsyslog writes there.
fn dated(text: &str, observed: Timestamp) -> Option<(Timestamp, &str)> {
    leading_time(text).or_else(|| {
        let (month, rest) = text.split_at_checked(3)?;
        let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
        let rest = rest.strip_prefix(' ')?.trim_start_matches(' ');
        let (day, rest) = rest.split_once(' ')?;
        let day: u8 = day.parse().ok()?;
        let end = rest.find(' ').unwrap_or(rest.len());
        let (clock, rest) = rest.split_at_checked(end)?;
        let clock = clock.strip_suffix(':').unwrap_or(clock);
        let date = format!("{month:02}-{day:02}");
        Some((latest(&date, Some(clock).filter(|clock| is_clock(clock))?, observed)?, rest))
    })
}

/// The last time that had this date and clock, in UTC, up to a day after `observed`: a sender's clock may be ahead, or
/// in a zone of its own. Nine years hold a 29th of February.
fn latest(date: &str, clock: &str, observed: Timestamp) -> Option<Timestamp> {
    let year: i64 = observed.to_string().get(..4)?.parse().ok()?;
    let end = observed.nanos().saturating_add(DAY_NANOS);
    let candidates = (year - 8..=year + 1).rev();
    candidates
        .filter_map(|year| Timestamp::parse(&format!("{year:04}-{date}T{clock}Z")).ok())
        .find(|time| time.nanos() <= end)
}

struct Tag<'a> {
    name: &'a str,
    process: &'a str,
}

/// `TAG: `, `TAG[PID]: `, and the message behind it. A word that neither a colon nor a process follows is part of the
/// message.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let end = text.find([':', '[', ' '])?;
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let (process, rest) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (process, rest) = inside.split_once(']')?;
            (process, rest.strip_prefix(':').unwrap_or(rest))
        }
        None => ("", rest.strip_prefix(':')?),
    };
    let ends = rest.is_empty() || rest.starts_with(' ');
    ends.then(|| (Tag { name, process }, rest.strip_prefix(' ').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year_of(date: &str, observed: &str) -> String {
        let observed = Timestamp::parse(observed).unwrap();
        latest(date, "00:00:10", observed).unwrap().to_string()[..4].to_owned()
    }

    #[test]
    fn a_time_without_a_year_is_the_latest_that_is_not_a_day_ahead() {
        assert_eq!(year_of("01-31", "2026-01-31T12:00:00Z"), "2026");
        assert_eq!(year_of("02-01", "2026-01-31T12:00:00Z"), "2026");
        assert_eq!(year_of("02-02", "2026-01-31T12:00:00Z"), "2025");
        assert_eq!(year_of("12-31", "2026-01-01T00:00:00Z"), "2025");
        assert_eq!(year_of("01-01", "2025-12-31T23:59:59Z"), "2026");
        assert_eq!(year_of("02-29", "2026-01-31T12:00:00Z"), "2024");
        assert_eq!(year_of("02-29", "2104-01-31T12:00:00Z"), "2096");
        assert_eq!(latest("02-30", "00:00:10", Timestamp::from_nanos(0)), None);
    }
}
