//! What the parameters of other systems mean as a filter. Pure.

use millpond_query::{Comparison, Condition, Field, Filter, Test};
use millpond_record::Level;

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
        assert_eq!(words("!?"), is(Field::Words, Test::Regex(r"(?i)!\?".to_owned())));
    }
}
