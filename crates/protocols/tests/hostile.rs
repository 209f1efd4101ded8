//! What no sender means to send: it is answered, and nothing else breaks.
#![expect(clippy::unwrap_used, reason = "a test's own")]

use millpond_protocols::{BodyError, Defaults, Entry, Format, Protocol, of_body, read, timberlogs};
use millpond_record::{
    Decoded, TextAttribute, Timestamp, decode, json::Reader, limits::FIELDS_MAX,
};
use proptest::prelude::*;

const OBSERVED: Timestamp = Timestamp::from_nanos(1_769_860_800_000_000_000);

fn defaults() -> Defaults {
    let mut defaults = Defaults::default();
    defaults.set_level("warn").unwrap();
    defaults.set_text(TextAttribute::Service, "shop \"7\"").unwrap();
    defaults.add_tag("raw").unwrap();
    defaults
}

/// Reads a body and holds every entry to what the store relies on: its text gives the same record again.
fn entries(
    protocol: impl Into<Protocol>,
    body: &[u8],
    defaults: &Defaults,
) -> Result<Vec<String>, BodyError> {
    let mut entries = Vec::new();
    read(protocol, body, defaults, OBSERVED, &mut |Entry { index, decoded, json, .. }| {
        assert_eq!(index, entries.len());
        entries.push(match decoded {
            Decoded::Record(record) => {
                let mut reader = Reader::new(json);
                let again = decode(&mut reader, OBSERVED);
                assert_eq!(again, Ok(Decoded::Record(record.clone())));
                assert_eq!(reader.peek(), None, "{json}");
                record.message().to_owned()
            }
            Decoded::Rejected(rejection) => rejection.to_string(),
        });
    })?;
    Ok(entries)
}

/// Bytes, and pieces that lead deep into each of the readers.
fn body() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "<34>",
        "<191>1 ",
        "1 ",
        "- ",
        "-",
        "[a",
        " k=\"",
        "v\\\"",
        "\"]",
        "[",
        "]",
        ": ",
        "Feb 29 ",
        "Jan  1 ",
        "12:00:00",
        "2026-01-31",
        "T",
        "Z",
        "+02:00",
        "01/31/2026 ",
        ".5",
        "ERROR ",
        "\n",
        "\r\n",
        "\r",
        ",",
        "\t",
        "\"",
        "\"\"",
        "message",
        "level,message\n",
        "tags",
        "data",
        "{",
        "}",
        "{}",
        "\"message\":",
        "\"format\":",
        "\"open-board-log-0.1\"",
        "\"sessions\":[",
        "\"events\":[",
        "\"label\":",
        "\"logs\":[",
        "\"level\":\"info\",",
        "\"source\":\"s\",\"environment\":\"e\",",
        "\"data\":",
        "\"errorStack\":",
        "\"timestamp\":",
        "\"stepIndex\":",
        "\"text\":",
        "/*",
        "*/",
        "null",
        "7",
        "é",
        "\u{feff}",
        "🦆",
        " ",
        ";",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn never_panics(format: Format) {
    proptest!(ProptestConfig::with_cases(2000), |(body in body())| {
        let bare = entries(format, &body, &Defaults::default());
        let filled = entries(format, &body, &defaults());
        prop_assert_eq!(bare, filled, "defaults changed more than they should");
    });
    proptest!(|(body in prop::collection::vec(any::<u8>(), 0..200))| {
        let _ = entries(format, &body, &defaults());
    });
}

#[test]
fn any_bytes_as_json_never_panic() {
    never_panics(Format::Json);
}

#[test]
fn any_bytes_as_jsonl_never_panic() {
    never_panics(Format::Jsonl);
}

#[test]
fn any_bytes_as_syslog_never_panic() {
    never_panics(Format::Syslog);
}

#[test]
fn any_bytes_as_text_never_panic() {
    never_panics(Format::Text);
}

#[test]
fn any_bytes_as_csv_never_panic() {
    never_panics(Format::Csv);
}

#[test]
fn any_bytes_as_obl_never_panic() {
    never_panics(Format::Obl);
}

#[test]
fn any_bytes_in_any_wire_never_panic() {
    for protocol in Protocol::ALL {
        proptest!(ProptestConfig::with_cases(500), |(body in body())| {
            let _ = entries(protocol, &body, &Defaults::default());
            let _ = entries(protocol, &body, &defaults());
        });
        proptest!(|(body in prop::collection::vec(any::<u8>(), 0..200))| {
            let _ = entries(protocol, &body, &defaults());
        });
    }
}

/// An entry of Timberlogs' clients with every member that they know, each with any value of JSON or another.
fn timberlogs_entry() -> impl Strategy<Value = String> {
    const MEMBERS: &[&str] = &[
        "level",
        "message",
        "source",
        "environment",
        "dataset",
        "version",
        "userId",
        "sessionId",
        "requestId",
        "data",
        "errorName",
        "errorStack",
        "tags",
        "timestamp",
        "flowId",
        "stepIndex",
        "ipAddress",
        "country",
        "exception",
        "fields",
        "service",
        "client.address",
    ];
    const VALUES: &[&str] = &[
        "null",
        "true",
        "7",
        "-1",
        "1e999",
        "\"\"",
        "\"info\"",
        "\"x\\ud800\\u0000\"",
        "{}",
        "[]",
        "[null,1,\"t\",{}]",
        "{\"message\":\"m\",\"client.address\":\"a\",\"type\":{}}",
        "1769857200123",
        "\"2026-01-31\"",
    ];
    let member = (prop::sample::select(MEMBERS), prop::sample::select(VALUES));
    let member = member.prop_map(|(name, value)| format!("\"{name}\":{value}"));
    prop::collection::vec(member, 1..30).prop_map(|members| {
        format!("{{{},\"environment\":\"e\",\"message\":\"m\"}}", members.join(","))
    })
}

#[test]
fn a_timberlogs_entry_of_any_values_is_a_record_or_rejected_and_can_be_shown() {
    proptest!(ProptestConfig::with_cases(3000), |(entry in timberlogs_entry())| {
        let mut count = 0;
        let json = Protocol::Timberlogs(Format::Json);
        let read = read(json, entry.as_bytes(), &defaults(), OBSERVED, &mut |entry| {
            count += 1;
            if let Decoded::Record(record) = entry.decoded {
                let shown = timberlogs::log("log_1", &record);
                let mut reader = Reader::new(&shown);
                assert!(reader.skip_value().is_ok() && reader.peek().is_none(), "{shown}");
            }
        });
        prop_assert_eq!((read, count), (Ok(()), 1));
    });
}

#[test]
fn any_bytes_have_a_look() {
    proptest!(|(body in body())| {
        let _ = of_body(&body);
    });
}

#[test]
fn every_line_of_text_is_a_record() {
    proptest!(|(lines in prop::collection::vec("[^\0\r\n]*[^\0 \t\r\n][^\0\r\n]*", 1..5))| {
        let read = entries(Format::Text, lines.join("\n").as_bytes(), &Defaults::default());
        prop_assert_eq!(read.unwrap().len(), lines.len());
    });
}

#[test]
fn a_small_body_does_not_become_a_large_one() {
    let mut defaults = Defaults::default();
    defaults.set_text(TextAttribute::UserId, &"u".repeat(4096)).unwrap();
    let text = "a\n".repeat(20_000);
    assert_eq!(entries(Format::Text, text.as_bytes(), &defaults), Err(BodyError::TooLarge));
    let events = "{},".repeat(20_000);
    let obl = format!(
        "{{\"format\":\"open-board-log-0.1\",\"note\":\"{}\",\"sessions\":[{{\"events\":[{events}{{}}]}}]}}",
        "x".repeat(100_000)
    );
    assert_eq!(
        entries(Format::Obl, obl.as_bytes(), &Defaults::default()),
        Err(BodyError::TooLarge)
    );
}

#[test]
fn a_line_over_the_limit_of_a_record_costs_only_itself() {
    let long = "x".repeat(2 << 20);
    for (format, body) in [
        (Format::Text, format!("before\n{long}\nafter\n")),
        (Format::Syslog, format!("<13>before\n<13>{long}\n<13>after\n")),
        (Format::Csv, format!("message\nbefore\n{long}\nafter\n")),
    ] {
        let read = entries(format, body.as_bytes(), &Defaults::default()).unwrap();
        assert_eq!((&*read[0], &*read[2], read.len()), ("before", "after", 3));
        assert!(read[1].contains("bytes, expected at most 1048576"), "{}", read[1]);
    }
}

#[test]
fn structured_data_has_a_limit() {
    let parameters = |count: usize| format!("<13>1 - - - - - [a{}] m", " k=\"v\"".repeat(count));
    let read = |count| entries(Format::Syslog, parameters(count).as_bytes(), &Defaults::default());
    assert_eq!(read(FIELDS_MAX).unwrap(), ["m"]);
    assert_eq!(read(FIELDS_MAX + 1).unwrap(), ["structured data has more parameters than 1024"]);
}

#[test]
fn a_million_deep_nesting_costs_only_its_event() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let obl = format!(
        "{{\"format\":\"open-board-log-0.1\",\"sessions\":[{{\"events\":[{{\"label\":\"a\",\"x\":{deep}}},{{\"label\":\"b\"}}]}}]}}"
    );
    let read = entries(Format::Obl, obl.as_bytes(), &Defaults::default()).unwrap();
    assert_eq!(read[1], "Button: b");
    assert!(read[0].contains("nested deeper") || read[0].contains("bytes"), "{}", read[0]);
}
