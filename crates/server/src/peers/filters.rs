//! What the parameters of other systems mean as a filter. Pure.

use millpond_query::{Comparison, Condition, Field, Filter, REGEXES_MAX, TERMS_MAX, Test};
use millpond_record::Level;

use crate::error::ApiError;

/// The filter that a request's parameters make, if our own language could say it: what an engine recurses over, and
/// compiles, is limited there.
pub(super) fn limited(filter: Filter) -> Result<Filter, ApiError> {
    let conditions = filter.conditions();
    let terms = conditions.len();
    if terms > TERMS_MAX {
        let message =
            format!("the parameters make {terms} conditions, expected at most {TERMS_MAX}");
        return Err(ApiError::query(message));
    }
    let is_regex = |condition: &&&Condition| matches!(condition.test, Test::Regex(_));
    let regexes = conditions.iter().filter(is_regex).count();
    if regexes > REGEXES_MAX {
        let message = format!(
            "the parameters look for {regexes} parts of words, expected at most {REGEXES_MAX}"
        );
        return Err(ApiError::query(message));
    }
    Ok(filter)
}

/// Records whose field passes the test.
pub(super) fn is(field: Field, test: Test) -> Filter {
    Filter::Is(Condition { field, test })
}

/// Records whose field is exactly this.
pub(super) fn equals(field: Field, value: impl Into<String>) -> Filter {
    is(field, Test::Compare(Comparison::Equal, value.into()))
}

/// Records that have the field.
pub(crate) fn exists(field: Field) -> Filter {
    is(field, Test::Exists)
}

/// Records of exactly this level.
pub(super) fn at_level(level: Level) -> Filter {
    is(Field::Level, Test::Level(Comparison::Equal, level))
}

/// Records that satisfy one of the filters; all of them if there is none.
pub(super) fn any(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        0 | 1 => filters.pop().unwrap_or(Filter::All),
        _ => Filter::Or(filters),
    }
}

/// Records that satisfy all of the filters.
pub(super) fn all(filters: impl IntoIterator<Item = Filter>) -> Filter {
    filters.into_iter().fold(Filter::All, Filter::and)
}

/// Records whose field contains this text, in any case.
pub(super) fn contains(field: Field, text: &str) -> Filter {
    is(field, Test::Regex(format!("(?i){}", regex_syntax::escape(text))))
}

/// Records in whose message each of these words stands, in any order and any case. A text without words is looked for
/// as it is.
pub(super) fn words(text: &str) -> Filter {
    let terms: Vec<Filter> = text.split_whitespace().filter_map(term).collect();
    match terms.is_empty() {
        true if text.trim().is_empty() => Filter::All,
        true => contains(Field::Words, text.trim()),
        false => all(terms),
    }
}

fn term(text: &str) -> Option<Filter> {
    let has_word = text.chars().any(char::is_alphanumeric);
    has_word.then(|| is(Field::Words, Test::Words { text: text.to_owned(), prefix: false }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_all_of_its_words_whatever_signs_stand_between() {
        let word =
            |text: &str| is(Field::Words, Test::Words { text: text.to_owned(), prefix: false });
        assert_eq!(words("time:out"), word("time:out"));
        assert_eq!(
            words(" connection  (refused -- "),
            Filter::And(vec![word("connection"), word("(refused"),])
        );
        assert_eq!(words("  "), Filter::All);
        assert!(limited(words(&"a ".repeat(TERMS_MAX))).is_ok());
        assert!(limited(words(&"a ".repeat(TERMS_MAX + 1))).is_err());
        let parts = |count| all(vec![contains(Field::Words, "?"); count]);
        assert!(limited(parts(REGEXES_MAX)).is_ok() && limited(parts(REGEXES_MAX + 1)).is_err());
        assert_eq!(words("!?"), is(Field::Words, Test::Regex(r"(?i)!\?".to_owned())));
    }
}
