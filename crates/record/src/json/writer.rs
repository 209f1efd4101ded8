//! Writes JSON scalars.

/// Appends a string with its quotes, escaping what RFC 8259 demands and no more.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    if is_plain(text.as_bytes()) {
        out.push_str(text);
    } else {
        write_escaped(out, text);
    }
    out.push('"');
}

/// Whether nothing in the text must be escaped. Most texts are such, so that it pays to look at eight bytes at once.
fn is_plain(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH * 0x80;
    // The highest bit of a byte is set where the byte is below `limit`, and perhaps above such a byte.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & HIGH;
    let equal = |word: u64, byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let is_plain_word = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        below(word, 0x20) | equal(word, b'"') | equal(word, b'\\') == 0
    };
    let (words, _) = text.as_chunks::<8>();
    words.iter().all(is_plain_word)
        && match text.last_chunk::<8>() {
            // Some of these bytes were looked at already: quicker than one by one.
            Some(last) => is_plain_word(last),
            None => text.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\'),
        }
}

fn write_escaped(out: &mut String, text: &str) {
    let mut plain_start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => {
                out.push_str(text.get(plain_start..at).unwrap_or_default());
                write_control(out, byte);
                plain_start = at + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(text.get(plain_start..at).unwrap_or_default());
        out.push_str(escape);
        plain_start = at + 1;
    }
    out.push_str(text.get(plain_start..).unwrap_or_default());
}

fn write_control(out: &mut String, byte: u8) {
    out.push_str("\\u00");
    for nibble in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
    }
}

/// Appends an integer.
pub fn write_i64(out: &mut String, number: i64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends an integer.
pub fn write_u64(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends the shortest decimal that reads back as the same float. JSON has no word for the others: they become
/// the strings `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub fn write_f64(out: &mut String, number: f64) {
    if number.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(number));
    } else if number.is_nan() {
        out.push_str("\"NaN\"");
    } else {
        out.push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_survive_writing_and_reading(text in any::<String>()) {
            let mut out = String::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn finite_floats_survive_writing_and_reading(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let mut out = String::new();
            write_f64(&mut out, number);
            prop_assert_eq!(out.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }

    #[test]
    fn every_byte_is_escaped_at_every_place_where_it_must_be() {
        for character in (0..=0x7f_u8).map(char::from).chain(['\u{80}', 'ü', '\u{2028}', '🦆']) {
            for length in 0..20 {
                let text = format!("{}{character}{}", "x".repeat(length), "y".repeat(19 - length));
                let mut out = String::new();
                write_string(&mut out, &text);
                assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            }
        }
    }

    #[test]
    fn floats_without_a_json_form_become_strings() {
        let mut out = String::new();
        write_f64(&mut out, f64::NAN);
        write_f64(&mut out, f64::NEG_INFINITY);
        assert_eq!(out, "\"NaN\"\"-Infinity\"");
    }
}
