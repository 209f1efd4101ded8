//! `csv`: RFC 4180 with a header whose names are those of a record, ours or Timberlogs'. Any other column is a field.
//!
//! An empty cell says nothing. `tags` are separated by semicolons; `data` is a JSON object; a cell of a field that is a
//! number of JSON is kept as one, digit by digit. Commas or tabs, whichever the header has more of.

use std::collections::HashSet;

use csv::{Position, Reader, ReaderBuilder, StringRecord};
use millpond_record::{
    RecordKey, TextAttribute,
    json::{self, ObjectBuilder, write_string},
    limits::FIELDS_MAX,
};

use crate::{
    draft::Draft,
    names::ours,
    output::{BodyError, Output},
};

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    read_named(ours, text, output)
}

/// Reads a body whose columns have names of which `name` tells ours.
pub(crate) fn read_named(
    name: fn(&str) -> &str,
    text: &str,
    output: &mut Output<'_>,
) -> Result<(), BodyError> {
    let mut rows = rows(text);
    let mut row = StringRecord::new();
    if !matches!(rows.read_record(&mut row), Ok(true)) {
        return Err(BodyError::Empty("a header and one record a row"));
    }
    let columns = columns(name, &row).map_err(BodyError::Head)?;
    let mut lines = Lines { text, offset: 0, number: 1 };
    while matches!(rows.read_record(&mut row), Ok(true)) {
        let line = lines.of_row_at(row.position());
        if row.len() == columns.len() {
            if output.fits(Some(line), row.as_slice().len())? {
                output.record(Some(line), &record(&columns, &row))?;
            }
        } else {
            let end = usize::try_from(rows.position().byte()).unwrap_or(usize::MAX);
            let breaks = text.get(lines.offset..end).unwrap_or_default().trim_end().matches('\n');
            output.rejected(Some(line), ragged(row.len(), columns.len(), breaks.count()))?;
        }
    }
    Ok(())
}

fn rows(text: &str) -> Reader<&[u8]> {
    let first_line = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(first_line))
        .from_reader(text.as_bytes())
}

fn delimiter(header: &str) -> u8 {
    let count = |delimiter| header.matches(delimiter).count();
    if count('\t') > count(',') { b'\t' } else { b',' }
}

/// Whether a line looks like a header: names of a record, the message among them, and more than one.
pub(crate) fn is_header(line: &str) -> bool {
    let mut row = StringRecord::new();
    let mut rows = rows(line);
    let read = matches!(rows.read_record(&mut row), Ok(true)) && row.len() > 1;
    let known = |name: &str| RecordKey::of(ours(name.trim())).is_some();
    read && columns(ours, &row).is_ok() && row.iter().filter(|name| known(name)).count() > 1
}

fn ragged(cells: usize, columns: usize, breaks: usize) -> String {
    let reason = format!("row has {cells} cells, expected {columns}");
    match breaks {
        0 => reason,
        breaks => format!("{reason}; it runs over {} lines, is a quote not closed?", breaks + 1),
    }
}

/// What the cells of a column say about a record.
enum Column {
    /// What a member of this name says.
    Member(String),
    StepIndex,
    Tags,
    Fields(String),
    Exception,
    ErrorName,
    ErrorStack,
    Field(String),
}

impl Column {
    /// The column that is called `sent`, where `name` tells our name of it.
    fn of(name: fn(&str) -> &str, sent: &str) -> Self {
        match (sent, RecordKey::of(name(sent))) {
            ("errorName", _) => Self::ErrorName,
            ("errorStack", _) => Self::ErrorStack,
            (_, Some(RecordKey::StepIndex)) => Self::StepIndex,
            (_, Some(RecordKey::Tags)) => Self::Tags,
            (_, Some(RecordKey::Fields)) => Self::Fields(sent.to_owned()),
            (_, Some(RecordKey::Exception)) => Self::Exception,
            (_, Some(_)) => Self::Member(name(sent).to_owned()),
            (_, None) => Self::Field(name(sent).to_owned()),
        }
    }
}

fn columns(name: fn(&str) -> &str, header: &StringRecord) -> Result<Vec<Column>, String> {
    if header.len() > FIELDS_MAX {
        return Err(format!("header has {} columns, expected at most {FIELDS_MAX}", header.len()));
    }
    let names = header.iter().enumerate().map(|(place, name)| match name.trim() {
        "" => format!("column_{}", place + 1),
        name => name.to_owned(),
    });
    let names: Vec<String> = names.collect();
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(format!("header has a column `{}` twice", shown(twice)));
    }
    let is_message =
        |name: &String| RecordKey::of(name) == Some(RecordKey::Text(TextAttribute::Message));
    if !names.iter().any(is_message) {
        let found = shown(&names.join(", "));
        return Err(format!("header has the columns {found}, expected one named `message`"));
    }
    Ok(names.iter().map(|sent| Column::of(name, sent)).collect())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn record(columns: &[Column], row: &StringRecord) -> String {
    let mut draft = Draft::default();
    let mut exception = ObjectBuilder::default();
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        match column {
            Column::Member(name) => write_string(draft.member(name), cell),
            Column::StepIndex if is_number(cell) => draft.member("step_index").push_str(cell),
            Column::StepIndex => write_string(draft.member("step_index"), cell),
            Column::Tags => write_tags(draft.member("tags"), cell),
            Column::Fields(name) => match object(cell) {
                Some(object) => draft.member("fields").push_str(object),
                None => draft.text_field(name, cell),
            },
            Column::Exception => match object(cell) {
                Some(object) => draft.member("exception").push_str(object),
                None => write_string(draft.member("exception"), cell),
            },
            Column::ErrorName => exception.string("type", cell),
            Column::ErrorStack => exception.string("raw", cell),
            Column::Field(name) if is_number(cell) => draft.field(name).push_str(cell),
            Column::Field(name) => draft.text_field(name, cell),
        }
    }
    if !exception.is_empty() {
        draft.member("exception").push_str(exception.finish().as_str());
    }
    draft.finish()
}

fn write_tags(out: &mut String, cell: &str) {
    out.push('[');
    let tags = cell.split(';').map(str::trim).filter(|tag| !tag.is_empty());
    for (place, tag) in tags.enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(out, tag);
    }
    out.push(']');
}

fn is_number(cell: &str) -> bool {
    json::Reader::new(cell).number() == Ok(cell)
}

/// The cell as a JSON object, if it is one.
fn object(cell: &str) -> Option<&str> {
    let mut reader = json::Reader::new(cell);
    let found =
        reader.peek() == Some(b'{') && reader.skip_value().is_ok() && reader.peek().is_none();
    found.then_some(cell)
}

/// Counts the lines up to a row; rows only move on.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    number: usize,
}

impl Lines<'_> {
    /// The line on which a row begins. Its position is the end of the row before; line breaks and blank lines follow.
    fn of_row_at(&mut self, position: Option<&Position>) -> usize {
        let end = usize::try_from(position.map_or(0, Position::byte)).unwrap_or(usize::MAX);
        let bytes = self.text.as_bytes();
        let breaks = bytes.get(end..).unwrap_or_default().iter();
        let breaks = breaks.take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = end.saturating_add(breaks);
        let passed = bytes.get(self.offset..start).unwrap_or_default();
        self.number += passed.iter().filter(|byte| **byte == b'\n').count();
        self.offset = start;
        self.number
    }
}
