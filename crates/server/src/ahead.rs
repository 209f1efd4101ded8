//! Records whose time is far ahead of their arrival: kept with that time, and marked with a field that can be searched
//! for. The mark is written into the record's text, so that what is replayed from the log has it too.

use millpond_record::{
    Decoded, LogRecord, Timestamp, decode,
    json::{Reader, write_i64},
};

use crate::limits::TIME_AHEAD_MAX;

/// The field: by how many seconds the record's time is ahead.
const FIELD: &str = "millpond.time_ahead_seconds";

/// Hands a record and its text on, with the mark if it needs one.
pub(crate) fn marked(
    record: &LogRecord<'_>,
    json: &str,
    arrival: Timestamp,
    hand_on: impl FnOnce(&LogRecord<'_>, &str),
) {
    let Some(marked) = with_mark(record, json, arrival) else { return hand_on(record, json) };
    match decode(&mut Reader::new(&marked), arrival) {
        Ok(Decoded::Record(record)) => hand_on(&record, &marked),
        // What the mark would make too large is kept without it.
        _ => hand_on(record, json),
    }
}

fn with_mark(record: &LogRecord<'_>, json: &str, arrival: Timestamp) -> Option<String> {
    let seconds = record.time.nanos().saturating_sub(arrival.nanos()) / 1_000_000_000;
    if seconds <= i64::try_from(TIME_AHEAD_MAX.as_secs()).unwrap_or(i64::MAX) {
        return None;
    }
    // There is a message, so there is a member before.
    let mut marked = json.trim_end().strip_suffix('}')?.to_owned();
    marked.push_str(",\"");
    marked.push_str(FIELD);
    marked.push_str("\":");
    write_i64(&mut marked, seconds);
    marked.push('}');
    Some(marked)
}

#[cfg(test)]
mod tests {
    use millpond_record::limits::FIELDS_MAX;

    use super::*;

    const ARRIVAL: Timestamp = Timestamp::from_nanos(1_769_860_800_000_000_000);

    /// The text that a record is kept with, and its fields.
    fn kept(json: &str) -> (String, String) {
        let Ok(Decoded::Record(record)) = decode(&mut Reader::new(json), ARRIVAL) else {
            panic!("{json}")
        };
        let mut kept = None;
        marked(&record, json, ARRIVAL, |record, json| {
            kept = Some((json.to_owned(), record.fields.as_str().to_owned()));
        });
        kept.unwrap()
    }

    #[test]
    fn a_record_from_the_future_is_kept_and_marked() {
        let json = r#"{"message":"m","time":"2030-01-31T12:00:00Z","fields":{"a":1}} "#;
        let (text, fields) = kept(json);
        assert_eq!(fields, r#"{"a":1,"millpond.time_ahead_seconds":126230400}"#);
        let replayed = decode(&mut Reader::new(&text), ARRIVAL);
        let Ok(Decoded::Record(record)) = replayed else { panic!("{replayed:?}") };
        assert_eq!(record.fields.as_str(), fields);
    }

    #[test]
    fn a_record_of_tomorrow_or_of_long_ago_is_not_marked() {
        for time in ["2026-02-01T12:00:00Z", "1700-01-01T00:00:00Z"] {
            let json = format!(r#"{{"message":"m","time":"{time}"}}"#);
            assert_eq!(kept(&json), (json, "{}".to_owned()), "{time}");
        }
    }

    #[test]
    fn a_record_that_has_no_room_for_the_mark_is_kept_without() {
        let fields: Vec<_> = (0..FIELDS_MAX).map(|field| format!("\"f{field}\":1")).collect();
        let json = format!(r#"{{"message":"m","time":"2030-01-31",{}}}"#, fields.join(","));
        assert_eq!(kept(&json).0, json);
    }
}
