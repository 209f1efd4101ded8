//! What is in a record that should not leave the process: values under keys that name a secret ([`KeySet`]),
//! secrets inside of texts ([`redact`]), binary data written as base64 ([`without_base64`]), and texts that are
//! too long ([`head`]).
//!
//! Pure: a text in, the text that may be kept out. Whether any of it is asked for is the caller's policy. A text
//! that holds nothing of the kind is never copied.

mod base64;
mod head;
mod keys;
mod secrets;

pub use base64::{BASE64_CHARS_MIN, without_base64};
pub use head::{head, json_head};
pub use keys::{KeySet, SECRET_KEYS};
pub use secrets::{is_card_number, prepare, redact};

/// Written in place of a value whose key names a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Written in place of a value whose key is excluded.
pub const EXCLUDED: &str = "[EXCLUDED]";

/// Written in place of base64.
pub const BASE64_REMOVED: &str = "[BASE64 DATA REMOVED]";

/// Written behind what is left of a text that was cut.
pub const TRUNCATED: &str = "...[TRUNCATED]";

/// Written in place of a number that is a payment card's.
pub const CARD_REDACTED: &str = "[REDACTED:card]";
