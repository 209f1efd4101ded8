//! What the parameters of Streamlogia's routes mean. Those that it does not know it ignores, and an empty one says
//! nothing.

use millpond_protocols::streamlogia::{
    INFRA, PROJECT_ID, SOURCE_TYPE, attribute_in_meta, id_of_project, level_named,
};
use millpond_query::{Comparison, Field, Filter, Test, TimeRange};
use millpond_record::{Level, TextAttribute, Timestamp};

use super::super::filters::{all, any, contains, equals, is, limited};
use crate::{
    auth::Caller,
    clock,
    error::ApiError,
    limits::{PAGE_RECORDS, PAGE_RECORDS_MAX},
    logs::parameters::{Parameters, Word, between, time},
};

/// The parameters as they came.
pub(super) type Pairs = Parameters<Vec<(String, String)>>;

/// The parameters.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Vec<(String, String)>);

impl Asked {
    /// All values of a parameter.
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, value)| known == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// The same, where one may hold several that are separated by commas.
    fn listed(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.values(name).flat_map(|value| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    pub(super) fn word(&self, name: &str) -> Option<Word> {
        self.one(name).map(|value| Word(value.to_owned()))
    }

    /// Records of these projects; all that the key reaches if there are none.
    pub(super) fn of_named_projects(&self, caller: &Caller) -> Result<Filter, ApiError> {
        limited(any(self.listed("projectId").map(|id| of_project(id, caller)).collect()))
    }

    /// Which records are looked for.
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let text = self.one("q").or_else(|| self.one("search")).map_or(Filter::All, |text| {
            let service = Field::Text(TextAttribute::Service);
            any(vec![contains(Field::Words, text), contains(service, text)])
        });
        let sources = self.values("source");
        let sources = sources.map(|name| equals(Field::Text(TextAttribute::Service), name));
        let tags = self.listed("tag").map(|tag| equals(Field::Tags, tag));
        limited(all([text, any(sources.collect()), all(tags), self.meta(), self.kind()?]))
    }

    /// Which level, and which kind of source: what statistics may be asked of.
    pub(super) fn kind(&self) -> Result<Filter, ApiError> {
        let levels = self.listed("level").map(|name| level(name).map(shown_as));
        let levels = any(levels.collect::<Result<_, _>>()?);
        limited(levels.and(self.source_type()?))
    }

    pub(super) fn source_type(&self) -> Result<Filter, ApiError> {
        let infra = equals(Field::Path(SOURCE_TYPE.to_owned()), INFRA);
        match self.one("source_type") {
            None => Ok(Filter::All),
            Some(INFRA) => Ok(infra),
            Some("app") => Ok(Filter::Not(Box::new(infra))),
            Some(other) => Err(ApiError::parameter(format!(
                "source_type: `{other}`, expected `app` or `{INFRA}`"
            ))),
        }
    }

    fn meta(&self) -> Filter {
        all(self.0.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix("meta.").filter(|key| !key.is_empty())?;
            Some(equals(in_meta(key), value.as_str()))
        }))
    }

    /// Both bounds included.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        let now = clock::now();
        let read = |name| self.one(name).map(|text| time(name, text, now)).transpose();
        let behind = |to: Timestamp| Timestamp::from_nanos(to.nanos().saturating_add(1));
        between(read("from")?.unwrap_or(Timestamp::MIN), read("to")?.map_or(Timestamp::MAX, behind))
    }

    /// Records of a page. More than there may be are as many as there may be.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, ApiError> {
        count("limit", self.one("limit"), default, most)
    }

    pub(super) fn page_limit(&self) -> Result<usize, ApiError> {
        self.limit(PAGE_RECORDS, PAGE_RECORDS_MAX)
    }

    /// Whether the records of all pages are to be counted.
    pub(super) fn wants_total(&self) -> Result<bool, ApiError> {
        match self.one("total") {
            None | Some("bounded" | "exact") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(ApiError::parameter(format!(
                "total: `{other}`, expected `bounded`, `exact` or `none`"
            ))),
        }
    }
}

/// A number from 1 on; what is above the greatest counts as that.
pub(super) fn count(
    name: &str,
    text: Option<&str>,
    default: usize,
    most: usize,
) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(default) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().unwrap_or(usize::MAX)).filter(|number| *number > 0);
    number.map(|number: usize| number.min(most)).ok_or_else(|| {
        ApiError::parameter(format!("{name}: `{text}`, expected a whole number from 1 on"))
    })
}

/// Records of the project that a client knows by this id: the key's whole project by its own name or id, else those that
/// were sent with it.
pub(super) fn of_project(id: &str, caller: &Caller) -> Filter {
    let name = caller.project.as_str();
    if id == name || id.eq_ignore_ascii_case(&id_of_project(name)) {
        return Filter::All;
    }
    equals(Field::Path(PROJECT_ID.to_owned()), id)
}

/// The field that is shown in `meta` under a key.
pub(super) fn in_meta(key: &str) -> Field {
    attribute_in_meta(key).map_or_else(|| Field::Path(key.to_owned()), Field::Text)
}

fn level(name: &str) -> Result<Level, ApiError> {
    level_named(name).ok_or_else(|| {
        ApiError::parameter(format!("level: `{name}`, expected DEBUG, INFO, WARN or ERROR"))
    })
}

/// Records that are shown with a level: the first and the last stand for all beyond them.
fn shown_as(level: Level) -> Filter {
    let comparison = match level {
        Level::Trace | Level::Debug => Comparison::LessOrEqual,
        Level::Info | Level::Warn => Comparison::Equal,
        Level::Error | Level::Critical => Comparison::GreaterOrEqual,
    };
    is(Field::Level, Test::Level(comparison, level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked(serde_html_form::from_str(query).unwrap())
    }

    #[test]
    fn every_parameter_narrows_what_is_found() {
        let filter = asked(
            "q=time%25out&source=api&tag=a,b&tag=c&level=ERROR,WARN&level=debug&source_type=app\
             &meta.order.id=7&meta.user_id=u&unknown=x&search=ignored&source_type=",
        );
        let written = filter.filter().unwrap().to_string();
        for expected in [
            "(?i)time%out",
            "service:",
            "tags:a tags:b tags:c",
            "level:>=error",
            "level:warn",
            "level:<=debug",
            "order.id:7",
            "user_id:u",
            "streamlogia.source_type:infra",
        ] {
            assert!(written.contains(expected), "{expected} in {written}");
        }
        assert!(!written.contains("ignored") && !written.contains("unknown"), "{written}");
        assert_eq!(asked("q=&level=").filter().unwrap(), Filter::All);
    }

    #[test]
    fn what_no_parameter_can_be_is_refused() {
        for wrong in ["level=LOUD", "source_type=dog"] {
            assert!(asked(wrong).filter().is_err(), "{wrong}");
        }
        for wrong in ["limit=0", "limit=-1", "limit=x"] {
            assert!(asked(wrong).page_limit().is_err(), "{wrong}");
        }
        assert!(asked("total=some").wants_total().is_err());
        assert!(asked("from=2026-02-01&to=2026-01-01").range().is_err());
        assert_eq!(asked("limit=99999999999999999999999").page_limit().unwrap(), 1000);
    }

    #[test]
    fn the_end_of_a_range_is_included() {
        let range = asked("from=2026-01-31T12:00:00Z&to=2026-01-31T12:00:00Z").range().unwrap();
        assert!(range.contains(range.from));
    }
}
