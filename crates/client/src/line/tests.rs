use std::{error::Error, io};

use millpond_record::{Decoded, LogRecord, decode, json::Reader};

use super::finish::NANOS_TOLD_BY_SIZE_MIN;
use super::*;
use crate::content::Options;

fn line(write: impl FnOnce(&mut LineWriter)) -> Option<String> {
    line_of(&Options::default(), write)
}

fn line_of(options: &Options, write: impl FnOnce(&mut LineWriter)) -> Option<String> {
    let policy = Policy::new(options).unwrap();
    let prefix = Prefix::new([(TextAttribute::Service, "shop"), (TextAttribute::Host, "a1")]);
    let time = Timestamp::from_nanos(1_763_692_800_000_000_000);
    let mut line = LineWriter::begin(&policy, time, Level::Info.into());
    write(&mut line);
    line.complete(&prefix);
    let text = line.finish(|_, pieces| String::from_utf8(pieces.concat()).unwrap());
    line.recycle();
    text
}

fn record(text: &str) -> LogRecord<'_> {
    match decode(&mut Reader::new(text), Timestamp::from_nanos(7)).unwrap() {
        Decoded::Record(record) => *record,
        Decoded::Rejected(rejection) => panic!("{rejection}"),
    }
}

#[test]
fn a_record_says_everything_in_one_line() {
    let text = line(|line| {
        line.field("order", &4711);
        line.text(TextAttribute::TraceId, "t1");
        line.tag("a");
        line.message("two\nlines");
        line.tag("b");
        line.step_index(3);
        line.field("total", &19.99);
    });
    assert_eq!(
        text.unwrap(),
        concat!(
            r#"{"time":1763692800000000000,"level":"info","trace_id":"t1","message":"two\nlines","step_index":3,"#,
            r#""service":"shop","host":"a1","tags":["a","b"],"fields":{"order":4711,"total":19.99}}"#,
            "\n"
        )
    );
}

#[test]
fn the_server_reads_what_was_said() {
    let text = line(|line| {
        line.message_fmt(format_args!("{} orders", 2));
        line.severity(Severity::from_number(10).unwrap());
        line.time(Timestamp::from_nanos(1_700_000_000_000_000_001));
        line.field("level", "of detail");
        line.field("host", &["x"]);
    })
    .unwrap();
    let record = record(&text);
    assert_eq!(record.message(), "2 orders");
    assert_eq!(record.severity.number(), 10);
    assert_eq!(record.time.nanos(), 1_700_000_000_000_000_001);
    assert_eq!(record.fields.as_str(), r#"{"level":"of detail","host":["x"]}"#);
}

#[test]
fn the_server_reads_every_time_as_it_was_said() {
    let now = 1_763_692_800_000_000_000;
    let edge = i64::try_from(NANOS_TOLD_BY_SIZE_MIN).unwrap();
    let early = [0, 90_000_000_000, 1_000_500_000_000, -1, edge - 1, 1 - edge];
    for nanos in early.into_iter().chain([edge, -edge, now, i64::MIN, i64::MAX]) {
        let text = line(|line| line.time(Timestamp::from_nanos(nanos))).unwrap();
        assert_eq!(record(&text).time.nanos(), nanos, "{text}");
        assert_eq!(text.starts_with("{\"time\":\""), early.contains(&nanos), "{text}");
    }
}

#[test]
fn the_first_that_is_said_stays() {
    let text = line(|line| {
        line.text(TextAttribute::Service, "own");
        line.text(TextAttribute::Service, "other");
        line.field("k\"", &1);
        line.field_with("k\"", |_| panic!("not needed"));
        line.field("k", &2);
    })
    .unwrap();
    let record = record(&text);
    assert_eq!(record.service(), "own");
    assert_eq!(record.text(TextAttribute::Host), Some("a1"));
    assert_eq!(record.fields.as_str(), r#"{"k\"":1,"k":2}"#);
    assert_eq!(record.message(), "");
}

#[test]
fn what_the_server_would_reject_a_record_for_is_cut() {
    let text = line(|line| {
        line.message("m");
        line.text(TextAttribute::UserId, &"ü".repeat(ATTRIBUTE_BYTES_MAX));
        for n in 0..2000 {
            line.tag(&n.to_string());
            line.field(&n.to_string(), &n);
        }
    })
    .unwrap();
    let record = record(&text);
    assert_eq!(record.text(TextAttribute::UserId).unwrap().len(), ATTRIBUTE_BYTES_MAX);
    assert_eq!(record.tags.len(), TAGS_MAX);
    assert_eq!(record.fields.members().count(), FIELDS_MAX);
}

#[test]
fn a_record_is_as_large_as_the_limit_and_no_larger() {
    let empty = line(|line| line.message("")).unwrap().len() - 1;
    let fitting = "x".repeat(RECORD_BYTES_MAX - empty);
    let whole = line(|line| line.message(&fitting)).unwrap();
    assert_eq!(whole.len(), RECORD_BYTES_MAX + 1);
    assert_eq!(record(&whole).message(), fitting);
    for too_long in [1, 10, RECORD_BYTES_MAX, 10 * RECORD_BYTES_MAX] {
        let text = line(|line| line.message(&(fitting.clone() + &"x".repeat(too_long)))).unwrap();
        assert_eq!(text.len(), RECORD_BYTES_MAX + 1);
        let record = record(&text);
        assert!(record.message().ends_with("xxx...[TRUNCATED]"));
        let note =
            format!(r#"{{"_truncated":true,"_original_size":{}}}"#, RECORD_BYTES_MAX + too_long);
        assert_eq!(record.fields.as_str(), note);
    }
}

#[test]
fn a_record_that_is_too_large_loses_its_fields_first() {
    let value = "x".repeat(RECORD_BYTES_MAX / 2);
    let text = line(|line| {
        line.message("kept");
        line.text(TextAttribute::TraceId, "t1");
        for n in 0..100 {
            line.field(&n.to_string(), &value);
        }
    })
    .unwrap();
    let record = record(&text);
    assert_eq!((record.message(), record.text(TextAttribute::TraceId)), ("kept", Some("t1")));
    // Not all of the hundred were even written.
    let original: usize = record.fields.get("_original_size").unwrap().text().parse().unwrap();
    assert!((RECORD_BYTES_MAX..2 * RECORD_BYTES_MAX).contains(&original));
    assert_eq!(record.fields.members().count(), 2);
}

#[test]
fn then_its_message_is_cut_then_exception_and_tags_go() {
    let options = Options { log_bytes_max: 2048, ..Options::default() };
    let long = "line\n".repeat(1000);
    let text = line_of(&options, |line| {
        line.error(&io::Error::other("kept"));
        line.message(&long);
        line.tag("kept");
    })
    .unwrap();
    // An escape is not torn apart, so that a byte may be left over.
    assert!((2048..=2049).contains(&text.len()), "{}", text.len());
    let cut = record(&text);
    assert!(cut.message().ends_with("...[TRUNCATED]"));
    assert!(cut.message().starts_with("line\nline"));
    assert_eq!(cut.tags, ["kept"]);
    assert!(cut.exception.is_some());

    for message_first in [false, true] {
        let text = line_of(&options, |line| {
            if message_first {
                line.message(&long);
            }
            line.error(&io::Error::other(long.as_str()));
            line.message(&long);
            line.tag("gone");
        })
        .unwrap();
        assert!((2048..=2049).contains(&text.len()), "{}", text.len());
        let cut = record(&text);
        assert!(cut.message().ends_with("...[TRUNCATED]"));
        assert!(cut.exception.is_none() && cut.tags.is_empty());
    }

    let attribute = "x".repeat(ATTRIBUTE_BYTES_MAX);
    assert_eq!(line_of(&options, |line| line.text(TextAttribute::UserId, &attribute)), None);
}

#[test]
fn an_error_comes_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("open the shop")]
    struct Outer(#[source] io::Error);

    let error = Outer(io::Error::new(io::ErrorKind::NotFound, "no key"));
    let typed = line(|line| line.error(&error)).unwrap();
    let exception = record(&typed).exception.unwrap();
    assert!(exception.as_str().starts_with(r#"{"type":"millpond::line::tests::"#), "{exception:?}");
    assert!(
        exception
            .as_str()
            .ends_with(r#"Outer","message":"open the shop","cause":{"message":"no key"}}"#)
    );
    let untyped = line(|line| line.error(&error as &dyn Error)).unwrap();
    assert!(record(&untyped).exception.unwrap().as_str().starts_with(r#"{"message":"open"#));
}

#[test]
fn a_record_inside_a_record_has_a_buffer_of_its_own() {
    let outer = line(|outer| {
        outer.message("outer");
        let inner = line(|inner| inner.message("inner")).unwrap();
        assert_eq!(record(&inner).message(), "inner");
        outer.field("k", &1);
    })
    .unwrap();
    assert_eq!(record(&outer).message(), "outer");
    assert_eq!(record(&outer).fields.as_str(), r#"{"k":1}"#);
}
