//! What to ask for: the parameters of the routes, under their names.

use std::time::{Duration, SystemTime};

use millpond_record::{Level, Timestamp};

use super::exchange::Parameters;
use crate::clock;

/// Sets a parameter, instead of what it was set to before.
fn set(parameters: &mut Parameters, name: &'static str, value: String) {
    parameters.retain(|(known, _)| *known != name);
    parameters.push((name, value));
}

macro_rules! exact_setters {
    () => {
        /// Only logs of this service, exactly.
        pub fn service(mut self, name: impl Into<String>) -> Self {
            set(&mut self.parameters, "service", name.into());
            self
        }

        /// Only logs of this level, exactly; `level:>=warn` in the text means a level and all above it.
        pub fn level(mut self, level: Level) -> Self {
            set(&mut self.parameters, "level", level.name().to_owned());
            self
        }
    };
}

macro_rules! time_setters {
    () => {
        /// Only logs whose time is this or later.
        pub fn from(mut self, time: impl Into<Timestamp>) -> Self {
            set(&mut self.parameters, "from", time.into().to_string());
            self
        }

        /// Only logs of the last time, such as the last hour, by the clock of this machine.
        pub fn last(self, time: Duration) -> Self {
            self.from(clock::wall().checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH))
        }

        /// Only logs whose time is earlier than this.
        pub fn to(mut self, time: impl Into<Timestamp>) -> Self {
            set(&mut self.parameters, "to", time.into().to_string());
            self
        }
    };
}

/// Which logs to look up: a text in Millpond's query language, and conditions beside it that all must hold.
///
/// ```
/// use millpond::{Level, read::Query};
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// let query = Query::new("\"did not respond\" -healthz").level(Level::Error).last(hour).limit(50);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a query asks nothing by itself"]
pub struct Query {
    pub(super) parameters: Parameters,
}

impl Query {
    /// The logs that `text` describes, such as `level:error service:api`; an empty text describes all.
    pub fn new(text: impl Into<String>) -> Self {
        Self { parameters: vec![("q", text.into())] }
    }

    exact_setters!();
    time_setters!();

    /// Only logs of this trace.
    pub fn trace_id(mut self, trace_id: impl Into<String>) -> Self {
        set(&mut self.parameters, "trace_id", trace_id.into());
        self
    }

    /// Most logs of one page: 1 to 1000, 100 unless told otherwise.
    pub fn limit(mut self, logs: usize) -> Self {
        set(&mut self.parameters, "limit", logs.to_string());
        self
    }

    /// The page behind the one whose [`next_cursor`](super::Page::next_cursor) this is.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        set(&mut self.parameters, "cursor", cursor.into());
        self
    }

    pub(super) fn has_limit(&self) -> bool {
        self.parameters.iter().any(|(name, _)| *name == "limit")
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Query {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Which logs a live stream shows: a text in Millpond's query language, and conditions beside it that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a filter selects nothing by itself"]
pub struct Filter {
    pub(super) parameters: Parameters,
}

impl Filter {
    /// The logs that `text` describes; an empty text describes all.
    pub fn new(text: impl Into<String>) -> Self {
        Self { parameters: vec![("q", text.into())] }
    }

    exact_setters!();
}

impl From<&str> for Filter {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Filter {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// What to count: everything of the last 24 hours unless told otherwise.
///
/// ```
/// use millpond::read::Aggregation;
///
/// let per_minute = Aggregation::new().query("level:>=error").service("api").interval("1m");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an aggregation counts nothing by itself"]
pub struct Aggregation {
    pub(super) parameters: Parameters,
}

impl Aggregation {
    /// Everything of the last 24 hours.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only logs that `text` describes.
    pub fn query(mut self, text: impl Into<String>) -> Self {
        set(&mut self.parameters, "q", text.into());
        self
    }

    exact_setters!();
    time_setters!();

    /// The length of a bucket: a number and `s`, `m`, `h` or `d`; the server chooses one that gives about 60 buckets
    /// unless told.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        set(&mut self.parameters, "interval", interval.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_either_kind_is_a_query_and_a_filter() {
        let queries: [Query; 2] = ["a".into(), "a".to_owned().into()];
        assert!(queries.iter().all(|query| *query == Query::new("a")));
        let filters: [Filter; 2] = ["a".into(), "a".to_owned().into()];
        assert!(filters.iter().all(|filter| *filter == Filter::new("a")));
    }

    #[test]
    fn a_parameter_that_is_set_twice_is_sent_once() {
        let query = Query::new("a").limit(1).limit(2).from(Timestamp::from_nanos(0));
        assert_eq!(
            query.parameters,
            [
                ("q", "a".to_owned()),
                ("limit", "2".to_owned()),
                ("from", "1970-01-01T00:00:00.000000000Z".to_owned())
            ]
        );
    }
}
