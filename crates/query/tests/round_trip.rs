//! What is written reads back as the same tree, and any text is a query or an error.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use millpond_query::{
    Comparison, Condition, Field, Filter, Function, Group, Pattern, Query, SortBy, SortKey, Stats,
    StatsColumn, Test, parse, parse_query,
};
use millpond_record::{Level, TextAttribute};
use proptest::{prelude::*, sample::select};

const COMPARISONS: [Comparison; 5] = [
    Comparison::Equal,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

/// Any text, with a preference for what the language uses itself.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[a-zA-Z0-9 "\\*()\[\]{}|/.,:<=>_-]{0,8}"#,
        "OR|AND|NOT|TO|by|as|日本|/a/|\\[a|5xx",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "a b",
        "x\"",
        "5xx",
        "-x",
        "service",
        "tag",
        "bin",
        "count",
        "by",
        "exception.type",
        "fields.x",
        "a/b",
        "a,b",
        "a|b",
        "a(b)",
    ]);
    prop_oneof!["[a-zé.-]{1,5}", odd.prop_map(str::to_owned)]
}

/// A field whose values may be texts.
fn text_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        path().prop_map(Field::Path),
        path().prop_map(Field::Exception),
        select(TextAttribute::ALL.to_vec()).prop_map(Field::Text),
        Just(Field::Tags),
        Just(Field::Template),
    ]
}

fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        4 => text_field(),
        1 => select(vec![Field::Time, Field::Level, Field::SeverityNumber, Field::StepIndex]),
    ]
}

fn pattern() -> impl Strategy<Value = Test> {
    let between = prop::collection::vec(text().prop_filter("nothing", |t| !t.is_empty()), 0..3);
    (text(), between, text())
        .prop_map(|(first, between, last)| {
            let pieces = std::iter::once(first).chain(between).chain([last]).collect();
            Pattern { pieces }
        })
        .prop_filter("only a star", |pattern| pattern.pieces.iter().any(|piece| !piece.is_empty()))
        .prop_map(Test::Pattern)
}

fn regex() -> impl Strategy<Value = Test> {
    let parts = select(vec!["a", "/", "//", "\\\\", "\\d+", "(x|y)", "[^\"*]", " ", "(?i)é", "|"]);
    prop::collection::vec(parts, 1..5).prop_map(|parts| Test::Regex(parts.concat()))
}

fn words() -> impl Strategy<Value = Test> {
    let word = r#"[a-z ]{0,3}[a-zA-Z0-9ß"\\*|/\[]{0,3}x"#;
    (word, any::<bool>()).prop_map(|(text, prefix)| Test::Words { text, prefix })
}

fn condition() -> impl Strategy<Value = Filter> {
    let comparison = || select(COMPARISONS.to_vec());
    let compare = (comparison(), text()).prop_map(|(sign, text)| Test::Compare(sign, text));
    let number = (comparison(), any::<u32>())
        .prop_map(|(sign, number)| Test::Compare(sign, number.to_string()));
    let time = (comparison(), select(vec!["2026-01-31", "2026-01-31T12:00:00Z", "1763692800"]))
        .prop_map(|(sign, time)| Test::Compare(sign, time.to_owned()));
    let level = (comparison(), select(Level::ALL.to_vec()))
        .prop_map(|(sign, level)| Test::Level(sign, level));
    prop_oneof![
        2 => (Just(Field::Words), words()),
        1 => (select(vec![Field::Text(TextAttribute::Message), Field::Fields]), words()),
        4 => (
            prop_oneof![9 => text_field(), 1 => Just(Field::Fields)],
            prop_oneof![compare, pattern(), regex()],
        ),
        2 => (any_field(), Just(Test::Exists)),
        1 => (select(vec![Field::StepIndex, Field::SeverityNumber]), number),
        1 => (Just(Field::Time), time),
        1 => (Just(Field::Level), level),
    ]
    .prop_map(|(field, test)| Filter::Is(Condition { field, test }))
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![9 => condition(), 1 => Just(Filter::All)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

fn function() -> impl Strategy<Value = Function> {
    let of_field = select::<fn(Field) -> Function>(vec![
        Function::CountOf,
        Function::CountDistinct,
        Function::Sum,
        Function::Avg,
        Function::Min,
        Function::Max,
    ]);
    prop_oneof![
        Just(Function::Count),
        Just(Function::Rate),
        (of_field, any_field()).prop_map(|(function, field)| function(field)),
        (0..=10_000_u16, any_field()).prop_map(|(p, field)| Function::Percentile(p, field)),
    ]
}

fn column() -> impl Strategy<Value = StatsColumn> {
    let name = prop::option::of(text().prop_filter("no name", |name| !name.is_empty()));
    (function(), name).prop_map(|(function, name)| {
        let column = StatsColumn::from(function);
        let name = name.unwrap_or_else(|| column.name.clone());
        StatsColumn { name, ..column }
    })
}

fn group() -> impl Strategy<Value = Group> {
    prop_oneof![
        3 => any_field().prop_map(Group::Field),
        1 => select(vec!["250ms", "30s", "5m", "1d"])
            .prop_map(|width| Group::Bin(width.parse().unwrap())),
    ]
}

/// Some of the items in some order, with a direction for each.
fn order<T: Clone + std::fmt::Debug + 'static>(
    items: Vec<T>,
) -> impl Strategy<Value = Vec<(T, bool)>> {
    let count = items.len();
    let chosen = prop::sample::subsequence(items, 0..=count).prop_shuffle();
    (chosen, prop::collection::vec(any::<bool>(), count))
        .prop_map(|(chosen, directions)| chosen.into_iter().zip(directions).collect())
}

fn stats() -> impl Strategy<Value = (Stats, Vec<SortKey>)> {
    let functions = prop::collection::vec(column(), 1..4);
    (functions, prop::collection::vec(group(), 0..3))
        .prop_map(|(functions, by)| Stats { functions, by, without_missing: false })
        .prop_filter("a name twice", |stats| is_set(&stats.column_names()))
        .prop_flat_map(|stats| {
            let places: Vec<usize> = (0..stats.column_names().len()).collect();
            order(places).prop_map(move |keys| {
                let key = |(place, descending)| SortKey { by: SortBy::Column(place), descending };
                (stats.clone(), keys.into_iter().map(key).collect())
            })
        })
}

fn is_set<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(place, item)| !items.iter().take(place).any(|i| i == item))
}

fn some_fields() -> impl Strategy<Value = Vec<Field>> {
    prop::collection::vec(any_field(), 0..4).prop_filter("a field twice", |fields| is_set(fields))
}

fn query() -> impl Strategy<Value = Query> {
    let limit = || prop::option::of(1..=10_000_usize);
    let counted = (filter(), stats(), limit()).prop_map(|(filter, (stats, sort), limit)| Query {
        stats: Some(stats),
        sort,
        limit,
        ..filter.into()
    });
    let records = (filter(), some_fields().prop_flat_map(order), limit(), some_fields()).prop_map(
        |(filter, keys, limit, fields)| {
            let key = |(field, descending)| SortKey { by: SortBy::Field(field), descending };
            let sort = keys.into_iter().map(key).collect();
            Query { sort, limit, fields, ..filter.into() }
        },
    );
    prop_oneof![counted, records]
}

proptest! {
    #[test]
    fn a_written_filter_reads_back_the_same(filter in filter()) {
        let written = filter.to_string();
        prop_assert_eq!(parse(&written), Ok(filter), "{}", written);
    }

    #[test]
    fn a_written_query_reads_back_the_same(query in query()) {
        let written = query.to_string();
        prop_assert_eq!(parse_query(&written), Ok(query), "{}", written);
    }

    #[test]
    fn any_text_is_a_query_or_an_error_but_never_a_panic(text in any::<String>()) {
        reads_back(&text);
    }

    #[test]
    fn text_of_the_language_is_never_a_panic(
        text in r#"([a-c:"*()<>=\\ /|\[\]{}-]{0,12}( OR | AND |NOT | TO )?){0,3}"#,
    ) {
        reads_back(&text);
    }

    #[test]
    fn pipes_of_the_language_are_never_a_panic(
        text in r#"a?( ?\| ?(stats|top|sort|fields|limit) -?([a-c5"()., ]|count|sum\(a\)|p9[59.]{0,3}\(a\)| by | as |bin\(5m\)){0,5}){0,3}"#,
    ) {
        reads_back(&text);
    }
}

/// Whatever is read is written so that it reads back; and a filter is a query.
fn reads_back(text: &str) {
    if let Ok(query) = parse_query(text) {
        let written = query.to_string();
        assert_eq!(parse_query(&written), Ok(query), "{text:?} as {written:?}");
    }
    if let Ok(filter) = parse(text) {
        assert_eq!(parse(&filter.to_string()).as_ref(), Ok(&filter), "{text:?}");
        assert_eq!(parse_query(text), Ok(filter.into()), "{text:?}");
    }
}

#[test]
fn a_query_is_written_as_a_person_would() {
    for (text, written) in [
        ("", "*"),
        (r#"fields.duration_ms:[100 TO 500}"#, "duration_ms:>=100 duration_ms:<500"),
        ("a b OR NOT (c OR d)", "a b OR -(c OR d)"),
        ("*imeout* path:/^\\/api/", "message:=*imeout* path:/^\\/api/"),
        (
            r#"level:error | stats count(), p95( fields.d ) as "a b", median("x y") by service, bin(300s) | sort -p95(d), count(), "p50(x y)" | limit 5"#,
            r#"level:error | stats count(), p95(d) as "a b", p50("x y") by service, bin(5m) | sort -"a b", count, p50("x y") | limit 5"#,
        ),
        ("|top service", "* | top 10 service"),
        (
            "x | fields time, fields.level, fields.5xx | limit 3",
            "x | limit 3 | fields time, fields.level, fields.5xx",
        ),
        ("x | sort -time, user_id", "x | sort -time, user_id"),
    ] {
        assert_eq!(parse_query(text).unwrap().to_string(), written, "{text}");
    }
}

#[test]
fn a_query_gets_no_deeper_by_being_written() {
    let deep = |inner: &str| format!("{}{inner}{}", "(a ".repeat(63), ")".repeat(63));
    for inner in ["a OR b c", "a OR b AND NOT c"] {
        reads_back(&deep(inner));
    }
    let fits = format!("{}n:[1 TO 2]", "-".repeat(62));
    assert_eq!(parse(&parse(&fits).unwrap().to_string()), parse(&fits));
    assert!(parse(&format!("-{fits}")).is_err());
}
