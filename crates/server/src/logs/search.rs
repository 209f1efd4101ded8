//! Pages of records: `GET /api/v1/logs`, and what other routes need to find records page by page.

use std::{fmt, str::FromStr, time::Duration};

use axum::{extract::State, response::Response};
use millpond_query::{Cursor, CursorError, Filter, TimeRange};
use millpond_store::{Answer, Order, QueryError, Rows, records};
use tokio::time::{Instant, timeout};

use super::{
    page::{self, Extras},
    parameters::{Parameters, Word, Words, flag, number, range, time_max},
    reading::{Reading, ask},
    selection::selecting,
};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    limits::{OFFSET_MAX, PAGE_RECORDS, PAGE_RECORDS_MAX, TOTAL_TIME_MAX},
};

selecting! {
    /// The parameters of a search.
    SearchParameters {
        order: Option<Word>,
        limit: Option<Word>,
        offset: Option<Word>,
        cursor: Option<Word>,
        fields: Words,
        total: Option<Word>,
        timeout_ms: Option<Word>,
        explain: Option<Word>,
    }
}

pub(crate) async fn search(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Response, ApiError> {
    let time_max = time_max(asked.timeout_ms.as_ref())?;
    let search = Search {
        filter: asked.filter()?,
        range: range(asked.from.as_ref(), asked.to.as_ref(), clock::now())?,
        order: order(asked.order.as_ref())?,
        place: place(asked.cursor.as_ref())?,
        offset: number("offset", asked.offset.as_ref(), 0..=OFFSET_MAX, 0)?,
        limit: number("limit", asked.limit.as_ref(), 1..=PAGE_RECORDS_MAX, PAGE_RECORDS)?,
        records_max: usize::MAX,
        total: total(flag("total", asked.total.as_ref(), false)?, time_max),
    };
    if asked.cursor.is_some() && search.offset > 0 {
        return Err(ApiError::parameter("offset: a `cursor` says where the page begins already"));
    }
    let explained =
        flag("explain", asked.explain.as_ref(), false)?.then(|| search.filter.to_string());
    let extras = Extras { fields: asked.fields.fields(), explained, members: Vec::new() };
    let found = ask(&app, &caller, time_max, |reading| search.run(reading)).await?;
    Ok(page::response(&found, extras))
}

fn order(text: Option<&Word>) -> Result<Order, ApiError> {
    match text.map(|text| text.0.as_str()) {
        None | Some("desc") => Ok(Order::NewestFirst),
        Some("asc") => Ok(Order::OldestFirst),
        Some(other) => {
            Err(ApiError::parameter(format!("order: `{other}`, expected `asc` or `desc`")))
        }
    }
}

/// Where a page begins.
pub(crate) fn place(cursor: Option<&Word>) -> Result<Option<Place>, ApiError> {
    let place = cursor.map(|cursor| cursor.0.parse()).transpose();
    place.map_err(|error: CursorError| ApiError::parameter(format!("cursor: {error}")))
}

/// How long may be counted; a count must not cost the page that was found.
pub(crate) fn total(wanted: bool, time_max: Duration) -> Option<Duration> {
    wanted.then(|| TOTAL_TIME_MAX.min(time_max / 2))
}

/// Where a page begins: behind a record, and how many the pages before had. The number matters only to a query that
/// has a limit of its own, and is written only then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) after: Cursor,
    pub(crate) given: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given {
            0 => self.after.fmt(f),
            given => write!(f, "{}.{given}", self.after),
        }
    }
}

impl FromStr for Place {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let counted =
            text.split_once('.').and_then(|(after, given)| Some((after, given.parse().ok()?)));
        let (after, given) = counted.unwrap_or((text, 0));
        Ok(Self { after: after.parse()?, given })
    }
}

/// Asks for one page.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) filter: Filter,
    pub(crate) range: TimeRange,
    pub(crate) order: Order,
    pub(crate) place: Option<Place>,
    /// Records that are left out before the page.
    pub(crate) offset: usize,
    /// Records of the page.
    pub(crate) limit: usize,
    /// Records of all pages together.
    pub(crate) records_max: usize,
    /// How long may be counted how many there are in all; `None` does not count.
    pub(crate) total: Option<Duration>,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Found {
    /// The rows of the page.
    pub(crate) answer: Answer,
    /// Whether there are more, on further pages.
    pub(crate) has_more: bool,
    /// Whether further pages can be asked for.
    pub(crate) has_pages: bool,
    /// What the cursor of the next page counts.
    pub(crate) given: usize,
    pub(crate) total: Option<Total>,
    /// Whether the page is all that there is.
    pub(crate) is_whole: bool,
    pub(crate) elapsed: Duration,
}

/// How many records there are on all pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Total {
    Exact(usize),
    /// The count was stopped; there are so many, or more.
    LowerBound(usize),
}

impl Search {
    pub(crate) async fn run(self, reading: Reading) -> Result<Found, QueryError> {
        let start = Instant::now();
        let given = self.place.map_or(0, |place| place.given);
        let limit = self.limit.min(self.records_max.saturating_sub(given));
        let request = Rows {
            filter: self.filter,
            range: self.range,
            order: self.order,
            after: self.place.map(|place| place.after),
            // One more tells whether there is another page.
            limit: self.offset + limit + 1,
        };
        let mut answer = reading.rows(&request).await?;
        let found = answer.rows.num_rows();
        let rows = found.saturating_sub(self.offset).min(limit);
        answer.rows = answer.rows.slice(found.min(self.offset), rows);
        if answer.cut && rows == 0 {
            let message =
                "offset: the records before it are too large to count, expected a `cursor`";
            return Err(QueryError::Invalid(message.to_owned()));
        }
        let beyond = answer.cut || found > self.offset + limit;
        let total = match self.total {
            None => None,
            Some(_) if self.place.is_none() && !beyond => Some(Total::Exact(found)),
            Some(time_max) => {
                let count = reading.count(request.filter, request.range);
                Some(match timeout(time_max, count).await {
                    Ok(count) => Total::Exact(count?.max(found)),
                    Err(_) => Total::LowerBound(found),
                })
            }
        };
        let counted = self.records_max < usize::MAX;
        Ok(Found {
            answer,
            has_more: beyond && given + limit < self.records_max,
            has_pages: !matches!(request.order, Order::Field { .. }),
            given: if counted { given + rows } else { 0 },
            total: total.map(|total| total.at_most(self.records_max)),
            is_whole: self.place.is_none() && self.offset == 0 && !beyond,
            elapsed: start.elapsed(),
        })
    }
}

impl Found {
    /// Where the page behind this one begins, if there is one that can be asked for.
    pub(crate) fn next_page(&self) -> Option<Place> {
        let last = self.answer.rows.num_rows().checked_sub(1)?;
        let after = records(&self.answer.rows.slice(last, 1)).next()?.0;
        (self.has_more && self.has_pages).then_some(Place { after, given: self.given })
    }
}

impl Total {
    fn at_most(self, records_max: usize) -> Self {
        match self {
            Self::Exact(count) => Self::Exact(count.min(records_max)),
            Self::LowerBound(count) if count >= records_max => Self::Exact(records_max),
            bound @ Self::LowerBound(_) => bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::Timestamp;

    use super::*;

    #[test]
    fn a_place_is_written_as_a_cursor_and_reads_back() {
        let after = Cursor { time: Timestamp::from_nanos(5), sequence: 7 };
        for given in [0, 1, 1000] {
            let place = Place { after, given };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert_eq!(after.to_string().parse(), Ok(Place { after, given: 0 }));
        for wrong in ["", ".", "5.5", &format!("{after}."), &format!("{after}.x")] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_total_is_no_more_than_the_query_asks_for() {
        assert_eq!(Total::Exact(50).at_most(20), Total::Exact(20));
        assert_eq!(Total::LowerBound(50).at_most(20), Total::Exact(20));
        assert_eq!(Total::LowerBound(10).at_most(20), Total::LowerBound(10));
    }
}
