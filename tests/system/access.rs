//! Who may ask what: keys, projects, one server per data directory.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use millpond_system_tests::{Reply, wait_for};

use crate::fixture::{Fixture, event, event_ids, printed_key};

#[test]
fn every_route_but_health_needs_a_key_that_is_still_good() -> Result<()> {
    let fixture = Fixture::start()?;
    let (revoked, id) = fixture.new_key(&["--server-key"])?;
    fixture.key(&["revoke", &id])?;
    let (expired, _) = fixture.new_key(&["--server-key", "--expires", "1s"])?;
    let (replaced, id) = fixture.new_key(&["--server-key"])?;
    fixture.key(&["rotate", &id, "--grace", "0s"])?;
    for (api, code) in [(&expired, "expired_key"), (&replaced, "expired_key")] {
        let refused = wait_for(Duration::from_secs(30), || {
            Ok((api.get("/api/v1/key", &[])?.code() == code).then_some(()))
        })?;
        refused.context("the key is good for ever")?;
    }
    let routes = fixture.routes_with_key()?;
    assert!(routes.len() > 20, "{routes:?}");
    for (method, path, ours) in &routes {
        let path = &path.replace(['{', '}'], "");
        // Other systems have codes of their own, or none, and one forbids what has expired.
        let is_refused = |reply: &Reply, code: &str| match ours {
            true => (reply.status, reply.code()) == (401, code),
            false => reply.status == 401 || (reply.status == 403 && code == "expired_key"),
        };
        let none = fixture.api.bare(method, path, &[])?;
        assert!(is_refused(&none, "missing_key"), "{method} {path}: {}", none.text);
        for (key, code) in [
            ("mp_wrong", "invalid_key"),
            (revoked.key(), "invalid_key"),
            (expired.key(), "expired_key"),
            (replaced.key(), "expired_key"),
        ] {
            let bearer = format!("Bearer {key}");
            for header in [("X-API-Key", key), ("Authorization", bearer.as_str())] {
                let refused = fixture.api.bare(method, path, &[header])?;
                assert!(is_refused(&refused, code), "{method} {path} {code}: {}", refused.text);
            }
        }
    }
    let health = fixture.api.bare("GET", "/health", &[])?;
    assert_eq!((health.status, &health.body["status"]), (200, &"ok".into()));
    Ok(())
}

#[test]
fn no_route_tells_the_key_of_another_project_anything() -> Result<()> {
    let fixture = Fixture::start()?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut ours = event("secret-record");
    ours["trace_id"] = trace.into();
    for attribute in ["request_id", "flow_id"] {
        ours[attribute] = "r-1".into();
    }
    fixture.api.ingest(&[ours], None)?.succeeded()?;
    let stored = fixture.api.all(&[])?;
    let log = stored[0]["id"].as_str().context("no id")?;
    let (_, id) = fixture.new_key(&["--name", "secret-name"])?;
    let (other, _) = fixture.new_key(&["--project", "other", "--scopes", "ingest,query,admin"])?;
    accepted_soon(&other)?;
    let header = [("X-API-Key", other.key())];
    let asked = |method: &str, path: &str| -> Result<(u16, String)> {
        let reply = other.bare(method, path, &header)?;
        assert!(!reply.text.contains("secret-"), "{method} {path}: {}", reply.text);
        Ok((reply.status, reply.text))
    };
    // The live stream never ends; another test reads it.
    let routes = fixture.routes_with_key()?.into_iter();
    for (method, path, _) in routes.filter(|(_, path, _)| !path.ends_with("/stream")) {
        let path = path.replace("logs/{id}", &format!("logs/{log}")).replace("{trace_id}", trace);
        let path = path.replace("{request_id}", "r-1").replace("{flow_id}", "r-1");
        let (method, path) = (method.as_str(), &path.replace("{id}", "k_00000000"));
        asked(method, path)?;
        let theirs = path.replace("k_00000000", &id);
        if theirs != *path {
            // A key that is someone else's is answered like one that does not exist.
            let (none, theirs) = (asked(method, path)?, asked(method, &theirs)?);
            assert_eq!(theirs.0, 404, "{method} {path}");
            assert_eq!(none.1.replace("k_00000000", &id), theirs.1, "{method} {path}");
        }
        if path.starts_with("/api/v1/admin/") {
            // A project that exists is refused like one that does not.
            let of_others = ["default", "nobody"]
                .map(|name| asked(method, &format!("{path}?project={name}&confirm={name}")));
            let [exists, none] = of_others;
            let (exists, none) = (exists?, none?);
            assert!((400..500).contains(&exists.0), "{method} {path}: {exists:?}");
            assert_eq!(exists.1.replace("default", "nobody"), none.1, "{method} {path}");
        }
    }
    assert_eq!(event_ids(&fixture.api.all(&[])?), ["secret-record"]);
    Ok(())
}

#[test]
fn a_key_may_ask_what_it_may_do() -> Result<()> {
    let fixture = Fixture::start()?;
    let answer = fixture.api.get("/api/v1/key", &[])?.body;
    assert_eq!(answer["project"], "default");
    assert!(answer["scopes"].as_array().context("no scopes")?.contains(&"ingest".into()));
    assert!(!answer.to_string().contains(fixture.api.key()));
    let time = answer["server_time"].as_str().context("no time")?;
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    Ok(())
}

#[test]
fn a_key_is_taken_in_either_header() -> Result<()> {
    let fixture = Fixture::start()?;
    let bearer = format!("Bearer {}", fixture.api.key());
    for header in [("X-API-Key", fixture.api.key()), ("Authorization", &bearer)] {
        assert_eq!(fixture.api.bare("GET", "/api/v1/logs", &[header])?.status, 200);
    }
    Ok(())
}

#[test]
fn a_key_is_printed_once_and_never_stored() -> Result<()> {
    let fixture = Fixture::start()?;
    let key = fixture.api.key().to_owned();
    assert!(key.starts_with("mp_"), "{key}");
    let stored = fs::read_to_string(fixture.data_dir().join("keys.json"))?;
    assert!(!stored.contains(&key));
    assert!(!fixture.key(&["list"])?.contains(&key));
    let mut fixture = fixture.restart(|| Ok(()))?;
    assert!(!fixture.server.process().output().contains("key: "));
    assert_eq!(fixture.api.get("/api/v1/logs", &[])?.status, 200);
    Ok(())
}

#[test]
fn a_project_never_sees_anothers_records() -> Result<()> {
    let fixture = Fixture::start()?;
    let created = fixture.key(&["create", "--project", "other", "--name", "a test"])?;
    let other = fixture.api.with_key(&printed_key(&created)?);
    accepted_soon(&other)?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (mut ours, mut theirs) = (event("ours"), event("theirs"));
    ours["trace_id"] = trace.into();
    theirs["trace_id"] = trace.into();
    let mut stream = other.stream(&[], None)?;
    // The same idempotency key in two projects is two batches.
    fixture.api.ingest(&[ours], Some("client:1"))?.succeeded()?;
    other.ingest(&[theirs], Some("client:1"))?.succeeded()?;
    for (api, id) in [(&fixture.api, "ours"), (&other, "theirs")] {
        assert_eq!(event_ids(&api.all(&[])?), [id]);
        assert_eq!(event_ids(&api.trace(trace)?), [id]);
        assert_eq!(api.aggregated(&[])?["total"], 1);
    }
    let (_, streamed) = stream.next().context("the stream ended")??;
    assert_eq!(event_ids(&[streamed]), ["theirs"]);
    Ok(())
}

#[test]
fn a_key_does_only_what_its_scopes_allow() -> Result<()> {
    let fixture = Fixture::start()?;
    for (scope, ingest, query) in [("ingest", 200, 403), ("query", 403, 200)] {
        let created = fixture.key(&["create", "--scopes", scope, "--name", scope])?;
        let api = fixture.api.with_key(&printed_key(&created)?);
        let replies = [api.ingest(&[event("x")], None)?, api.get("/api/v1/logs", &[])?];
        assert_eq!([replies[0].status, replies[1].status], [ingest, query], "{scope}");
        let refused = replies.iter().find(|reply| reply.status == 403).context("none refused")?;
        assert_eq!(refused.code(), "missing_scope");
    }
    Ok(())
}

#[test]
fn a_revoked_key_opens_nothing_any_more() -> Result<()> {
    let fixture = Fixture::start()?;
    let created = fixture.key(&["create", "--project", "default", "--name", "to be revoked"])?;
    let revoked = fixture.api.with_key(&printed_key(&created)?);
    accepted_soon(&revoked)?;
    let listed = fixture.key(&["list"])?;
    let line = listed.lines().find(|line| line.contains("to be revoked"));
    let id =
        line.and_then(|line| line.split_whitespace().next()).context("the key is not listed")?;
    fixture.key(&["revoke", id])?;
    let refused = wait_for(Duration::from_secs(30), || {
        let reply = revoked.get("/api/v1/logs", &[])?;
        Ok((reply.status == 401).then(|| reply.code().to_owned()))
    })?;
    assert_eq!(refused.as_deref(), Some("invalid_key"));
    assert_eq!(fixture.api.get("/api/v1/logs", &[])?.status, 200, "the other key");
    Ok(())
}

#[test]
fn a_second_server_on_the_same_data_directory_refuses_and_says_why() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut second = fixture.server.serve().clone();
    second.address = "127.0.0.1:0".to_owned();
    second.log = fixture.folder.path().join("second.log");
    let refused = match second.start() {
        Ok(_) => anyhow::bail!("two servers run on one data directory"),
        Err(refused) => refused.to_string(),
    };
    let data_dir = fixture.data_dir().display().to_string();
    assert!(refused.contains(&data_dir) && refused.contains("in use"), "{refused}");
    fixture.api.ingest(&[event("unharmed")], None)?.succeeded()?;
    assert_eq!(event_ids(&fixture.api.all(&[])?), ["unharmed"]);
    Ok(())
}

/// A key that was created beside a running server is known to it soon.
pub(crate) fn accepted_soon(api: &millpond_system_tests::Api) -> Result<()> {
    let accepted = wait_for(Duration::from_secs(30), || {
        Ok((api.get("/api/v1/logs", &[])?.status == 200).then_some(()))
    })?;
    accepted.context("the running server never took the new key")
}
