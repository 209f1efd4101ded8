//! What `docs/query-language.md` shows can be asked, and its limits are those that hold.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use millpond_query::{
    DEPTH_MAX, FIELDS_MAX, FUNCTIONS_MAX, GROUPS_MAX, QUERY_BYTES_MAX, REGEX_BYTES_MAX,
    REGEXES_MAX, ROWS_MAX, SORT_KEYS_MAX, TERMS_MAX, TOP_ROWS, WORDS_BYTES_MAX, parse, parse_query,
};

const DOCUMENTATION: &str = include_str!("../../../docs/query-language.md");

/// The text between a heading and the next one.
fn section(heading: &str) -> &'static str {
    let (_, behind) = DOCUMENTATION.split_once(&format!("\n## {heading}\n")).unwrap();
    behind.split("\n## ").next().unwrap()
}

/// The rows of the tables in a text, without their headings, as cells.
fn rows(text: &'static str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("| ---"));
    let cells = lines.map(|line| {
        let line = line.replace(r"\|", "\0");
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    });
    cells.collect()
}

#[test]
fn every_query_that_is_shown_can_be_asked() {
    let blocks = DOCUMENTATION.split("```query\n").skip(1);
    let lines: Vec<&str> =
        blocks.flat_map(|block| block.split("```").next().unwrap().lines()).collect();
    assert!(lines.len() >= 3);
    for line in lines {
        assert!(parse_query(line).is_ok(), "{line}: {:?}", parse_query(line));
    }
    let mut examples = rows(section("Examples"));
    examples.retain(|cells| cells.first().is_some_and(|cell| cell != "query"));
    assert!(examples.len() >= 25);
    for cells in examples {
        let query = cells.first().unwrap().trim_matches('`');
        assert!(parse_query(query).is_ok(), "{query}: {:?}", parse_query(query));
    }
}

#[test]
fn every_test_of_a_field_that_is_shown_can_be_asked() {
    let tests = rows(section("Selecting"));
    assert!(tests.len() >= 7);
    for cells in tests {
        let shown = cells.first().unwrap().split('`').filter(|text| text.contains(':'));
        for text in shown {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }
}

#[test]
fn the_limits_are_those_that_hold() {
    let limits = rows(section("Errors and limits"));
    let written: Vec<usize> =
        limits.iter().filter_map(|cells| cells.last()?.parse().ok()).collect();
    assert_eq!(
        written,
        [
            QUERY_BYTES_MAX,
            TERMS_MAX,
            WORDS_BYTES_MAX,
            DEPTH_MAX,
            REGEXES_MAX,
            REGEX_BYTES_MAX,
            FUNCTIONS_MAX,
            GROUPS_MAX,
            SORT_KEYS_MAX,
            FIELDS_MAX,
            ROWS_MAX,
        ]
    );
    let top = format!("does not say how many gives {TOP_ROWS} rows");
    assert!(section("Errors and limits").contains(&top));
}

#[test]
fn the_error_that_is_shown_is_the_one_that_comes() {
    let error = parse_query("level:loud").unwrap_err().to_string();
    assert!(section("Errors and limits").contains(&error));
}
