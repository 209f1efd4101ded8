//! Finding binary data that was written as base64.
//!
//! A text has no mark that says so; what is looked for is what random bytes look like in base64, and names, words,
//! digests and numbers do not. A run of the characters of base64 is removed if all of this holds:
//!
//! 1. It has at least [`BASE64_CHARS_MIN`] characters: shorter ones are keys and identifiers.
//! 2. It is of one alphabet, the standard one (`+`, `/`) or that of URLs (`-`, `_`). Where both occur, a path or a
//!    name stands next to the data, and the rarer kind separates.
//! 3. It is not a part of a dotted token: a JWT is for redaction, which says what it was.
//! 4. A fifth of it are letters beyond `f`, so that it is no hex, whatever is around; 26 % are capital letters and
//!    an eighth small ones; and it has a digit. In base64 of random bytes 62 %, 41 %, 41 % and 16 % are such; no
//!    kind of content that was tried has fewer than 35 % capitals, and no `camelCaseNames` have more than 25 %.
//! 5. From one letter or digit to the next, its kind (capital, small, digit) changes in at least [`CHANGES_PERCENT_MIN`]
//!    percent: in base64 of random bytes 63 %, of texts 55 % and more, of the header of an image 41 %; in
//!    `camelCaseNamesLikeThis` or `/Paths/Like/This` 30 %. Repetitions of one character don't count, so that `AAAA…` inside of an image is no
//!    reason to keep it, and alone is none to remove it.
//!
//! A data URI says what it is: only 1 must hold.

use std::ops::Range;

use super::BASE64_REMOVED;

/// Shortest base64 that is found, in characters: 75 bytes. Keys and tokens are shorter, images longer.
pub const BASE64_CHARS_MIN: usize = 100;

/// Least share of changes between capital letters, small letters and digits.
const CHANGES_PERCENT_MIN: usize = 40;

/// Least share of capital letters.
const CAPITALS_PERCENT_MIN: usize = 26;

/// Shortest line of base64 that goes on in the next one; tools break at 60, 64, 72 or 76.
const LINE_CHARS_MIN: usize = 40;

/// The text with [`BASE64_REMOVED`] in place of each base64 or data URI in it; `None` if there is none.
#[must_use]
pub fn without_base64(text: &str) -> Option<String> {
    if text.len() < BASE64_CHARS_MIN {
        return None;
    }
    let mut kept = String::new();
    let (mut at, mut kept_to) = (0, 0);
    while let Some(run) = next_run(text.as_bytes(), at) {
        at = run.end;
        for found in base64_in(text, run) {
            kept.push_str(text.get(kept_to..found.start).unwrap_or_default());
            kept.push_str(BASE64_REMOVED);
            kept_to = found.end;
        }
    }
    if kept_to == 0 {
        return None;
    }
    kept.push_str(text.get(kept_to..).unwrap_or_default());
    Some(kept)
}

/// The base64 in a run of its characters.
fn base64_in(text: &str, run: Range<usize>) -> Vec<Range<usize>> {
    let before = text.get(..run.start).unwrap_or_default();
    if let Some(start) = data_uri_start(before) {
        return std::iter::once(start..run.end).collect();
    }
    let bytes = text.as_bytes();
    let count = |wanted: Class| {
        bytes.get(run.clone()).unwrap_or_default().iter().filter(|b| class(**b) == wanted).count()
    };
    let (standard, of_urls) = (count(Class::Standard), count(Class::OfUrls));
    let separator = match (standard, of_urls) {
        (0, _) | (_, 0) => None,
        _ if standard < of_urls => Some(Class::Standard),
        _ => Some(Class::OfUrls),
    };
    pieces(bytes, run, separator)
        .filter(|piece| !is_of_token(bytes, piece) && is_random(bytes, piece.clone()))
        .collect()
}

/// Whether a dot connects the piece with something else.
fn is_of_token(bytes: &[u8], piece: &Range<usize>) -> bool {
    let is_dot = |at: usize| bytes.get(at) == Some(&b'.');
    let is_word = |at: usize| bytes.get(at).is_some_and(|byte| class(*byte) != Class::Other);
    let before = piece.start.checked_sub(1).is_some_and(is_dot)
        && piece.start.checked_sub(2).is_some_and(is_word);
    before || is_dot(piece.end) && is_word(piece.end + 1)
}

/// The parts of the run between the characters of a class.
fn pieces(
    bytes: &[u8],
    run: Range<usize>,
    separator: Option<Class>,
) -> impl Iterator<Item = Range<usize>> {
    let mut start = run.start;
    std::iter::from_fn(move || {
        if start >= run.end {
            return None;
        }
        let rest = bytes.get(start..run.end)?;
        let length =
            rest.iter().position(|byte| separator == Some(class(*byte))).unwrap_or(run.end - start);
        let piece = start..start + length;
        start = piece.end + 1;
        Some(piece)
    })
}

/// Where the data URI begins whose data comes behind `before`.
fn data_uri_start(before: &str) -> Option<usize> {
    /// Longest media type with its parameters, in bytes.
    const MEDIA_TYPE_BYTES_MAX: usize = 127;
    const SCHEME: &str = "data:";

    let head = before.strip_suffix("base64,").and_then(|head| head.strip_suffix(';'))?;
    let from =
        head.floor_char_boundary(head.len().saturating_sub(MEDIA_TYPE_BYTES_MAX + SCHEME.len()));
    let start = from + head.get(from..)?.rfind(SCHEME)?;
    let media_type = head.get(start + SCHEME.len()..)?;
    (!media_type.contains(char::is_whitespace)).then_some(start)
}

/// The next run of at least [`BASE64_CHARS_MIN`] characters of base64, with its padding.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    loop {
        start += bytes.get(start..)?.iter().position(|byte| class(*byte) != Class::Other)?;
        let (end, characters) = run_end(bytes, start);
        if characters >= BASE64_CHARS_MIN {
            return Some(start..end);
        }
        start = end;
    }
}

/// Where the run ends that begins at `start`, and how many characters of base64 it has.
fn run_end(bytes: &[u8], start: usize) -> (usize, usize) {
    let line_at = |at: usize| {
        let line = bytes.get(at..).unwrap_or_default();
        line.iter().position(|byte| class(*byte) == Class::Other).unwrap_or(line.len())
    };
    let width = line_at(start);
    let (mut end, mut characters) = (start + width, width);
    // Wrapped: the next line goes on as long as all are of one length; the last one may be shorter.
    let mut line = width;
    while line == width && width >= LINE_CHARS_MIN {
        let Some(skipped) = line_break(bytes.get(end..).unwrap_or_default()) else { break };
        line = line_at(end + skipped);
        if line == 0 || line > width {
            break;
        }
        end += skipped + line;
        characters += line;
    }
    let padding = bytes.get(end..).unwrap_or_default().iter().take(2);
    (end + padding.take_while(|byte| **byte == b'=').count(), characters)
}

/// Length of the line break that the text begins with, the white space in front of the next line included.
fn line_break(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"\r").unwrap_or(text).strip_prefix(b"\n")?;
    let indent = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Some(text.len() - rest.len() + indent)
}

/// What a byte is in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Capital,
    Small,
    Digit,
    /// `+` and `/`.
    Standard,
    /// `-` and `_`.
    OfUrls,
    Other,
}

fn class(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' => Class::Capital,
        b'a'..=b'z' => Class::Small,
        b'0'..=b'9' => Class::Digit,
        b'+' | b'/' => Class::Standard,
        b'-' | b'_' => Class::OfUrls,
        _ => Class::Other,
    }
}

/// Rules 1, 4 and 5.
fn is_random(bytes: &[u8], run: Range<usize>) -> bool {
    let (mut capital, mut small, mut digits, mut beyond_hex) = (0, 0, 0, 0);
    let (mut characters, mut pairs, mut changes) = (0, 0, 0);
    let mut before = None;
    for &byte in bytes.get(run).unwrap_or_default() {
        let class = class(byte);
        characters += usize::from(class != Class::Other);
        if before.is_some_and(|(_, previous)| previous == byte) {
            continue;
        }
        match class {
            Class::Capital => capital += 1,
            Class::Small => small += 1,
            Class::Digit => digits += 1,
            _ => {
                before = None;
                continue;
            }
        }
        beyond_hex += usize::from(matches!(byte.to_ascii_lowercase(), b'g'..=b'z'));
        if let Some((previous, _)) = before {
            pairs += 1;
            changes += usize::from(previous != class);
        }
        before = Some((class, byte));
    }
    let counted = capital + small + digits;
    characters >= BASE64_CHARS_MIN
        && pairs >= BASE64_CHARS_MIN / 2
        && digits > 0
        && capital * 100 >= counted * CAPITALS_PERCENT_MIN
        && small * 8 >= counted
        && beyond_hex * 5 >= counted
        && changes * 100 >= pairs * CHANGES_PERCENT_MIN
}

#[cfg(test)]
mod tests;
