//! One [`LogRecord`] -> its canonical JSON. Reading it back gives the same record.

use crate::{
    LogRecord, Severity, TextAttribute,
    json::{write_string, write_u64},
};

impl LogRecord<'_> {
    /// Appends the record as one JSON object on one line. Absent attributes are left out; `severity_number` is
    /// written where it says more than `level`.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("{\"time\":\"");
        self.time.write(out);
        if self.observed_time != self.time {
            out.push_str("\",\"observed_time\":\"");
            self.observed_time.write(out);
        }
        out.push_str("\",\"level\":\"");
        out.push_str(self.severity.level().name());
        out.push('"');
        if self.severity != Severity::from(self.severity.level()) {
            out.push_str(",\"severity_number\":");
            write_u64(out, u64::from(self.severity.number()));
        }
        for attribute in TextAttribute::ALL {
            if let Some(text) = self.text(attribute) {
                out.push_str(",\"");
                out.push_str(attribute.name());
                out.push_str("\":");
                write_string(out, text);
            }
        }
        if let Some(index) = self.step_index {
            out.push_str(",\"step_index\":");
            write_u64(out, u64::from(index));
        }
        if !self.tags.is_empty() {
            out.push_str(",\"tags\":");
            for (place, tag) in self.tags.iter().enumerate() {
                out.push(if place == 0 { '[' } else { ',' });
                write_string(out, tag);
            }
            out.push(']');
        }
        if let Some(exception) = &self.exception {
            out.push_str(",\"exception\":");
            out.push_str(exception.as_str());
        }
        if !self.fields.is_empty() {
            out.push_str(",\"fields\":");
            out.push_str(self.fields.as_str());
        }
        out.push('}');
    }

    /// The record as one JSON object on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        self.write_json(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Decoded, LogRecord, Severity, TextAttribute, Timestamp, decode, json::Reader};

    fn read(text: &str) -> LogRecord<'_> {
        match decode(&mut Reader::new(text), Timestamp::from_nanos(7)).unwrap() {
            Decoded::Record(record) => *record,
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        }
    }

    fn rejection(text: &str) -> String {
        match decode(&mut Reader::new(text), Timestamp::from_nanos(7)).unwrap() {
            Decoded::Record(record) => panic!("accepted {record:?}"),
            Decoded::Rejected(rejection) => rejection.to_string(),
        }
    }

    #[test]
    fn every_attribute_is_read_and_written() {
        let text = concat!(
            r#"{"time":"2026-01-31T12:00:00.123456789Z","observed_time":"2026-01-31T12:00:01.000000000Z","level":"info","#,
            r#""severity_number":10,"service":"api","message":"hi","environment":"production","host":"h","version":"1","#,
            r#""logger":"l","trace_id":"t","span_id":"s","request_id":"r","session_id":"e","user_id":"u","flow_id":"f","#,
            r#""dataset":"d","step_index":3,"tags":["a","b"],"exception":{"type":"E","stacktrace":[]},"#,
            r#""fields":{"n":9007199254740993,"o":{"k":[1,null]}}}"#,
        );
        assert_eq!(read(text).to_json(), text);
    }

    #[test]
    fn unknown_keys_and_shapes_that_do_not_fit_are_kept_in_fields() {
        let record = read(
            r#"{"msg":"m","region":"eu","metadata":{"a":1},"host":{"name":"x"},"step_index":-1,"level":"warn","severity":"error"}"#,
        );
        assert_eq!(
            record.fields.as_str(),
            r#"{"region":"eu","a":1,"host":{"name":"x"},"step_index":-1,"severity":"error"}"#
        );
        assert_eq!(record.message(), "m");
        assert_eq!(record.service(), "unknown_service");
        assert_eq!(record.time.nanos(), 7);
        assert_eq!(record.severity.number(), 13);
    }

    #[test]
    fn scalars_become_the_text_of_a_text_attribute() {
        let record = read(
            r#"{"message":{"event": "x"},"user_id":42,"request_id":null,"exception":"boom","tags":"one"}"#,
        );
        assert_eq!(record.message(), r#"{"event":"x"}"#);
        assert_eq!(record.text(TextAttribute::UserId), Some("42"));
        assert_eq!(record.text(TextAttribute::RequestId), None);
        assert_eq!(record.exception.unwrap().as_str(), r#"{"message":"boom"}"#);
        assert_eq!(record.tags, ["one"]);
    }

    #[test]
    fn what_is_no_record_is_rejected_with_reason_and_expectation() {
        assert_eq!(rejection(r#"{"level":"info"}"#), "`message` is missing, expected a string");
        assert_eq!(rejection("17"), "record is `17`, expected an object");
        assert!(
            rejection(r#"{"message":"m","level":"loud"}"#)
                .starts_with("unknown level `loud`, expected trace")
        );
        assert!(rejection(r#"{"message":"m","level":77}"#).starts_with("unknown level `77`"));
        assert!(
            rejection(r#"{"message":"m","severity_number":25}"#)
                .starts_with("unknown level `severity_number 25`")
        );
        assert!(
            rejection(r#"{"message":"m","time":"soon"}"#)
                .starts_with("`time`: `soon` is no time, expected RFC 3339")
        );
        let deep = format!(r#"{{"message":"m","x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(rejection(&deep), "`x` is nested deeper than 64");
        let long = format!(r#"{{"message":"m","user_id":"{}"}}"#, "x".repeat(4097));
        assert_eq!(rejection(&long), "`user_id` is 4097 bytes, expected at most 4096");
        let large = format!(r#"{{"message":"{}"}}"#, "x".repeat(10 << 20));
        assert_eq!(rejection(&large), "record is 10485774 bytes, expected at most 1048576");
        let wide = format!(
            r#"{{"message":"m",{}}}"#,
            (0..1025).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",")
        );
        assert_eq!(rejection(&wide), "record has more fields than 1024");
        let tagged = format!(r#"{{"message":"m","tags":[{}]}}"#, vec!["\"t\""; 129].join(","));
        assert_eq!(rejection(&tagged), "record has more tags than 128");
    }

    #[test]
    fn a_level_name_and_a_severity_number_that_agree_keep_the_number() {
        assert_eq!(
            read(r#"{"message":"m","level":"info","severity_number":11}"#).severity.number(),
            11
        );
        assert_eq!(
            read(r#"{"message":"m","level":"error","severity_number":11}"#).severity.number(),
            17
        );
        assert_eq!(
            read(r#"{"message":"m","level":"warn","severity_number":0}"#).severity.number(),
            13
        );
    }

    proptest! {
        #[test]
        fn a_written_record_reads_back_the_same(
            nanos in any::<i64>(),
            severity in 1_u8..=24,
            message in "[^\0]*",
            trace_id in proptest::option::of("[^\0]{0,40}"),
            tags in proptest::collection::vec("[^\0]{0,10}", 0..4),
            step_index in any::<Option<u32>>(),
        ) {
            let mut record = LogRecord::new(Timestamp::from_nanos(nanos), Severity::from_number(severity).unwrap(), message);
            if let Some(trace_id) = trace_id {
                record.set_text(TextAttribute::TraceId, trace_id);
            }
            record.tags = tags.into_iter().map(Into::into).collect();
            record.step_index = step_index;
            record.observed_time = Timestamp::from_nanos(7);
            let written = record.to_json();
            prop_assert_eq!(read(&written), record);
        }
    }
}
