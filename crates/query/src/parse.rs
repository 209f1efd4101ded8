//! Query text -> [`Filter`], or where it is wrong and what was expected there.

use millpond_record::Timestamp;

use crate::{
    Comparison, Condition, DEPTH_MAX, Field, Filter, Pattern, QUERY_BYTES_MAX, TERMS_MAX, Test,
    WORDS_BYTES_MAX, words::words,
};

/// The query is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query is wrong at character {position}: expected {expected}, found {found}")]
pub struct ParseError {
    /// Where, in characters from 1.
    pub position: usize,
    /// What would have been right there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// Reads a query. Empty text, and `*`, select everything.
///
/// # Errors
/// The text is no query; the error says where and what was expected.
pub fn parse(text: &str) -> Result<Filter, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let found = format!("{} bytes", text.len());
        return Err(ParseError {
            position: 1,
            expected: format!("at most {QUERY_BYTES_MAX} bytes"),
            found,
        });
    }
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0 };
    if parser.peek().is_none() {
        return Ok(Filter::All);
    }
    let filter = parser.or(None)?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.error("`AND`, `OR` or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
}

/// A text of the query, without its quotes.
struct Text {
    value: String,
    /// It ended with `*`.
    prefix: bool,
    start: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and tells the next character.
    fn peek(&mut self) -> Option<char> {
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn error(&mut self, expected: impl Into<String>) -> ParseError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(_) => format!("`{}`", self.rest().chars().take(20).collect::<String>()),
        };
        self.error_at(self.at, expected, found)
    }

    fn error_at(
        &self,
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ParseError {
        let position = self.text.get(..at).unwrap_or_default().chars().count() + 1;
        ParseError { position, expected: expected.into(), found: found.into() }
    }

    /// Takes an operator word if it is next and stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.rest().strip_prefix(word).is_some_and(|after| {
            after
                .chars()
                .next()
                .is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')' | '"'))
        });
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn or(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        let mut parts = vec![self.and(field)?];
        while self.keyword("OR") {
            parts.push(self.and(field)?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    fn and(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        let mut parts = vec![self.not(field)?];
        loop {
            let joined = self.keyword("AND");
            let ends = match self.peek() {
                None | Some(')') => true,
                Some(_) => {
                    let here = self.at;
                    let or = self.keyword("OR");
                    self.at = here;
                    or
                }
            };
            if ends && !joined {
                return Ok(one_or(parts, Filter::And));
            }
            parts.push(self.not(field)?);
        }
    }

    fn not(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("at most {DEPTH_MAX} nested parentheses and negations")));
        }
        let dash = self.peek() == Some('-');
        let filter = if dash || self.keyword("NOT") {
            self.at += usize::from(dash);
            if dash && self.rest().chars().next().is_none_or(char::is_whitespace) {
                return Err(self.error_at(
                    self.at,
                    "a term right behind `-`",
                    "a space or the end",
                ));
            }
            Filter::Not(Box::new(self.not(field)?))
        } else {
            self.term(field)?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        if self.peek() == Some('(') {
            return self.group(field);
        }
        for operator in ["OR", "AND", "NOT"] {
            let here = self.at;
            if self.keyword(operator) {
                self.at = here;
                return Err(self.error("a word, a phrase, `field:value` or `(`"));
            }
        }
        if field.is_none()
            && let Some(name) = self.field_name()?
        {
            let field = Field::named(&name);
            return if self.rest().starts_with('(') {
                self.group(Some(&field))
            } else {
                self.test(&field)
            };
        }
        self.test(field.unwrap_or(&Field::Words))
    }

    fn group(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        self.at += 1;
        let filter = self.or(field)?;
        if self.peek() != Some(')') {
            return Err(self.error("`)`"));
        }
        self.at += 1;
        Ok(filter)
    }

    /// Takes `name:` if it is next. A URL is no field: `http://x` is a word.
    fn field_name(&mut self) -> Result<Option<String>, ParseError> {
        let start = self.at;
        let name = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            let rest = self.rest();
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            self.at += end;
            name.to_owned()
        };
        let named = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$'));
        if named && self.rest().starts_with(':') && !self.rest().starts_with("://") {
            self.at += 1;
            return Ok(Some(name));
        }
        self.at = start;
        Ok(None)
    }

    fn test(&mut self, field: &Field) -> Result<Filter, ParseError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.error(format!("at most {TERMS_MAX} terms")));
        }
        let comparison = self.comparison(field);
        let text = self.value(field)?;
        let found = format!("`{}`", text.value);
        let exists = text.prefix && text.value.is_empty();
        if comparison.is_some() && text.prefix {
            return Err(self.error_at(
                text.start,
                "a value to compare with, without `*`",
                format!("{found} and `*`"),
            ));
        }
        if exists {
            let words = *field == Field::Words;
            return Ok(if words {
                Filter::All
            } else {
                Filter::Is(Condition { field: field.clone(), test: Test::Exists })
            });
        }
        if text.prefix
            && matches!(
                field,
                Field::Time | Field::Level | Field::StepIndex | Field::SeverityNumber
            )
        {
            return Err(self.error_at(
                text.start,
                "a whole value, without `*`",
                format!("{found} and `*`"),
            ));
        }
        let equal = comparison.unwrap_or(Comparison::Equal);
        let test = match field {
            Field::Words => self.words(&text)?,
            Field::Text(millpond_record::TextAttribute::Message) if comparison.is_none() => {
                self.words(&text)?
            }
            Field::Level => match text.value.parse() {
                Ok(level) => Test::Level(equal, level),
                Err(_) => {
                    let expected =
                        "a level: trace, debug, info, warn, error, critical or a synonym";
                    return Err(self.error_at(text.start, expected, found));
                }
            },
            Field::Time => match Timestamp::parse(&text.value) {
                Ok(_) => Test::Compare(equal, text.value),
                Err(error) => return Err(self.error_at(text.start, "a time", error.to_string())),
            },
            Field::StepIndex | Field::SeverityNumber if text.value.parse::<u32>().is_err() => {
                return Err(self.error_at(text.start, "a whole number", found));
            }
            _ if text.prefix => Test::Pattern(Pattern::prefix(text.value)),
            _ => Test::Compare(equal, text.value),
        };
        Ok(Filter::Is(Condition { field: field.clone(), test }))
    }

    fn words(&self, text: &Text) -> Result<Test, ParseError> {
        if words(&text.value).next().is_none() {
            let expected = "a word with a letter or digit in it";
            return Err(self.error_at(text.start, expected, format!("`{}`", text.value)));
        }
        if text.value.len() > WORDS_BYTES_MAX {
            let expected = format!("at most {WORDS_BYTES_MAX} bytes of words");
            return Err(self.error_at(text.start, expected, format!("{} bytes", text.value.len())));
        }
        Ok(Test::Words { text: text.value.clone(), prefix: text.prefix })
    }

    fn comparison(&mut self, field: &Field) -> Option<Comparison> {
        if *field == Field::Words {
            return None;
        }
        let rest = self.rest();
        let (sign, comparison) = [
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
            ("=", Comparison::Equal),
        ]
        .into_iter()
        .find(|(sign, _)| rest.starts_with(sign))?;
        self.at += sign.len();
        Some(comparison)
    }

    fn value(&mut self, field: &Field) -> Result<Text, ParseError> {
        let start = self.at;
        let in_place = self.rest().chars().next().filter(|c| !c.is_whitespace());
        let quoted = in_place == Some('"');
        let mut value = if quoted {
            self.quoted()?
        } else {
            let rest = self.rest();
            let end = rest
                .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
                .unwrap_or(rest.len());
            self.at += end;
            rest.get(..end).unwrap_or_default().to_owned()
        };
        // A star directly behind a quoted text counts as well: "a b"*.
        let mut prefix = false;
        if quoted {
            prefix = self.rest().starts_with('*');
            self.at += usize::from(prefix);
        } else if let Some(stem) = value.strip_suffix('*') {
            value = stem.to_owned();
            prefix = true;
        }
        if value.is_empty() && !quoted && !prefix {
            let expected = if *field == Field::Words {
                "a word, a phrase, `field:value` or `(`"
            } else {
                "a value"
            };
            return Err(self.error(expected));
        }
        Ok(Text { value, prefix, start })
    }

    /// Reads a quoted text, `\"` and `\\` being the quote and the backslash.
    fn quoted(&mut self) -> Result<String, ParseError> {
        let opening = self.at;
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += offset + 1;
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(self.error_at(opening, "a closing `\"`", "the end"))
    }
}

pub(crate) fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '@' | '/' | '$')
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

#[cfg(test)]
mod tests {
    use millpond_record::{Level, TextAttribute};

    use super::*;

    fn words_of(text: &str) -> Filter {
        Filter::Is(Condition {
            field: Field::Words,
            test: Test::Words { text: text.into(), prefix: false },
        })
    }

    fn path(name: &str, comparison: Comparison, value: &str) -> Filter {
        Filter::Is(Condition {
            field: Field::Path(name.into()),
            test: Test::Compare(comparison, value.into()),
        })
    }

    #[test]
    fn words_phrases_and_fields_are_joined_by_and() {
        let level =
            Condition { field: Field::Level, test: Test::Level(Comparison::Equal, Level::Error) };
        assert_eq!(
            parse(r#"level:ERROR service:api "did not respond" -healthz duration_ms:>500"#)
                .unwrap(),
            Filter::And(vec![
                Filter::Is(level),
                Filter::equals(TextAttribute::Service, "api"),
                words_of("did not respond"),
                Filter::Not(Box::new(words_of("healthz"))),
                path("duration_ms", Comparison::Greater, "500"),
            ])
        );
    }

    #[test]
    fn or_binds_weaker_than_and_and_parentheses_group() {
        let [a, b, c] = ["a", "b", "c"].map(words_of);
        let or = |parts: &[&Filter]| Filter::Or(parts.iter().map(|&part| part.clone()).collect());
        let and = |parts: &[&Filter]| Filter::And(parts.iter().map(|&part| part.clone()).collect());
        assert_eq!(parse("a b OR c").unwrap(), or(&[&and(&[&a, &b]), &c]));
        assert_eq!(parse("a AND (b OR c)").unwrap(), and(&[&a, &or(&[&b, &c])]));
        assert_eq!(parse("NOT (a b)").unwrap(), Filter::Not(Box::new(and(&[&a, &b]))));
        assert_eq!(parse("(a)OR(b)").unwrap(), or(&[&a, &b]));
    }

    #[test]
    fn a_field_holds_for_a_group() {
        assert_eq!(
            parse("n:(1 OR >5)").unwrap(),
            Filter::Or(vec![
                path("n", Comparison::Equal, "1"),
                path("n", Comparison::Greater, "5")
            ])
        );
    }

    #[test]
    fn prefixes_existence_and_odd_words_are_understood() {
        let prefix = Condition {
            field: Field::Text(TextAttribute::UserId),
            test: Test::Pattern(Pattern::prefix("u_1")),
        };
        assert_eq!(parse("user_id:u_1*").unwrap(), Filter::Is(prefix));
        let exists = Condition { field: Field::Path("a.b".into()), test: Test::Exists };
        assert_eq!(parse("fields.a.b:*").unwrap(), Filter::Is(exists));
        assert_eq!(parse("12:30:01").unwrap(), words_of("12:30:01"));
        assert_eq!(parse("http://x/y?z=1").unwrap(), words_of("http://x/y?z=1"));
        assert_eq!(parse(r#""a b":"c \"d\"""#).unwrap(), path("a b", Comparison::Equal, "c \"d\""));
        assert_eq!(parse("ORDER").unwrap(), words_of("ORDER"));
        assert_eq!(parse("").unwrap(), Filter::All);
        assert_eq!(parse("*").unwrap(), Filter::All);
        let start = Condition {
            field: Field::Words,
            test: Test::Words { text: "conn".into(), prefix: true },
        };
        assert_eq!(parse("conn*").unwrap(), Filter::Is(start));
    }

    #[test]
    fn an_error_names_position_and_expectation() {
        for (text, message) in [
            ("level:", "query is wrong at character 7: expected a value, found the end"),
            (
                "level:loud x",
                "query is wrong at character 7: expected a level: trace, debug, info, warn, error, critical or a synonym, found `loud`",
            ),
            ("(a", "query is wrong at character 3: expected `)`, found the end"),
            ("a)", "query is wrong at character 2: expected `AND`, `OR` or the end, found `)`"),
            ("ä \"b", "query is wrong at character 3: expected a closing `\"`, found the end"),
            (
                "a OR",
                "query is wrong at character 5: expected a word, a phrase, `field:value` or `(`, found the end",
            ),
            (
                "OR a",
                "query is wrong at character 1: expected a word, a phrase, `field:value` or `(`, found `OR a`",
            ),
            (
                "a AND",
                "query is wrong at character 6: expected a word, a phrase, `field:value` or `(`, found the end",
            ),
            (
                "- a",
                "query is wrong at character 2: expected a term right behind `-`, found a space or the end",
            ),
            (
                "...",
                "query is wrong at character 1: expected a word with a letter or digit in it, found `...`",
            ),
            (
                "n:>5*",
                "query is wrong at character 4: expected a value to compare with, without `*`, found `5` and `*`",
            ),
            (
                "level:err*",
                "query is wrong at character 7: expected a whole value, without `*`, found `err` and `*`",
            ),
            ("step_index:x", "query is wrong at character 12: expected a whole number, found `x`"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
        assert!(parse("time:>soon").unwrap_err().to_string().contains("is no time"));
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"(".repeat(1000)).unwrap_err().to_string().contains("at most 64 nested"));
        assert!(parse(&"-".repeat(1000)).is_err());
        assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
        assert!(
            parse(&"a ".repeat(TERMS_MAX + 1))
                .unwrap_err()
                .to_string()
                .contains("at most 1024 terms")
        );
        assert!(parse(&"a".repeat(WORDS_BYTES_MAX)).is_ok());
        assert!(
            parse(&"a".repeat(WORDS_BYTES_MAX + 1))
                .unwrap_err()
                .to_string()
                .contains("at most 4096 bytes")
        );
    }
}
