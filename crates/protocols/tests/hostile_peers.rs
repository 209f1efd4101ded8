//! What no client of another system means to send: it is answered, nothing else breaks, and what was taken is shown as
//! well-formed JSON again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's own")]

use millpond_protocols::{
    BodyError, Defaults, ENTRIES_MAX, Format, Protocol, logiscout, read, streamlogia,
};
use millpond_record::{Decoded, LogRecord, Timestamp, decode, json::Reader};
use proptest::prelude::*;
use serde_json::Value;

const OBSERVED: Timestamp = Timestamp::from_nanos(1_769_860_800_000_000_000);

const ID: &str = "98ea23df2da110010000000000000004";

/// Reads a body and holds every record to what the store and the routes rely on.
fn messages(protocol: Protocol, body: &[u8]) -> Result<Vec<String>, BodyError> {
    let mut messages = Vec::new();
    read(protocol, body, &Defaults::default(), OBSERVED, &mut |entry| {
        assert_eq!(entry.index, messages.len());
        messages.push(match entry.decoded {
            Decoded::Record(record) => {
                let again = decode(&mut Reader::new(entry.json), OBSERVED);
                assert_eq!(again, Ok(Decoded::Record(record.clone())), "{}", entry.json);
                assert_shown(&record);
                record.message().to_owned()
            }
            Decoded::Rejected(rejection) => rejection.to_string(),
        });
    })?;
    Ok(messages)
}

fn assert_shown(record: &LogRecord<'_>) {
    for shown in [
        streamlogia::entry(ID, "shop", record),
        logiscout::log(ID, "shop", record),
        logiscout::live(ID, record),
    ] {
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["message"], record.message());
    }
    let row = streamlogia::csv_row(ID, "shop", record);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*row);
    let row = reader.records().next().unwrap().unwrap();
    assert_eq!((row.len(), &row[4]), (9, record.message()));
}

/// Pieces that lead deep into each of the readers, and bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "{}",
        "[]",
        "null",
        "7",
        "\"\"",
        "\"x\"",
        "\n",
        " ",
        "é",
        "NaN",
        "{\"payloads\":[",
        "{\"logs\":[",
        "\"logs\":[",
        "\"type\":\"single\",\"data\":",
        "\"correlationId\":",
        "\"startedAt\":",
        "\"durationMS\":1.5",
        "\"request\":{\"method\":\"GET\",\"path\":\"/\"}",
        "\"level\":\"warn\"",
        "\"message\":\"m\"",
        "\"message\":",
        "\"metadata\":{",
        "\"exception\":{\"traceback\":",
        "\"Traceback (most recent call last):\\n  F\\nE: m\"",
        "\"timestamp\":\"2026-01-31T12:00:00Z\"",
        "\"timestamp\":",
        "\"projectId\":\"p\"",
        "\"level\":\"INFO\"",
        "\"source\":\"s\"",
        "\"tags\":[\"a\"]",
        "\"meta\":{",
        "\"attributes\":{",
        "\"host\":\"h\"",
        "\"container\":7",
        "\"streamlogia.source_type\":",
        "\"infra\"",
        "{\"projectId\":\"p\",\"level\":\"INFO\",\"message\":\"m\",\"source\":\"s\",\"meta\":{",
        "{\"message\":\"m\"",
        "}}",
        "]}",
    ];
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// A JSON value that any member may have.
fn value() -> impl Strategy<Value = String> {
    const VALUES: &[&str] = &[
        "null",
        "true",
        "7",
        "-1.5e300",
        "9007199254740993",
        "NaN",
        "\"\"",
        "\"x\"",
        "\"2026-01-31\"",
        "\"\\ud800\"",
        "{}",
        "[]",
        "{\"a\":{\"b\":1}}",
        "[{\"message\":\"m\"}]",
        "{\"traceback\":7}",
        "\"error\"",
    ];
    prop::sample::select(VALUES).prop_map(str::to_owned)
}

/// Entries whose members have any values.
fn entries(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let member = (prop::sample::select(keys), value());
    let member = member.prop_map(|(key, value)| format!("\"{key}\":{value}"));
    let entry = prop::collection::vec(member, 0..8)
        .prop_map(|members| format!("{{{}}}", members.join(",")));
    prop::collection::vec(entry, 0..4).prop_map(|entries| format!("[{}]", entries.join(",")))
}

const OF_LOGISCOUT: &[&str] = &[
    "type",
    "data",
    "logs",
    "correlationId",
    "startedAt",
    "endedAt",
    "durationMS",
    "durationMs",
    "request",
    "level",
    "message",
    "loggerName",
    "metadata",
    "meta",
    "exception",
    "timestamp",
    "serviceName",
    "environment",
    "projectName",
    "send",
    "other",
];

const OF_STREAMLOGIA: &[&str] = &[
    "projectId",
    "PID",
    "level",
    "Message",
    "source",
    "timestamp",
    "ts",
    "tags",
    "meta",
    "attributes",
    "host",
    "container",
    "cloudResourceId",
    "streamlogia.source_type",
    "streamlogia.project_id",
    "other",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_answered(body in body()) {
        for protocol in [Protocol::LogiScout, Protocol::Streamlogia, Protocol::StreamlogiaBulk] {
            let _ = messages(protocol, &body);
        }
    }

    #[test]
    fn members_of_any_kind_cost_only_their_entry(scout in entries(OF_LOGISCOUT), streamlogia in entries(OF_STREAMLOGIA)) {
        prop_assert!(messages(Protocol::LogiScout, scout.as_bytes()).is_ok());
        let payloads = format!("{{\"payloads\":[{{\"logs\":{scout}}}]}}");
        prop_assert!(messages(Protocol::LogiScout, payloads.as_bytes()).is_ok());
        if streamlogia != "[]" {
            prop_assert!(messages(Protocol::Streamlogia, streamlogia.as_bytes()).is_ok());
            prop_assert!(messages(Protocol::StreamlogiaBulk, streamlogia.as_bytes()).is_ok());
        }
    }
}

#[test]
fn what_a_payload_says_does_not_make_a_small_body_a_large_one() {
    let logs = vec!["{}"; 20_000].join(",");
    let path = "p".repeat(10_000);
    let body =
        format!("{{\"payloads\":[{{\"request\":{{\"path\":\"{path}\"}},\"logs\":[{logs}]}}]}}");
    assert_eq!(messages(Protocol::LogiScout, body.as_bytes()), Err(BodyError::TooLarge));
}

#[test]
fn an_entry_that_is_too_large_for_a_record_costs_only_itself() {
    let large = "x".repeat(1 << 20);
    let entry = |message: &str| {
        let members =
            "\"level\":\"INFO\",\"source\":\"s\",\"environment\":\"e\",\"projectId\":\"p\"";
        format!("{{\"message\":\"{message}\",{members}}}")
    };
    let array = format!("[{},{}]", entry(&large), entry("kept"));
    let payload = format!("{{\"payloads\":[{{\"logs\":{array}}}]}}");
    let lines = format!("{}\n{}", entry(&large), entry("kept"));
    for (protocol, body) in [
        (Protocol::Streamlogia, &array),
        (Protocol::StreamlogiaBulk, &array),
        (Protocol::Timberlogs(Format::Json), &array),
        (Protocol::Timberlogs(Format::Jsonl), &lines),
        (Protocol::LogiScout, &payload),
        (Protocol::Format(Format::Text), &format!("{large}x\nkept")),
        (Protocol::Format(Format::Syslog), &format!("<34>{large}\n<34>kept")),
        (Protocol::Format(Format::Csv), &format!("message,a\n{large}x,1\nkept,1")),
    ] {
        let read = messages(protocol, body.as_bytes()).unwrap();
        assert!(read[0].starts_with("record is ") && read[0].len() < 60, "{protocol:?}");
        assert_eq!(read[1], "kept", "{protocol:?}");
    }
}

#[test]
fn a_body_whose_answer_names_every_entry_has_no_more_than_there_can_be_records() {
    let body = format!("[{}7]", "7,".repeat(ENTRIES_MAX));
    let mut count = 0;
    let arrived = OBSERVED;
    let end =
        read(Protocol::Streamlogia, body.as_bytes(), &Defaults::default(), arrived, &mut |_| {
            count += 1;
        });
    assert_eq!((end, count), (Err(BodyError::TooMany), ENTRIES_MAX));
}

/// Each of them is written before it is found wrong.
#[test]
fn what_many_rejected_entries_share_makes_a_body_too_large_as_well() {
    let shared = "s".repeat(100_000);
    let logs = vec!["{\"timestamp\":\"x\"}"; 1000].join(",");
    let payload = format!("{{\"payloads\":[{{\"startedAt\":\"{shared}\",\"logs\":[{logs}]}}]}}");
    assert_eq!(messages(Protocol::LogiScout, payload.as_bytes()), Err(BodyError::TooLarge));
    // Without an environment no event is a log.
    let events = vec!["{}"; 1000].join(",");
    let board = format!(
        "{{\"format\":\"open-board-log-0.1\",\"x\":\"{shared}\",\"sessions\":[{{\"events\":[{events}]}}]}}"
    );
    let protocol = Protocol::Timberlogs(Format::Obl);
    assert_eq!(messages(protocol, board.as_bytes()), Err(BodyError::TooLarge));
}

#[test]
fn an_id_that_is_too_long_for_a_request_is_kept_beside_it() {
    let id = "é".repeat(3000);
    let body = format!(
        "{{\"payloads\":[{{\"correlationId\":\"{id}\",\"logs\":[{{\"message\":\"m\"}}]}}]}}"
    );
    let mut kept = Vec::new();
    read(Protocol::LogiScout, body.as_bytes(), &Defaults::default(), OBSERVED, &mut |entry| {
        let Decoded::Record(record) = entry.decoded else { panic!("{:?}", entry.decoded) };
        kept.push(serde_json::from_str::<Value>(&logiscout::log(ID, "shop", &record)).unwrap());
    })
    .unwrap();
    assert_eq!(kept[0]["correlationId"], id);
}

#[test]
fn deep_nesting_costs_only_its_entry() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body =
        format!("[{{\"message\":\"a\",\"attributes\":{{\"x\":{deep}}}}},{{\"message\":\"b\"}}]");
    let read = messages(Protocol::StreamlogiaBulk, body.as_bytes()).unwrap();
    assert_eq!((read[0].contains("nested deeper"), &*read[1]), (true, "b"));
}
