//! The runs of a request: each time that a service was at work for it, put together from its records.
//!
//! Records that say when their request began are of one run if their service and that time are the same, whatever
//! batches they came in; none of them is taken for another's double. Else there is the record that a middleware writes
//! of a request at its end: its run began as long before as it took, and has the records of the same span.

use std::collections::BTreeMap;

use millpond_protocols::request::{DURATION, END, METHOD, PATH, START, STATUS};
use millpond_query::{Field, Filter, Group, Stats, TimeRange};
use millpond_record::{LogRecord, TextAttribute, Timestamp, json::Scalar};
use millpond_store::{Aggregate, Order, QueryError, Rows, records};
use serde_json::{Value, json};

use super::{reading::Reading, table::value};
use crate::{
    limits::{RUNS_FOUND_MAX, RUNS_SHOWN_MAX},
    peers::filters::exists,
};

/// The fields of a middleware's record, in the order of [`METHOD`], [`PATH`], [`STATUS`] and [`DURATION`].
const OF_MIDDLEWARE: [&str; 4] = ["method", "path", "status", "duration_ms"];

/// The runs that are known.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// By start and service; two that a middleware tells of may still differ in their span.
    runs: BTreeMap<(Timestamp, String, Option<String>), Run>,
    /// Records that do not say when their request began, by service and span.
    spans: BTreeMap<(String, String), i64>,
}

/// What is known of a run.
#[derive(Debug, Default)]
struct Run {
    end: Option<Timestamp>,
    method: Value,
    path: Value,
    status: Value,
    duration_ms: Value,
    records: i64,
}

impl Runs {
    pub(super) fn add(&mut self, record: &LogRecord<'_>) {
        let field = |name| record.fields.get(name).as_ref().map_or(Value::Null, json_of);
        let service = record.service();
        if let Some(start) = time_of(&field(START)) {
            let run = Run {
                end: time_of(&field(END)),
                method: field(METHOD),
                path: field(PATH),
                status: field(STATUS),
                duration_ms: field(DURATION),
                records: 1,
            };
            return self.merge(start, service, None, run);
        }
        let span = record.text(TextAttribute::SpanId);
        if let Some(span) = span {
            *self.spans.entry((service.to_owned(), span.to_owned())).or_default() += 1;
        }
        self.add_middleware(record, span);
    }

    /// The run that a middleware's record tells of, if it is one.
    fn add_middleware(&mut self, record: &LogRecord<'_>, span: Option<&str>) {
        let [method, path, status, duration_ms] =
            OF_MIDDLEWARE.map(|name| record.fields.get(name).as_ref().map_or(Value::Null, json_of));
        let Some(millis) = duration_ms.as_f64().filter(|_| method.is_string() && path.is_string())
        else {
            return;
        };
        let nanos = (millis * 1e6) as i64;
        let start = Timestamp::from_nanos(record.time.nanos().saturating_sub(nanos));
        let end = Some(record.time);
        // Without a span it is all that is known of its run; else all records of the span are counted.
        let records = i64::from(span.is_none());
        let run = Run { end, method, path, status, duration_ms, records };
        self.merge(start, record.service(), span, run);
    }

    fn merge(&mut self, start: Timestamp, service: &str, span: Option<&str>, told: Run) {
        let key = (start, service.to_owned(), span.map(str::to_owned));
        let run = self.runs.entry(key).or_default();
        run.end = run.end.max(told.end);
        run.records += told.records;
        for (known, told) in [
            (&mut run.method, told.method),
            (&mut run.path, told.path),
            (&mut run.status, told.status),
            (&mut run.duration_ms, told.duration_ms),
        ] {
            if known.is_null() {
                *known = told;
            }
        }
    }

    /// The runs of records that are not all at hand.
    pub(super) async fn count(reading: &Reading, filter: &Filter) -> Result<Self, QueryError> {
        let mut runs = Self::default();
        let started = || exists(Field::Path(START.to_owned()));
        let without_start = filter.clone().and(Filter::Not(Box::new(started())));
        runs.count_started(reading, filter.clone().and(started())).await?;
        let told = OF_MIDDLEWARE.into_iter().filter(|name| *name != "status");
        let told = told.map(|name| exists(Field::Path(name.to_owned())));
        let request = Rows {
            filter: told.fold(without_start.clone(), Filter::and),
            range: TimeRange::ALL,
            order: Order::OldestFirst,
            after: None,
            limit: RUNS_FOUND_MAX,
        };
        let ended = reading.rows(&request).await?;
        for (_, record) in records(&ended.rows) {
            runs.add_middleware(&record, record.text(TextAttribute::SpanId));
        }
        runs.count_spans(reading, without_start).await?;
        Ok(runs)
    }

    async fn count_started(&mut self, reading: &Reading, filter: Filter) -> Result<(), QueryError> {
        let service = Field::Text(TextAttribute::Service);
        let told = [START, END, METHOD, PATH, STATUS, DURATION];
        let by = told.map(|name| Field::Path(name.to_owned()));
        let counted = grouped(reading, filter, std::iter::once(service).chain(by)).await?;
        for row in counted {
            let [service, start, end, method, path, status, duration_ms, count] = row.as_slice()
            else {
                continue;
            };
            if let (Some(start), Some(service)) = (time_of(start), service.as_str()) {
                let run = Run {
                    end: time_of(end),
                    method: method.clone(),
                    path: path.clone(),
                    status: status.clone(),
                    duration_ms: duration_ms.clone(),
                    records: count.as_i64().unwrap_or_default(),
                };
                self.merge(start, service, None, run);
            }
        }
        Ok(())
    }

    async fn count_spans(&mut self, reading: &Reading, filter: Filter) -> Result<(), QueryError> {
        let by = [TextAttribute::Service, TextAttribute::SpanId].map(Field::Text);
        for row in grouped(reading, filter, by).await? {
            if let [Value::String(service), Value::String(span), count] = row.as_slice() {
                let count = count.as_i64().unwrap_or_default();
                self.spans.insert((service.clone(), span.clone()), count);
            }
        }
        Ok(())
    }

    /// The oldest runs, and how many there are.
    pub(super) fn json(&self) -> (Value, usize) {
        let shown = self.runs.iter().take(RUNS_SHOWN_MAX).map(|((start, service, span), run)| {
            let of_span = span
                .as_ref()
                .and_then(|span| self.spans.get(&(service.clone(), span.clone())).copied());
            json!({
                "service": service,
                "start": start.to_string(),
                "end": run.end.map(|end| end.to_string()),
                "duration_ms": run.duration_ms,
                "method": run.method,
                "path": run.path,
                "status_code": run.status,
                "records": run.records + of_span.unwrap_or_default(),
            })
        });
        (shown.collect(), self.runs.len())
    }
}

/// Counts records by some fields: the values of each group, and the count.
async fn grouped(
    reading: &Reading,
    filter: Filter,
    by: impl IntoIterator<Item = Field>,
) -> Result<Vec<Vec<Value>>, QueryError> {
    let stats = Stats::count_by(by.into_iter().map(Group::Field).collect());
    let range = TimeRange::ALL;
    let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: RUNS_FOUND_MAX };
    let counted = reading.aggregate(&request).await?.rows;
    let row = |row| counted.columns().iter().map(|column| value(column, row)).collect();
    Ok((0..counted.num_rows()).map(row).collect())
}

fn json_of(value: &Scalar<'_>) -> Value {
    match value {
        Scalar::String(text) => Value::String(text.to_string()),
        other => serde_json::from_str(other.text()).unwrap_or_default(),
    }
}

/// A time as it was sent: a text, or a number since the epoch.
fn time_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse(text).ok(),
        Value::Number(number) => Timestamp::parse_number(&number.to_string()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::{Decoded, decode, json::Reader};

    use super::*;

    fn runs(records: &[Value]) -> Vec<Value> {
        let mut runs = Runs::default();
        for record in records {
            let text = record.to_string();
            match decode(&mut Reader::new(&text), Timestamp::from_nanos(0)) {
                Ok(Decoded::Record(record)) => runs.add(&record),
                other => panic!("{other:?}"),
            }
        }
        let (shown, count) = runs.json();
        let shown = shown.as_array().cloned().unwrap_or_default();
        assert_eq!(shown.len(), count);
        shown
    }

    fn of_slice(start: &str, service: &str) -> Value {
        json!({ "message": "the same", "service": service, "fields": {
            START: start, END: "2026-01-31T12:00:01Z", DURATION: 13.25, METHOD: "GET", PATH: "/a", STATUS: 200 } })
    }

    #[test]
    fn slices_of_one_request_are_one_run_and_equal_records_are_all_counted() {
        let (first, second) = ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z");
        let slice = |start| of_slice(start, "shop");
        let found = runs(&[
            slice(second),
            slice(first),
            slice(first),
            of_slice("2026-01-31T13:00:00+01:00", "shop"),
            of_slice(first, "billing"),
            json!({ "message": "beside", "fields": { START: "soon" } }),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|run| (run["service"].as_str().unwrap(), run["records"].as_i64().unwrap()))
            .collect();
        assert_eq!(told, [("billing", 1), ("shop", 3), ("shop", 1)]);
        assert_eq!(
            found[1],
            json!({ "service": "shop", "start": "2026-01-31T12:00:00.000000000Z",
                "end": "2026-01-31T12:00:01.000000000Z", "duration_ms": 13.25, "method": "GET", "path": "/a",
                "status_code": 200, "records": 3 })
        );
    }

    #[test]
    fn a_middlewares_record_tells_of_a_run_with_the_records_of_its_span() {
        let end = |time: &str, span: Value| {
            json!({ "message": "GET /a 200", "service": "shop", "time": time, "span_id": span, "fields": {
                "method": "GET", "path": "/a", "status": 200, "duration_ms": 250.5 } })
        };
        let beside = json!({ "message": "m", "service": "shop", "span_id": "s1" });
        let found = runs(&[
            beside.clone(),
            end("2026-01-31T12:00:01Z", "s1".into()),
            end("2026-01-31T12:00:02Z", Value::Null),
            beside,
            json!({ "message": "m", "fields": { "method": "GET", "path": "/a" } }),
        ]);
        let told: Vec<_> = found.iter().map(|run| (&run["start"], &run["records"])).collect();
        assert_eq!(
            told,
            [
                (&json!("2026-01-31T12:00:00.749500000Z"), &json!(3)),
                (&json!("2026-01-31T12:00:01.749500000Z"), &json!(1)),
            ]
        );
    }
}
