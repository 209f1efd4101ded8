//! Texts of queries that hit what the records have.

use millpond_query::{Filter, Query, SortBy, TimeRange, parse, parse_query};
use millpond_record::Timestamp;
use millpond_store::{Aggregate, Order, Rows};
use proptest::prelude::*;

use crate::records::Dice;

pub const TERMS: [&str; 138] = [
    "*",
    "refused",
    "\"connection refused\"",
    "connection",
    "conn*",
    "con*",
    "GRÖßE",
    "GRÖSSE",
    "grö*",
    "straße7",
    "strasse7",
    "STRAẞE*",
    "k1",
    "k*",
    "\u{212a}2",
    "日本*",
    "日本1",
    "①②",
    "①*",
    "\u{10000}",
    "\u{10000}*",
    "tx12*",
    "TX*",
    "tx129",
    "tx12",
    "12",
    "1*",
    "\"12 conn*\"",
    "\"12 conn\"*",
    "\"did not respond\"",
    "\"did not\"*",
    "\"10.0.0.7\"",
    "10.0.0*",
    "\"0.0.0\"",
    "v1",
    "\"GET api v1\"",
    "user_1",
    "user_1*",
    "\"and k2\"",
    "\"k1 and\"*",
    "kind",
    "\"kind ab\"",
    "\"kind ab of 1\"",
    "\"of 1*\"",
    "a",
    "*imeout*",
    "conn*ed",
    "a*a",
    "a*a*",
    "*a",
    "*b*",
    "\"a*b\"",
    "a\\*b",
    "/timed? ?out/",
    "/(?i)REFUSED/",
    "/^$/",
    "/\\d{2,}ms$/",
    "message:ok",
    "message:=a",
    "message:=\"\"",
    "message:*",
    "message:*ed",
    "message:refused",
    "message:>k",
    "message:/b$/",
    "level:error",
    "level:>=warn",
    "level:<error",
    "severity_number:10",
    "severity_number:[9 TO 17}",
    "severity_number:*",
    "service:s1",
    "service:s*",
    "service:*1",
    "service:*",
    "service:(s1 OR s2)",
    "service:>s1",
    "trace_id:*",
    "trace_id:*0*",
    "trace_id:e220a8397b1dcdaf",
    "trace_id:0000000000000000e220a8397b1dcdaf",
    "span_id:s1",
    "request_id:r1*",
    "session_id:>s5",
    "user_id:10",
    "user_id:>9",
    "user_id:9",
    "user_id:u*",
    "user_id:*",
    "flow_id:/[13]$/",
    "fields.user_id:u3",
    "fields.user_id:*",
    "host:h1",
    "host:*",
    "environment:\"\"",
    "dataset:h*",
    "tags:t",
    "tag:7",
    "tags:>6",
    "tags:*",
    "tags:\"\"",
    "tags:/^.$/",
    "step_index:>1",
    "step_index:0",
    "step_index:*",
    "exception.type:IoError",
    "exception.type:*Error",
    "exception.cause.code:>=5",
    "exception.message:boom",
    "exception.cause:*",
    "exception.stacktrace:\"[]\"",
    "template:\"conn<*> closed\"",
    "template:*<\\*>*",
    "template:\"tx12 done\"",
    "template:*",
    "template:\"<*> a mark\"",
    "time:>1970-01-02",
    "time:<=1970-01-01T00:00:00.00000001Z",
    "time:>2200-01-01",
    "with:1",
    "\"with \\\"quote\":q",
    "rare7:1",
    "fields.:*",
    "fields:*",
    "fields:x",
    "fields:=1",
    "fields:>9",
    "fields:*a*",
    "fields:/^\\d+$/",
    "-fields:1",
    "i:>300",
    "i:-5",
    "i:[0 TO 10]",
    "i:<0.5",
    "i:1*",
    "f:>1.4",
    "f:2",
    "f:2.5",
];

/// Tests of fields that have values of many kinds.
const VALUE_TESTS: [&str; 31] = [
    "1",
    "10",
    "10.0",
    ">9",
    ">=10",
    "<1",
    "<=0",
    "0",
    "-0",
    "1e3",
    ">999.5",
    "9007199254740993",
    ">9007199254740992",
    "<18446744073709551615",
    "18446744073709551614",
    ">1e300",
    "x",
    "\"X y\"",
    ">x",
    "<y",
    "\"\"",
    "true",
    "false",
    "null",
    "*",
    "1*",
    "*.0",
    "/^[0-9]+$/",
    "<inf",
    "nan",
    "flat",
];
const VALUE_FIELDS: [&str; 9] = ["n", "f", "ok", "a", "a.b", "a.b.c", "n.b", "n.b.c", "i"];

pub fn term(dice: &mut Dice) -> String {
    if dice.one_in(2) {
        return dice.pick(&TERMS).to_owned();
    }
    format!("{}:{}", dice.pick(&VALUE_FIELDS), dice.pick(&VALUE_TESTS))
}

pub fn filters() -> impl Strategy<Value = Filter> {
    let leaf = any::<u64>().prop_map(|seed| {
        let text = term(&mut Dice(seed));
        parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

const GROUPS: [&str; 20] = [
    "level",
    "service",
    "bin(10ms)",
    "bin(1h)",
    "bin(1d)",
    "template",
    "tags",
    "n",
    "f",
    "ok",
    "i",
    "a.b",
    "n.b",
    "user_id",
    "trace_id",
    "step_index",
    "severity_number",
    "exception.type",
    "host",
    "message",
];
const NUMBERS: [&str; 10] = [
    "n",
    "f",
    "i",
    "a.b",
    "step_index",
    "severity_number",
    "user_id",
    "fields.user_id",
    "exception.cause.code",
    "a.b.c",
];

/// The pipes of statistics; those with a `rate` need a range with both ends.
pub fn stats(dice: &mut Dice, ranged: bool) -> String {
    let mut by: Vec<&str> = Vec::new();
    for _ in 0..dice.below(4) {
        let group = dice.pick(&GROUPS);
        let binned = group.starts_with("bin") && by.iter().any(|known| known.starts_with("bin"));
        if !by.contains(&group) && !binned {
            by.push(group);
        }
    }
    let limit =
        if dice.one_in(3) { format!(" | limit {}", 1 + dice.below(4)) } else { String::new() };
    let plain: Vec<&str> = by.iter().copied().filter(|group| !group.starts_with("bin")).collect();
    if dice.one_in(5) && !plain.is_empty() {
        return format!("| top {} {}", 1 + dice.below(5), plain.join(", "));
    }
    let mut functions = vec!["count()".to_owned()];
    let mut sortable = vec!["count".to_owned()];
    for _ in 0..dice.below(4) {
        let field = dice.pick(&NUMBERS);
        let function = match dice.below(11) {
            0 => format!("count({field})"),
            1 => format!(
                "count({})",
                dice.pick(&["tags", "a", "trace_id", "level", "template", "exception.type"])
            ),
            2 => format!(
                "count_distinct({})",
                dice.pick(&[
                    "tags", "n", "trace_id", "template", "a", "f", "service", "level", "i"
                ])
            ),
            3 => format!("sum({field})"),
            4 => format!("avg({field})"),
            5 => format!("min({field})"),
            6 => format!("max({})", dice.pick(&["time", "i", "n"])),
            7 => format!("p{}({field})", dice.pick(&["0", "50", "95", "99.9", "100"])),
            8 if ranged || by.iter().any(|group| group.starts_with("bin")) => "rate()".to_owned(),
            _ => continue,
        };
        if functions.contains(&function) {
            continue;
        }
        if ["min", "max", "count"].iter().any(|name| function.starts_with(name)) {
            sortable.push(function.clone());
        }
        functions.push(function);
    }
    let mut text = format!("| stats {}", functions.join(", "));
    if !by.is_empty() {
        text += &format!(" by {}", by.join(", "));
    }
    let names = by.iter().map(|group| if group.starts_with("bin") { "bin" } else { group });
    sortable.extend(names.map(str::to_owned));
    if dice.one_in(2) {
        let index = usize::try_from(dice.below(sortable.len() as u64)).unwrap();
        text += &format!(" | sort {}{}", dice.pick(&["", "-"]), sortable[index]);
    }
    text + &limit
}

/// The pipes of an order by a field.
pub fn order(dice: &mut Dice) -> String {
    let field = dice.pick(&[
        "n",
        "f",
        "i",
        "a.b",
        "a",
        "ok",
        "time",
        "level",
        "service",
        "user_id",
        "trace_id",
        "message",
        "template",
        "step_index",
        "severity_number",
        "exception.type",
        "nothing",
    ]);
    format!("| sort {}{field} | limit {}", dice.pick(&["", "-"]), dice.pick(&[1, 5, 40]))
}

fn read(filter: &Filter, pipes: &str) -> Query {
    let text = format!("{filter} {pipes}");
    let query = parse_query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.filter, parse(&filter.to_string()).unwrap(), "{text}");
    query
}

pub fn aggregate(filter: &Filter, range: TimeRange, pipes: &str) -> Aggregate {
    let query = read(filter, pipes);
    let sort = query.sort.iter().map(|key| match key.by {
        SortBy::Column(place) => (place, key.descending),
        SortBy::Field(_) => panic!("{pipes} sorts by a column"),
    });
    Aggregate {
        filter: query.filter,
        range,
        stats: query.stats.unwrap(),
        sort: sort.collect(),
        limit: query.limit.unwrap_or(usize::MAX),
    }
}

pub fn ordered(filter: &Filter, range: TimeRange, pipes: &str) -> Rows {
    let query = read(filter, pipes);
    let order = match query.sort.as_slice() {
        [key] => match &key.by {
            SortBy::Field(field) => {
                Order::Field { field: field.clone(), descending: key.descending }
            }
            SortBy::Column(_) => panic!("{pipes} sorts by a field"),
        },
        _ => panic!("{pipes} has one key"),
    };
    Rows { filter: query.filter, range, order, after: None, limit: query.limit.unwrap() }
}

pub fn ranges() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        Just(TimeRange::ALL),
        (0..10_i64, 10..20_i64).prop_map(|(from, to)| TimeRange {
            from: Timestamp::from_nanos(from),
            to: Timestamp::from_nanos(to),
        }),
        (-1..1_i64, 1..3_i64).prop_map(|(from, to)| TimeRange {
            from: Timestamp::from_nanos(from * crate::records::DAY),
            to: Timestamp::from_nanos(to * crate::records::DAY + 1),
        }),
    ]
}
