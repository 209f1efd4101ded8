//! `syslog`: one message a line, of RFC 5424 or of RFC 3164.
//!
//! The priority says level and facility. APP-NAME or TAG is the service, HOSTNAME the host; `proc_id`, `msg_id`,
//! `facility` and `structured_data` are fields. What is `-` is absent. A line without a priority, or one that begins as
//! RFC 5424 demands and goes on in another way, is rejected; RFC 3164 lets everything else be a message.

mod rfc3164;
mod rfc5424;

use millpond_record::{TextAttribute, Timestamp};

use crate::{
    draft::Draft,
    lines::lines,
    output::{BodyError, Output},
};

/// Severities 0 to 7 (RFC 5424, 6.2.1), as names that `millpond_record::Severity::from_name` keeps apart.
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// Facilities 0 to 23 (RFC 5424, 6.2.1), as `syslog.h` calls them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    for (number, line) in lines(text) {
        if !output.fits(Some(number), line.len())? {
            continue;
        }
        match record(line, output.observed()) {
            Ok(json) => output.record(Some(number), &json)?,
            Err(reason) => output.rejected(Some(number), reason)?,
        }
    }
    if output.is_empty() { Err(BodyError::Empty("one syslog message a line")) } else { Ok(()) }
}

/// Whether a line begins with a priority.
pub(crate) fn has_priority(line: &str) -> bool {
    Priority::read(line).is_ok()
}

fn record(line: &str, observed: Timestamp) -> Result<String, String> {
    let (priority, rest) = Priority::read(line)?;
    let mut draft = Draft::default();
    draft.level(priority.severity);
    draft.text_field("facility", priority.facility);
    match rest.strip_prefix("1 ") {
        Some(header) => rfc5424::read(header, &mut draft)?,
        None => rfc3164::read(rest, observed, &mut draft),
    }
    Ok(draft.finish())
}

/// `<PRI>`: eight times the facility, and the severity.
struct Priority {
    severity: &'static str,
    facility: &'static str,
}

impl Priority {
    fn read(line: &str) -> Result<(Self, &str), String> {
        let inside = line.strip_prefix('<').and_then(|line| line.split_once('>'));
        let number = inside.filter(|(digits, _)| {
            (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        let read = number.and_then(|(digits, rest)| {
            let number: usize = digits.parse().ok()?;
            let severity = SEVERITIES.get(number % SEVERITIES.len())?;
            let facility = FACILITIES.get(number / SEVERITIES.len())?;
            Some((Self { severity, facility }, rest))
        });
        read.ok_or_else(|| {
            let found: String = line.chars().take(16).collect();
            format!("line begins with `{found}`, expected a priority from <0> to <191>")
        })
    }
}

/// Sets what a header says; `-` says nothing.
fn set(draft: &mut Draft, attribute: TextAttribute, value: &str) {
    if is_said(value) {
        draft.text(attribute, value);
    }
}

fn set_field(draft: &mut Draft, key: &str, value: &str) {
    if is_said(value) {
        draft.text_field(key, value);
    }
}

fn is_said(value: &str) -> bool {
    !value.is_empty() && value != "-"
}
