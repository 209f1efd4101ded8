//! The id of a flow: its name, a dash, and eight random characters.

/// Random bytes that an id takes, and random characters that it ends in.
pub const FLOW_RANDOM: usize = 8;

/// Lower-case letters and digits: read aloud and typed without a mistake, and the same in every file system.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The id of a new flow: `checkout` becomes `checkout-a7x9k2f3`. 36 to the 8th, about three trillion: among a million
/// flows of one name it takes luck of one in six to meet two alike.
#[must_use]
pub fn flow_id(name: &str, random: [u8; FLOW_RANDOM]) -> String {
    let mut id = String::with_capacity(name.len() + 1 + FLOW_RANDOM);
    id.push_str(name);
    id.push('-');
    // As one number, so that every character is as likely as any other.
    let mut number = u64::from_le_bytes(random);
    for _ in 0..FLOW_RANDOM {
        let place = usize::try_from(number % 36).unwrap_or_default();
        id.push(ALPHABET.get(place).copied().map_or('a', char::from));
        number /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_the_name_and_eight_characters() {
        assert_eq!(flow_id("checkout", [0; 8]), "checkout-aaaaaaaa");
        assert_eq!(flow_id("a-b", 35_u64.to_le_bytes()), "a-b-9aaaaaaa");
    }

    proptest! {
        #[test]
        fn the_name_is_what_stands_before_the_last_dash(name in ".*", random in any::<[u8; 8]>()) {
            let id = flow_id(&name, random);
            let (before, suffix) = id.rsplit_once('-').unwrap();
            prop_assert_eq!(before, name);
            prop_assert!(suffix.len() == 8 && suffix.bytes().all(|byte| ALPHABET.contains(&byte)), "{}", suffix);
        }

        #[test]
        fn other_random_bytes_give_another_id(one in 0..36_u64.pow(8), other in 0..36_u64.pow(8)) {
            let id = |number: u64| flow_id("f", number.to_le_bytes());
            prop_assert_eq!(id(one) == id(other), one == other);
        }
    }
}
