//! Ids that follow from what they are made of: the same pieces give the same id, on every server.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// A UUID of version 8 (RFC 9562), from the start of a SHA-256 of the pieces, each with its length in front.
pub(crate) fn of(pieces: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for piece in pieces {
        digest.update((piece.len() as u64).to_be_bytes());
        digest.update(piece);
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.finalize()).for_each(|(byte, digest)| *byte = digest);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    with_dashes(&bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// 32 hex digits as a UUID is written.
pub(crate) fn with_dashes(hex: &str) -> String {
    let mut uuid = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_that_only_its_pieces_decide() {
        let id = of(&[b"a", b"bc"]);
        assert_eq!(id, of(&[b"a", b"bc"]));
        assert_ne!(id, of(&[b"ab", b"c"]));
        let places: Vec<_> = id.match_indices('-').map(|(place, _)| place).collect();
        assert_eq!((id.len(), places), (36, vec![8, 13, 18, 23]));
        assert_eq!(id.chars().nth(14), Some('8'), "{id}");
        assert!(id.chars().nth(19).is_some_and(|variant| "89ab".contains(variant)), "{id}");
    }
}
