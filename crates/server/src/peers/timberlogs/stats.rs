//! `GET /v1/stats` and `/v1/stats/summary`: how many logs there were, by level. Days are those of UTC.

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampNanosecondType},
};
use axum::{Json, extract::State};
use millpond_protocols::timberlogs;
use millpond_query::{Field, Filter, Group, Interval, Stats, TimeRange};
use millpond_record::{Level, TextAttribute, Timestamp};
use millpond_store::{Aggregate, QueryError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    limits::{BUCKETS_MAX, QUERY_TIME_MAX},
    logs::{
        Parameters,
        aggregated::level,
        parameters::{Word, between, time},
        reading::{Reading, ask},
    },
    peers::filters::{all, equals},
};

const HOUR_NANOS: i64 = 3_600_000_000_000;
const DAY_NANOS: i64 = 24 * HOUR_NANOS;

/// Days that are counted unless told otherwise, today included.
const DAYS: i64 = 7;

/// What Timberlogs' statistics take. What they do not know, they ignore.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StatsParameters {
    from: Option<Word>,
    to: Option<Word>,
    group_by: Option<Word>,
    source: Option<Word>,
    environment: Option<Word>,
    dataset: Option<Word>,
}

/// What makes a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Day,
    Hour,
    Source,
}

impl By {
    fn read(text: &str) -> Result<Self, ApiError> {
        match text {
            "" | "day" => Ok(Self::Day),
            "hour" => Ok(Self::Hour),
            "source" => Ok(Self::Source),
            other => Err(ApiError::parameter(format!(
                "groupBy: `{other}`, expected day, hour or source"
            ))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Source => "source",
        }
    }

    fn group(self) -> Result<Group, ApiError> {
        let width = |text: &str| {
            let interval: Result<Interval, _> = text.parse();
            interval.map(Group::Bin).map_err(|error| ApiError::internal(error.to_string()))
        };
        match self {
            Self::Day => width("1d"),
            Self::Hour => width("1h"),
            Self::Source => Ok(Group::Field(Field::Text(TextAttribute::Service))),
        }
    }
}

impl StatsParameters {
    fn filter(&self) -> Filter {
        let exactly = [
            (TextAttribute::Service, &self.source),
            (TextAttribute::Environment, &self.environment),
            (TextAttribute::Dataset, &self.dataset),
        ];
        let exactly = exactly.into_iter().filter_map(|(attribute, value)| {
            let Word(value) = value.as_ref().filter(|Word(text)| !text.is_empty())?;
            Some(equals(Field::Text(attribute), value.as_str()))
        });
        all(exactly)
    }

    /// The first and the last day, both included.
    fn days(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
        let given = |name, value: &Option<Word>| {
            let value = value.as_ref().filter(|Word(text)| !text.is_empty());
            value.map(|Word(text)| time(name, text, now).map(day)).transpose()
        };
        let to = given("to", &self.to)?.unwrap_or_else(|| day(now));
        let from = given("from", &self.from)?.unwrap_or_else(|| days_behind(to, 1 - DAYS));
        Ok((from, to))
    }
}

/// The start of a time's day.
fn day(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.nanos().saturating_sub(time.nanos().rem_euclid(DAY_NANOS)))
}

fn days_behind(time: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_nanos(time.nanos().saturating_add(days.saturating_mul(DAY_NANOS)))
}

/// Numbers of logs by the four levels that Timberlogs has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts([i64; 4]);

const LEVELS: [Level; 4] = [Level::Debug, Level::Info, Level::Warn, Level::Error];

impl Counts {
    fn add(&mut self, of: Level, count: i64) {
        let shown = timberlogs::level(of);
        for (level, counted) in LEVELS.into_iter().zip(&mut self.0) {
            *counted += if level.name() == shown { count } else { 0 };
        }
    }

    fn plus(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
        self
    }

    fn total(self) -> i64 {
        self.0.iter().sum()
    }

    fn write(self, members: &mut Map<String, Value>) {
        for (level, count) in LEVELS.into_iter().zip(self.0) {
            members.insert(level.name().to_owned(), count.into());
        }
        members.insert("total".to_owned(), self.total().into());
    }

    fn json(self) -> Value {
        let mut members = Map::new();
        self.write(&mut members);
        members.into()
    }
}

pub(super) async fn stats(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<StatsParameters>,
) -> Result<Json<Value>, ApiError> {
    let by = By::read(asked.group_by.as_ref().map_or("", |by| by.0.as_str()))?;
    let (from, to) = asked.days(clock::now())?;
    let range = between(from, days_behind(to, 1))?;
    let hours = range.to.nanos().saturating_sub(range.from.nanos()) / HOUR_NANOS;
    if by == By::Hour && hours > BUCKETS_MAX {
        let message = format!("groupBy: there are {hours} hours, expected at most {BUCKETS_MAX}");
        return Err(ApiError::parameter(message));
    }
    let (filter, group) = (asked.filter(), by.group()?);
    let by_level = vec![group, Group::Field(Field::SeverityNumber)];
    let question = |reading: Reading| async move { count(&reading, filter, range, by_level).await };
    let rows = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let mut groups = groups(by, &rows);
    match by {
        By::Day | By::Hour => groups.reverse(),
        By::Source => groups.sort_by_key(|(_, counts)| -counts.total()),
    }
    let totals = groups.iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts));
    let rows = groups.into_iter().map(|(mut members, counts)| {
        counts.write(&mut members);
        Value::from(members)
    });
    Ok(Json(json!({
        "stats": rows.collect::<Vec<_>>(),
        "totals": totals.json(),
        "period": { "from": date(from), "to": date(to), "groupBy": by.name() },
    })))
}

/// Counts logs in groups.
async fn count(
    reading: &Reading,
    filter: Filter,
    range: TimeRange,
    by: Vec<Group>,
) -> Result<RecordBatch, QueryError> {
    let stats = Stats::count_by(by);
    let request = Aggregate { filter, range, stats, sort: Vec::new(), limit: usize::MAX };
    Ok(reading.aggregate(&request).await?.rows)
}

/// The groups in their order, each with the members that tell it from the others.
fn groups(by: By, rows: &RecordBatch) -> Vec<(Map<String, Value>, Counts)> {
    let severities = rows.column(1).as_primitive::<Int64Type>().values();
    let counts = rows.column(2).as_primitive::<Int64Type>().values();
    let mut groups: Vec<(Map<String, Value>, Counts)> = Vec::new();
    for (row, (&severity, &count)) in severities.iter().zip(counts).enumerate() {
        let members = members(by, rows, row);
        match groups.last_mut().filter(|(last, _)| *last == members) {
            Some((_, counts)) => counts.add(level(severity), count),
            None => {
                let mut counts = Counts::default();
                counts.add(level(severity), count);
                groups.push((members, counts));
            }
        }
    }
    groups
}

fn members(by: By, rows: &RecordBatch, row: usize) -> Map<String, Value> {
    let mut members = Map::new();
    if by == By::Source {
        let sources = rows.column(0).as_string::<i32>();
        members.insert("source".to_owned(), sources.value(row).into());
        return members;
    }
    let starts = rows.column(0).as_primitive::<TimestampNanosecondType>().values();
    let start = starts.get(row).copied().unwrap_or_default();
    members.insert("date".to_owned(), date(Timestamp::from_nanos(start)).into());
    if by == By::Hour {
        let hour = start.rem_euclid(DAY_NANOS) / HOUR_NANOS;
        members.insert("hour".to_owned(), hour.into());
    }
    members
}

/// `YYYY-MM-DD`.
fn date(time: Timestamp) -> String {
    time.to_string().chars().take("YYYY-MM-DD".len()).collect()
}

pub(super) async fn summary(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let today = day(clock::now());
    let day_of = |start| TimeRange { from: start, to: days_behind(start, 1) };
    let question = |reading: Reading| async move {
        let by_level = vec![Group::Field(Field::SeverityNumber)];
        let counted = count(&reading, Filter::All, day_of(today), by_level).await?;
        let yesterday = reading.count(Filter::All, day_of(days_behind(today, -1))).await?;
        Ok((counted, i64::try_from(yesterday).unwrap_or(i64::MAX)))
    };
    let (counted, yesterday) = ask(&app, &caller, QUERY_TIME_MAX, question).await?;
    let mut counts = Counts::default();
    let severities = counted.column(0).as_primitive::<Int64Type>().values();
    let counted = counted.column(1).as_primitive::<Int64Type>().values();
    severities.iter().zip(counted).for_each(|(&of, &count)| counts.add(level(of), count));
    let change = change_percent(counts.total(), yesterday);
    let trend = match change {
        0 => "stable",
        1.. => "up",
        _ => "down",
    };
    let comparison =
        json!({ "yesterdayTotal": yesterday, "changePercent": change, "trend": trend });
    Ok(Json(json!({ "today": counts.json(), "comparison": comparison })))
}

/// By how many percent today is more than yesterday, rounded; more than nothing is 100.
fn change_percent(today: i64, yesterday: i64) -> i64 {
    if yesterday == 0 {
        return if today > 0 { 100 } else { 0 };
    }
    let hundredfold = i128::from(today - yesterday) * 100;
    let (yesterday, half) = (i128::from(yesterday), i128::from(yesterday) / 2);
    let rounded = (hundredfold + half * hundredfold.signum()) / yesterday;
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_rounded_to_whole_percent() {
        for (today, yesterday, percent) in [
            (4200, 3800, 11),
            (3800, 4200, -10),
            (5, 5, 0),
            (0, 0, 0),
            (3, 0, 100),
            (0, 3, -100),
            (201, 200, 1),
        ] {
            assert_eq!(change_percent(today, yesterday), percent, "{today} {yesterday}");
        }
    }

    #[test]
    fn levels_that_timberlogs_has_not_count_as_those_that_it_shows() {
        let mut counts = Counts::default();
        Level::ALL.into_iter().for_each(|level| counts.add(level, 1));
        assert_eq!((counts, counts.total()), (Counts([2, 1, 1, 2]), 6));
    }

    #[test]
    fn the_last_seven_days_are_asked_about_unless_told_otherwise() {
        let now = Timestamp::parse("2026-01-31T13:00:00Z").unwrap();
        let days = |from: Option<&str>, to: Option<&str>| {
            let word = |text: Option<&str>| text.map(|text| Word(text.to_owned()));
            let asked = StatsParameters { from: word(from), to: word(to), ..Default::default() };
            let (from, to) = asked.days(now).unwrap();
            (date(from), date(to))
        };
        let expected = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(days(None, None), expected("2026-01-25", "2026-01-31"));
        assert_eq!(days(Some("2026-01-02"), None), expected("2026-01-02", "2026-01-31"));
        assert_eq!(days(None, Some("2026-01-10")), expected("2026-01-04", "2026-01-10"));
        assert_eq!(days(Some("1769860800000"), Some("")), expected("2026-01-31", "2026-01-31"));
    }
}
