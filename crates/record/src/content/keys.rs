//! Sets of keys, matched as people vary them.

/// The keys whose values are secret by name.
///
/// Chosen so that a hit is hardly ever a mistake, since a value that was redacted for nothing is lost:
/// - whole names only, so that `session`, `author`, `tokens`, `max_tokens`, `token_count`, `password_reset_url` or
///   `cookie_consent` are none;
/// - no word that is an everyday name of something harmless: `auth` (mostly a method), `session` and `key` (mostly
///   identifiers), `pin` (of a board, on a map), `credentials` (mostly a profile's name), `code`, `hash`;
/// - `token` and `secret` alone are in: where they are no secret, little is lost.
pub const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "db_password",
    "user_password",
    "new_password",
    "old_password",
    "current_password",
    "confirm_password",
    "password_confirmation",
    "secret",
    "client_secret",
    "app_secret",
    "api_secret",
    "shared_secret",
    "webhook_secret",
    "jwt_secret",
    "api_key",
    "x_api_key",
    "api_token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "x_auth_token",
    "bearer_token",
    "session_token",
    "csrf_token",
    "xsrf_token",
    "x_csrf_token",
    "x_xsrf_token",
    "token",
    "authorization",
    "proxy_authorization",
    "cookie",
    "cookies",
    "set_cookie",
    "private_key",
    "secret_key",
    "signing_key",
    "encryption_key",
    "secret_access_key",
    "aws_secret_access_key",
    "aws_session_token",
    "x_amz_security_token",
    "credit_card",
    "credit_card_number",
    "card_number",
    "cvv",
    "cvv2",
    "cvc",
    "card_cvc",
    "security_code",
    "ssn",
    "social_security_number",
];

/// A set of keys.
///
/// A key matches if it, or what follows one of its dots, is one of the set: upper or lower case (of ASCII) and the
/// characters `_`, `-`, `.` and space make no difference. `X-Api-Key`, `apiKey` and `http.request.header.x-api-key`
/// are all `x_api_key` or `api_key`; nothing matches by a part of a word.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// By the last character of a key (its low five bits): the keys, normalised.
    keys: [Vec<Box<[u8]>>; 32],
    /// By the last and the first character of a key (their low five bits): the length of the shortest key that ends
    /// and begins so. Nearly every key is told by this.
    shortest: [[u16; 32]; 32],
    /// By the last character alone.
    shortest_by_last: [u16; 32],
}

/// There is no such key.
const NONE: u16 = u16::MAX;

/// The longest length that is told from longer ones.
const KEY_BYTES_TOLD_MAX: u16 = NONE - 1;

impl Default for KeySet {
    fn default() -> Self {
        Self { keys: Default::default(), shortest: [[NONE; 32]; 32], shortest_by_last: [NONE; 32] }
    }
}

impl KeySet {
    /// A set of these keys. One without any letter or digit is left out: it would match too much.
    #[must_use]
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut set = Self::default();
        for key in keys {
            let key: Box<[u8]> = normalised(key.as_ref().as_bytes()).collect();
            let (Some(first), Some(last)) = (key.first(), key.last()) else { continue };
            // Those that are longer are only compared more often.
            let length = u16::try_from(key.len()).unwrap_or(KEY_BYTES_TOLD_MAX);
            if let Some(shortest) = set.shortest_by_last.get_mut(low_bits(*last)) {
                *shortest = length.min(*shortest);
            }
            let shortest = set.shortest.get_mut(low_bits(*last));
            if let Some(shortest) = shortest.and_then(|row| row.get_mut(low_bits(*first))) {
                *shortest = length.min(*shortest);
            }
            if let Some(keys) = set.keys.get_mut(low_bits(*last)) {
                keys.push(key);
            }
        }
        set
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.iter().all(Vec::is_empty)
    }

    /// Whether the key is one of the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        let key = key.as_bytes();
        let (Some(&first), Some(&last)) = (key.first(), key.last()) else { return false };
        if is_separator(first) || is_separator(last) {
            return self.contains_untidy(key);
        }
        let shortest = self.shortest_by_last.get(low_bits(last));
        if shortest.is_none_or(|shortest| *shortest == NONE || usize::from(*shortest) > key.len()) {
            return false;
        }
        self.may_be(first, last, key.len()) && self.contains_whole(key)
            || key.contains(&b'.') && self.contains_behind_dot(key)
    }

    /// Whether there is a key that begins and ends so and is not longer.
    fn may_be(&self, first: u8, last: u8, length: usize) -> bool {
        let shortest = self.shortest.get(low_bits(last)).and_then(|row| row.get(low_bits(first)));
        shortest.is_some_and(|shortest| *shortest != NONE && usize::from(*shortest) <= length)
    }

    /// As `contains`, for a key with separators at its ends.
    #[cold]
    fn contains_untidy(&self, key: &[u8]) -> bool {
        self.contains_whole(key) || self.contains_behind_dot(key)
    }

    fn contains_behind_dot(&self, key: &[u8]) -> bool {
        let mut dots = key.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        dots.any(|(dot, _)| {
            let part = key.get(dot + 1..).unwrap_or_default();
            match (part.first(), part.last()) {
                (Some(&first), Some(&last)) if !is_separator(first) && !is_separator(last) => {
                    self.may_be(first, last, part.len()) && self.contains_whole(part)
                }
                _ => self.contains_whole(part),
            }
        })
    }

    fn contains_whole(&self, key: &[u8]) -> bool {
        let (Some(first), Some(last)) = (normalised(key).next(), normalised(key).next_back())
        else {
            return false;
        };
        self.keys.get(low_bits(last)).into_iter().flatten().any(|known| {
            known.first() == Some(&first)
                && known.len() <= key.len()
                && normalised(key).eq(known.iter().copied())
        })
    }
}

/// The same for a letter in upper and in lower case.
fn low_bits(byte: u8) -> usize {
    usize::from(byte & 0x1f)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b' ')
}

/// The key in lower case without separators.
fn normalised(key: &[u8]) -> impl DoubleEndedIterator<Item = u8> {
    key.iter().filter(|byte| !is_separator(**byte)).map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_matched_as_people_vary_them() {
        let set = KeySet::new(SECRET_KEYS);
        for key in SECRET_KEYS {
            assert!(set.contains(key), "{key}");
        }
        for key in [
            "PASSWORD",
            "apiKey",
            "api-key",
            "API_KEY",
            "X-Api-Key",
            "x api key",
            "Set-Cookie",
            "accessToken",
            "AWS_SECRET_ACCESS_KEY",
            "aws.secret.access.key",
            "_password",
            "password_",
            "http.request.header.authorization",
            "http.request.header.Set-Cookie",
            "user.password",
            "config.api.key",
            "CVV",
        ] {
            assert!(set.contains(key), "{key}");
        }
    }

    #[test]
    fn nothing_is_matched_by_a_part_of_a_word() {
        let set = KeySet::new(SECRET_KEYS);
        for key in [
            "",
            ".",
            "_",
            "session",
            "session_id",
            "author",
            "authors",
            "auth",
            "authenticated",
            "authorization_url",
            "tokens",
            "token_count",
            "max_tokens",
            "total_tokens",
            "prompt_tokens",
            "tokenizer",
            "secretary",
            "password_reset_url",
            "password.length",
            "cookie_consent",
            "key",
            "api",
            "pin",
            "pwd_path",
            "passwords_checked",
            "card",
            "user",
            "path",
            "cached",
            "total",
            "order_id",
            "http.status_code",
            "http.request.header.accept",
            "größe",
        ] {
            assert!(!set.contains(key), "{key}");
        }
    }

    #[test]
    fn a_set_holds_what_it_was_made_of() {
        let set = KeySet::new(["Größe", "inner note", "..."]);
        assert!(set.contains("Größe") && set.contains("größe") && set.contains("INNER_NOTE"));
        assert!(!set.contains("...") && !set.contains(""));
        assert!(KeySet::default().is_empty() && !KeySet::default().contains("password"));
    }

    proptest! {
        #[test]
        fn a_key_is_found_under_every_spelling(key in "[a-zA-Z0-9_. -]{0,20}", upper in any::<bool>()) {
            let set = KeySet::new([&key]);
            let spelt = if upper { key.to_uppercase() } else { key.replace(['_', ' '], "-") };
            let has_letters = key.bytes().any(|byte| !is_separator(byte));
            prop_assert_eq!(set.contains(&spelt), has_letters);
            let path = format!("of.{spelt}");
            prop_assert_eq!(set.contains(&path), has_letters);
        }
    }
}
