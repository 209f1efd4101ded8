//! Writes JSON scalars.

/// Appends a string with its quotes, escaping what RFC 8259 demands and no more.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
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
    out.push('"');
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
        out.push_str(ryu::Buffer::new().format_finite(number));
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
    fn floats_without_a_json_form_become_strings() {
        let mut out = String::new();
        write_f64(&mut out, f64::NAN);
        write_f64(&mut out, f64::NEG_INFINITY);
        assert_eq!(out, "\"NaN\"\"-Infinity\"");
    }
}
