//! Which records: the parameters that all routes share that look for them.

use millpond_query::{Comparison, Condition, Field, Filter, Test, parse};
use millpond_record::{Level, TextAttribute};

use super::parameters::{Word, Words};
use crate::error::ApiError;

/// A structure of parameters that begins with those that say which records are meant.
///
/// Serde can't both flatten a structure and refuse names that it does not know.
macro_rules! selecting {
    ($(#[$about:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            q: Option<$crate::logs::parameters::Word>,
            from: Option<$crate::logs::parameters::Word>,
            to: Option<$crate::logs::parameters::Word>,
            service: $crate::logs::parameters::Words,
            level: $crate::logs::parameters::Words,
            environment: Option<$crate::logs::parameters::Word>,
            host: Option<$crate::logs::parameters::Word>,
            trace_id: Option<$crate::logs::parameters::Word>,
            request_id: Option<$crate::logs::parameters::Word>,
            session_id: Option<$crate::logs::parameters::Word>,
            user_id: Option<$crate::logs::parameters::Word>,
            flow_id: Option<$crate::logs::parameters::Word>,
            dataset: Option<$crate::logs::parameters::Word>,
            $($field: $type,)*
        }

        impl $name {
            /// The filter that they make together.
            fn filter(&self) -> Result<millpond_query::Filter, crate::error::ApiError> {
                use millpond_record::TextAttribute;
                let equal = [
                    (TextAttribute::Environment, &self.environment),
                    (TextAttribute::Host, &self.host),
                    (TextAttribute::TraceId, &self.trace_id),
                    (TextAttribute::RequestId, &self.request_id),
                    (TextAttribute::SessionId, &self.session_id),
                    (TextAttribute::UserId, &self.user_id),
                    (TextAttribute::FlowId, &self.flow_id),
                    (TextAttribute::Dataset, &self.dataset),
                ];
                $crate::logs::selection::select(self.q.as_ref(), &self.service, &self.level, &equal)
            }
        }
    };
}
pub(crate) use selecting;

/// The filter that parameters make together.
pub(crate) fn select(
    q: Option<&Word>,
    services: &Words,
    levels: &Words,
    equal: &[(TextAttribute, &Option<Word>)],
) -> Result<Filter, ApiError> {
    let mut filter = parse(q.map(|q| q.0.as_str()).unwrap_or_default())?;
    let services = services.0.iter();
    let services = services.map(|service| Filter::equals(TextAttribute::Service, service.as_str()));
    filter = filter.and(any(services.collect()));
    let levels = levels.listed().map(|name| level(name).map(|level| at(Comparison::Equal, level)));
    filter = filter.and(any(levels.collect::<Result<_, _>>()?));
    for (attribute, value) in equal {
        if let Some(Word(value)) = value {
            filter = filter.and(Filter::equals(*attribute, value.as_str()));
        }
    }
    Ok(filter)
}

/// The filter that `q`, `service` and `level` make together.
pub(crate) fn filter(
    q: Option<&str>,
    service: Option<&str>,
    level: Option<&str>,
) -> Result<Filter, ApiError> {
    let word = |text: Option<&str>| text.map(|text| Word(text.to_owned()));
    let words = |text: Option<&str>| Words(text.map(str::to_owned).into_iter().collect());
    select(word(q).as_ref(), &words(service), &words(level), &[])
}

/// Records whose level compares so.
pub(crate) fn at(comparison: Comparison, level: Level) -> Filter {
    Filter::Is(Condition { field: Field::Level, test: Test::Level(comparison, level) })
}

/// One of the filters; all records if there is none.
fn any(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        0 | 1 => filters.pop().unwrap_or(Filter::All),
        _ => Filter::Or(filters),
    }
}

fn level(name: &str) -> Result<Level, ApiError> {
    name.parse().map_err(|error| ApiError::parameter(format!("level: {error}")))
}
