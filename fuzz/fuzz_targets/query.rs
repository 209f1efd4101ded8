//! The text of a query. It is one or it is wrong, and the error points into it; what is one is written so that it reads
//! back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_query::{QUERY_BYTES_MAX, parse, parse_query};

fuzz_target!(|text: &str| {
    match parse_query(text) {
        Ok(query) => {
            let written = query.to_string();
            // A field that holds for a group is written with each of its members.
            if written.len() <= QUERY_BYTES_MAX {
                assert_eq!(parse_query(&written), Ok(query), "{written:?}");
            }
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.position), "{error}"),
    }
    // A filter is a query without pipes.
    if let Ok(filter) = parse(text) {
        assert_eq!(parse_query(text), Ok(filter.into()));
    }
});
