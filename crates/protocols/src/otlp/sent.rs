//! Messages as they were sent, looked into without being made into values all at once: a request may hold millions of
//! empty ones, and each is a hundred times larger in memory than in the body.

use millpond_record::limits::RECORD_BYTES_MAX;
use prost::{Message, decode_length_delimiter};
use serde::de::DeserializeOwned;

use crate::walk::{elements, members};

/// A field that holds messages: its number in protobuf, and its name in JSON.
pub(super) type Field = (usize, &'static str);

/// One message.
#[derive(Clone, Copy)]
pub(super) enum Sent<'a> {
    Protobuf(&'a [u8]),
    /// Well-formed JSON.
    Json(&'a str),
}

impl<'a> Sent<'a> {
    /// The messages in one of its fields, in their order.
    pub(super) fn each<E: From<String>>(
        self,
        (number, name): Field,
        mut take: impl FnMut(Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Protobuf(mut rest) => {
                while let Some((found, message)) = next(&mut rest)? {
                    if found == number {
                        take(Self::Protobuf(message))?;
                    }
                }
            }
            Self::Json(text) if text.starts_with('{') => {
                for (_, value) in members(text).filter(|(key, _)| key == name) {
                    match value.bytes().next() {
                        Some(b'[') => elements(value).map(Self::Json).try_for_each(&mut take)?,
                        Some(b'{') => take(Self::Json(value))?,
                        _ if value == "null" => {}
                        _ => return Err(format!("`{name}` is {}", shortened(value)).into()),
                    }
                }
            }
            Self::Json(text) => return Err(format!("a message is {}", shortened(text)).into()),
        }
        Ok(())
    }

    /// The message as a value, if it is not larger than a record may be.
    pub(super) fn read<M: Message + Default + DeserializeOwned>(self) -> Result<M, String> {
        let bytes = match self {
            Self::Protobuf(message) => message.len(),
            Self::Json(text) => text.len(),
        };
        if bytes > RECORD_BYTES_MAX {
            return Err(format!("message is {bytes} bytes, expected at most {RECORD_BYTES_MAX}"));
        }
        match self {
            Self::Protobuf(message) => M::decode(message).map_err(|error| error.to_string()),
            Self::Json(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    /// The message in one of its fields; of several the last.
    pub(super) fn one<M: Message + Default + DeserializeOwned>(
        self,
        field: Field,
    ) -> Result<Option<M>, String> {
        let mut found = None;
        self.each(field, |sent| {
            found = Some(sent);
            Ok::<_, String>(())
        })?;
        found.map(Self::read).transpose()
    }
}

/// The next field of a message that has a length, with its number.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(usize, &'a [u8])>, String> {
    while !rest.is_empty() {
        let key = varint(rest)?;
        let bytes = match key & 7 {
            0 => {
                varint(rest)?;
                continue;
            }
            1 => 8,
            2 => varint(rest)?,
            5 => 4,
            kind => return Err(format!("a field is of the kind {kind}")),
        };
        let (value, behind) =
            rest.split_at_checked(bytes).ok_or("a field is longer than its message")?;
        *rest = behind;
        if key & 7 == 2 {
            return Ok(Some((key >> 3, value)));
        }
    }
    Ok(None)
}

fn varint(rest: &mut &[u8]) -> Result<usize, String> {
    decode_length_delimiter(rest).map_err(|error| error.to_string())
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}
