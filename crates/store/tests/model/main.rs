//! Every query gives what a naive evaluation over the same records gives, whatever was flushed, merged, reopened,
//! late or out of order in between.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic"
)]

mod counts;
mod large;
mod naive;
mod queries;
mod records;
mod scans;
#[path = "../support/mod.rs"]
mod support;
mod symptoms;

use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::{Decoded, LogRecord, Timestamp, decode, json::Reader};
use millpond_store::{EmbeddedStore, Matcher, Order, Rows, Store};
use proptest::prelude::*;

use crate::{
    counts::{answered, expected, key, order_of},
    naive::{Known, selects},
    records::{DAY, Dice, record},
    support::{append, project, read},
};

/// What is stored, in its order: a record's sequence is its place, from 1.
struct Model<'a>(Vec<Known<'a>>);

impl<'a> Model<'a> {
    fn new(stored: &'a [String]) -> Self {
        let observed = Timestamp::from_nanos(1_000_000_000_000_000_000);
        let read = |json: &'a String| match decode(&mut Reader::new(json), observed).unwrap() {
            Decoded::Record(record) => Known::new(*record),
            Decoded::Rejected(rejection) => panic!("{rejection}: {json}"),
        };
        Self(stored.iter().map(read).collect())
    }

    fn selected(&self, filter: &Filter, range: TimeRange) -> Vec<(u64, &Known<'a>)> {
        (1..)
            .zip(&self.0)
            .filter(|(_, known)| range.contains(known.record.time) && selects(filter, known))
            .collect()
    }
}

/// A record as it must come back: the order of the members of `fields` may change.
fn canonical(record: &LogRecord<'_>) -> (String, naive::Json) {
    let mut bare = record.clone();
    bare.fields = millpond_record::json::Object::default();
    (bare.to_json(), Known::new(record.clone()).fields.sorted())
}

/// All rows, page by page.
async fn pages(store: &EmbeddedStore, rows: &Rows) -> Vec<(Cursor, (String, naive::Json))> {
    let mut request = rows.clone();
    let mut all = Vec::new();
    loop {
        let answer = store.rows(&project(), &request).await.unwrap();
        assert_eq!(answer.damaged, Vec::<String>::new());
        let page: Vec<_> = read(&answer)
            .into_iter()
            .map(|(cursor, record)| (cursor, canonical(&record)))
            .collect();
        assert!(page.len() <= request.limit);
        let Some((last, _)) = page.last() else { return all };
        request.after = Some(*last);
        all.extend(page);
    }
}

async fn check_pages(
    store: &EmbeddedStore,
    filter: &Filter,
    range: TimeRange,
    limit: usize,
    selected: &[(u64, &Known<'_>)],
) {
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Stored] {
        let mut expected = selected.to_vec();
        match &order {
            Order::NewestFirst => expected
                .sort_by_key(|(sequence, known)| std::cmp::Reverse((known.record.time, *sequence))),
            Order::OldestFirst => {
                expected.sort_by_key(|(sequence, known)| (known.record.time, *sequence));
            }
            Order::Stored | Order::Field { .. } => {}
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(sequence, known)| {
                (Cursor { time: known.record.time, sequence }, canonical(&known.record))
            })
            .collect();
        let rows = Rows { filter: filter.clone(), range, order: order.clone(), after: None, limit };
        assert_eq!(pages(store, &rows).await, expected, "{order:?} of {filter}");
    }
}

/// The rows in the order of a field: their sequences.
fn by_field(request: &Rows, selected: &[(u64, &Known<'_>)]) -> Vec<u64> {
    let Order::Field { field, descending } = &request.order else { panic!("{request:?}") };
    let value = |known: &Known<'_>| match field {
        millpond_query::Field::Time => Some(known.record.time.nanos().to_string()),
        // As serious as they are, not by their names.
        millpond_query::Field::Level => Some((known.record.severity.level() as u8).to_string()),
        field => known.values(field).first().map(key),
    };
    let mut rows: Vec<_> = selected
        .iter()
        .map(|(sequence, known)| (value(known), (known.record.time, *sequence)))
        .collect();
    rows.sort_by(|(a, place), (b, other)| {
        let order = match (a, b) {
            (Some(a), Some(b)) if *descending => order_of(b, a),
            (Some(a), Some(b)) => order_of(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        order.then_with(|| other.cmp(place))
    });
    rows.iter().map(|(_, (_, sequence))| *sequence).take(request.limit).collect()
}

async fn check_order(store: &EmbeddedStore, request: &Rows, selected: &[(u64, &Known<'_>)]) {
    let answer = store.rows(&project(), request).await.unwrap();
    let found: Vec<u64> = read(&answer).iter().map(|(cursor, _)| cursor.sequence).collect();
    assert_eq!(found, by_field(request, selected), "{:?} of {}", request.order, request.filter);
}

async fn check_counts(
    store: &EmbeddedStore,
    filter: &Filter,
    range: TimeRange,
    pipes: &str,
    selected: &[(u64, &Known<'_>)],
) {
    let request = queries::aggregate(filter, range, pipes);
    let answer = store.aggregate(&project(), &request).await.unwrap();
    assert_eq!(answered(&answer.rows), expected(&request, selected), "{filter} {pipes} {range:?}");
}

/// A live tail asks of one record what a query asks of all.
fn check_matcher(filter: &Filter, model: &Model<'_>) {
    let matcher = Matcher::new(filter).unwrap();
    for known in &model.0 {
        let json = known.record.to_json();
        assert_eq!(matcher.selects(&known.record), selects(filter, known), "{filter} on {json}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Records, and how often each is there.
    Append(Vec<(u64, i64, usize)>),
    Flush,
    Merge,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = prop_oneof![
        8 => 0..20_i64,
        4 => (-1..3_i64).prop_map(|day| day * DAY),
        2 => (0..50_i64).prop_map(|count| count * 1_800_000_000_000),
        1 => Just(-1),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, i64::MAX - 1]),
    ];
    let record = (any::<u64>(), time, prop_oneof![4 => Just(1_usize), 1 => 16..40_usize]);
    let step = prop_oneof![
        6 => prop::collection::vec(record, 1..24).prop_map(Step::Append),
        2 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..8)
}

async fn check(steps: Vec<Step>, queries: Vec<(Filter, TimeRange, u64)>) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = EmbeddedStore::open(directory.path()).unwrap();
    let mut stored: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Append(records) => {
                let records = records.into_iter().flat_map(|(seed, time, count)| {
                    std::iter::repeat_n(record(&mut Dice(seed), time), count)
                });
                let records: Vec<String> = records.collect();
                append(&store, &records).await;
                stored.extend(records);
            }
            Step::Flush => store.flush().unwrap(),
            Step::Merge => store.merge().unwrap(),
            Step::Reopen => {
                drop(store);
                store = EmbeddedStore::open(directory.path()).unwrap();
            }
        }
    }
    let model = Model::new(&stored);
    scans::check(
        &store,
        &Filter::All,
        TimeRange::ALL,
        &model.selected(&Filter::All, TimeRange::ALL),
    )
    .await;
    for (filter, range, seed) in queries {
        let mut dice = Dice(seed);
        let selected = model.selected(&filter, range);
        check_matcher(&filter, &model);
        let limit = usize::try_from(3 + dice.below(60)).unwrap();
        check_pages(&store, &filter, range, limit, &selected).await;
        check_order(
            &store,
            &queries::ordered(&filter, range, &queries::order(&mut dice)),
            &selected,
        )
        .await;
        for _ in 0..4 {
            let pipes = queries::stats(&mut dice, range != TimeRange::ALL);
            check_counts(&store, &filter, range, &pipes, &selected).await;
        }
        scans::check(&store, &filter, range, &selected).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn queries_give_what_a_naive_evaluation_gives(
        steps in steps(),
        queries in prop::collection::vec((queries::filters(), queries::ranges(), any::<u64>()), 1..6),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(check(steps, queries));
    }
}
