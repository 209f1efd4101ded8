//! The behaviour of every format and protocol, as data: `cases/PROTOCOL/NAME.in` is a body, `NAME.out` what becomes of each of its
//! entries, `NAME.defaults` what was said beside it. `MILLPOND_BLESS=1 cargo test -p millpond-protocols` writes the
//! `.out` files anew; read what changed.
#![expect(clippy::unwrap_used, reason = "a test's own")]

use std::{fs, path::Path};

use millpond_protocols::{Defaults, Entry, Format, Protocol, read};
use millpond_record::{Decoded, TextAttribute, Timestamp, decode, json::Reader};

const OBSERVED: &str = "2026-01-31T12:00:00Z";

#[test]
fn every_case_gives_what_is_written_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for (name, protocol) in protocols() {
        let mut cases = 0;
        for file in fs::read_dir(folder.join(&name)).unwrap() {
            let input = file.unwrap().path();
            if input.extension().is_some_and(|extension| extension == "in") {
                check(protocol, &input);
                cases += 1;
            }
        }
        assert!(cases >= 2, "{name} has {cases} cases, expected good and bad ones");
    }
}

/// All that have cases, each with the name of its folder.
fn protocols() -> impl Iterator<Item = (String, Protocol)> {
    let ours = Format::ALL.map(|format| (format.name().to_owned(), format.into()));
    let timberlogs =
        Format::ALL.map(|format| (format!("timberlogs_{format}"), Protocol::Timberlogs(format)));
    let others = [
        ("logiscout", Protocol::LogiScout),
        ("streamlogia", Protocol::Streamlogia),
        ("streamlogia_bulk", Protocol::StreamlogiaBulk),
    ];
    let others = others.map(|(name, protocol)| (name.to_owned(), protocol));
    ours.into_iter().chain(timberlogs).chain(others)
}

fn check(protocol: Protocol, input: &Path) {
    let defaults = fs::read_to_string(input.with_extension("defaults")).unwrap_or_default();
    let found = outcome(protocol, &fs::read(input).unwrap(), &read_defaults(&defaults));
    let expected = input.with_extension("out");
    if std::env::var_os("MILLPOND_BLESS").is_some() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the repository, written for its reader"
        )]
        fs::write(&expected, &found).unwrap();
    }
    let expected = fs::read_to_string(expected).unwrap_or_default();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{}: line {} of the outcome", input.display(), number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{}", input.display());
}

/// One line an entry.
fn outcome(protocol: Protocol, body: &[u8], defaults: &Defaults) -> String {
    let observed = Timestamp::parse(OBSERVED).unwrap();
    let mut out = String::new();
    let result = read(protocol, body, defaults, observed, &mut |entry| {
        let line = entry.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let Entry { decoded: Decoded::Record(mut record), json, .. } = entry else {
            let Decoded::Rejected(rejection) = entry.decoded else { unreachable!() };
            let field = entry.field.map(|field| format!(" {field}")).unwrap_or_default();
            out.push_str(&format!("rejected{line}{field}: {rejection}\n"));
            return;
        };
        // The store keeps the text and decodes it again.
        let again = decode(&mut Reader::new(json), observed);
        assert_eq!(again, Ok(Decoded::Record(record.clone())), "{json}");
        assert_eq!(record.observed_time, observed);
        record.observed_time = record.time;
        record.write_json(&mut out);
        out.push('\n');
    });
    if let Err(error) = result {
        out.push_str(&format!("refused: {error}\n"));
    }
    out
}

fn read_defaults(text: &str) -> Defaults {
    let mut defaults = Defaults::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "level" => defaults.set_level(value).unwrap(),
            "tags" => value.split(',').for_each(|tag| defaults.add_tag(tag).unwrap()),
            name => defaults.set_text(TextAttribute::named(name).unwrap(), value).unwrap(),
        }
    }
    defaults
}
