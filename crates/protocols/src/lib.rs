//! Foreign log formats, turned into Millpond's records: a body in, one JSON record text per entry out, each decoded by
//! `millpond_record` like every other record.
//!
//! [`read`] takes six [`Format`]s. An entry that is no record is rejected by itself, with its line where the format
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

mod defaults;
mod detect;
mod draft;
mod lines;
mod names;
mod output;
mod time;
mod walk;

pub use defaults::Defaults;
pub use detect::{detect, of_body};
pub use millpond_wire::{Format, UnknownFormat};
pub use output::{BodyError, Entry};

use millpond_record::Timestamp;

use crate::output::Output;

/// Reads the entries of a `body` that arrived at `observed` and hands each to `take`, in their order. Bytes that are
/// no UTF-8 become U+FFFD.
///
/// # Errors
/// The body as a whole can't be read; what was taken of it until then should not be kept.
pub fn read(
    format: Format,
    body: &[u8],
    defaults: &Defaults,
    observed: Timestamp,
    take: &mut dyn FnMut(Entry<'_>),
) -> Result<(), BodyError> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut output = Output::new(defaults, observed, take);
    match format {
        Format::Json => json::read(text, &mut output),
        Format::Jsonl => jsonl::read(text, &mut output),
        Format::Syslog => syslog::read(text, &mut output),
        Format::Text => text::read(text, &mut output),
        Format::Csv => csv::read(text, &mut output),
        Format::Obl => obl::read(text, &mut output),
    }
}
