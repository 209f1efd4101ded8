//! The guide and the code say the same.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use millpond::{DropReason, Metrics};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn chapter(name: &str) -> String {
    fs::read_to_string(source().join("docs").join(name)).unwrap()
}

/// The text of all Rust files below a directory.
fn code(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &code(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// The names of our variables in a text, each directly behind `opening`.
fn variables(text: &str, opening: char) -> BTreeSet<String> {
    let beginning = format!("{opening}MILLPOND_");
    text.split(&beginning)
        .skip(1)
        .map(|piece| {
            let is_name = |letter: char| letter.is_ascii_uppercase() || letter == '_';
            let end = piece.find(|letter| !is_name(letter)).unwrap_or(piece.len());
            format!("MILLPOND_{}", piece.split_at(end).0)
        })
        .collect()
}

#[test]
fn the_environment_has_a_row_for_each_variable_that_the_code_reads_and_no_other() {
    let table = chapter("environment.md");
    let rows = table.lines().filter(|line| line.starts_with("| `MILLPOND_"));
    let documented: BTreeSet<_> =
        rows.flat_map(|row| variables(row.split('|').nth(1).unwrap(), '`')).collect();
    let crates = ["client", "tower", "tracing"];
    let read: BTreeSet<_> = crates
        .into_iter()
        .flat_map(|name| variables(&code(&source().join("../..").join(name).join("src")), '"'))
        .collect();
    assert!(read.contains("MILLPOND_ENDPOINT"));
    assert_eq!(documented, read);
}

#[test]
fn no_chapter_names_a_variable_that_is_not_in_the_table() {
    let known = variables(&chapter("environment.md"), '`');
    let crates = source().join("../..");
    for chapter in fs::read_dir(source().join("docs")).unwrap() {
        let path = chapter.unwrap().path();
        let named = variables(&fs::read_to_string(&path).unwrap(), '`');
        assert!(named.is_subset(&known), "{path:?}: {named:?}");
    }
    for name in ["client", "tower", "tracing"] {
        let named = variables(&code(&crates.join(name).join("src")), '`');
        assert!(named.is_subset(&known), "{name}: {named:?}");
    }
}

#[test]
fn every_counter_and_every_reason_to_drop_a_record_is_explained() {
    let chapter = chapter("accounting.md");
    let is_explained = |name: &str| {
        let mut rows = chapter.lines().filter(|line| line.starts_with('|'));
        rows.any(|row| row.contains(&format!("`{name}`")))
    };
    let metrics = format!("{:#?}", Metrics::default());
    let counters: Vec<_> =
        metrics.lines().filter_map(|line| Some(line.trim().split_once(": ")?.0)).collect();
    assert!(counters.contains(&"accepted"));
    for name in counters.into_iter().chain(DropReason::ALL.map(DropReason::name)) {
        assert!(is_explained(name), "{name}");
    }
}
