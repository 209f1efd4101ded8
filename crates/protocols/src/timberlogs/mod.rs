//! Timberlogs: what its clients send, and records as it shows them.
//!
//! Structured entries and all six raw formats are read with Timberlogs' names and held to its limits. An entry that
//! breaks one is rejected with the name of the member; one that can't be read at all is rejected without.

mod entry;
mod limits;
mod shown;

pub use shown::{level, log};

use millpond_record::{
    Body, BodyFormat,
    json::{Reader, SyntaxError},
};
use millpond_wire::Format;

use crate::{
    csv,
    lines::lines,
    names::of_timberlogs,
    obl,
    output::{BodyError, Fault, Output},
    syslog, text,
};

pub(crate) fn read(format: Format, text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    output.hold_to(move |record, json| limits::check(format, record, json));
    match format {
        Format::Json => {
            for item in Body::new(text, BodyFormat::Json, output.observed())? {
                let (_, json) = item?;
                take(None, json, output)?;
            }
            Ok(())
        }
        Format::Jsonl => read_lines(text, output),
        Format::Syslog => syslog::read(text, output),
        Format::Text => text::read(text, output),
        Format::Csv => csv::read_named(of_timberlogs, text, output),
        Format::Obl => obl::read(text, output),
    }
}

fn read_lines(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    for (number, line) in lines(text) {
        let line = line.trim();
        match alone(line) {
            Ok(()) => take(Some(number), line, output)?,
            Err(error) => output.rejected(Some(number), error.to_string())?,
        }
    }
    if output.is_empty() { Err(BodyError::Empty("one JSON object a line")) } else { Ok(()) }
}

/// Whether a line is one JSON value.
fn alone(line: &str) -> Result<(), SyntaxError> {
    let mut reader = Reader::new(line);
    reader.skip_value()?;
    reader.peek().map_or(Ok(()), |_| Err(reader.error("the end of the line")))
}

fn take(line: Option<usize>, json: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    if !json.starts_with('{') {
        let found: String = json.chars().take(32).collect();
        return output.rejected(line, format!("entry is `{found}`, expected an object"));
    }
    if !output.fits(line, json.len())? {
        return Ok(());
    }
    match entry::record(json) {
        Ok(record) => output.record(line, &record),
        Err(Fault { field, reason }) => output.rejected_for(line, field, reason),
    }
}
