//! Numbers of payment cards.

use std::ops::Range;

/// Fewest digits that a card has.
pub(super) const DIGITS_MIN: usize = 13;

/// Most digits that a card has.
const DIGITS_MAX: usize = 19;

/// Whether an integer is a card's number: 15 or 16 digits of a known issuer, the last one the right check digit.
///
/// Not 13, 14 or 17 to 19 digits, although some cards have as many: integers of these lengths are times in
/// milliseconds and nanoseconds and random 63-bit identifiers, hundreds of them for each card, and a log without its
/// identifiers is worth little. No time in microseconds, which has 16 digits and begins with 1, is a card. Of random
/// identifiers of 53 bits, one in forty looks like one.
#[must_use]
pub fn is_card_number(number: u64) -> bool {
    if !(100_000_000_000_000..10_000_000_000_000_000).contains(&number) {
        return false;
    }
    let mut digits = [0; DIGITS_MAX];
    let (mut length, mut rest) = (0, number);
    while rest > 0 {
        if let Some(digit) = digits.get_mut(length) {
            *digit = (rest % 10) as u8;
        }
        length += 1;
        rest /= 10;
    }
    let Some(digits) = digits.get_mut(..length) else { return false };
    digits.reverse();
    is_card(digits)
}

/// The first card number at or behind `from`. It stands alone: no letter or digit is in front of it or behind it, nor
/// a separator with a digit.
pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(u8::is_ascii_digit)?;
        let group = digits_at(bytes, at);
        let alone = |byte: Option<&u8>| byte.is_none_or(|byte| !is_word(*byte));
        if alone(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && alone(bytes.get(group.end))
            && is_card(&group.digits)
        {
            return Some(at..group.end);
        }
        at = group.end;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

struct Group {
    digits: Vec<u8>,
    end: usize,
}

/// The digits from `start` on, single spaces or dashes between them.
fn digits_at(bytes: &[u8], start: usize) -> Group {
    let (mut digits, mut end, mut at) = (Vec::with_capacity(DIGITS_MAX), start, start);
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            digits.push(byte - b'0');
            end = at + 1;
        } else if !matches!(byte, b' ' | b'-') || end < at {
            break;
        }
        at += 1;
    }
    Group { digits, end }
}

fn is_card(digits: &[u8]) -> bool {
    has_issuer(digits) && has_check_digit(digits)
}

/// Whether an issuer has numbers that begin so and are so long (ISO/IEC 7812, the ranges that the networks publish).
fn has_issuer(digits: &[u8]) -> bool {
    let Some(first) = digits.get(..4) else { return false };
    let first = first.iter().fold(0_u16, |number, digit| number * 10 + u16::from(*digit));
    match (first, digits.len()) {
        // Visa
        (4000..=4999, 13 | 16 | 19)
        // Mastercard
        | (5100..=5599 | 2221..=2720, 16)
        // American Express
        | (3400..=3499 | 3700..=3799, 15)
        // Discover
        | (6011 | 6440..=6599, 16..=19)
        // JCB
        | (3528..=3589, 16..=19)
        // Diners Club
        | (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=19)
        // UnionPay
        | (6200..=6299, 16..=19)
        // Maestro
        | (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19) => true,
        _ => false,
    }
}

/// The formula of Luhn: from the right, every second digit doubled, the sum of all digits ends in 0.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (u32::from(digit), place % 2) {
            (digit, 0) => digit,
            (digit, _) if digit > 4 => digit * 2 - 9,
            (digit, _) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_own_test_numbers_are_cards() {
        for (number, is_integer) in [
            ("4111111111111111", true),
            ("4222222222222", false),
            ("5555555555554444", true),
            ("2223003122003222", true),
            ("378282246310005", true),
            ("6011111111111117", true),
            ("3530111333300000", true),
            ("30569309025904", false),
            ("6200000000000005", true),
        ] {
            assert_eq!(find(number, 0), Some(0..number.len()), "{number}");
            assert_eq!(is_card_number(number.parse().unwrap()), is_integer, "{number}");
        }
    }

    #[test]
    fn a_card_is_found_as_people_write_it() {
        for text in ["4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005"] {
            let around = format!("paid with {text}, 2 items");
            assert_eq!(find(&around, 0), Some(10..10 + text.len()), "{text}");
        }
    }

    #[test]
    fn other_long_numbers_are_none() {
        for text in [
            // A wrong check digit, no issuer, a wrong length.
            "4111111111111112",
            "9111111111111111",
            "41111111111111110",
            // Times in milliseconds, microseconds, nanoseconds.
            "1763692800000",
            "1763692800000000",
            "1763692800000000000",
            "2026-01-31 12:00:00.123456789",
            // Parts of something longer.
            "x4111111111111111",
            "4111111111111111a",
            "4111111111111111_1",
            "4111 1111 1111 1111 1",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "00000000-0000-4111-1111-111111111111",
        ] {
            assert_eq!(find(text, 0), None, "{text}");
        }
        for number in [
            0,
            4711,
            1_763_692_800_000,
            1_763_692_800_000_000,
            1_763_692_800_000_000_000,
            4_111_111_111_111_112,
            u64::MAX,
        ] {
            assert!(!is_card_number(number), "{number}");
        }
    }
}
