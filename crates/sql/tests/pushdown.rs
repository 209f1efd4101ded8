//! What the store is asked for, and that it makes no difference to the answer.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millpond_query::{Filter, TimeRange, parse};
use millpond_record::Timestamp;
use millpond_sql::Sql;
use support::{Watched, append, over, project, rows};

/// Values on which SQL and the query language differ: numbers that are texts, attributes that are only in `fields`,
/// and nothing.
fn tricky() -> Vec<String> {
    let mut records = Vec::new();
    let users = [
        "",
        r#","user_id":"10""#,
        r#","user_id":"9""#,
        r#","user_id":"10.0""#,
        r#","user_id":"x%y""#,
    ];
    let values = [
        "",
        "0",
        "-0.0",
        "1",
        "10",
        "1e1",
        "\"10\"",
        "\"x\"",
        "true",
        "null",
        "0.1",
        "9007199254740993",
    ];
    for (u, user) in users.iter().enumerate() {
        for (v, value) in values.iter().enumerate() {
            let time = (u * values.len() + v) as i64;
            let level = ["info", "warn", "error"][v % 3];
            let mut member = format!(
                r#""n":{time},"f":{time}.5,"d":{{"s":"x{}"}},"b":{},"m":{time}"#,
                v % 3,
                v % 2 == 0
            );
            if v % 2 == 0 {
                member += ".25";
            }
            if !value.is_empty() {
                member += &format!(r#","a":{value}"#);
            }
            let step = if v % 2 == 0 {
                format!(r#","step_index":{v},"tags":["t{u}"]"#)
            } else {
                String::new()
            };
            let fields = if user.is_empty() {
                format!(r#"{{"user_id":10,{member}}}"#)
            } else {
                format!("{{{member}}}")
            };
            records.push(format!(
                r#"{{"time":"{}","level":"{level}","service":"s{u}","message":"m {v}"{user}{step},"fields":{fields}}}"#,
                Timestamp::from_nanos(time)
            ));
        }
    }
    records
}

const CONDITIONS: &[&str] = &[
    "user_id = '10'",
    "user_id != '10'",
    "NOT (user_id = '10')",
    "NOT (NOT (user_id = '10'))",
    "user_id < '9'",
    "user_id >= '10'",
    "user_id > 'a'",
    "user_id < 'a'",
    "user_id IN ('9', '10')",
    "user_id NOT IN ('9', '10')",
    "user_id LIKE '1%'",
    "user_id NOT LIKE '1%'",
    "user_id LIKE '%\\%%'",
    "user_id LIKE 'x_y'",
    "user_id IS NULL",
    "user_id IS NOT NULL",
    "user_id = '10' OR service = 's0'",
    "NOT (user_id = '10' OR service = 's0')",
    "NOT (user_id = '10' AND service = 's1')",
    "user_id = '10' AND length(message) > 3",
    "user_id = '10' OR length(message) > 3",
    "service = 's1'",
    "service != 's1'",
    "'s1' <= service",
    "service BETWEEN 's1' AND 's2'",
    "service NOT IN ('s1', 's2')",
    "message LIKE 'm%1'",
    "message LIKE '%1%'",
    "message LIKE 'm 1'",
    "message LIKE '%%1%%'",
    "user_id LIKE '%'",
    "user_id NOT LIKE '%%'",
    "message NOT LIKE '%1%'",
    "message ILIKE 'M%'",
    "message ~ '^m 1.$'",
    "message !~ '^m 1.$'",
    "level = 'error'",
    "level != 'error'",
    "level > 'error'",
    "level = 'ERROR'",
    "level IN ('error', 'warn')",
    "level = 'error' OR level = 'nothing'",
    "severity_number >= 13",
    "severity_number = 9",
    "13 > severity_number",
    "severity_number NOT IN (9, 13)",
    "severity_number BETWEEN 10 AND 14",
    "step_index > 4",
    "step_index != 4",
    "step_index IS NOT NULL",
    "step_index IS NULL",
    "array_has(tags, 't1')",
    "NOT array_has(tags, 't1')",
    "field(fields, 'a') = '10'",
    "field(fields, 'a') != '10'",
    "field(fields, 'a') > '1'",
    "field(fields, 'a') LIKE '1%'",
    "field(fields, 'a') IS NOT NULL",
    "field(fields, 'a') IS NULL",
    "field(fields, 'a') = 'true'",
    "field_number(fields, 'a') = 10",
    "field_number(fields, 'a') != 10",
    "field_number(fields, 'a') > 0",
    "field_number(fields, 'a') >= 0",
    "field_number(fields, 'a') < 0.0",
    "field_number(fields, 'a') > -0.0",
    "field_number(fields, 'a') <= 0.1",
    "field_number(fields, 'a') = 9007199254740992",
    "field_number(fields, 'a') BETWEEN 1 AND 10",
    "field_number(fields, 'a') IN (1, 10)",
    "time >= '1970-01-01T00:00:00.000000010Z'",
    "time > '1970-01-01T00:00:00.000000010Z'",
    "time < '1970-01-01T00:00:00.000000010Z'",
    "'1970-01-01T00:00:00.000000010Z' >= time",
    "time = '1970-01-01T00:00:00.000000010Z'",
    "time != '1970-01-01T00:00:00.000000010Z'",
    "time BETWEEN '1970-01-01T00:00:00.000000010Z' AND '1970-01-01T00:00:00.000000020Z'",
    "time < '1970-01-01T00:00:00.000000010Z' OR service = 's4'",
    "time > now() - INTERVAL '1 day'",
    "time < '2262-04-11T23:47:16.854775807Z'",
    "true",
    "false",
    "NULL",
];

/// On columns that only segments have.
const MEMBERS: &[&str] = &[
    "\"fields.n\" = 7",
    "\"fields.n\" != 7",
    "\"fields.n\" > 30",
    "\"fields.n\" IN (1, 2, 3)",
    "\"fields.n\" IS NOT NULL",
    "\"fields.f\" <= 10.5",
    "\"fields.f\" = 10.5",
    "\"fields.f\" > 10",
    "\"fields.m\" = 4.25",
    "\"fields.m\" = 5",
    "\"fields.m\" >= 5 AND service = 's1'",
    "\"fields.d.s\" = 'x1'",
    "\"fields.d.s\" != 'x1'",
    "\"fields.d.s\" LIKE 'x%'",
    "\"fields.d.s\" >= 'x1'",
    "\"fields.b\"",
    "NOT \"fields.b\"",
    "\"fields.b\" = true OR \"fields.n\" < 5",
];

#[tokio::test]
async fn a_condition_selects_the_same_whether_the_store_or_sql_evaluates_it() {
    let (store, sql) = over(&tricky()).await;
    for condition in CONDITIONS {
        same(&store, &sql, condition).await;
    }
    // The same once more, a part of it in segments.
    store.flush();
    append(&store, &project(), &tricky()).await;
    for condition in CONDITIONS.iter().chain(MEMBERS) {
        same(&store, &sql, condition).await;
    }
}

async fn same(store: &Watched, sql: &Sql, condition: &str) {
    // Nothing of it can be handed down where it is compared with what is known only for each row.
    let plain =
        format!("SELECT sequence FROM logs WHERE ({condition}) = (random() < 2) ORDER BY sequence");
    store.asked();
    let expected = rows(sql, &plain).await;
    let asked = store.asked();
    assert!(
        asked.iter().all(|scan| scan.filter == Filter::All && scan.range == TimeRange::ALL),
        "{condition} {asked:?}"
    );
    let found = format!("SELECT sequence FROM logs WHERE {condition} ORDER BY sequence");
    assert_eq!(rows(sql, &found).await, expected, "{condition}: {:?}", store.asked());
    let count = format!("SELECT count(*) FROM logs WHERE {condition}");
    assert_eq!(
        rows(sql, &count).await,
        [expected.len().to_string()],
        "{condition}: {:?}",
        store.asked()
    );
}

#[tokio::test]
async fn what_the_store_can_evaluate_is_handed_down() {
    let (store, sql) = over(&tricky()).await;
    for (condition, expected) in [
        ("service = 's1'", "service:s1"),
        ("service = 's1' AND level = 'error'", "service:s1 level:error"),
        ("service IN ('s1', 's2')", "service:s1 OR service:s2"),
        ("service LIKE 's%'", "service:s*"),
        ("trace_id = 'abc'", "trace_id:abc"),
        ("user_id = 'u1' OR user_id LIKE 'u_%'", ""),
        ("user_id = 'u1' OR user_id LIKE 'v%'", "user_id:u1 OR user_id:v*"),
        ("level != 'error'", "-level:error"),
        ("severity_number >= 17", "severity_number:>=17"),
        ("service = 's1' AND length(message) = 3", "service:s1"),
        ("field(fields, 'http.path') = '/x'", "fields.http.path:\"/x\""),
        ("array_has(tags, 't1')", "tags:t1"),
    ] {
        rows(&sql, &format!("SELECT sequence FROM logs WHERE {condition}")).await;
        let asked = store.asked();
        assert_eq!(asked.len(), 1, "{condition}");
        assert_eq!(asked[0].filter, parse(expected).unwrap(), "{condition}");
    }
}

#[tokio::test]
async fn times_are_handed_down_as_a_range() {
    let (store, sql) = over(&tricky()).await;
    let at = |text: &str| Timestamp::parse(text).unwrap();
    rows(&sql, "SELECT count(*) FROM logs WHERE time >= '2026-01-01' AND '2026-02-01T00:00:00+01:00' > time").await;
    let range = TimeRange { from: at("2026-01-01T00:00:00Z"), to: at("2026-01-31T23:00:00Z") };
    let asked = store.asked();
    assert_eq!((&asked[0].range, &asked[0].filter), (&range, &Filter::All));
}

#[tokio::test]
async fn only_the_columns_that_are_needed_are_read() {
    let (store, sql) = over(&tricky()).await;
    for (statement, columns) in [
        ("SELECT service, count(*) FROM logs GROUP BY service", vec!["service"]),
        ("SELECT count(*) FROM logs", vec![]),
        ("SELECT count(*) FROM logs WHERE service = 's1'", vec![]),
        (
            "SELECT message FROM logs WHERE user_id = '10' ORDER BY time",
            vec!["time", "message", "user_id"],
        ),
    ] {
        rows(&sql, statement).await;
        assert_eq!(store.asked()[0].columns, columns, "{statement}");
    }
}
