//! Query text -> [`Query`] or [`Filter`], or where it is wrong and what was expected there.
//!
//! Here are the ways in and what all parts of the parser share: where it stands, how it looks ahead, how it complains.
//! `text` reads the smallest pieces, `filter` what selects records, `pipes` what is made of them.

mod filter;
mod pipes;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use text::{is_name, starts_name};

use crate::{Filter, QUERY_BYTES_MAX, Query};

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

/// Reads a filter: a query without pipes. Empty text, and `*`, select everything.
///
/// # Errors
/// The text is no filter; the error says where and what was expected.
pub fn parse(text: &str) -> Result<Filter, ParseError> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    match parser.peek() {
        None => Ok(filter),
        Some('|') => Err(parser.error("the end, as this place takes a filter without pipes")),
        Some(_) => Err(parser.error("`AND`, `OR` or the end")),
    }
}

/// Reads a query: a filter, which may be empty, and pipes.
///
/// # Errors
/// The text is no query; the error says where and what was expected.
pub fn parse_query(text: &str) -> Result<Query, ParseError> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    match parser.peek() {
        None | Some('|') => parser.pipes(filter),
        Some(_) => Err(parser.error("`AND`, `OR`, `|` or the end")),
    }
}

/// Characters of the text that an error shows.
const SHOWN_CHARACTERS: usize = 40;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
    regexes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, ParseError> {
        let parser = Self { text, at: 0, depth: 0, terms: 0, regexes: 0 };
        if text.len() > QUERY_BYTES_MAX {
            let found = format!("{} bytes", text.len());
            return Err(parser.error_at(0, format!("at most {QUERY_BYTES_MAX} bytes"), found));
        }
        Ok(parser)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and tells the next character.
    fn peek(&mut self) -> Option<char> {
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
        trimmed.chars().next()
    }

    /// Skips white space and takes the character if it is next.
    fn take(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    /// Skips white space and takes an operator word if it is next and stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.rest().strip_prefix(word).is_some_and(|after| {
            after
                .chars()
                .next()
                .is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')' | '"' | '|'))
        });
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// What comes next is not what was expected.
    fn error(&mut self, expected: impl Into<String>) -> ParseError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(_) => shown(self.rest()),
        };
        self.error_at(self.at, expected, found)
    }

    /// What was read from `start` on is not what was expected.
    fn error_since(&self, start: usize, expected: impl Into<String>) -> ParseError {
        let found = shown(self.text.get(start..self.at).unwrap_or_default());
        self.error_at(start, expected, found)
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
}

/// The start of a text, in quotes.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("`{start}{more}`")
}
