//! Administration of keys and projects, over HTTP and from the command line.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Reply, built_program};
use serde_json::{Value, json};

use crate::{
    access::accepted_soon,
    fixture::{Fixture, event, output, printed_key},
};

const KEYS: &str = "/api/v1/admin/keys";

fn created(reply: Reply) -> Result<(String, String)> {
    let body = reply.succeeded()?.body;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    Ok((text(&body["key"])?, text(&body["entry"]["id"])?))
}

fn listed(api: &Api, id: &str) -> Result<Value> {
    let body = api.get(KEYS, &[])?.succeeded()?.body;
    let keys = body["keys"].as_array().context("no keys")?.iter();
    keys.clone().find(|key| key["id"] == id).cloned().context("the key is not listed")
}

/// A project of its own with a key that may do everything there.
fn project(fixture: &Fixture, name: &str) -> Result<Api> {
    let reply = fixture.api.send("POST", "/api/v1/admin/projects", &json!({ "name": name }))?;
    Ok(fixture.api.with_key(&created(reply)?.0))
}

#[test]
fn an_admin_key_makes_changes_rotates_and_revokes_keys_of_its_project() -> Result<()> {
    let fixture = Fixture::start()?;
    let admin = project(&fixture, "orders")?;
    let new = json!({ "name": "laptop", "scopes": ["ingest", "query"], "expires": "90d" });
    let (key, id) = created(admin.send("POST", KEYS, &new)?)?;
    let laptop = admin.with_key(&key);
    laptop.ingest(&[event("one")], None)?.succeeded()?;
    let shown = listed(&admin, &id)?;
    assert_eq!((&shown["project"], &shown["state"]), (&json!("orders"), &json!("valid")));
    assert!(shown["last_used"].is_string() && shown["bytes_today"].as_u64() > Some(0), "{shown}");
    assert_eq!(laptop.get("/api/v1/key", &[])?.body["expires"], shown["expires"]);

    let path = format!("{KEYS}/{id}");
    let change = json!({ "name": "desk", "expires": null, "limits": { "bytes_per_day": 5 } });
    let changed = admin.send("PATCH", &path, &change)?.succeeded()?.body;
    assert_eq!((&changed["name"], &changed["expires"]), (&json!("desk"), &Value::Null));
    assert_eq!(changed["limits"]["bytes_per_day"], 5);

    let (rotated, same) = created(admin.send("POST", &format!("{path}/rotate"), &json!({}))?)?;
    assert_eq!(same, id);
    for key in [&key, &rotated] {
        assert_eq!(admin.with_key(key).get("/api/v1/logs", &[])?.status, 200);
    }
    let at_once = json!({ "grace": "0s" });
    let (last, _) = created(admin.send("POST", &format!("{path}/rotate"), &at_once)?)?;
    for (key, status) in [(&key, 401), (&rotated, 401), (&last, 200)] {
        assert_eq!(admin.with_key(key).get("/api/v1/logs", &[])?.status, status);
    }
    admin.send("DELETE", &path, &json!({}))?.succeeded()?;
    assert_eq!(admin.with_key(&last).get("/api/v1/logs", &[])?.code(), "invalid_key");
    assert_eq!(listed(&admin, &id)?["state"], "revoked");
    assert_eq!(admin.send("PATCH", &path, &change)?.code(), "key_revoked");
    Ok(())
}

#[test]
fn an_admin_key_stays_in_its_project_and_below_server_keys() -> Result<()> {
    let fixture = Fixture::start()?;
    let (admin, _) = fixture.new_key(&["--scopes", "admin"])?;
    accepted(&admin)?;
    let keys = fixture.api.get(KEYS, &[])?.succeeded()?.body;
    let first =
        keys["keys"].as_array().and_then(|keys| keys.iter().find(|key| key["server"] == true));
    let first = first.and_then(|key| key["id"].as_str()).context("no server key")?;
    let server_key = json!({ "scopes": ["admin"], "server": true });
    for (method, path, body) in [
        ("GET", "/api/v1/admin/projects".to_owned(), json!({})),
        ("POST", "/api/v1/admin/projects".to_owned(), json!({ "name": "more" })),
        ("POST", KEYS.to_owned(), server_key),
        ("POST", format!("{KEYS}?project=other"), json!({ "scopes": ["query"] })),
        ("POST", format!("{KEYS}/{first}/rotate"), json!({})),
        ("PATCH", format!("{KEYS}/{first}"), json!({ "name": "mine" })),
        ("DELETE", format!("{KEYS}/{first}"), json!({})),
        ("DELETE", "/api/v1/admin/project?project=other&confirm=other".to_owned(), json!({})),
    ] {
        let refused = admin.send(method, &path, &body)?;
        assert_eq!((refused.status, refused.code()), (403, "server_key_required"), "{path}");
    }
    assert_eq!(fixture.api.get("/api/v1/admin/projects", &[])?.status, 200);
    let (query, _) = fixture.new_key(&["--scopes", "query"])?;
    accepted_soon(&query)?;
    assert_eq!(query.get(KEYS, &[])?.code(), "missing_scope");
    Ok(())
}

#[test]
fn a_project_is_made_once_and_deleted_only_by_its_name() -> Result<()> {
    let fixture = Fixture::start()?;
    let orders = project(&fixture, "orders")?;
    orders.ingest(&[event("one")], None)?.succeeded()?;
    let new = json!({ "name": "orders" });
    let again = fixture.api.send("POST", "/api/v1/admin/projects", &new)?;
    assert_eq!((again.status, again.code()), (409, "project_exists"));
    let wrong = fixture.api.send("POST", "/api/v1/admin/projects", &json!({ "name": "../x" }))?;
    assert_eq!((wrong.status, wrong.code()), (400, "invalid_body"));
    let projects = fixture.api.get("/api/v1/admin/projects", &[])?.succeeded()?.body;
    let names = projects["projects"].as_array().context("no projects")?.iter();
    assert_eq!(names.map(|project| &project["name"]).collect::<Vec<_>>(), ["default", "orders"]);
    for path in ["/api/v1/admin/project", "/api/v1/admin/project?confirm=default"] {
        assert_eq!(orders.send("DELETE", path, &json!({}))?.code(), "invalid_parameter");
    }
    let nobody = fixture.api.get("/api/v1/admin/project", &[("project", "nobody")])?;
    assert_eq!(nobody.code(), "not_found");
    Ok(())
}

#[test]
fn a_deleted_project_has_no_records_and_no_keys() -> Result<()> {
    let fixture = Fixture::start()?;
    let orders = project(&fixture, "orders")?;
    orders.ingest(&[event("theirs")], None)?.succeeded()?;
    fixture.api.ingest(&[event("ours")], None)?.succeeded()?;
    let shown = orders.get("/api/v1/admin/project", &[])?.succeeded()?.body;
    assert_eq!((&shown["records"], &shown["keys"]), (&json!(1), &json!(1)));
    let retention = json!({ "retention": { "age_seconds": 864_000 } });
    let path = "/api/v1/admin/project";
    let kept = orders.send("PATCH", path, &retention)?.succeeded()?.body;
    assert_eq!(kept["retention"], json!({ "age_seconds": 864_000, "bytes": null }));
    let shown = orders.get(path, &[])?.succeeded()?.body;
    assert_eq!(shown["retention"], kept["retention"]);
    let confirmed = format!("{path}?confirm=orders");
    let deleted = orders.send("DELETE", &confirmed, &json!({}))?.succeeded()?.body;
    assert_eq!(deleted["keys_revoked"], 1);
    assert_eq!(orders.get("/api/v1/logs", &[])?.code(), "invalid_key");
    let again = project(&fixture, "orders")?;
    assert!(again.all(&[])?.is_empty());
    assert_eq!(fixture.api.all(&[])?.len(), 1);
    Ok(())
}

#[test]
fn acts_are_in_the_audit_log_whoever_did_them() -> Result<()> {
    let fixture = Fixture::start()?;
    let orders = project(&fixture, "orders")?;
    let (_, id) = fixture.new_key(&["--name", "by hand"])?;
    assert!(fixture.key(&["revoke", "k_nobody"]).is_err());
    let log = |api: &Api| -> Result<Vec<String>> {
        let body = api.get("/api/v1/admin/audit", &[])?.succeeded()?.body;
        let line = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().unwrap_or("?").to_owned();
            let outcome = text("outcome").chars().take(6).collect::<String>();
            format!("{} {} {} {outcome}", text("actor"), text("act"), text("object"))
        };
        Ok(body["entries"].as_array().context("no entries")?.iter().map(line).collect())
    };
    let all = log(&fixture.api)?;
    let first =
        fixture.api.get("/api/v1/key", &[])?.body["id"].as_str().context("no id")?.to_owned();
    let expected = [
        "cli key.revoke k_nobody failed".to_owned(),
        format!("cli key.create {id} done"),
        format!("{first} project.create orders done"),
        format!("server key.create {first} done"),
    ];
    assert_eq!(all, expected);
    assert_eq!(log(&orders)?, expected[2..3]);
    let newest = fixture.api.get("/api/v1/admin/audit", &[("limit", "1")])?.body;
    assert_eq!(newest["entries"].as_array().map(Vec::len), Some(1));
    let file = fs::read_to_string(fixture.data_dir().join("audit.jsonl"))?;
    assert_eq!(file.lines().count(), expected.len());
    assert!(!file.contains("mp_"));
    Ok(())
}

#[test]
fn the_command_line_administers_a_server_somewhere() -> Result<()> {
    let fixture = Fixture::start()?;
    let millpond = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(built_program("millpond")?);
        command.args(arguments).args(["--server", fixture.api.url()]);
        output(command.env("MILLPOND_API_KEY", fixture.api.key()))
    };
    let made = millpond(&["project", "create", "orders"])?;
    let orders = fixture.api.with_key(&printed_key(&made)?);
    orders.ingest(&[event("one")], None)?.succeeded()?;
    assert!(millpond(&["project", "list"])?.contains("orders"));
    let made =
        millpond(&["key", "create", "--project", "orders", "--name", "x", "--expires", "1d"])?;
    let key = orders.with_key(&printed_key(&made)?);
    let own = key.get("/api/v1/key", &[])?.succeeded()?.body;
    let id = own["id"].as_str().context("no id")?;
    assert_eq!((&own["project"], &own["name"]), (&json!("orders"), &json!("x")));
    let arguments = ["key", "change", id, "--expires", "never", "--records-per-second", "7"];
    millpond(&arguments)?;
    let shown = listed(&orders, id)?;
    assert_eq!(
        (&shown["expires"], &shown["limits"]["records_per_second"]),
        (&Value::Null, &json!(7))
    );
    let rotated = millpond(&["key", "rotate", id, "--grace", "0s"])?;
    assert_eq!(key.get("/api/v1/key", &[])?.code(), "expired_key");
    let key = orders.with_key(&printed_key(&rotated)?);
    assert_eq!(key.get("/api/v1/key", &[])?.status, 200);
    millpond(&["key", "revoke", id])?;
    assert_eq!(key.get("/api/v1/key", &[])?.code(), "invalid_key");
    let list = millpond(&["key", "list", "--project", "orders"])?;
    assert!(list.contains(id) && list.contains("revoked"), "{list}");
    Ok(())
}

/// A key without the scope `query` that was made beside a running server is known to it soon.
fn accepted(api: &Api) -> Result<()> {
    let known = millpond_system_tests::wait_for(std::time::Duration::from_secs(30), || {
        Ok((api.get("/api/v1/key", &[])?.status == 200).then_some(()))
    })?;
    known.context("the running server never took the new key")
}
