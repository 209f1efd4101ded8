//! What messages of one kind share: the message with a mark in the place of each word that has a digit in it.

use std::borrow::Cow;

/// Stands for a word with a digit in it. A letter, so that it is a word to whoever looks for words; of a script that
/// nobody writes in, so that it is none that anybody looks for.
pub(crate) const MARK: char = '\u{10000}';

/// How people see the mark.
pub(crate) const MARK_SHOWN: &str = "<*>";

/// The template of a message, as it is shown.
#[must_use]
pub fn template(message: &str) -> Cow<'_, str> {
    let mut out = String::new();
    write(message, &mut out);
    if out == message { Cow::Borrowed(message) } else { Cow::Owned(shown(&out)) }
}

/// A template as it is shown.
pub(crate) fn shown(template: &str) -> String {
    template.replace(MARK, MARK_SHOWN)
}

/// Appends the template of a message.
pub(crate) fn write(message: &str, out: &mut String) {
    let mut rest = message;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (between, from_word) = rest.split_at(start);
        let end = from_word.find(|c: char| !c.is_alphanumeric()).unwrap_or(from_word.len());
        let (word, behind) = from_word.split_at(end);
        out.push_str(between);
        if word.contains(char::is_numeric) {
            out.push(MARK);
        } else {
            out.push_str(word);
        }
        rest = behind;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
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
            ("user_12 did not", "user_<*> did not"),
            ("", ""),
        ] {
            assert_eq!(template(message), expected, "{message}");
        }
    }
}
