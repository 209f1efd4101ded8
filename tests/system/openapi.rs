//! The OpenAPI document, held against what the server does.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::fixture::Fixture;

/// What the server says that it takes, when it is asked with a parameter that nothing takes.
fn taken(message: &str) -> BTreeSet<String> {
    let expected = message.split_once("expected ").map(|(_, names)| names).unwrap_or_default();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn documented(operation: &Value) -> BTreeSet<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let of_query = parameters.filter(|parameter| parameter["in"] == "query");
    of_query.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect()
}

#[test]
fn every_documented_route_is_there_and_takes_what_is_documented() -> Result<()> {
    let fixture = Fixture::start()?;
    let document = fixture.api.bare("GET", "/api/v1/openapi.json", &[])?.succeeded()?.body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().context("no paths")? {
        for (method, operation) in operations.as_object().context("no operations")? {
            if operation["tags"] != serde_json::json!(["Millpond"]) {
                // What another system's routes take is documented there.
                let reply = fixture.api.bare(&method.to_uppercase(), path, &[])?;
                assert_ne!(reply.status, 405, "{method} {path}");
                assert!(!reply.text.contains("there is no route"), "{method} {path}");
                continue;
            }
            let asked = path.replace(['{', '}'], "") + "?no_such_parameter=1";
            let key = [("X-API-Key", fixture.api.key())];
            let reply = fixture.api.bare(&method.to_uppercase(), &asked, &key)?;
            if operation["security"] == serde_json::json!([]) {
                assert_eq!(reply.status, 200, "{path}");
                continue;
            }
            assert_eq!(
                (reply.status, reply.code()),
                (400, "invalid_parameter"),
                "{method} {path}: {}",
                reply.text
            );
            assert_eq!(taken(reply.message()), documented(operation), "{method} {path}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} routes");
    Ok(())
}
