//! Every query gives what a naive evaluation over the same records gives, whatever was flushed, reopened, late or
//! out of order in between.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampNanosecondType},
};
use millpond_query::{
    Comparison, Condition, Cursor, Field, Filter, Group, Interval, Stats, Test, TimeRange, parse,
};
use millpond_record::{Decoded, LogRecord, TextAttribute, Timestamp, decode, json::Reader};
use millpond_store::{Aggregate, EmbeddedStore, Order, Rows, Store};
use proptest::prelude::*;
use support::{append, project, read};

const DAY: i64 = 86_400_000_000_000;

/// Records with few different values, so that filters hit.
fn record() -> impl Strategy<Value = String> {
    let time = prop_oneof![0..20_i64, (0..3_i64).prop_map(|day| day * DAY), Just(-1)];
    let message = prop::sample::select(vec![
        "connection refused",
        "Connection timeout",
        "ok",
        "refused_by peer",
        "größe 12",
        "",
    ]);
    let user = prop::option::of(prop::sample::select(vec!["u1", "u2", "10", "9"]));
    let value = prop::sample::select(vec![
        "1",
        "10",
        "9.5",
        "\"10\"",
        "\"x\"",
        "true",
        "null",
        "[1]",
        "{\"b\":2}",
    ]);
    (
        time,
        message,
        prop::sample::select(vec!["info", "warn", "error", "fatal"]),
        user,
        prop::option::of(value),
        any::<bool>(),
        0..3_u32,
    )
        .prop_map(|(time, message, level, user, value, in_fields, step)| {
            let mut json = format!(
                r#"{{"time":"{}","message":"{message}","level":"{level}","service":"s{step}""#,
                Timestamp::from_nanos(time)
            );
            if let Some(user) = user {
                json += &if in_fields {
                    format!(r#","fields":{{"user_id":"{user}"}}"#)
                } else {
                    format!(r#","user_id":"{user}""#)
                };
            }
            if let Some(value) = value {
                json += &format!(r#","a":{value}"#);
            }
            if step > 0 {
                json += &format!(r#","step_index":{step},"tags":["t{step}","t"]"#);
            }
            json + "}"
        })
}

fn query() -> impl Strategy<Value = Filter> {
    let leaf = prop::sample::select(vec![
        "refused",
        "\"connection refused\"",
        "conn*",
        "GRÖßE",
        "level:error",
        "level:>=warn",
        "level:<error",
        "service:s1",
        "service:s*",
        "user_id:u1",
        "user_id:>9",
        "user_id:*",
        "user_id:u*",
        "a:10",
        "a:>9",
        "a:<=9.5",
        "a:x",
        "a:*",
        "a.b:2",
        "a:true",
        "tags:t",
        "tags:t2",
        "step_index:>1",
        "time:>1970-01-02",
        "message:ok",
        "message:=ok",
        "a:1*",
        "*",
    ])
    .prop_map(|text| parse(text).unwrap());
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

/// The meaning of a filter, as plainly as it can be said.
fn selects(filter: &Filter, record: &LogRecord<'_>) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(parts) => parts.iter().all(|part| selects(part, record)),
        Filter::Or(parts) => parts.iter().any(|part| selects(part, record)),
        Filter::Not(part) => !selects(part, record),
        Filter::Is(condition) => holds(condition, record),
    }
}

fn holds(Condition { field, test }: &Condition, record: &LogRecord<'_>) -> bool {
    match (field, test) {
        (Field::Level, Test::Level(comparison, level)) => {
            comparison.holds(record.severity.level().cmp(level))
        }
        (Field::Time, Test::Compare(comparison, text)) => {
            comparison.holds(record.time.cmp(&Timestamp::parse(text).unwrap()))
        }
        (Field::Tags, test) => record.tags.iter().any(|tag| passes(test, &format!("\"{tag}\""))),
        (Field::StepIndex, test) => {
            record.step_index.is_some_and(|step| passes(test, &step.to_string()))
        }
        (Field::Words, test) => passes(test, &quoted(record.message())),
        (Field::Text(attribute), test) => match record.text(*attribute) {
            Some(text) => passes(test, &quoted(text)),
            None => in_fields(attribute.name(), test, record),
        },
        (Field::Path(path), test) => in_fields(path, test, record),
        (field, test) => panic!("{field:?} {test:?}"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn in_fields(path: &str, test: &Test, record: &LogRecord<'_>) -> bool {
    let mut found =
        record.fields.members().find(|(key, _)| key == path).map(|(_, value)| value.to_owned());
    if let (None, Some((first, rest))) = (&found, path.split_once('.')) {
        let outer = record
            .fields
            .members()
            .find(|(key, _)| key == first)
            .map(|(_, value)| value.to_owned());
        found = outer.and_then(|outer| {
            outer.strip_prefix(&format!("{{\"{rest}\":"))?.strip_suffix('}').map(str::to_owned)
        });
    }
    found.is_some_and(|value| passes(test, &value))
}

/// Whether a value, written as JSON, passes.
fn passes(test: &Test, value: &str) -> bool {
    let string = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let text = string.unwrap_or(value);
    let number = text.parse::<f64>();
    match test {
        Test::Exists => true,
        Test::Pattern(pattern) => pattern.matches(text),
        Test::Regex(_) => panic!("{test:?}"),
        Test::Compare(Comparison::Equal, wanted) if string.is_some() => text == wanted,
        Test::Compare(comparison, wanted) => match (number, wanted.parse::<f64>()) {
            (Ok(number), Ok(wanted)) => comparison.holds(number.partial_cmp(&wanted).unwrap()),
            (Ok(_), Err(_)) if string.is_none() => false,
            _ if string.is_none() && *comparison != Comparison::Equal => false,
            _ => comparison.holds(text.cmp(wanted)),
        },
        Test::Words { text: wanted, prefix } => {
            let split = |text: &str| -> Vec<String> {
                millpond_query::words(text).map(str::to_lowercase).collect()
            };
            let (words, wanted) = (split(text), split(wanted));
            let (last, start) = wanted.split_last().unwrap();
            words.windows(wanted.len()).any(|window| {
                let end = window.last().unwrap();
                window[..start.len()] == *start
                    && if *prefix { end.starts_with(last) } else { end == last }
            })
        }
        Test::Level(..) => panic!("{test:?}"),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<String>),
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(record(), 1..12).prop_map(Step::Append),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..8)
}

/// All rows, page by page.
async fn pages(store: &EmbeddedStore, rows: &Rows) -> Vec<(Cursor, String)> {
    let mut request = rows.clone();
    let mut all = Vec::new();
    loop {
        let answer = store.rows(&project(), &request).await.unwrap();
        let page: Vec<_> =
            read(&answer).into_iter().map(|(cursor, record)| (cursor, record.to_json())).collect();
        assert!(page.len() <= request.limit);
        let Some((last, _)) = page.last() else { return all };
        request.after = Some(*last);
        all.extend(page);
    }
}

async fn check(steps: Vec<Step>, filter: &Filter, range: TimeRange) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = EmbeddedStore::open(directory.path()).unwrap();
    let mut stored: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Append(records) => {
                append(&store, &records).await;
                stored.extend(records);
            }
            Step::Flush => store.flush().unwrap(),
            Step::Reopen => {
                drop(store);
                store = EmbeddedStore::open(directory.path()).unwrap();
            }
        }
    }
    let observed = Timestamp::from_nanos(1_000_000_000_000_000_000);
    let stored: Vec<LogRecord<'_>> = stored
        .iter()
        .map(|json| match decode(&mut Reader::new(json), observed).unwrap() {
            Decoded::Record(record) => *record,
            Decoded::Rejected(rejection) => panic!("{rejection}"),
        })
        .collect();
    let selected: Vec<(u64, &LogRecord<'_>)> = (1..)
        .zip(&stored)
        .filter(|(_, record)| range.contains(record.time) && selects(filter, record))
        .collect();

    for order in [Order::NewestFirst, Order::OldestFirst, Order::Stored] {
        let mut expected = selected.clone();
        match &order {
            Order::NewestFirst => expected
                .sort_by_key(|(sequence, record)| std::cmp::Reverse((record.time, *sequence))),
            Order::OldestFirst => {
                expected.sort_by_key(|(sequence, record)| (record.time, *sequence));
            }
            Order::Stored | Order::Field { .. } => {}
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(sequence, record)| (Cursor { time: record.time, sequence }, record.to_json()))
            .collect();
        let rows =
            Rows { filter: filter.clone(), range, order: order.clone(), after: None, limit: 3 };
        assert_eq!(pages(&store, &rows).await, expected, "{order:?} of {filter}");
    }
    check_counts(&store, filter, range, &selected).await;
}

async fn check_counts(
    store: &EmbeddedStore,
    filter: &Filter,
    range: TimeRange,
    selected: &[(u64, &LogRecord<'_>)],
) {
    let interval: Interval = "1h".parse().unwrap();
    let by = vec![Group::Bin(interval), Group::Field(Field::SeverityNumber)];
    let request = Aggregate {
        filter: filter.clone(),
        range,
        stats: Stats::count_by(by),
        sort: vec![],
        limit: usize::MAX,
    };
    let rows = store.aggregate(&project(), &request).await.unwrap().rows;
    let buckets = rows.column(0).as_primitive::<TimestampNanosecondType>().values();
    let severities = rows.column(1).as_primitive::<Int64Type>().values();
    let counts = rows.column(2).as_primitive::<Int64Type>().values();
    let found: BTreeMap<_, _> = buckets
        .iter()
        .zip(severities)
        .zip(counts)
        .map(|((&bucket, &severity), &count)| ((bucket, severity), count))
        .collect();
    let mut expected = BTreeMap::new();
    for (_, record) in selected {
        *expected
            .entry((interval.floor(record.time).nanos(), i64::from(record.severity.number())))
            .or_insert(0) += 1;
    }
    assert_eq!(found, expected, "histogram of {filter}");

    let by = vec![Group::Field(Field::Text(TextAttribute::Service))];
    let request = Aggregate {
        filter: filter.clone(),
        range,
        stats: Stats { without_missing: true, ..Stats::count_by(by) },
        sort: vec![(1, true)],
        limit: 2,
    };
    let rows = store.aggregate(&project(), &request).await.unwrap().rows;
    let values = rows.column(0).as_string::<i32>().iter().flatten().map(str::to_owned);
    let found: Vec<_> =
        values.zip(rows.column(1).as_primitive::<Int64Type>().values().iter().copied()).collect();
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for user in selected.iter().filter_map(|(_, record)| record.text(TextAttribute::Service)) {
        *expected.entry(user.to_owned()).or_insert(0) += 1;
    }
    let mut expected: Vec<_> = expected.into_iter().collect();
    expected.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), value.clone()));
    expected.truncate(2);
    assert_eq!(found, expected, "top of {filter}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn queries_give_what_a_naive_evaluation_gives(
        steps in steps(),
        filter in query(),
        range in prop_oneof![Just(TimeRange::ALL), (0..10_i64, 10..20_i64).prop_map(|(from, to)| TimeRange { from: Timestamp::from_nanos(from), to: Timestamp::from_nanos(to) })],
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(check(steps, &filter, range));
    }
}
