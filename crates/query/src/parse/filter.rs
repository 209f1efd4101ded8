//! The part of a query that selects records.

use millpond_record::{TextAttribute, Timestamp};

use super::{ParseError, Parser, starts_name, text::Value};
use crate::{
    Comparison, Condition, DEPTH_MAX, Field, Filter, Pattern, REGEX_BYTES_MAX, REGEXES_MAX,
    TERMS_MAX, Test, WORDS_BYTES_MAX, words::words,
};

const TERM: &str = "a word, a phrase, `field:value` or `(`";

impl Parser<'_> {
    /// Reads a filter up to the end or the first pipe. Nothing selects everything.
    pub(super) fn filter(&mut self) -> Result<Filter, ParseError> {
        match self.peek() {
            None | Some('|') => Ok(Filter::All),
            Some(_) => self.or(None),
        }
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
                None | Some(')' | '|') => true,
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
        self.check_depth(self.depth)?;
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

    fn check_depth(&mut self, depth: usize) -> Result<(), ParseError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("at most {DEPTH_MAX} nested parentheses and negations")));
        }
        Ok(())
    }

    fn term(&mut self, field: Option<&Field>) -> Result<Filter, ParseError> {
        if self.peek() == Some('(') {
            return self.group(field);
        }
        for operator in ["OR", "AND", "NOT"] {
            let here = self.at;
            if self.keyword(operator) {
                self.at = here;
                return Err(self.error(TERM));
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
        if !self.take(')') {
            return Err(self.error("`)`"));
        }
        Ok(filter)
    }

    /// Takes `name:` if it is next. A URL is no field: `http://x` is a word.
    fn field_name(&mut self) -> Result<Option<String>, ParseError> {
        let start = self.at;
        let name = self.name()?;
        if starts_name(&name) && self.rest().starts_with(':') && !self.rest().starts_with("://") {
            self.at += 1;
            return Ok(Some(name));
        }
        self.at = start;
        Ok(None)
    }

    fn test(&mut self, field: &Field) -> Result<Filter, ParseError> {
        self.count_term()?;
        if *field != Field::Words && self.rest().starts_with(['[', '{']) {
            return self.range(field);
        }
        if let Some(test) = self.regex(field)? {
            return Ok(condition(field, test));
        }
        let comparison = self.comparison(field);
        let expected = if *field == Field::Words { TERM } else { "a value" };
        let value = self.value(&[], expected)?;
        let words = searches_words(field) && comparison.is_none();
        let test = match value.whole() {
            Some(text) if words => self.words(&value, text, false)?,
            Some(text) => {
                self.compare(field, comparison.unwrap_or(Comparison::Equal), text, value.start)?
            }
            None if !matches!(comparison, None | Some(Comparison::Equal)) => {
                let expected = "a value to compare with, without `*`";
                return Err(self.error_since(value.start, expected));
            }
            None if value.is_star() && *field == Field::Words => return Ok(Filter::All),
            None if value.is_star() => Test::Exists,
            None if !is_text(field) => {
                return Err(self.error_since(value.start, "a whole value, without `*`"));
            }
            None => match value.pieces.as_slice() {
                [text, end] if words && end.is_empty() => self.words(&value, text, true)?,
                pieces => Test::Pattern(pattern(pieces)),
            },
        };
        Ok(condition(field, test))
    }

    fn count_term(&mut self) -> Result<(), ParseError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.error(format!("at most {TERMS_MAX} terms")));
        }
        Ok(())
    }

    /// Takes `[a TO b]`: the same as two comparisons.
    fn range(&mut self, field: &Field) -> Result<Filter, ParseError> {
        if matches!(field, Field::Tags | Field::Fields) {
            // Two comparisons may hold for two different values.
            let name = field.name();
            let expected = format!("a value or a comparison, as a record may have many {name}");
            return Err(self.error(expected));
        }
        let included = self.rest().starts_with('[');
        let above = if included { Comparison::GreaterOrEqual } else { Comparison::Greater };
        self.at += 1;
        let from = self.bound()?;
        if !self.keyword("TO") {
            return Err(self.error("`TO` and the end of the range (a text with `[` is quoted)"));
        }
        let to = self.bound()?;
        let below = match self.peek() {
            Some(']') => Comparison::LessOrEqual,
            Some('}') => Comparison::Less,
            _ => return Err(self.error("`]` or `}`")),
        };
        let mut tests = Vec::new();
        for (comparison, bound) in [(above, &from), (below, &to)] {
            if let Some(text) = bound.whole() {
                let test = self.compare(field, comparison, text, bound.start)?;
                tests.push(condition(field, test));
            }
        }
        self.at += 1;
        if tests.is_empty() {
            return Ok(condition(field, Test::Exists));
        }
        if tests.len() > 1 {
            // It is written back as two terms, which may need parentheses.
            self.count_term()?;
            self.check_depth(self.depth + 1)?;
        }
        Ok(one_or(tests, Filter::And))
    }

    /// Takes one end of a range: a value, or a star where it is open.
    fn bound(&mut self) -> Result<Value, ParseError> {
        let expected = "a value, or `*` for an open end";
        self.peek();
        let value = self.value(&[']', '}'], expected)?;
        if value.whole().is_none() && !value.is_star() {
            return Err(self.error_since(value.start, expected));
        }
        Ok(value)
    }

    /// Takes `/…/` if it is next.
    fn regex(&mut self, field: &Field) -> Result<Option<Test>, ParseError> {
        let start = self.at;
        let Some(written) = self.slashed() else { return Ok(None) };
        if !is_text(field) {
            return Err(self.error_since(start, "a value, no regular expression"));
        }
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            let expected = format!("at most {REGEXES_MAX} regular expressions");
            return Err(self.error_since(start, expected));
        }
        let pattern = without_escaped_slashes(written);
        if let Err(error) = regex_syntax::Parser::new().parse(&pattern) {
            let (reason, offset) = match &error {
                regex_syntax::Error::Parse(error) => {
                    (error.kind().to_string(), error.span().start.offset)
                }
                regex_syntax::Error::Translate(error) => {
                    (error.kind().to_string(), error.span().start.offset)
                }
                other => (other.to_string(), 0),
            };
            // Each slash is a character longer as it is written.
            let slashes = pattern.get(..offset).unwrap_or_default().matches('/').count();
            let at = start + 1 + offset + slashes;
            return Err(self.error_at(at, "a regular expression", format!("an error: {reason}")));
        }
        let compiled = regex::RegexBuilder::new(&pattern).size_limit(REGEX_BYTES_MAX).build();
        if compiled.is_err() {
            let expected =
                format!("a regular expression of at most {REGEX_BYTES_MAX} bytes when compiled");
            return Err(self.error_since(start, expected));
        }
        Ok(Some(Test::Regex(pattern)))
    }

    /// A comparison of the field with a text, which must be one of the field's.
    fn compare(
        &self,
        field: &Field,
        comparison: Comparison,
        text: &str,
        start: usize,
    ) -> Result<Test, ParseError> {
        match field {
            Field::Level => match text.parse() {
                Ok(level) => return Ok(Test::Level(comparison, level)),
                Err(_) => {
                    let expected =
                        "a level: trace, debug, info, warn, error, critical or a synonym";
                    return Err(self.error_at(start, expected, super::shown(text)));
                }
            },
            Field::Time => {
                if let Err(error) = Timestamp::parse(text) {
                    return Err(self.error_at(start, "a time", error.to_string()));
                }
            }
            Field::StepIndex | Field::SeverityNumber if text.parse::<u32>().is_err() => {
                return Err(self.error_at(start, "a whole number", super::shown(text)));
            }
            _ => {}
        }
        Ok(Test::Compare(comparison, text.to_owned()))
    }

    fn words(&self, value: &Value, text: &str, prefix: bool) -> Result<Test, ParseError> {
        if words(text).next().is_none() {
            let expected = "a word with a letter or digit in it";
            return Err(self.error_since(value.start, expected));
        }
        if text.len() > WORDS_BYTES_MAX {
            let expected = format!("at most {WORDS_BYTES_MAX} bytes of words");
            return Err(self.error_at(value.start, expected, format!("{} bytes", text.len())));
        }
        Ok(Test::Words { text: text.to_owned(), prefix })
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
}

/// A test of the field. Where none was named, words are looked for as such and all else in the message.
fn condition(field: &Field, test: Test) -> Filter {
    let field = match (field, &test) {
        (Field::Words, Test::Words { .. }) => Field::Words,
        (Field::Words, _) => Field::Text(TextAttribute::Message),
        (field, _) => field.clone(),
    };
    Filter::Is(Condition { field, test })
}

/// Whether a text behind the field is looked for by its words, unless a sign says otherwise.
fn searches_words(field: &Field) -> bool {
    matches!(field, Field::Words | Field::Text(TextAttribute::Message) | Field::Fields)
}

/// Whether the values of the field are texts, or may be.
fn is_text(field: &Field) -> bool {
    !matches!(field, Field::Time | Field::Level | Field::StepIndex | Field::SeverityNumber)
}

fn pattern(pieces: &[String]) -> Pattern {
    let last = pieces.len().saturating_sub(1);
    let kept = pieces.iter().enumerate();
    // Nothing between two stars says nothing.
    let kept =
        kept.filter(|(place, piece)| matches!(*place, 0) || *place == last || !piece.is_empty());
    Pattern { pieces: kept.map(|(_, piece)| piece.clone()).collect() }
}

/// What was written between slashes, where a slash can't stand for itself.
fn without_escaped_slashes(written: &str) -> String {
    let mut pattern = String::with_capacity(written.len());
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            pattern.push(character);
            continue;
        }
        match characters.next() {
            Some('/') => pattern.push('/'),
            Some(other) => pattern.extend(['\\', other]),
            None => pattern.push('\\'),
        }
    }
    pattern
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}
