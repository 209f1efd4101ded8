//! `GET /api/v1/openapi.json`: the OpenAPI 3.1 document, made from the table of routes. What bodies and answers look
//! like is in `openapi.json` beside this file.

use std::sync::LazyLock;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    peers::Peer,
    routes::{Access, Parameter, Route, routes},
};

const SCHEMAS: &str = include_str!("openapi.json");

/// Errors that any route may answer with; see the schema `Error`.
const REFUSALS: [(&str, &str); 8] = [
    ("400", "a parameter, the query or the body is wrong"),
    ("401", "the key is missing, unknown or revoked"),
    ("403", "the key lacks the scope"),
    ("404", "there is nothing under this address"),
    ("413", "the body is too large"),
    ("429", "too much is asked at once; see Retry-After"),
    ("500", "the server failed"),
    ("503", "not now: a time limit, a full disk, or the end of the server"),
];

pub(crate) async fn show() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// The document.
fn document() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_lowercase(), operation(route));
        }
    }
    // A test reads it.
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Millpond", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "header": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let of_path = path_parameters(route.path).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let of_query = route.parameters.iter().copied().flatten().map(parameter);
    let media = match route.answer {
        "Events" => "text/event-stream",
        "Metrics" => "text/plain",
        _ => "application/json",
    };
    let mut responses = Map::new();
    let answer = json!({ media: { "schema": reference(route.answer) } });
    responses.insert("200".to_owned(), json!({ "description": "done", "content": answer }));
    for (status, about) in REFUSALS {
        let error = json!({ "application/json": { "schema": reference("Error") } });
        responses.insert(status.to_owned(), json!({ "description": about, "content": error }));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "parameters": of_path.chain(of_query).collect::<Vec<_>>(),
        "responses": responses,
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if let Some(body) = route.body {
        let content = json!({ "application/json": { "schema": reference(body) } });
        members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let security = match route.access {
        Access::Everyone => json!([]),
        Access::AnyKey | Access::Scope(_) => json!([{ "header": [] }, { "bearer": [] }]),
    };
    members.insert("security".to_owned(), security);
    members.insert("tags".to_owned(), json!([route.peer.map_or("Millpond", Peer::name)]));
    if let Access::Scope(scope) = route.access {
        let text = format!("The key needs the scope `{}`.", scope.name());
        members.insert("description".to_owned(), text.into());
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        "array" => json!({ "type": "array", "items": { "type": "string" } }),
        kind => json!({ "type": kind }),
    };
    json!({ "name": parameter.name, "in": "query", "description": parameter.about, "schema": schema })
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// `get_logs_id_context`; in front the system whose route it is, for two may have one name for different things.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    let words = words.filter(|word| !matches!(*word, "api" | "v1"));
    let system = route.peer.map(|peer| peer.name().to_lowercase());
    system
        .into_iter()
        .chain([route.method.to_lowercase()])
        .chain(words.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document();
        let mut left = vec![&document];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                        let pointer = reference.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    left.extend(members.values());
                }
                Value::Array(values) => left.extend(values),
                _ => {}
            }
        }
    }

    #[test]
    fn every_schema_is_led_to() {
        let document = document().to_string();
        let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap();
        for name in schemas.keys() {
            assert!(document.contains(&format!("#/components/schemas/{name}\"")), "{name}");
        }
    }

    #[test]
    fn every_operation_has_a_name_and_a_purpose_of_its_own() {
        let names: HashSet<String> = routes().map(operation_id).collect();
        assert_eq!(names.len(), routes().count());
        assert!(routes().all(|route| !route.about.is_empty()));
    }

    /// What the documentation has sections of, and rows of its tables; in that of administration paths are relative.
    fn titles(text: &str) -> Vec<String> {
        const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        let pieces = text.lines().filter_map(|line| {
            let title = line.strip_prefix("## ").map(|title| (title, ""));
            title.or_else(|| Some((line.strip_prefix("| ")?.split('|').next()?, "/api/v1/admin/")))
        });
        let titles =
            pieces.flat_map(|(title, base)| title.split('`').map(move |piece| (piece, base)));
        titles
            .filter_map(|(title, base)| {
                let (method, path) = title.split_once(' ').filter(|(m, _)| METHODS.contains(m))?;
                let path = path.split('?').next()?;
                let base = if path.starts_with('/') { "" } else { base };
                Some(format!("{method} {base}{path}"))
            })
            .collect()
    }

    #[test]
    fn the_documentation_has_every_route_and_no_other() {
        let mut documented = titles(include_str!("../../../docs/http-api.md"));
        let mut served: Vec<_> =
            routes().map(|route| format!("{} {}", route.method, route.path)).collect();
        documented.sort();
        // Paths that are more than one system's are in a table of their own as well.
        documented.dedup();
        served.sort();
        assert_eq!(documented, served);
    }
}
