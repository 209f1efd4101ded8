//! `/api/v1/admin/keys…`.

use axum::{Json, body::Body, extract::State, http::StatusCode};
use millpond_record::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, ProjectParameters, read, server_key_required};
use crate::{
    App,
    administration::KeyStatus,
    clock,
    error::ApiError,
    keys::{
        GRACE_NANOS_DEFAULT, KeyChange, KeyEntry, KeyLimits, KeyLimitsChange, KeysError, NewKey,
        Scope, grace_nanos, nullable, time_to_come,
    },
    logs::{NoParameters, Parameters, Piece},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    #[serde(default)]
    name: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    server: bool,
    expires: Option<String>,
    #[serde(default)]
    limits: KeyLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    expires: Option<Option<String>>,
    limits: KeyLimitsChange,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotate {
    grace: Option<String>,
}

pub(super) async fn list(
    admin: Admin,
    State(app): State<App>,
    Parameters(ProjectParameters { project }): Parameters<ProjectParameters>,
) -> Result<Json<Value>, ApiError> {
    // A server key that names no project sees all.
    let every = admin.is_server() && project.is_none();
    let project = admin.project(project.as_deref())?;
    let keys = admin.act(|administration, _| Ok(administration.keys().list()?)).await?;
    let (usage, now) = (app.usage.all(), clock::now());
    let keys = keys.into_iter().filter(|key| every || key.project == project);
    let keys: Vec<KeyStatus> = keys
        .map(|key| {
            let usage = usage.get(&key.id);
            KeyStatus::new(key, usage, now)
        })
        .collect();
    Ok(Json(json!({ "keys": keys })))
}

pub(super) async fn create(
    admin: Admin,
    State(app): State<App>,
    Parameters(ProjectParameters { project }): Parameters<ProjectParameters>,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    let project = admin.project(project.as_deref())?;
    let Create { name, scopes, server, expires, limits } = read(&app, request).await?;
    if server {
        admin.require_server()?;
    }
    let expires = expires.as_deref().map(expiry).transpose()?;
    let new = NewKey { project, name, scopes, server, expires, limits };
    let (secret, key) =
        admin.act(|administration, actor| administration.create_key(actor, new)).await?;
    Ok(with_secret(&app, &secret, key))
}

pub(super) async fn change(
    admin: Admin,
    State(app): State<App>,
    Piece(id): Piece,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    request: Body,
) -> Result<Json<KeyStatus>, ApiError> {
    reach(&admin, &id).await?;
    let Change { name, expires, limits } = read(&app, request).await?;
    let expires = expires.map(|expires| expires.as_deref().map(expiry).transpose()).transpose()?;
    let change = KeyChange { name, expires, limits };
    let key = admin
        .act(move |administration, actor| administration.change_key(actor, &id, change))
        .await?;
    Ok(Json(status(&app, key)))
}

pub(super) async fn rotate(
    admin: Admin,
    State(app): State<App>,
    Piece(id): Piece,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    reach(&admin, &id).await?;
    let Rotate { grace } = read(&app, request).await?;
    let grace = grace.as_deref().map(grace_nanos).transpose();
    let grace = grace.map_err(|error| ApiError::body(format!("grace: {error}")))?;
    let grace = grace.unwrap_or(GRACE_NANOS_DEFAULT);
    let (secret, key) = admin
        .act(move |administration, actor| administration.rotate_key(actor, &id, grace))
        .await?;
    Ok(with_secret(&app, &secret, key))
}

pub(super) async fn revoke(
    admin: Admin,
    State(app): State<App>,
    Piece(id): Piece,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<KeyStatus>, ApiError> {
    reach(&admin, &id).await?;
    let key = admin.act(move |administration, actor| administration.revoke_key(actor, &id)).await?;
    Ok(Json(status(&app, key)))
}

/// Whether the key with this id may be changed. One of another project is answered as one that does not exist; a server
/// key of the same project may be seen, but whoever changed it would get more than the project.
async fn reach(admin: &Admin, id: &str) -> Result<(), ApiError> {
    if admin.is_server() {
        return Ok(());
    }
    let keys = admin.act(|administration, _| Ok(administration.keys().list()?)).await?;
    let own = |key: &&KeyEntry| key.id == id && key.project == admin.caller.project;
    match keys.iter().find(own) {
        None => {
            let message = KeysError::Unknown(id.to_owned()).to_string();
            Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message))
        }
        Some(key) if key.server => Err(server_key_required()),
        Some(_) => Ok(()),
    }
}

fn expiry(text: &str) -> Result<Timestamp, ApiError> {
    time_to_come(text, clock::now()).map_err(|error| ApiError::body(format!("expires: {error}")))
}

fn status(app: &App, key: KeyEntry) -> KeyStatus {
    let usage = app.usage.of(&key.id);
    KeyStatus::new(key, usage.as_ref(), clock::now())
}

/// The one answer that shows a key.
fn with_secret(app: &App, secret: &str, key: KeyEntry) -> Json<Value> {
    Json(json!({ "key": secret, "entry": status(app, key) }))
}
