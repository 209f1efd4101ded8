//! What queries once got wrong: each with the records and the queries that showed it, hot and in a segment.

use millpond_query::{TimeRange, parse};
use millpond_store::EmbeddedStore;

use crate::{
    Model, check_counts, check_matcher, check_order, check_pages, queries, scans, support::append,
};

/// Queries and statistics mean of these records, each there often enough for columns, what they should.
fn agree(members: &[&str], filters: &[&str], pipes: &[&str]) {
    let records = members.iter().enumerate().flat_map(|(place, members)| {
        let message = if members.contains("\"message\"") { "" } else { r#""message":"m","# };
        let json = format!(r#"{{"time":"1970-01-01T00:00:0{place}Z",{message}{members}}}"#);
        std::iter::repeat_n(json, 20)
    });
    let records: Vec<String> = records.collect();
    let model = Model::new(&records);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        append(&store, &records).await;
        for flushed in [false, true] {
            if flushed {
                store.flush().unwrap();
            }
            for text in filters {
                let filter = parse(text).unwrap();
                let selected = model.selected(&filter, TimeRange::ALL);
                check_matcher(&filter, &model);
                check_pages(&store, &filter, TimeRange::ALL, 100, &selected).await;
                scans::check(&store, &filter, TimeRange::ALL, &selected).await;
                for pipes in pipes {
                    if pipes.contains("| sort") && !pipes.contains("stats") {
                        let request = queries::ordered(&filter, TimeRange::ALL, pipes);
                        check_order(&store, &request, &selected).await;
                    } else {
                        check_counts(&store, &filter, TimeRange::ALL, pipes, &selected).await;
                    }
                }
            }
        }
    });
}

#[test]
fn an_object_whose_members_are_columns_is_still_there() {
    agree(
        &[r#""a":{"b":1}"#, r#""a":{"b":2,"c":null}"#, r#""a":"text""#, r#""x":1"#],
        &["a:*", "-a:*", "a:=\"{\\\"b\\\":1}\"", "a:text", "a:*b*", "*"],
        &["| top a", "| stats count(a), count_distinct(a)", "| sort a | limit 9"],
    );
}

#[test]
fn a_flat_key_goes_before_a_nested_one_also_if_only_that_has_a_column() {
    agree(
        &[
            r#""a":{"b":1},"a.b":null"#,
            r#""a.b":[5],"a":{"b":2}"#,
            r#""a":{"b":3}"#,
            r#""a.b":{},"a":{"b":1}"#,
        ],
        &["a.b:1", "a.b:*", "a.b:null", "a.b:>1", "-a.b:2"],
        &["| stats count(), sum(a.b) by a.b"],
    );
}

#[test]
fn of_nested_keys_the_longest_counts_wherever_it_stands() {
    agree(
        &[
            r#""a":{"b.c":7},"a.b":{"c":8}"#,
            r#""a.b":{"c":null},"a":{"b":{"c":6}}"#,
            r#""a":{"b.c":null,"b":{"c":6}}"#,
            r#""a":{"x":1},"a.b":{"c":8}"#,
        ],
        &["a.b.c:7", "a.b.c:8", "a.b.c:null", "a.b.c:6"],
        &["| top a.b.c"],
    );
}

#[test]
fn a_key_that_is_there_twice_comes_back_twice_and_the_first_counts() {
    agree(
        &[
            r#""n":"x","n":1"#,
            r#""n":2,"n":"y""#,
            r#""a":{"b":1},"a":{"c":2}"#,
            r#""a":{"b":1},"a":3"#,
            r#""n":4,"a":5"#,
        ],
        &["n:x", "n:1", "n:2", "a.b:1", "a.c:2", "a:3", "a:*"],
        &["| top n, a"],
    );
}

#[test]
fn a_word_with_a_digit_before_the_start_of_a_word_is_found() {
    agree(
        &[
            r#""message":"12 connections""#,
            r#""message":"12 conn7""#,
            r#""message":"13 connections, 12 conns""#,
            r#""message":"12 of connections""#,
        ],
        &["\"12 conn\"*", "\"12 c\"*", "\"13 connections 12\"*", "\"12 conn7\"*", "\"12 con7\"*"],
        &[],
    );
}

#[test]
fn words_with_digits_and_letters_that_are_one_in_some_case_are_found() {
    agree(
        &[r#""message":"STRAẞE7""#, r#""message":"k8""#, r#""message":"ſ9""#],
        &["straße7", "STRAẞE7", "strasse7", "STRAẞE*", "\u{212a}8", "S9"],
        &[],
    );
}

#[test]
fn a_template_is_the_same_with_and_without_a_dictionary() {
    agree(
        &[r#""message":"𐀀 is a letter""#, r#""message":"1 is a letter""#, r#""message":"𐀀""#],
        &["template:\"<*> is a letter\"", "𐀀", "\"is a letter\""],
        &["| top template"],
    );
}

#[test]
fn infinity_and_nan_are_words_and_no_numbers() {
    agree(
        &[r#""n":"Infinity""#, r#""n":"nan""#, r#""n":7"#, r#""n":7.5"#, r#""n":1e400"#],
        &["n:>5", "n:<inf", "n:<infinity", "n:>=Inf", "n:nan", "n:1e400", "n:>1e300"],
        &["| stats count(), sum(n), max(n) by n", "| sort -n | limit 9"],
    );
}

#[test]
fn numbers_that_are_the_same_are_one_group_and_others_are_not() {
    agree(
        &[
            r#""n":10"#,
            r#""n":10.0"#,
            r#""n":1e1"#,
            r#""n":"10""#,
            r#""n":"10.0""#,
            r#""n":18446744073709551615"#,
            r#""n":18446744073709551614"#,
            r#""n":9007199254740993"#,
            r#""n":0.5"#,
        ],
        &["*", "n:10", "n:<100"],
        &[
            "| top n",
            "| stats count_distinct(n)",
            "| stats count() by n, service | sort -n",
            "| sort n | limit 500",
        ],
    );
}

#[test]
fn whole_numbers_and_floats_have_one_order_also_where_floats_round() {
    agree(
        &[
            r#""n":99999999999999999"#,
            r#""n":100000000000000000"#,
            r#""n":1e17"#,
            r#""n":"+0.0""#,
            r#""n":"-0""#,
            r#""n":"-0.0""#,
        ],
        &["*"],
        &["| stats count() by n", "| top n"],
    );
}

#[test]
fn tags_are_counted() {
    agree(
        &[r#""tags":["t","u","t"]"#, r#""tags":["u"]"#, r#""tags":[]"#, r#""a":1"#],
        &["*", "tags:u"],
        &[
            "| stats count(tags), count_distinct(tags)",
            "| stats count(tags), count_distinct(tags) by tags",
            "| top tags, service",
        ],
    );
}

#[test]
fn levels_are_sorted_by_how_serious_they_are() {
    agree(
        &[r#""level":"warn""#, r#""level":"error""#, r#""level":"trace""#, r#""level":"fatal""#],
        &["*"],
        &[
            "| stats count() by level",
            "| stats count() by level | sort -level",
            "| sort -level | limit 30",
        ],
    );
}

#[test]
fn messages_beyond_the_templates_of_a_segment_are_found_and_grouped() {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap());
    let message = |kind: usize| {
        let word: String = [kind, kind / 26, kind / 676].into_iter().map(letter).collect();
        format!("kind {word} of {}", kind % 7)
    };
    let records: Vec<String> = (0..4600)
        .map(|kind| format!(r#"{{"time":{kind},"message":"{}"}}"#, message(kind)))
        .collect();
    let model = Model::new(&records);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        append(&store, &records).await;
        for flushed in [false, true] {
            if flushed {
                store.flush().unwrap();
            }
            let last = message(4599);
            for text in
                [&format!("\"{last}\""), "\"of 3\"", "ax*", "-kind", "template:*aa*", "nowhere7"]
            {
                let filter = parse(text).unwrap();
                let selected = model.selected(&filter, TimeRange::ALL);
                for pipes in
                    ["| stats count()", "| top 5 template", "| stats count_distinct(template)"]
                {
                    check_counts(&store, &filter, TimeRange::ALL, pipes, &selected).await;
                }
            }
        }
    });
}

#[test]
fn times_at_their_ends_are_found_and_binned() {
    let records = [
        r#"{"time":"1677-09-21T00:12:43.145224192Z","message":"first"}"#,
        r#"{"time":"2262-04-11T23:47:16.854775807Z","message":"last"}"#,
    ];
    let records = records.map(str::to_owned);
    let model = Model::new(&records);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        append(&store, &records).await;
        for flushed in [false, true] {
            if flushed {
                store.flush().unwrap();
            }
            for text in ["*", "first", "time:>2000-01-01", "-time:>2000-01-01"] {
                let filter = parse(text).unwrap();
                let selected = model.selected(&filter, TimeRange::ALL);
                check_pages(&store, &filter, TimeRange::ALL, 1, &selected).await;
                for pipes in
                    ["| stats count(), rate() by bin(3653d)", "| stats min(time), max(time)"]
                {
                    check_counts(&store, &filter, TimeRange::ALL, pipes, &selected).await;
                }
            }
        }
    });
}
