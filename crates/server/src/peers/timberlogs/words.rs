//! The syntax of Timberlogs' search: words that must all be there, `"a phrase"`, `a OR b`, `-without`. Pure.

use millpond_query::{Field, Filter, Test};
use serde_json::{Value, json};

use crate::peers::filters::{all, any, contains, is};

/// A search, read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Search {
    required: Vec<String>,
    phrases: Vec<String>,
    excluded: Vec<String>,
    /// Of each group one must be there.
    optional: Vec<Vec<String>>,
}

/// One piece of a search.
#[derive(Debug, PartialEq)]
enum Piece {
    Word(String),
    Phrase(String),
    Excluded(String),
    Or,
}

impl Search {
    pub(super) fn read(text: &str) -> Self {
        let mut search = Self::default();
        let mut pieces = pieces(text).into_iter().peekable();
        while let Some(piece) = pieces.next() {
            let (text, is_phrase) = match piece {
                Piece::Word(text) => (text, false),
                Piece::Phrase(text) => (text, true),
                Piece::Excluded(text) => {
                    search.excluded.push(text);
                    continue;
                }
                // Nothing stands on one of its sides.
                Piece::Or => continue,
            };
            let mut group = vec![text];
            while pieces.next_if_eq(&Piece::Or).is_some() {
                match pieces.next_if(|piece| matches!(piece, Piece::Word(_) | Piece::Phrase(_))) {
                    Some(Piece::Word(text) | Piece::Phrase(text)) => group.push(text),
                    _ => break,
                }
            }
            match group.len() {
                1 if is_phrase => search.phrases.append(&mut group),
                1 => search.required.append(&mut group),
                _ => search.optional.push(group),
            }
        }
        search
    }

    /// Logs in which what is looked for stands in one of these fields.
    pub(super) fn filter(&self, fields: &[Field]) -> Filter {
        let in_fields = |text: &String| any(fields.iter().map(|field| has(field, text)).collect());
        let must = self.required.iter().chain(&self.phrases).map(in_fields);
        let one_of = self.optional.iter().map(|group| any(group.iter().map(in_fields).collect()));
        let without = self.excluded.iter().map(|text| Filter::Not(Box::new(in_fields(text))));
        all(must.chain(one_of).chain(without))
    }

    /// How it was understood.
    pub(super) fn parsed(&self) -> Value {
        json!({
            "required": self.required,
            "phrases": self.phrases,
            "excluded": self.excluded,
            "optional": self.optional.concat(),
        })
    }
}

/// A field with these words one behind the other; with this text, if there are no words in it.
fn has(field: &Field, text: &str) -> Filter {
    match text.chars().any(char::is_alphanumeric) {
        true => is(field.clone(), Test::Words { text: text.to_owned(), prefix: false }),
        false => contains(field.clone(), text),
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (is_excluded, start) = match rest.strip_prefix('-') {
            Some(behind) if behind.starts_with(|next: char| !next.is_whitespace()) => {
                (true, behind)
            }
            _ => (false, rest),
        };
        let (text, is_phrase, behind) = match start.strip_prefix('"') {
            // A phrase that is not closed goes to the end.
            Some(inside) => {
                let (text, behind) = inside.split_once('"').unwrap_or((inside, ""));
                (text.trim(), true, behind)
            }
            None => {
                let end = start.find(char::is_whitespace).unwrap_or(start.len());
                let (text, behind) = start.split_at_checked(end).unwrap_or((start, ""));
                (text, false, behind)
            }
        };
        rest = behind.trim_start();
        if !text.is_empty() {
            pieces.push(match (is_excluded, is_phrase) {
                (true, _) => Piece::Excluded(text.to_owned()),
                (false, true) => Piece::Phrase(text.to_owned()),
                (false, false) if text == "OR" => Piece::Or,
                (false, false) => Piece::Word(text.to_owned()),
            });
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> [Vec<String>; 4] {
        let Search { required, phrases, excluded, optional } = Search::read(text);
        [required, phrases, excluded, optional.concat()]
    }

    #[test]
    fn words_phrases_exclusions_and_alternatives_are_told_apart() {
        for (text, expected) in [
            ("payment failed", [vec!["payment", "failed"], vec![], vec![], vec![]]),
            (" \"card declined\"  late", [vec!["late"], vec!["card declined"], vec![], vec![]]),
            (
                "payment -test -\"dry run\"",
                [vec!["payment"], vec![], vec!["test", "dry run"], vec![]],
            ),
            ("a OR b OR \"c d\" e", [vec!["e"], vec![], vec![], vec!["a", "b", "c d"]]),
            ("OR a OR -b", [vec!["a"], vec![], vec!["b"], vec![]]),
            ("a or b - c", [vec!["a", "or", "b", "-", "c"], vec![], vec![], vec![]]),
            ("\"open", [vec![], vec!["open"], vec![], vec![]]),
            ("\"\" OR", [vec![], vec![], vec![], vec![]]),
        ] {
            assert_eq!(
                parsed(text),
                expected.map(|of| of.into_iter().map(str::to_owned).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_may_stand_in_any_of_the_fields_and_each_group_needs_one() {
        let fields = [Field::Words, Field::Exception("type".to_owned())];
        let filter = Search::read("a OR b c OR d -e").filter(&fields);
        let text = filter.to_string();
        assert_eq!(
            text,
            "((a OR exception.type:a) OR (b OR exception.type:b)) ((c OR exception.type:c) OR (d OR exception.type:d)) -(e OR exception.type:e)"
        );
    }
}
