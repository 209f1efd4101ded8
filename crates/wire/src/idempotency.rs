//! The name of a batch: who sent it, and which of that sender's batches it is.

use std::{fmt, str::FromStr};

/// Longest idempotency key, in bytes. Ours take 32 hex digits, a colon and at most 20 decimal digits; a server
/// keeps one for each stored batch, so that others may not be arbitrarily long either.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// Names one batch. A retry carries the key of the first attempt.
///
/// Written as `CLIENT:SEQUENCE`. Read back, what follows the last colon is the sequence if it is a plain decimal
/// number; any other text is a client with the sequence 0, so that every key that a foreign client invents works.
///
/// ```
/// # use millpond_wire::IdempotencyKey;
/// let key: IdempotencyKey = "4bf92f35:17".parse()?;
/// assert_eq!((key.client.as_str(), key.sequence), ("4bf92f35", 17));
/// assert_eq!(key.to_string(), "4bf92f35:17");
/// # Ok::<(), millpond_wire::IdempotencyKeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey {
    /// The sender: ours is a random 128-bit number for each process.
    pub client: String,
    /// Which of the sender's batches, from 1.
    pub sequence: u64,
}

/// A text that can't be an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyKeyError {
    /// All batches with an empty key would count as one.
    #[error("idempotency key is empty, expected CLIENT:SEQUENCE")]
    Empty,
    /// Longer than [`IDEMPOTENCY_KEY_BYTES_MAX`].
    #[error("idempotency key is {bytes} bytes, expected at most {IDEMPOTENCY_KEY_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.client, self.sequence)
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        if text.is_empty() {
            return Err(IdempotencyKeyError::Empty);
        }
        if text.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(IdempotencyKeyError::TooLong { bytes: text.len() });
        }
        let split = text.rsplit_once(':').filter(|(client, _)| !client.is_empty());
        let split = split.and_then(|(client, digits)| Some((client, sequence(digits)?)));
        let (client, sequence) = split.unwrap_or((text, 0));
        Ok(Self { client: client.to_owned(), sequence })
    }
}

/// Only the one way in which [`fmt::Display`] writes a number: were `a:7`, `a:+7` and `a:007` the same key, one of
/// these batches would be taken for another.
fn sequence(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (String, u64) {
        let key: IdempotencyKey = text.parse().unwrap();
        (key.client, key.sequence)
    }

    #[test]
    fn the_sequence_is_the_number_behind_the_last_colon() {
        assert_eq!(read("ab:12"), ("ab".to_owned(), 12));
        assert_eq!(read("urn:uuid:9:18446744073709551615"), ("urn:uuid:9".to_owned(), u64::MAX));
        assert_eq!(read(":0"), (":0".to_owned(), 0));
    }

    #[test]
    fn any_other_text_is_a_client_with_sequence_0() {
        for text in
            ["batch", "a:", "a:b", "a:-1", "a:+1", "a:007", "a:18446744073709551616", "a: 1"]
        {
            assert_eq!(read(text), (text.to_owned(), 0));
        }
    }

    #[test]
    fn a_key_is_neither_empty_nor_longer_than_the_limit() {
        assert_eq!("".parse::<IdempotencyKey>(), Err(IdempotencyKeyError::Empty));
        assert!("x".repeat(IDEMPOTENCY_KEY_BYTES_MAX).parse::<IdempotencyKey>().is_ok());
        assert_eq!(
            "x".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1).parse::<IdempotencyKey>(),
            Err(IdempotencyKeyError::TooLong { bytes: IDEMPOTENCY_KEY_BYTES_MAX + 1 })
        );
    }

    proptest! {
        #[test]
        fn a_written_key_reads_back_the_same(client in ".{1,50}", sequence in any::<u64>()) {
            let key = IdempotencyKey { client, sequence };
            prop_assert_eq!(key.to_string().parse::<IdempotencyKey>(), Ok(key));
        }

        #[test]
        fn different_texts_are_different_keys(a in "[a:0-9+]{1,6}", b in "[a:0-9+]{1,6}") {
            // `X` and `X:0` are the one pair that falls together: sequences start at 1.
            prop_assume!(a != b && !a.ends_with(":0") && !b.ends_with(":0"));
            prop_assert_ne!(a.parse::<IdempotencyKey>(), b.parse::<IdempotencyKey>());
        }
    }
}
