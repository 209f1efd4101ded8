//! Cutting texts where a character ends.

/// The first `chars_max` characters of `text`, if it has more.
#[must_use]
pub fn head(text: &str, chars_max: usize) -> Option<&str> {
    // A character has at least one byte: most texts need no counting.
    if text.len() <= chars_max {
        return None;
    }
    let (end, _) = text.char_indices().nth(chars_max)?;
    text.get(..end)
}

/// The longest start of `json`, the inside of a JSON string, that has at most `bytes_max` bytes and ends neither in
/// a character nor in an escape.
#[must_use]
pub fn json_head(json: &str, bytes_max: usize) -> &str {
    if json.len() <= bytes_max {
        return json;
    }
    let bytes = json.as_bytes();
    let (mut at, mut end) = (0, 0);
    while at <= bytes_max {
        end = at;
        at += match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\\'), Some(b'u')) => 6,
            (Some(b'\\'), _) => 2,
            _ => 1,
        };
    }
    json.get(..json.floor_char_boundary(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::write_string;

    #[test]
    fn a_text_is_cut_behind_so_many_characters_whatever_their_size() {
        assert_eq!(head("grün", 3), Some("grü"));
        assert_eq!(head("grün", 4), None);
        assert_eq!(head("🦆🦆🦆", 2), Some("🦆🦆"));
        assert_eq!(head("x", 0), Some(""));
        assert_eq!(head("", 0), None);
    }

    proptest! {
        #[test]
        fn what_is_left_are_the_first_characters(text in any::<String>(), chars_max in 0_usize..40) {
            let expected: String = text.chars().take(chars_max).collect();
            prop_assert_eq!(head(&text, chars_max).unwrap_or(&text), expected);
        }

        #[test]
        fn the_start_of_a_json_string_is_one(text in "[a-c\"\\\\\u{1}\nü🦆]{0,40}", bytes_max in 0_usize..80) {
            let mut json = String::new();
            write_string(&mut json, &text);
            let inside = &json[1..json.len() - 1];
            let start = json_head(inside, bytes_max);
            prop_assert!(start.len() <= bytes_max);
            // No escape and no character has more than six bytes.
            prop_assert!(start.len() + 6 > bytes_max.min(inside.len()));
            let read: String = serde_json::from_str(&format!("\"{start}\"")).unwrap();
            prop_assert!(text.starts_with(&read));
        }
    }
}
