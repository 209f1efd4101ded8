//! Records as JSON: one, and a page of them.

use std::time::Duration;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use millpond_query::{Cursor, Field};
use millpond_record::{
    LogRecord, TextAttribute,
    json::{Scalar, write_string, write_u64},
};
use millpond_store::{Answer, records, template};
use serde_json::{Value, json};

use super::search::{Found, Total};

/// What an answer may have besides its records.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// The only members of each record; empty for all.
    pub(crate) fields: Vec<Field>,
    /// The query, to be explained.
    pub(crate) explained: Option<String>,
    /// Members of the answer.
    pub(crate) members: Vec<(&'static str, Value)>,
}

/// A page as the answer.
pub(crate) fn response(found: &Found, extras: Extras) -> Response {
    let Extras { fields, explained, mut members } = extras;
    let mut body = String::with_capacity(64 + 512 * found.answer.rows.num_rows());
    body.push_str("{\"logs\":");
    write_records(&mut body, records(&found.answer.rows), &fields);
    members.push(("has_more", found.has_more.into()));
    if let Some(next) = found.next_page() {
        members.push(("next_cursor", next.to_string().into()));
    }
    match found.total {
        Some(Total::Exact(count)) => {
            members.extend([("total", count.into()), ("total_relation", "exact".into())]);
        }
        Some(Total::LowerBound(count)) => {
            members.extend([("total", count.into()), ("total_relation", "lower_bound".into())]);
        }
        None => {}
    }
    if let Some(query) = explained {
        members.push(("explain", explain(&found.answer, &query, found.elapsed)));
    }
    if !found.answer.damaged.is_empty() {
        members.push(("damaged", found.answer.damaged.clone().into()));
    }
    finish(body, members)
}

/// What a query read, and what it is.
pub(crate) fn explain(answer: &Answer, query: &str, elapsed: Duration) -> Value {
    let mut explained = json!({ "query": query });
    let read = serde_json::to_value(answer.explain).unwrap_or_default();
    if let (Some(members), Value::Object(read)) = (explained.as_object_mut(), read) {
        members.extend(read);
        members.insert("elapsed_ms".to_owned(), (elapsed.as_secs_f64() * 1000.0).into());
    }
    explained
}

/// Adds members to an object that is written but for its end, and makes it the answer.
pub(crate) fn finish(mut body: String, members: Vec<(&'static str, Value)>) -> Response {
    for (name, value) in members {
        body.push(',');
        write_string(&mut body, name);
        body.push(':');
        body.push_str(&value.to_string());
    }
    body.push('}');
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Writes an array of records; tells the place of the last one.
pub(crate) fn write_records<'a>(
    out: &mut String,
    records: impl IntoIterator<Item = (Cursor, LogRecord<'a>)>,
    fields: &[Field],
) -> Option<Cursor> {
    let mut last = None;
    out.push('[');
    for (cursor, record) in records {
        if last.is_some() {
            out.push(',');
        }
        if fields.is_empty() {
            write_record(out, cursor, &record);
        } else {
            write_members(out, cursor, &record, fields);
        }
        last = Some(cursor);
    }
    out.push(']');
    last
}

/// Writes a record with its id.
pub(crate) fn write_record(out: &mut String, cursor: Cursor, record: &LogRecord<'_>) {
    out.push_str("{\"id\":");
    write_string(out, &cursor.to_string());
    out.push(',');
    let start = out.len();
    record.write_json(out);
    // The members of the record go on in the object that was opened for the id.
    out.remove(start);
}

/// Writes the id of a record and some of its members, each under the name by which it is asked for.
fn write_members(out: &mut String, cursor: Cursor, record: &LogRecord<'_>, fields: &[Field]) {
    out.push_str("{\"id\":");
    write_string(out, &cursor.to_string());
    for field in fields {
        let end = out.len();
        out.push(',');
        write_string(out, &field.name());
        out.push(':');
        if !write_value(out, record, field) {
            out.truncate(end);
        }
    }
    out.push('}');
}

/// Writes the value of a field; `false` if there is none.
fn write_value(out: &mut String, record: &LogRecord<'_>, field: &Field) -> bool {
    match field {
        Field::Words => write_string(out, record.message()),
        Field::Time => {
            out.push('"');
            record.time.write(out);
            out.push('"');
        }
        Field::Level => write_string(out, record.severity.level().name()),
        Field::SeverityNumber => write_u64(out, record.severity.number().into()),
        Field::StepIndex => match record.step_index {
            Some(step) => write_u64(out, step.into()),
            None => return false,
        },
        Field::Tags => {
            out.push('[');
            for (place, tag) in record.tags.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_string(out, tag);
            }
            out.push(']');
        }
        Field::Template => write_string(out, &template(record.message())),
        Field::Text(attribute) => match text(record, *attribute) {
            Some(value) => write_scalar(out, &value),
            None => return false,
        },
        Field::Exception(path) => {
            let value = record.exception.as_ref().and_then(|exception| exception.get(path));
            match value {
                Some(value) => write_scalar(out, &value),
                None => return false,
            }
        }
        Field::Path(path) => match record.fields.get(path) {
            Some(value) => write_scalar(out, &value),
            None => return false,
        },
        Field::Fields => out.push_str(record.fields.as_str()),
    }
    true
}

/// The value of a text attribute, or of the member of `fields` that a query takes in its place.
pub(crate) fn text<'a>(record: &'a LogRecord<'_>, attribute: TextAttribute) -> Option<Scalar<'a>> {
    match record.text(attribute) {
        Some(text) => Some(Scalar::String(text.into())),
        None => record.fields.get(attribute.name()),
    }
}

fn write_scalar(out: &mut String, value: &Scalar<'_>) {
    match value {
        Scalar::String(text) => write_string(out, text),
        other => out.push_str(other.text()),
    }
}
