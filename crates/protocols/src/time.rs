//! A time at the start of a text, in the forms that lines of logs begin with.

use millpond_record::Timestamp;

/// The time that `text` starts with, and the rest behind it. `YYYY-MM-DD` (or with slashes) and `HH:MM:SS` with `T` or
/// a space between, or `MM/DD/YYYY HH:MM:SS`; a fraction behind `.` or `,`; `Z` or an offset, else it is UTC.
pub(crate) fn leading_time(text: &str) -> Option<(Timestamp, &str)> {
    let mut cursor = Cursor { rest: text };
    let date = cursor.date()?;
    cursor.one_of(&['T', 't', ' '])?;
    let mut written = format!("{date}T{}", cursor.clock()?);
    if let Some(fraction) = cursor.fraction() {
        written.push('.');
        // Timestamps are exact to the nanosecond.
        written.push_str(fraction.get(..9).unwrap_or(fraction));
    }
    written.push_str(&cursor.offset().unwrap_or_else(|| "Z".to_owned()));
    let ends = !cursor.rest.starts_with(|next: char| next.is_alphanumeric());
    let time = Timestamp::parse(&written).ok().filter(|_| ends)?;
    Some((time, cursor.rest))
}

/// RFC 3339 in UTC with six digits behind the point, as far as most parsers go.
pub(crate) fn with_micros(time: Timestamp) -> String {
    let nanos = time.to_string();
    let micros = nanos.strip_suffix('Z').and_then(|text| text.get(..text.len().checked_sub(3)?));
    micros.map_or_else(|| nanos.clone(), |micros| format!("{micros}Z"))
}

/// RFC 3339 in UTC with six digits behind the point, or with nine where six would not say all.
pub(crate) fn exactly(time: Timestamp) -> String {
    if time.nanos() % 1000 == 0 { with_micros(time) } else { time.to_string() }
}

/// `HH:MM:SS` and nothing else but a fraction.
pub(crate) fn is_clock(text: &str) -> bool {
    let mut cursor = Cursor { rest: text };
    cursor.clock().is_some()
        && (cursor.rest.is_empty() || cursor.fraction().is_some())
        && cursor.rest.is_empty()
}

#[derive(Clone)]
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn digits(&mut self, count: usize) -> Option<&'a str> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let digits = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
        self.rest = rest;
        Some(digits)
    }

    fn one_of(&mut self, characters: &[char]) -> Option<char> {
        let next = self.rest.chars().next().filter(|next| characters.contains(next))?;
        self.rest = self.rest.get(next.len_utf8()..)?;
        Some(next)
    }

    fn date(&mut self) -> Option<String> {
        let mut ahead = self.clone();
        let (year, month, day) = if let Some(year) = ahead.digits(4) {
            let separator = ahead.one_of(&['-', '/'])?;
            let month = ahead.digits(2)?;
            ahead.one_of(&[separator])?;
            (year, month, ahead.digits(2)?)
        } else {
            let month = ahead.digits(2)?;
            ahead.one_of(&['/'])?;
            let day = ahead.digits(2)?;
            ahead.one_of(&['/'])?;
            (ahead.digits(4)?, month, day)
        };
        *self = ahead;
        Some(format!("{year}-{month}-{day}"))
    }

    fn clock(&mut self) -> Option<&'a str> {
        let start = self.rest;
        self.digits(2)?;
        self.one_of(&[':'])?;
        self.digits(2)?;
        self.one_of(&[':'])?;
        self.digits(2)?;
        start.get(.."HH:MM:SS".len())
    }

    fn fraction(&mut self) -> Option<&'a str> {
        let mut ahead = self.clone();
        ahead.one_of(&['.', ','])?;
        let count = ahead.rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = ahead.digits(count).filter(|digits| !digits.is_empty())?;
        *self = ahead;
        Some(digits)
    }

    /// `Z`, `+HH:MM`, `+HHMM`, or `+HH` directly behind the time.
    fn offset(&mut self) -> Option<String> {
        let mut ahead = self.clone();
        let offset = match ahead.one_of(&['Z', 'z']) {
            Some(_) => "Z".to_owned(),
            None => {
                let apart = ahead.one_of(&[' ']).is_some();
                let sign = ahead.one_of(&['+', '-'])?;
                let hours = ahead.digits(2)?;
                let colon = ahead.one_of(&[':']).is_some();
                let minutes = ahead.digits(2);
                if minutes.is_none() && (colon || apart) {
                    return None;
                }
                format!("{sign}{hours}:{}", minutes.unwrap_or("00"))
            }
        };
        *self = ahead;
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_in_every_form_that_lines_begin_with() {
        let expected = Timestamp::parse("2026-01-31T12:00:00.123Z").unwrap();
        for text in [
            "2026-01-31T12:00:00.123Z",
            "2026-01-31t12:00:00.123z",
            "2026-01-31 12:00:00,123",
            "2026-01-31 14:00:00.123+02:00",
            "2026-01-31 14:00:00.123 +0200",
            "2026-01-31T14:00:00.123+02",
            "2026/01/31 12:00:00.123",
            "01/31/2026 12:00:00.123",
            "2026-01-31 12:00:00.123000000999",
        ] {
            for rest in ["", " and more", "] x", " - x", " -05 x"] {
                let line = format!("{text}{rest}");
                assert_eq!(leading_time(&line), Some((expected, rest)), "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31 12:00",
            "2026-13-31 12:00:00",
            "2026-01/31 12:00:00",
            "31/01/2026 12:00:00",
            "2026-01-31 12:00:001",
            "2026-01-31T12:00:00x",
            "２026-01-31 12:00:00",
            "at 2026-01-31 12:00:00",
        ] {
            assert_eq!(leading_time(text), None, "{text}");
        }
        assert!(is_clock("12:00:00") && is_clock("12:00:00.5"));
        assert!(!is_clock("12:00") && !is_clock("12:00:00.") && !is_clock("12:00:00 "));
    }
}
