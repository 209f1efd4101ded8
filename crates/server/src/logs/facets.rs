//! `GET /api/v1/facets`: the values of fields and how often each occurs. `GET /api/v1/fields`: which fields there are.

use axum::{Json, extract::State};
use millpond_query::Field;
use millpond_store::{QueryError, column};
use serde_json::{Value, json};

use super::{
    parameters::{NoParameters, Parameters, Word, Words, number, range, time_max},
    reading::{Reading, ask},
    selection::selecting,
    table,
};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    keys::Scope,
    limits::{FACET_VALUES, FACET_VALUES_MAX, FACETS_MAX},
};

selecting! {
    /// The parameters of facets.
    FacetsParameters {
        field: Words,
        limit: Option<Word>,
        timeout_ms: Option<Word>,
    }
}

pub(crate) async fn facets(
    State(app): State<App>,
    caller: Caller,
    Parameters(asked): Parameters<FacetsParameters>,
) -> Result<Json<Value>, ApiError> {
    let fields = asked.field.fields();
    if !(1..=FACETS_MAX).contains(&fields.len()) {
        let message = format!("field: {} are named, expected 1 to {FACETS_MAX}", fields.len());
        return Err(ApiError::parameter(message));
    }
    if fields.contains(&Field::Fields) {
        let message = "field: `fields` are all fields, expected one of them, by its name";
        return Err(ApiError::parameter(message));
    }
    let filter = asked.filter()?;
    let range = range(asked.from.as_ref(), asked.to.as_ref(), clock::now())?;
    let limit = number("limit", asked.limit.as_ref(), 1..=FACET_VALUES_MAX, FACET_VALUES)?;
    let question = |reading: Reading| async move {
        let mut facets = Vec::new();
        let mut damaged = Vec::new();
        for field in fields {
            // One more tells whether there are more.
            let top = reading.top(filter.clone(), range, field.clone(), limit + 1).await?;
            let [values, counts] = top.rows.columns() else {
                return Err(QueryError::Invalid("a facet has two columns".to_owned()));
            };
            let shown = (0..top.rows.num_rows().min(limit)).map(|row| {
                json!({ "value": table::value(values, row), "count": table::value(counts, row) })
            });
            let (values, has_more) = (shown.collect::<Vec<_>>(), top.rows.num_rows() > limit);
            facets.push(json!({ "field": field.name(), "values": values, "has_more": has_more }));
            damaged = top.damaged;
        }
        Ok((facets, damaged))
    };
    let time_max = time_max(asked.timeout_ms.as_ref())?;
    let (facets, damaged) = ask(&app, &caller, time_max, question).await?;
    let mut answer = json!({ "facets": facets });
    if let Some(members) = answer.as_object_mut().filter(|_| !damaged.is_empty()) {
        members.insert("damaged".to_owned(), damaged.into());
    }
    Ok(Json(answer))
}

pub(crate) async fn fields(
    State(app): State<App>,
    caller: Caller,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Value>, ApiError> {
    caller.require(Scope::Query)?;
    let columns = app.store.columns(&caller.project);
    // Of these a query asks for members, not for the whole; or not at all.
    let hidden = [column::SEQUENCE, column::OBSERVED_TIME, column::EXCEPTION, column::FIELDS];
    let fields = columns.fields().iter().filter(|field| !hidden.contains(&field.name().as_str()));
    let mut fields: Vec<Value> = fields
        .map(|field| {
            let name = Field::named(field.name());
            json!({ "name": name.name(), "type": table::type_name(field.data_type()) })
        })
        .collect();
    fields.push(json!({ "name": Field::Template.name(), "type": "string" }));
    Ok(Json(json!({ "fields": fields })))
}
