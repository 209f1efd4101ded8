//! [`Filter`] -> query text that reads back as the same filter.

use std::fmt;

use crate::{Comparison, Condition, Field, Filter, Test, parse::is_name};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::And(parts) => joined(f, parts, " "),
            Self::Or(parts) => joined(f, parts, " OR "),
            Self::Not(part) => {
                f.write_str("-")?;
                grouped(f, part)
            }
            Self::Is(condition) => condition.fmt(f),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Filter], between: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        grouped(f, part)?;
    }
    Ok(())
}

/// In parentheses if the part is joined from others.
fn grouped(f: &mut fmt::Formatter<'_>, part: &Filter) -> fmt::Result {
    match part {
        Filter::And(_) | Filter::Or(_) => write!(f, "({part})"),
        _ => write!(f, "{part}"),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.field.fmt(f)?;
        match &self.test {
            Test::Words { text, prefix } => {
                write!(f, "{}{}", Quoted(text), if *prefix { "*" } else { "" })
            }
            Test::Compare(comparison, text) => {
                // The message is searched by its words unless a sign says otherwise.
                let message = self.field == Field::Text(millpond_record::TextAttribute::Message);
                let sign = if message && *comparison == Comparison::Equal {
                    "="
                } else {
                    comparison.sign()
                };
                write!(f, "{sign}{}", Quoted(text))
            }
            Test::Level(comparison, level) => write!(f, "{}{level}", comparison.sign()),
            Test::Pattern(pattern) => {
                for (place, piece) in pattern.pieces.iter().enumerate() {
                    if place > 0 {
                        f.write_str("*")?;
                    }
                    if !piece.is_empty() {
                        write!(f, "{}", Quoted(piece))?;
                    }
                }
                Ok(())
            }
            Test::Regex(pattern) => write!(f, "/{}/", pattern.replace('/', "\\/")),
            Test::Exists => f.write_str("*"),
        }
    }
}

impl fmt::Display for Field {
    /// The field's name and the colon behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words => Ok(()),
            Self::Time => f.write_str("time:"),
            Self::Level => f.write_str("level:"),
            Self::Text(attribute) => write!(f, "{}:", attribute.name()),
            Self::SeverityNumber => f.write_str("severity_number:"),
            Self::StepIndex => f.write_str("step_index:"),
            Self::Tags => f.write_str("tags:"),
            Self::Template => f.write_str("template:"),
            Self::Exception(path) if path.chars().all(is_name) => write!(f, "exception.{path}:"),
            Self::Exception(path) => write!(f, "{}:", Quoted(&format!("exception.{path}"))),
            Self::Path(path) if path.chars().all(is_name) => write!(f, "fields.{path}:"),
            Self::Path(path) => write!(f, "{}:", Quoted(&format!("fields.{path}"))),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty()
            && self.0.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if plain && !matches!(self.0, "OR" | "AND" | "NOT") {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use millpond_record::{Level, TextAttribute};
    use proptest::prelude::*;

    use super::*;
    use crate::parse;

    fn condition() -> impl Strategy<Value = Filter> {
        let text = "[a-zA-Z0-9 \"\\\\*().:<=>_-]{0,8}|OR|NOT|日本";
        let word = "[a-z ]{0,3}[a-zA-Z0-9ß\"\\\\*]{0,3}x";
        let comparison = prop_oneof![
            Just(Comparison::Equal),
            Just(Comparison::Less),
            Just(Comparison::LessOrEqual),
            Just(Comparison::Greater),
            Just(Comparison::GreaterOrEqual),
        ];
        let field = prop_oneof![
            "[a-zé.-]{1,5}|a b|x\"".prop_map(|path| Field::Path(format!("p{path}"))),
            Just(Field::Text(TextAttribute::TraceId)),
            Just(Field::Text(TextAttribute::Message)),
            Just(Field::Tags),
        ];
        prop_oneof![
            (word, any::<bool>())
                .prop_map(|(text, prefix)| (Field::Words, Test::Words { text, prefix })),
            (field.clone(), comparison.clone(), text)
                .prop_map(|(field, c, text)| (field, Test::Compare(c, text))),
            Just((
                Field::Text(TextAttribute::Service),
                Test::Pattern(crate::Pattern::prefix("a b"))
            )),
            Just((Field::Path("p".into()), Test::Exists)),
            (comparison, prop::sample::select(Level::ALL.to_vec()))
                .prop_map(|(c, level)| (Field::Level, Test::Level(c, level))),
        ]
        .prop_map(|(field, test)| Filter::Is(Condition { field, test }))
    }

    fn filter() -> impl Strategy<Value = Filter> {
        condition().prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
                inner.prop_map(|part| Filter::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_written_filter_reads_back_the_same(filter in filter()) {
            let written = filter.to_string();
            prop_assert_eq!(parse(&written), Ok(filter), "{}", written);
        }

        #[test]
        fn any_text_is_a_query_or_an_error_but_never_a_panic(text in any::<String>()) {
            if let Ok(filter) = parse(&text) {
                prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
            }
        }

        #[test]
        fn text_of_the_language_is_never_a_panic(text in r#"[a-c:"*()<>=\\ -]{0,20}( OR | AND |NOT )?[a-c:"*()<>=\\ -]{0,8}"#) {
            if let Ok(filter) = parse(&text) {
                prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
            }
        }
    }
}
