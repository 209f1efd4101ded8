use millpond_record::{Level, TextAttribute};

use super::*;
use crate::{
    Comparison, Condition, FUNCTIONS_MAX, Field, Function, GROUPS_MAX, Group, Pattern, REGEXES_MAX,
    ROWS_MAX, SortBy, SortKey, Stats, StatsColumn, TERMS_MAX, Test, WORDS_BYTES_MAX,
};

fn words_of(text: &str) -> Filter {
    Filter::Is(Condition {
        field: Field::Words,
        test: Test::Words { text: text.into(), prefix: false },
    })
}

fn path(name: &str, comparison: Comparison, value: &str) -> Filter {
    Filter::Is(Condition {
        field: Field::Path(name.into()),
        test: Test::Compare(comparison, value.into()),
    })
}

#[test]
fn words_phrases_and_fields_are_joined_by_and() {
    let level =
        Condition { field: Field::Level, test: Test::Level(Comparison::Equal, Level::Error) };
    assert_eq!(
        parse(r#"level:ERROR service:api "did not respond" -healthz duration_ms:>500"#).unwrap(),
        Filter::And(vec![
            Filter::Is(level),
            Filter::equals(TextAttribute::Service, "api"),
            words_of("did not respond"),
            Filter::Not(Box::new(words_of("healthz"))),
            path("duration_ms", Comparison::Greater, "500"),
        ])
    );
}

#[test]
fn or_binds_weaker_than_and_and_parentheses_group() {
    let [a, b, c] = ["a", "b", "c"].map(words_of);
    let or = |parts: &[&Filter]| Filter::Or(parts.iter().map(|&part| part.clone()).collect());
    let and = |parts: &[&Filter]| Filter::And(parts.iter().map(|&part| part.clone()).collect());
    assert_eq!(parse("a b OR c").unwrap(), or(&[&and(&[&a, &b]), &c]));
    assert_eq!(parse("a AND (b OR c)").unwrap(), and(&[&a, &or(&[&b, &c])]));
    assert_eq!(parse("NOT (a b)").unwrap(), Filter::Not(Box::new(and(&[&a, &b]))));
    assert_eq!(parse("(a)OR(b)").unwrap(), or(&[&a, &b]));
}

#[test]
fn a_field_holds_for_a_group() {
    assert_eq!(
        parse("n:(1 OR >5)").unwrap(),
        Filter::Or(vec![path("n", Comparison::Equal, "1"), path("n", Comparison::Greater, "5")])
    );
}

#[test]
fn prefixes_existence_and_odd_words_are_understood() {
    let prefix = Condition {
        field: Field::Text(TextAttribute::UserId),
        test: Test::Pattern(Pattern::prefix("u_1")),
    };
    assert_eq!(parse("user_id:u_1*").unwrap(), Filter::Is(prefix));
    let exists = Condition { field: Field::Path("a.b".into()), test: Test::Exists };
    assert_eq!(parse("fields.a.b:*").unwrap(), Filter::Is(exists));
    assert_eq!(parse("12:30:01").unwrap(), words_of("12:30:01"));
    assert_eq!(parse("http://x/y?z=1").unwrap(), words_of("http://x/y?z=1"));
    assert_eq!(parse(r#""a b":"c \"d\"""#).unwrap(), path("a b", Comparison::Equal, "c \"d\""));
    assert_eq!(parse("ORDER").unwrap(), words_of("ORDER"));
    assert_eq!(parse("").unwrap(), Filter::All);
    assert_eq!(parse("*").unwrap(), Filter::All);
    let start =
        Condition { field: Field::Words, test: Test::Words { text: "conn".into(), prefix: true } };
    assert_eq!(parse("conn*").unwrap(), Filter::Is(start));
}

#[test]
fn an_error_names_position_and_expectation() {
    for (text, message) in [
        ("level:", "query is wrong at character 7: expected a value, found the end"),
        (
            "level:loud x",
            "query is wrong at character 7: expected a level: trace, debug, info, warn, error, critical or a synonym, found `loud`",
        ),
        ("(a", "query is wrong at character 3: expected `)`, found the end"),
        ("a)", "query is wrong at character 2: expected `AND`, `OR` or the end, found `)`"),
        ("ä \"b", "query is wrong at character 3: expected a closing `\"`, found the end"),
        (
            "a OR",
            "query is wrong at character 5: expected a word, a phrase, `field:value` or `(`, found the end",
        ),
        (
            "OR a",
            "query is wrong at character 1: expected a word, a phrase, `field:value` or `(`, found `OR a`",
        ),
        (
            "a AND",
            "query is wrong at character 6: expected a word, a phrase, `field:value` or `(`, found the end",
        ),
        (
            "- a",
            "query is wrong at character 2: expected a term right behind `-`, found a space or the end",
        ),
        (
            "...",
            "query is wrong at character 1: expected a word with a letter or digit in it, found `...`",
        ),
        (
            "n:>5*",
            "query is wrong at character 4: expected a value to compare with, without `*`, found `5*`",
        ),
        (
            "level:err*",
            "query is wrong at character 7: expected a whole value, without `*`, found `err*`",
        ),
        ("step_index:x", "query is wrong at character 12: expected a whole number, found `x`"),
        (
            "n:[1 5]",
            "query is wrong at character 6: expected `TO` and the end of the range (a text with `[` is quoted), found `5]`",
        ),
        ("n:[1 TO 5", "query is wrong at character 10: expected `]` or `}`, found the end"),
        (
            "n:[1* TO 5]",
            "query is wrong at character 4: expected a value, or `*` for an open end, found `1*`",
        ),
        (
            "level:{loud TO *]",
            "query is wrong at character 8: expected a level: trace, debug, info, warn, error, critical or a synonym, found `loud`",
        ),
        (
            "tag:[a TO b]",
            "query is wrong at character 5: expected a value or a comparison, as a record may have many tags, found `[a TO b]`",
        ),
        (
            "ä /x\\/(a/",
            "query is wrong at character 7: expected a regular expression, found an error: unclosed group",
        ),
        (
            "level:/err/",
            "query is wrong at character 7: expected a value, no regular expression, found `/err/`",
        ),
        (
            "/\\w{1000}/",
            "query is wrong at character 1: expected a regular expression of at most 1048576 bytes when compiled, found `/\\w{1000}/`",
        ),
        (
            "a | stats count()",
            "query is wrong at character 3: expected the end, as this place takes a filter without pipes, found `| stats count()`",
        ),
        ("(a|b)", "query is wrong at character 3: expected `)`, found `|b)`"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(parse("time:>soon").unwrap_err().to_string().contains("is no time"));
    assert!(parse(&"(".repeat(100_000)).is_err());
    assert!(parse(&"(".repeat(1000)).unwrap_err().to_string().contains("at most 64 nested"));
    assert!(parse(&"-".repeat(1000)).is_err());
    assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
    assert!(
        parse(&"a ".repeat(TERMS_MAX + 1)).unwrap_err().to_string().contains("at most 1024 terms")
    );
    assert!(parse(&"/a/ ".repeat(REGEXES_MAX)).is_ok());
    assert!(
        parse(&"/a/ ".repeat(REGEXES_MAX + 1))
            .unwrap_err()
            .to_string()
            .contains("at most 32 regular expressions")
    );
    assert!(parse(&"n:[1 TO 2] ".repeat(TERMS_MAX / 2)).is_ok());
    assert!(parse(&"n:[1 TO 2] ".repeat(TERMS_MAX / 2 + 1)).is_err());
    assert!(parse(&"a".repeat(WORDS_BYTES_MAX)).is_ok());
    assert!(
        parse(&"a".repeat(WORDS_BYTES_MAX + 1))
            .unwrap_err()
            .to_string()
            .contains("at most 4096 bytes")
    );
}

fn is(field: Field, test: Test) -> Filter {
    Filter::Is(Condition { field, test })
}

fn pattern(pieces: &[&str]) -> Test {
    Test::Pattern(Pattern { pieces: pieces.iter().map(|&piece| piece.to_owned()).collect() })
}

const MESSAGE: Field = Field::Text(TextAttribute::Message);

#[test]
fn stars_anywhere_make_a_pattern() {
    let path = |pieces: &[&str]| is(Field::Path("path".into()), pattern(pieces));
    for (text, expected) in [
        ("path:*x*", path(&["", "x", ""])),
        ("path:a*b", path(&["a", "b"])),
        ("path:a**b*", path(&["a", "b", ""])),
        (r#"path:"GET "*"/orders""#, path(&["GET ", "/orders"])),
        (r#"path:=a*"#, path(&["a", ""])),
        (r"path:2\*3*", path(&["2*3", ""])),
        ("*imeout*", is(MESSAGE, pattern(&["", "imeout", ""]))),
        ("message:=conn*", is(MESSAGE, pattern(&["conn", ""]))),
        ("message:conn*", is(MESSAGE, Test::Words { text: "conn".into(), prefix: true })),
        ("exception.type:*Error", is(Field::Exception("type".into()), pattern(&["", "Error"]))),
        ("tag:a*", is(Field::Tags, pattern(&["a", ""]))),
        (r"path:2\*3", self::path("path", Comparison::Equal, "2*3")),
        (r#"path:"2*3""#, self::path("path", Comparison::Equal, "2*3")),
        ("NOT path:*", Filter::Not(Box::new(is(Field::Path("path".into()), Test::Exists)))),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn slashes_make_a_regular_expression_where_they_enclose_the_term() {
    let regex = |field: Field, pattern: &str| is(field, Test::Regex(pattern.into()));
    for (text, expected) in [
        ("/did (not|never)/", regex(MESSAGE, "did (not|never)")),
        (r"path:/^\/api\/v\d+$/", regex(Field::Path("path".into()), r"^/api/v\d+$")),
        ("template:/a|b/", regex(Field::Template, "a|b")),
        ("(-/a/)", Filter::Not(Box::new(regex(MESSAGE, "a")))),
        ("/api/v1", words_of("/api/v1")),
        ("/api/v1/", words_of("/api/v1/")),
        ("path:/api/v1", path("path", Comparison::Equal, "/api/v1")),
        ("path:=/api/", path("path", Comparison::Equal, "/api/")),
        ("path:/", path("path", Comparison::Equal, "/")),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_range_is_two_comparisons() {
    use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
    let n = |comparison, value| path("n", comparison, value);
    let level = |comparison, level| is(Field::Level, Test::Level(comparison, level));
    for (text, expected) in [
        ("n:[1 TO 5]", Filter::And(vec![n(GreaterOrEqual, "1"), n(LessOrEqual, "5")])),
        ("n:{1 TO 5]", Filter::And(vec![n(Greater, "1"), n(LessOrEqual, "5")])),
        ("n:[1 TO 5}", Filter::And(vec![n(GreaterOrEqual, "1"), n(Less, "5")])),
        (r#"n:[ "a b" TO c ]"#, Filter::And(vec![n(GreaterOrEqual, "a b"), n(LessOrEqual, "c")])),
        ("n:[* TO 5}", n(Less, "5")),
        ("n:{1 TO *}", n(Greater, "1")),
        ("n:[* TO *]", is(Field::Path("n".into()), Test::Exists)),
        (
            "level:[info TO error}",
            Filter::And(vec![level(GreaterOrEqual, Level::Info), level(Less, Level::Error)]),
        ),
        ("n:=[x]", n(Comparison::Equal, "[x]")),
        ("[x", words_of("[x")),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    assert!(parse("time:[2026-01-31 TO 2026-02-01T12:00:00Z}").is_ok());
}

fn field(name: &str) -> Field {
    Field::named(name)
}

fn column(place: usize, descending: bool) -> SortKey {
    SortKey { by: SortBy::Column(place), descending }
}

#[test]
fn pipes_make_statistics_with_an_order_and_a_limit() {
    let query = parse_query(
        r#"level:error | stats count(), p95(duration_ms) as slow, median("a b") by service, bin(5m) | sort -slow, count, bin | limit 20"#,
    );
    let slow = Function::Percentile(9_500, field("duration_ms"));
    let functions = vec![
        Function::Count.into(),
        StatsColumn { function: slow, name: "slow".into() },
        Function::Percentile(5_000, field("a b")).into(),
    ];
    let by = vec![Group::Field(field("service")), Group::Bin("5m".parse().unwrap())];
    let expected = Query {
        stats: Some(Stats { functions, by, without_missing: false }),
        sort: vec![column(3, true), column(2, false), column(1, false)],
        limit: Some(20),
        ..is(Field::Level, Test::Level(Comparison::Equal, Level::Error)).into()
    };
    assert_eq!(expected.stats.as_ref().unwrap().column_names()[4], "p50(a b)");
    assert_eq!(query, Ok(expected));
}

#[test]
fn every_function_is_known() {
    let of = || field("x");
    for (text, function) in [
        ("count", Function::Count),
        ("count()", Function::Count),
        ("count( x )", Function::CountOf(of())),
        ("count_distinct(x)", Function::CountDistinct(of())),
        ("sum(x)", Function::Sum(of())),
        ("avg(x)", Function::Avg(of())),
        ("min(x)", Function::Min(of())),
        ("max(x)", Function::Max(of())),
        ("median(x)", Function::Percentile(5_000, of())),
        ("p0(x)", Function::Percentile(0, of())),
        ("p5(x)", Function::Percentile(500, of())),
        ("p99.9(x)", Function::Percentile(9_990, of())),
        ("p99.99(fields.x)", Function::Percentile(9_999, of())),
        ("p100(x)", Function::Percentile(10_000, of())),
        ("rate", Function::Rate),
        ("rate()", Function::Rate),
    ] {
        let stats = parse_query(&format!("|stats {text}")).unwrap().stats.unwrap();
        assert_eq!(stats.functions, [function.into()], "{text}");
    }
    for wrong in ["p", "p101", "p999", "p1000", "p9.999", "p.5", "p9.", "Count", "sum", "rate(x)"] {
        assert!(parse_query(&format!("|stats {wrong}(")).is_err(), "{wrong}");
    }
}

#[test]
fn top_counts_what_has_a_value_most_frequent_first() {
    let groups = |names: &[&str]| names.iter().map(|name| Group::Field(field(name))).collect();
    let top = |names: &[&str], sort: &[SortKey], limit| Query {
        stats: Some(Stats { without_missing: true, ..Stats::count_by(groups(names)) }),
        sort: sort.to_vec(),
        limit: Some(limit),
        ..Filter::All.into()
    };
    let one = top(&["user_id"], &[column(1, true), column(0, false)], 10);
    assert_eq!(parse_query("| top user_id"), Ok(one));
    let keys = [column(2, true), column(0, false), column(1, false)];
    assert_eq!(parse_query("* |top 3 a, b"), Ok(top(&["a", "b"], &keys, 3)));
}

#[test]
fn records_are_sorted_and_shown_by_their_fields() {
    let query =
        parse_query("x | sort -duration_ms, exception.type | limit 5 | fields time, \"a b\"");
    let key = |name, descending| SortKey { by: SortBy::Field(field(name)), descending };
    let expected = Query {
        sort: vec![key("duration_ms", true), key("exception.type", false)],
        limit: Some(5),
        fields: vec![Field::Time, field("a b")],
        ..words_of("x").into()
    };
    assert_eq!(query, Ok(expected));
}

#[test]
fn a_column_is_named_by_its_name_or_its_function() {
    let place = |text: &str| match parse_query(text).map(|query| query.sort) {
        Ok(sort) => match sort.as_slice() {
            [SortKey { by: SortBy::Column(place), .. }] => *place,
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}"),
    };
    for (text, expected) in [
        ("| stats p95(d) as slow, count() by status | sort slow", 1),
        ("| stats p95(d) as slow, count() by status | sort p95(fields.d)", 1),
        ("| stats p95(d) as slow, count() by status | sort count()", 2),
        ("| stats p95(d) as slow, count() by status | sort fields.status", 0),
        ("| stats count() by fields.service | sort fields.service", 0),
        ("| stats p95(d) as slow, p95(d) | sort p95(d)", 1),
        (r#"| stats count() as "p95(d)", p95(d) as slow | sort "p95(d)""#, 0),
        (r#"| stats count() as "p95(d)", p95(d) as slow | sort p95(d)"#, 1),
    ] {
        assert_eq!(place(text), expected, "{text}");
    }
}

#[test]
fn a_bar_in_quotes_or_in_a_regular_expression_is_no_pipe() {
    assert_eq!(parse_query(r#""a|b""#), Ok(words_of("a|b").into()));
    assert_eq!(parse_query("/a|b/"), Ok(is(MESSAGE, Test::Regex("a|b".into())).into()));
    let limited = Query { limit: Some(1), ..words_of("a").into() };
    assert_eq!(parse_query("a|limit 1"), Ok(limited));
}

#[test]
fn an_error_in_a_pipe_names_position_and_expectation() {
    const FUNCTION: &str = "a function: count, count_distinct, sum, avg, min, max, median, p50, p95, p99.9 or another percentile, rate";
    for (text, position, expected, found) in [
        ("a b)", 4, "`AND`, `OR`, `|` or the end", "`)`"),
        ("a |", 4, "a pipe: `stats`, `top`, `sort`, `fields` or `limit`", "the end"),
        ("a || b", 4, "a pipe: `stats`, `top`, `sort`, `fields` or `limit`", "`| b`"),
        ("ä | head 5", 5, "a pipe: `stats`, `top`, `sort`, `fields` or `limit`", "`head 5`"),
        ("| stats", 8, FUNCTION, "the end"),
        ("| stats p101(x)", 9, FUNCTION, "`p101(x)`"),
        ("| stats sum", 12, "`(` and a field, as in `sum(duration_ms)`", "the end"),
        (
            "| stats sum()",
            13,
            "a field (a name that does not start with a letter is quoted)",
            "`)`",
        ),
        (
            "| stats sum(5xx)",
            13,
            "a field (a name that does not start with a letter is quoted)",
            "`5xx)`",
        ),
        ("| stats sum(a", 14, "`)`", "the end"),
        ("| stats rate(a)", 14, "`)`", "`a)`"),
        ("| stats count() as", 19, "a name for the column", "the end"),
        ("| stats count() service", 17, "`,`, `as`, `by`, `|` or the end", "`service`"),
        ("| stats count() by a b", 22, "`,`, `|` or the end", "`b`"),
        ("| stats count() by bin(5)", 24, "the width of a bin, such as 30s, 5m, 1h or 1d", "`5)`"),
        (
            "| stats count(), count()",
            18,
            "no second column `count` (`as` renames a function's)",
            "`count()`",
        ),
        (
            "| stats count() as a by a",
            25,
            "no second column `a` (`as` renames a function's)",
            "`a`",
        ),
        (
            "| stats count() by bin(1h), bin(1m)",
            29,
            "no second column `bin` (`as` renames a function's)",
            "`bin(1m)`",
        ),
        ("| stats count() | stats count()", 19, "one `stats` or `top`, not a second", "`stats`"),
        (
            "| sort a | stats count()",
            12,
            "`stats` and `top` in front of `sort`, `fields` and `limit`",
            "`stats`",
        ),
        (
            "| limit 5 | top a",
            13,
            "`stats` and `top` in front of `sort`, `fields` and `limit`",
            "`top`",
        ),
        ("| limit 5 | sort a", 13, "`sort` in front of `limit`", "`sort`"),
        ("| sort a | sort b", 12, "one `sort`, with commas between its keys", "`sort`"),
        ("| limit 5 | limit 5", 13, "one `limit`, not a second", "`limit`"),
        ("| fields a | fields b", 14, "one `fields`, with commas between its names", "`fields`"),
        ("| top a | sort a", 11, "nothing behind `top`, which sorts and limits itself", "`sort`"),
        (
            "| top a | fields a",
            11,
            "no `fields` here: `stats` and `top` name their columns themselves",
            "`fields`",
        ),
        ("| top count", 7, "no second column `count` (`as` renames a function's)", "`count`"),
        ("| top 5", 8, "a field (a name that does not start with a letter is quoted)", "the end"),
        ("| stats p95(d) by a | sort b", 28, "a column of the statistics: `a`, `p95(d)`", "`b`"),
        (
            "| stats p95(d) by a | sort p9(d)",
            28,
            "a column of the statistics: `a`, `p95(d)`",
            "`p9(d)`",
        ),
        ("| sort a, -a", 12, "a key that is not there yet", "`a`"),
        ("| sort count()", 13, "`,`, `|` or the end", "`()`"),
        ("| fields a, a", 13, "no second column `a` (`as` renames a function's)", "`a`"),
        ("| limit 0", 9, "a whole number from 1 to 10000", "`0`"),
        ("| limit x", 9, "a whole number from 1 to 10000", "`x`"),
        ("| limit 5 6", 11, "`|` or the end", "`6`"),
    ] {
        let error = ParseError { position, expected: expected.into(), found: found.into() };
        assert_eq!(parse_query(text), Err(error), "{text}");
    }
}

#[test]
fn a_pipe_has_limits() {
    let numbered = |count: usize, write: fn(usize) -> String| {
        (0..count).map(write).collect::<Vec<_>>().join(",")
    };
    let functions = |count| format!("|stats {}", numbered(count, |n| format!("sum(a{n})")));
    let groups = |count| format!("|top {}", numbered(count, |n| format!("a{n}")));
    let keys = |count| format!("|sort {}", numbered(count, |n| format!("a{n}")));
    let fields = |count| format!("|fields {}", numbered(count, |n| format!("a{n}")));
    let rows = |count| format!("|limit {count}");
    let written: [(usize, &dyn Fn(usize) -> String); 5] = [
        (FUNCTIONS_MAX, &functions),
        (GROUPS_MAX, &groups),
        (crate::SORT_KEYS_MAX, &keys),
        (crate::FIELDS_MAX, &fields),
        (ROWS_MAX, &rows),
    ];
    for (max, text) in written {
        assert!(parse_query(&text(max)).is_ok(), "{}", text(max));
        let error = parse_query(&text(max + 1)).unwrap_err().to_string();
        assert!(error.contains(&max.to_string()), "{error}");
    }
}
