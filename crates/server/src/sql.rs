//! `POST /api/v1/sql`: a statement -> its rows as JSON. What a statement may say and take is decided in
//! `millpond-sql`; see `docs/sql.md`.

use std::{sync::Arc, time::Duration};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, FieldRef},
    error::ArrowError,
    json::writer::{EncoderOptions, NullableEncoder, make_encoder},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use millpond_record::json::write_string;
use millpond_sql::{Limits, ROWS, ROWS_MAX, SqlAnswer, SqlError, TIME, TIME_MAX};
use serde::Deserialize;

use crate::{
    App,
    auth::Caller,
    body,
    error::ApiError,
    keys::Scope,
    limits::{RETRY_OVERLOADED_SECONDS, SQL_BODY_BYTES_MAX},
    logs::{NoParameters, Parameters},
};

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    limit: Option<usize>,
    timeout_ms: Option<u64>,
}

impl Question {
    fn limits(&self) -> Result<Limits, ApiError> {
        let rows = self.limit.unwrap_or(ROWS);
        if !(1..=ROWS_MAX).contains(&rows) {
            return Err(ApiError::body(format!("`limit` is {rows}, expected 1 to {ROWS_MAX}")));
        }
        let time = self.timeout_ms.map_or(TIME, Duration::from_millis);
        if time.is_zero() || time > TIME_MAX {
            return Err(ApiError::body(format!(
                "`timeout_ms` is {}, expected 1 to {}",
                time.as_millis(),
                TIME_MAX.as_millis()
            )));
        }
        Ok(Limits { rows, time })
    }
}

pub(crate) async fn query(
    State(app): State<App>,
    caller: Caller,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    caller.require(Scope::Query)?;
    let body = body::read(request, &headers, &app.budget, SQL_BODY_BYTES_MAX).await?;
    let question: Question = serde_json::from_slice(&body.bytes).map_err(|error| {
        ApiError::body(format!("{error}, expected {{\"sql\":\"SELECT count(*) FROM logs\"}}"))
    })?;
    let limits = question.limits()?;
    let (sql, store) = (Arc::clone(&app.sql), Arc::clone(&app.store));
    let project = caller.project.clone();
    let answered = app.statements.run_within(limits.time, async move {
        loop {
            let known = store.damaged(&project).len();
            let answer = sql.query(&project, &question.sql, limits).await;
            let damaged = store.damaged(&project);
            // Ends: each round finds one more damaged segment.
            if answer.is_ok() || damaged.len() <= known {
                return written(&answer?, &damaged)
                    .map_err(|error| ApiError::internal(format!("write the rows: {error}")));
            }
        }
    });
    Ok(([(CONTENT_TYPE, "application/json")], answered.await?).into_response())
}

impl From<SqlError> for ApiError {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        match error {
            SqlError::Invalid { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_query", message)
            }
            SqlError::OutOfMemory { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                    .retry_after(RETRY_OVERLOADED_SECONDS)
            }
            SqlError::Timeout { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "query_timeout", message)
            }
            SqlError::Store(error) => error.into(),
            _ => Self::internal(message),
        }
    }
}

/// `{"columns":[{"name","type"}],"rows":[[…]],"truncated"}`
fn written(answer: &SqlAnswer, damaged: &[String]) -> Result<Vec<u8>, ArrowError> {
    let mut head = String::from("{\"columns\":[");
    for (place, field) in answer.schema.fields().iter().enumerate() {
        head.push_str(if place > 0 { ",{\"name\":" } else { "{\"name\":" });
        write_string(&mut head, field.name());
        head.push_str(",\"type\":\"");
        head.push_str(type_name(field.data_type()));
        head.push_str("\"}");
    }
    head.push_str("],\"rows\":[");
    let mut out = head.into_bytes();
    let start = out.len();
    let options: Vec<_> = answer.schema.fields().iter().map(options).collect();
    for batch in &answer.batches {
        write_rows(&mut out, batch, &options, start)?;
    }
    let mut end = format!("],\"truncated\":{}", answer.truncated);
    if !damaged.is_empty() {
        end.push_str(",\"damaged\":");
        end.push_str(&serde_json::Value::from(damaged.to_vec()).to_string());
    }
    end.push('}');
    out.extend_from_slice(end.as_bytes());
    Ok(out)
}

fn write_rows(
    out: &mut Vec<u8>,
    batch: &RecordBatch,
    options: &[EncoderOptions],
    start: usize,
) -> Result<(), ArrowError> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns()).zip(options);
    let encoders = columns.map(|((field, column), options)| make_encoder(field, column, options));
    let mut encoders: Vec<NullableEncoder<'_>> = encoders.collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        out.extend_from_slice(if out.len() > start { b",[" } else { b"[" });
        for (place, encoder) in encoders.iter_mut().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            if encoder.is_null(row) {
                out.extend_from_slice(b"null");
            } else {
                encoder.encode(row, out);
            }
        }
        out.push(b']');
    }
    Ok(())
}

/// Times as everywhere in the API; those that have a zone that is not UTC with their offset.
fn options(field: &FieldRef) -> EncoderOptions {
    const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.9f";
    let zone = match field.data_type() {
        DataType::Timestamp(_, Some(zone)) if !matches!(zone.as_ref(), "UTC" | "+00:00") => "%:z",
        _ => "Z",
    };
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(LOCAL.to_owned())
        .with_timestamp_tz_format(format!("{LOCAL}{zone}"))
}

fn type_name(of: &DataType) -> &'static str {
    use DataType as T;
    match of {
        T::Null => "null",
        T::Boolean => "boolean",
        T::Float16 | T::Float32 | T::Float64 => "number",
        T::Timestamp(..) => "time",
        T::Date32 | T::Date64 => "date",
        T::Time32(_) | T::Time64(_) => "time_of_day",
        T::Duration(_) | T::Interval(_) => "interval",
        T::List(_)
        | T::LargeList(_)
        | T::FixedSizeList(..)
        | T::ListView(_)
        | T::LargeListView(_) => "array",
        T::Struct(_) | T::Map(..) | T::Union(..) => "object",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "binary",
        T::Dictionary(_, values) => type_name(values),
        T::RunEndEncoded(_, values) => type_name(values.data_type()),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "string",
        number if number.is_integer() => "integer",
        _ => "number",
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{
            ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray,
            TimestampNanosecondArray, UInt64Array,
        },
        datatypes::{Field, Schema},
    };
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn rows_are_written_exactly_and_nothing_is_null() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("f", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("t\"", Arc::new(StringArray::from(vec![Some("a\"\n\u{1}ü"), None]))),
            ("utc", Arc::new(TimestampNanosecondArray::from(vec![1, 0]).with_timezone("UTC"))),
            (
                "berlin",
                Arc::new(TimestampNanosecondArray::from(vec![1, 0]).with_timezone("+01:00")),
            ),
            ("none", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]))),
        ];
        let fields: Vec<_> = columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let batches = vec![batch.slice(0, 1), batch.slice(1, 1)];
        let out = written(&SqlAnswer { schema, batches, truncated: true }, &[]).unwrap();
        let read: Value = serde_json::from_slice(&out).unwrap();
        let types: Vec<_> =
            read["columns"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
        assert_eq!(
            types,
            ["integer", "integer", "number", "boolean", "string", "time", "time", "time"]
        );
        assert_eq!(read["columns"][4]["name"], "t\"");
        assert_eq!(read["truncated"], true);
        assert_eq!(
            read["rows"],
            json!([
                [
                    i64::MIN,
                    u64::MAX,
                    0.1,
                    true,
                    "a\"\n\u{1}ü",
                    "1970-01-01T00:00:00.000000001Z",
                    "1970-01-01T01:00:00.000000001+01:00",
                    "1970-01-01T00:00:00.000000001"
                ],
                [
                    null,
                    0,
                    null,
                    null,
                    null,
                    "1970-01-01T00:00:00.000000000Z",
                    "1970-01-01T01:00:00.000000000+01:00",
                    null
                ]
            ])
        );
    }
}
