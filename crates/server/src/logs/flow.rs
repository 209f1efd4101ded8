//! `GET /api/v1/flows/{flow_id}`: one run of a process, step by step.

use axum::{extract::State, response::Response};
use millpond_query::{Cursor, Filter, TimeRange};
use millpond_record::{
    LogRecord, TextAttribute, Timestamp, flow_name,
    json::{write_string, write_u64},
};
use millpond_store::{Order, Rows, records};
use serde_json::Value;

use super::{
    page::{finish, write_record},
    parameters::{NoParameters, Parameters, Piece},
    reading::{Reading, ask},
    story::{Summary, millis},
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    limits::{FLOW_RECORDS_MAX, MISSING_STEPS_NAMED_MAX, QUERY_TIME_MAX},
};

pub(crate) async fn flow(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let request = Rows {
        filter: Filter::equals(TextAttribute::FlowId, id.as_str()),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        after: None,
        // One more tells whether there are more.
        limit: FLOW_RECORDS_MAX + 1,
    };
    let question = |reading: Reading| async move { reading.rows(&request).await };
    let answer = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let mut steps: Vec<_> = records(&answer.rows).take(FLOW_RECORDS_MAX).collect();
    // By step; those of one step, and at the end those of none, by time.
    steps.sort_by_key(|(cursor, record)| (record.step_index.is_none(), record.step_index, *cursor));
    let mut summary = Summary::default();
    steps.iter().for_each(|(_, record)| summary.add(record));
    let (missing, missing_count) =
        missing(steps.iter().filter_map(|(_, record)| record.step_index));

    let mut body = String::from("{\"flow_id\":");
    write_string(&mut body, &id);
    body.push_str(",\"name\":");
    write_string(&mut body, flow_name(&id));
    body.push_str(",\"steps\":");
    write_steps(&mut body, &steps);
    let mut members = vec![
        ("summary", summary.json()),
        ("missing_steps", missing.into()),
        ("missing_steps_count", missing_count.into()),
        ("has_more", (answer.cut || answer.rows.num_rows() > FLOW_RECORDS_MAX).into()),
    ];
    if !answer.damaged.is_empty() {
        members.push(("damaged", answer.damaged.clone().into()));
    }
    Ok(finish(body, members))
}

/// Each step with its record and the time since the one before it.
fn write_steps(out: &mut String, steps: &[(Cursor, LogRecord<'_>)]) {
    let mut before: Option<Timestamp> = None;
    out.push('[');
    for (cursor, record) in steps {
        out.push_str(if before.is_some() { ",{\"step_index\":" } else { "{\"step_index\":" });
        match record.step_index {
            Some(step) => write_u64(out, step.into()),
            None => out.push_str("null"),
        }
        let gap = before.map_or(Value::Null, |before| millis(before, record.time).into());
        out.push_str(",\"gap_ms\":");
        out.push_str(&gap.to_string());
        out.push_str(",\"log\":");
        write_record(out, *cursor, record);
        out.push('}');
        before = Some(record.time);
    }
    out.push(']');
}

/// The steps below the last that are not there, the first of them by name, and how many there are. `seen` is in order.
fn missing(seen: impl Iterator<Item = u32>) -> (Vec<u32>, u64) {
    let (mut named, mut count) = (Vec::new(), 0);
    let mut next = 0;
    for step in seen {
        count += u64::from(step.saturating_sub(next));
        let room = MISSING_STEPS_NAMED_MAX.saturating_sub(named.len());
        named.extend((next..step).take(room));
        next = next.max(step.saturating_add(1));
    }
    (named, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_that_are_not_there_are_named() {
        assert_eq!(missing([0, 1, 1, 4].into_iter()), (vec![2, 3], 2));
        assert_eq!(missing([2].into_iter()), (vec![0, 1], 2));
        assert_eq!(missing([].into_iter()), (vec![], 0));
        let (named, count) = missing([u32::MAX].into_iter());
        assert_eq!((named.len(), count), (MISSING_STEPS_NAMED_MAX, u64::from(u32::MAX)));
    }

    #[test]
    fn a_step_may_lie_before_the_one_that_it_follows() {
        let at = Timestamp::from_nanos;
        assert_eq!(millis(at(1_500_000), at(0)), -1.5);
        assert!(millis(Timestamp::MIN, Timestamp::MAX) > 0.0);
    }
}
