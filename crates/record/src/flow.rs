//! The ids of flows: named processes of several steps, each of which is a record.

use crate::limits::ATTRIBUTE_BYTES_MAX;

/// Characters of the random part of a flow id.
const RANDOM_CHARACTERS: usize = 8;

/// A flow id: the name, a dash, and eight of `a-z0-9`, one for each random byte. A name too long for an attribute is
/// cut, so that the random part is always there.
///
/// The letters `a` to `d` come a little more often than the others: 256 is no multiple of 36. Of the 41 bits that
/// eight characters could tell, that costs less than a hundredth of one.
#[must_use]
pub fn flow_id(name: &str, random: [u8; RANDOM_CHARACTERS]) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let name_bytes_max = ATTRIBUTE_BYTES_MAX - RANDOM_CHARACTERS - 1;
    let mut id = name.get(..name.floor_char_boundary(name_bytes_max)).unwrap_or(name).to_owned();
    id.push('-');
    id.extend(random.iter().filter_map(|byte| {
        ALPHABET.get(usize::from(*byte) % ALPHABET.len()).map(|letter| char::from(*letter))
    }));
    id
}

/// The name in a flow id: what stands before its last dash.
#[must_use]
pub fn flow_name(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_name_and_eight_letters_or_digits() {
        assert_eq!(flow_id("checkout", [0, 25, 26, 35, 36, 71, 255, 1]), "checkout-az09a9db");
        assert_eq!(flow_name("two-words-az09a9db"), "two-words");
        assert_eq!(flow_name("without"), "without");
    }

    #[test]
    fn an_id_is_never_longer_than_an_attribute() {
        let fitting = "x".repeat(ATTRIBUTE_BYTES_MAX - 9);
        assert_eq!(flow_name(&flow_id(&fitting, [0; 8])), fitting);
        let id = flow_id(&"ü".repeat(ATTRIBUTE_BYTES_MAX), [0; 8]);
        assert!(id.len() <= ATTRIBUTE_BYTES_MAX && id.ends_with("ü-aaaaaaaa"));
    }
}
