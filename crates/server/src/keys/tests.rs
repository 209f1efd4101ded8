//! What becomes of keys over time, without a server.

use millpond_store::replace_file;
use tempfile::TempDir;

use super::*;
use crate::limits::{GRACE_NANOS_MAX, KEY_NAME_CHARACTERS_MAX, PROJECT_KEYS_MAX};

const SECOND: i64 = 1_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * SECOND)
}

fn project(name: &str) -> Project {
    name.parse().unwrap()
}

/// A key file, and the server's view of it.
fn keys() -> (TempDir, KeyFile, Keys) {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path());
    let keys = Keys::new(file.clone());
    (directory, file, keys)
}

/// What a key is found to be right after a change.
fn found(keys: &Keys, sent: &str, seconds: i64) -> &'static str {
    keys.forget();
    match keys.find(sent, at(seconds)).unwrap() {
        Found::Good(_) => "good",
        Found::Expired => "expired",
        Found::Unknown => "unknown",
    }
}

#[test]
fn a_file_of_version_1_is_read_and_becomes_version_2_with_the_next_change() {
    let (directory, file, keys) = keys();
    let hash = "f7a6c6f1a1fcde0a8e4f0b9e1f9a7f9ab0b3a8e9a6a2f3a5c3a4c2d1e0f9b8a7";
    let text = format!(
        r#"{{
  "format_version": 1,
  "keys": [
    {{ "id": "k_0a1b2c3d", "project": "default", "name": "first key", "scopes": ["ingest", "query", "admin"],
      "hash": "{hash}", "created": "2026-01-31T12:00:00.123456789Z", "revoked": null }},
    {{ "id": "k_1a1b2c3d", "project": "orders", "name": "", "scopes": ["query"],
      "hash": "{}", "created": "2026-01-31T12:00:00.000000000Z", "revoked": "2026-02-01T12:00:00.000000000Z" }}
  ]
}}"#,
        "00".repeat(32)
    );
    let path = directory.path().join("keys.json");
    replace_file(&path, text.as_bytes()).unwrap();
    let listed = file.list().unwrap();
    let shown: Vec<_> =
        listed.iter().map(|key| (key.id.as_str(), key.server, key.state(at(0)))).collect();
    assert_eq!(
        shown,
        [("k_0a1b2c3d", false, KeyState::Valid), ("k_1a1b2c3d", false, KeyState::Revoked)]
    );
    assert_eq!(listed[0].created.to_string(), "2026-01-31T12:00:00.123456789Z");
    let (secret, _) = file.create(NewKey::first(project("other")), at(0)).unwrap();
    assert_eq!(found(&keys, &secret, 1), "good");
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains("\"format_version\": 2") && text.contains(hash), "{text}");
    assert!(!text.contains(&secret));
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let (directory, file, _) = keys();
    let text = br#"{"format_version":3,"locks":[]}"#;
    replace_file(&directory.path().join("keys.json"), text).unwrap();
    assert!(file.list().unwrap_err().to_string().contains("version 3"));
}

#[test]
fn a_key_ends_when_it_expires() {
    let (_directory, file, keys) = keys();
    let new = NewKey { expires: Some(at(100)), ..NewKey::first(project("default")) };
    let (secret, entry) = file.create(new.clone(), at(0)).unwrap();
    assert_eq!(found(&keys, &secret, 99), "good");
    assert_eq!(found(&keys, &secret, 100), "expired");
    let later = KeyChange { expires: Some(None), ..KeyChange::default() };
    file.update(&entry.id, later, at(100)).unwrap();
    assert_eq!(found(&keys, &secret, 100), "good");
    assert!(matches!(file.create(new, at(100)), Err(KeysError::Invalid(_))));
}

#[test]
fn the_secret_before_a_rotation_works_for_its_grace() {
    let (_directory, file, keys) = keys();
    let (first, entry) = file.create(NewKey::first(project("default")), at(0)).unwrap();
    let (second, _) = file.rotate(&entry.id, 10 * SECOND, at(100)).unwrap();
    assert_eq!([found(&keys, &first, 109), found(&keys, &second, 109)], ["good", "good"]);
    assert_eq!([found(&keys, &first, 110), found(&keys, &second, 110)], ["expired", "good"]);
    let (third, _) = file.rotate(&entry.id, 0, at(105)).unwrap();
    let all = [&first, &second, &third].map(|secret| found(&keys, secret, 105));
    assert_eq!(all, ["unknown", "expired", "good"]);
    file.revoke(&entry.id, at(106)).unwrap();
    assert_eq!([found(&keys, &second, 105), found(&keys, &third, 106)], ["unknown", "unknown"]);
    assert!(matches!(file.rotate(&entry.id, 0, at(107)), Err(KeysError::Revoked(_))));
    assert!(file.rotate(&entry.id, GRACE_NANOS_MAX + 1, at(107)).is_err());
    assert!(matches!(file.rotate("k_none", 0, at(107)), Err(KeysError::Unknown(_))));
}

#[test]
fn a_stream_that_was_opened_with_a_leaked_secret_ends_with_its_rotation() {
    let (_directory, file, keys) = keys();
    let (secret, entry) = file.create(NewKey::first(project("default")), at(0)).unwrap();
    let Found::Good(key) = keys.find(&secret, at(0)).unwrap() else { panic!("not found") };
    assert!(keys.is_valid(&key));
    file.rotate(&entry.id, 0, at(0)).unwrap();
    keys.forget();
    assert!(!keys.is_valid(&key));
}

#[test]
fn deleting_a_project_revokes_its_keys_but_server_keys() {
    let (_directory, file, keys) = keys();
    let new = NewKey::first(project("default"));
    let server = NewKey { server: true, ..new.clone() };
    let (one, entry) = file.create(new.clone(), at(0)).unwrap();
    let (two, _) = file.create(new.clone(), at(0)).unwrap();
    let (server, _) = file.create(server, at(0)).unwrap();
    let (other, _) = file.create(NewKey::first(project("other")), at(0)).unwrap();
    assert!(matches!(file.create_first(new, at(0)), Err(KeysError::ProjectExists(_))));
    assert_eq!(file.revoke_project(&project("default"), Some(&entry.id), at(1)).unwrap(), 1);
    assert_eq!([found(&keys, &one, 1), found(&keys, &two, 1)], ["good", "unknown"]);
    assert_eq!(file.revoke_project(&project("default"), None, at(1)).unwrap(), 1);
    let all = [&one, &server, &other].map(|secret| found(&keys, secret, 1));
    assert_eq!(all, ["unknown", "good", "good"]);
}

#[test]
fn a_key_that_makes_no_sense_is_not_made() {
    let (_directory, file, _) = keys();
    let new = NewKey::first(project("default"));
    let long = |characters| NewKey { name: "ä".repeat(characters), ..new.clone() };
    assert!(file.create(long(KEY_NAME_CHARACTERS_MAX), at(0)).is_ok());
    assert!(file.create(long(KEY_NAME_CHARACTERS_MAX + 1), at(0)).is_err());
    assert!(file.create(NewKey { scopes: Vec::new(), ..new.clone() }, at(0)).is_err());
    let server = NewKey { server: true, scopes: vec![Scope::Query], ..new };
    assert!(file.create(server, at(0)).is_err());
    assert_eq!(file.list().unwrap().len(), 1);
}

#[test]
fn a_project_with_as_many_keys_as_it_may_have_forgets_a_revoked_one_or_refuses() {
    let (directory, file, _) = keys();
    let new = NewKey::first(project("default"));
    let (_, entry) = file.create(new.clone(), at(0)).unwrap();
    let content = fs_err::read_to_string(directory.path().join("keys.json")).unwrap();
    let mut content: serde_json::Value = serde_json::from_str(&content).unwrap();
    let one = content["keys"][0].clone();
    for index in 1..PROJECT_KEYS_MAX {
        let mut key = one.clone();
        key["id"] = format!("k_{index}").into();
        content["keys"].as_array_mut().unwrap().push(key);
    }
    let text = content.to_string();
    replace_file(&directory.path().join("keys.json"), text.as_bytes()).unwrap();
    assert!(matches!(file.create(new.clone(), at(1)), Err(KeysError::TooMany(_))));
    file.create(NewKey::first(project("other")), at(1)).unwrap();
    file.revoke("k_7", at(3)).unwrap();
    file.revoke(&entry.id, at(2)).unwrap();
    file.create(new, at(4)).unwrap();
    let listed = file.list().unwrap();
    assert_eq!(listed.len(), PROJECT_KEYS_MAX + 1);
    assert!(
        listed.iter().all(|key| key.id != entry.id) && listed.iter().any(|key| key.id == "k_7")
    );
}

#[test]
fn a_time_to_come_is_a_time_or_a_span() {
    assert_eq!(time_to_come("90d", at(0)), Ok(at(90 * 86_400)));
    assert_eq!(time_to_come("1970-01-01T00:01:00Z", at(0)), Ok(at(60)));
    assert!(time_to_come("soon", at(0)).unwrap_err().contains("90d"));
    assert_eq!((grace_nanos("0s"), grace_nanos("2m")), (Ok(0), Ok(120 * SECOND)));
    assert!(grace_nanos("x").is_err());
}
