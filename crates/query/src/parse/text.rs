//! The smallest pieces of a query: quoted texts, names, values with stars in them, regular expressions.

use super::{ParseError, Parser};

/// Whether the character may stand in a name that is not quoted.
pub(crate) fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '@' | '/' | '$')
}

/// Whether a text that starts so may be the name of a field, quoted or not: `12:30` is none.
pub(crate) fn starts_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$'))
}

/// A value of the query, its quotes and escapes undone.
pub(super) struct Value {
    /// The texts between the stars; one if there is no star, else two or more.
    pub(super) pieces: Vec<String>,
    /// Where it starts.
    pub(super) start: usize,
}

impl Value {
    /// The value if it has no star.
    pub(super) fn whole(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [whole] => Some(whole),
            _ => None,
        }
    }

    /// Whether it is a star and nothing else.
    pub(super) fn is_star(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(String::is_empty)
    }
}

impl<'a> Parser<'a> {
    /// Takes the name that is next, without its quotes; nothing if there is none.
    pub(super) fn name(&mut self) -> Result<String, ParseError> {
        if self.peek() == Some('"') { self.quoted() } else { Ok(self.bare_name().to_owned()) }
    }

    /// Takes the characters that may stand in a name without quotes.
    pub(super) fn bare_name(&mut self) -> &'a str {
        self.peek();
        let rest = self.rest();
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes the value that is next, texts and quoted texts with stars between them. Without quotes it ends at white
    /// space, at a character that the language needs and at one of `ends`; behind quotes only a star goes on.
    pub(super) fn value(&mut self, ends: &[char], expected: &str) -> Result<Value, ParseError> {
        let start = self.at;
        let mut pieces = Vec::new();
        loop {
            pieces.push(if self.rest().starts_with('"') {
                self.quoted()?
            } else {
                self.bare(ends)
            });
            let stars = self.rest().bytes().take_while(|&byte| byte == b'*').count();
            if stars == 0 {
                break;
            }
            self.at += stars;
        }
        if self.at == start {
            return Err(self.error(expected));
        }
        Ok(Value { pieces, start })
    }

    /// Takes a text without quotes up to a star. `\*` is a star that is meant as such.
    fn bare(&mut self, ends: &[char]) -> String {
        let rest = self.rest();
        let mut text = String::new();
        let mut characters = rest.char_indices().peekable();
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' if characters.next_if(|&(_, next)| next == '*').is_some() => text.push('*'),
                '*' | '(' | ')' | '"' | '|' => {
                    self.at += offset;
                    return text;
                }
                end if end.is_whitespace() || ends.contains(&end) => {
                    self.at += offset;
                    return text;
                }
                other => text.push(other),
            }
        }
        self.at = self.text.len();
        text
    }

    /// Takes a quoted text, `\"` and `\\` being the quote and the backslash.
    pub(super) fn quoted(&mut self) -> Result<String, ParseError> {
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

    /// Takes what is between two slashes if that is next, as it is written. The first slash without a backslash must
    /// end the term: `/api/v1` is a path.
    pub(super) fn slashed(&mut self) -> Option<&'a str> {
        let body = self.rest().strip_prefix('/')?;
        let mut escaped = false;
        let end = body.find(|character| {
            let closes = character == '/' && !escaped;
            escaped = character == '\\' && !escaped;
            closes
        })?;
        let (inside, behind) = body.split_at_checked(end)?;
        let next = behind.chars().nth(1);
        if inside.is_empty() || next.is_some_and(|c| !c.is_whitespace() && !matches!(c, ')' | '|'))
        {
            return None;
        }
        self.at += end + 2;
        Some(inside)
    }
}
