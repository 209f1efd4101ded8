//! Foreign log formats, turned into Millpond's records: a body in, one JSON record text per entry out, each decoded by
//! `millpond_record` like every other record.
//!
//! [`read`] takes six [`Format`]s, and what the clients of other systems send, as a [`Protocol`]. An entry that is no record is rejected by itself, with its line where the format
//! has lines; only what concerns the body as a whole is a [`BodyError`]. [`Defaults`] fill what a record does not say.
//!
//! Pure: no I/O, no clock; the time at which a body arrived is a parameter.

#![forbid(unsafe_code)]

mod csv;
mod json;
mod jsonl;
mod obl;
mod syslog;
mod text;

pub mod logiscout;
pub mod logtide;
pub mod otlp;
pub mod request;
pub mod streamlogia;
pub mod timberlogs;

mod defaults;
mod derived_id;
mod detect;
mod document;
mod draft;
mod lines;
mod names;
mod output;
mod protocol;
mod shown;
mod time;
mod walk;

pub use defaults::Defaults;
pub use detect::{detect, is_otlp, of_body};
pub use millpond_wire::{Format, UnknownFormat};
pub use output::{BodyError, ENTRIES_MAX, Entry};
pub use protocol::Protocol;

use millpond_record::Timestamp;

use crate::output::Output;

/// Reads the entries of a `body` that arrived at `observed` and hands each to `take`, in their order. Bytes that are
/// no UTF-8 become U+FFFD.
///
/// # Errors
/// The body as a whole can't be read; what was taken of it until then should not be kept.
pub fn read(
    protocol: impl Into<Protocol>,
    body: &[u8],
    defaults: &Defaults,
    observed: Timestamp,
    take: &mut dyn FnMut(Entry<'_>),
) -> Result<(), BodyError> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut output = Output::new(defaults, observed, take);
    match protocol.into() {
        Protocol::Otlp(encoding) => otlp::read(encoding, body, text, &mut output),
        Protocol::Format(Format::Json) => json::read(text, &mut output),
        Protocol::Format(Format::Jsonl) => jsonl::read(text, &mut output),
        Protocol::Format(Format::Syslog) => syslog::read(text, &mut output),
        Protocol::Format(Format::Text) => text::read(text, &mut output),
        Protocol::Format(Format::Csv) => csv::read(text, &mut output),
        Protocol::Format(Format::Obl) => obl::read(text, &mut output),
        Protocol::Timberlogs(format) => timberlogs::read(format, text, &mut output),
        Protocol::LogiScout => logiscout::read(text, &mut output),
        Protocol::Streamlogia => streamlogia::read(text, &mut output),
        Protocol::StreamlogiaBulk => streamlogia::read_bulk(text, &mut output),
    }
}
