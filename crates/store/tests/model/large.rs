//! Enough records for several pages and row groups, where what is rare is on few pages.

use millpond_query::{TimeRange, parse};
use millpond_record::Timestamp;
use millpond_store::EmbeddedStore;

use crate::{
    Model, check_counts, check_order, queries,
    records::{DAY, Dice, record},
    scans,
    support::append,
};

/// More than a row group of one day and some of the next; a few arrive late.
fn many(count: i64) -> Vec<String> {
    let mut dice = Dice(7);
    (0..count)
        .map(|place| {
            let late = if dice.one_in(50) { DAY / 2 } else { 0 };
            let time = place * ((DAY + DAY / 16) / count) - late;
            // Most are plain, as most are.
            if !dice.one_in(40) {
                let time = Timestamp::from_nanos(time);
                let (number, bytes) = (dice.below(1_000_000), dice.below(5000));
                return format!(
                    r#"{{"time":"{time}","message":"request {number} took {}ms","service":"s{}","trace_id":"{:032x}","fields":{{"i":{bytes},"user_id":"u{}","http":{{"status":{}}}}}}}"#,
                    place / 1000,
                    number % 3,
                    number,
                    number % 500,
                    dice.pick(&[200, 404, 500]),
                );
            }
            record(&mut dice, time)
        })
        .collect()
}

const FILTERS: [&str; 22] = [
    "request",
    "142ms",
    "\"took 17\"*",
    "\"request 5\"*",
    "-request",
    "tx12*",
    "STRAẞE7",
    "kind",
    "*99 took 1*",
    "trace_id:000000000000000000000000000f4240",
    "trace_id:0000000000000000000000000001e240",
    "trace_id:*e24*",
    "user_id:u77",
    "request_id:r3",
    "http.status:500 -i:<4990",
    "http:*",
    "n:10",
    "a.b:*",
    "rare7:1",
    "exception.type:IoError",
    "tags:t level:error",
    "user_id:9 OR span_id:s1",
];

const PIPES: [&str; 6] = [
    "| stats count(), sum(i), p95(i) by service, http.status",
    "| stats count(), count_distinct(trace_id), max(n) by bin(1h), level",
    "| top 5 user_id",
    "| top 7 template",
    "| stats count_distinct(user_id), count(tags), rate() by tags | sort -rate, tags",
    "| stats count() by trace_id, i, user_id, template | sort -i | limit 5",
];

#[test]
fn queries_over_many_pages_give_what_a_naive_evaluation_gives() {
    let records = many(150_000);
    let model = Model::new(&records);
    let day = TimeRange {
        from: Timestamp::from_nanos(DAY / 3),
        to: Timestamp::from_nanos(DAY / 3 + 3_600_000_000_000),
    };
    // The end of the first row group, the second, and what is hot.
    let late = TimeRange { from: Timestamp::from_nanos(DAY / 4 * 3), to: Timestamp::MAX };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        for (place, part) in records.chunks(15_000).enumerate() {
            append(&store, part).await;
            // Hot chunks beside segments, one of which has more than a row group.
            if place == 8 {
                store.flush().unwrap();
            }
        }
        for text in FILTERS {
            let filter = parse(text).unwrap();
            let selected = model.selected(&filter, late);
            if selected.len() < 20_000 {
                for pipes in ["| sort -i | limit 40", "| sort time | limit 40"] {
                    let request = queries::ordered(&filter, late, pipes);
                    check_order(&store, &request, &selected).await;
                }
            }
            check_counts(&store, &filter, late, "| stats count()", &selected).await;
            if selected.len() < 5000 {
                scans::check(&store, &filter, late, &selected).await;
            }
        }
        for (text, range) in [
            ("service:s1", TimeRange::ALL),
            ("*", day),
            ("-service:s1", day),
            ("-request", TimeRange::ALL),
        ] {
            let filter = parse(text).unwrap();
            let selected = model.selected(&filter, range);
            for pipes in PIPES {
                if range == TimeRange::ALL && pipes.contains("rate") {
                    continue;
                }
                check_counts(&store, &filter, range, pipes, &selected).await;
            }
        }
    });
}
