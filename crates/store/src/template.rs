//! What messages of one kind share: the message with a mark in the place of each word that has a digit in it.
//!
//! The words of a message without digits are all in its template, in their places. So whether such words stand in a
//! message is known from its template alone, and there are few templates where there are many messages.

use std::borrow::Cow;

/// Stands for a word with a digit in it. A letter, so that it is a word to whoever looks for words; of a script that
/// nobody writes in, so that it is none that anybody looks for.
pub(crate) const MARK: char = '\u{10000}';

/// How people see the mark.
const MARK_SHOWN: &str = "<*>";

/// The template of a message, as it is shown.
#[must_use]
pub fn template(message: &str) -> Cow<'_, str> {
    let mut template = String::new();
    split(message, &mut template, |_| ());
    if template.contains(MARK) { Cow::Owned(shown(&template)) } else { Cow::Borrowed(message) }
}

/// A template as it is shown.
pub(crate) fn shown(template: &str) -> String {
    template.replace(MARK, MARK_SHOWN)
}

/// Whether a word is one that a template has a mark for.
pub(crate) fn is_variable(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

/// Appends the template of a message, and tells the words that are not in it.
pub(crate) fn split<'a>(
    message: &'a str,
    template: &mut String,
    mut variable: impl FnMut(&'a str),
) {
    let bytes = message.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let mut digit = false;
        // The bytes of a word; one that is not ASCII is looked at as a character.
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => digit = true,
                b'a'..=b'z' | b'A'..=b'Z' => {}
                0x80.. => {
                    let Some(character) = message.get(at..).and_then(|rest| rest.chars().next())
                    else {
                        break;
                    };
                    if !character.is_alphanumeric() {
                        break;
                    }
                    digit |= character.is_numeric();
                    at += character.len_utf8() - 1;
                }
                _ => break,
            }
            at += 1;
        }
        if digit {
            template.push_str(message.get(copied..start).unwrap_or_default());
            template.push(MARK);
            variable(message.get(start..at).unwrap_or_default());
            copied = at;
        } else if at == start {
            // What separates words: the whole character.
            at += message.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        }
    }
    template.push_str(message.get(copied..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_with_digits_are_marked_and_all_else_stays() {
        for (message, expected) in [
            ("query on table users finished in 68ms", "query on table users finished in <*>"),
            (
                "GET /api/v1/orders/12 from 10.0.0.1:80",
                "GET /api/<*>/orders/<*> from <*>.<*>.<*>.<*>:<*>",
            ),
            ("größe ①: 日本7", "größe <*>: <*>"),
            ("user_12 did not…", "user_<*> did not…"),
            ("", ""),
        ] {
            assert_eq!(template(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn the_words_of_a_message_are_in_its_template_or_told(message in "[a-c0-2 ßé①/…]{0,20}") {
            let mut template = String::new();
            let mut variables = Vec::new();
            split(&message, &mut template, |word| variables.push(word));
            let mut variables = variables.into_iter();
            let mark = MARK.to_string();
            let words: Vec<&str> = millpond_query::words(&template)
                .map(|word| if word == mark { variables.next().unwrap() } else { word })
                .collect();
            prop_assert_eq!(words, millpond_query::words(&message).collect::<Vec<_>>());
            prop_assert_eq!(variables.next(), None);
            prop_assert!(!template.contains(char::is_numeric));
        }
    }
}
