//! `/api/v1/admin/project` and `/api/v1/admin/projects`.

use axum::{Json, body::Body, extract::State, http::StatusCode};
use millpond_store::{Project, Retention};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{Admin, ProjectParameters, read};
use crate::{
    App,
    administration::{KeyStatus, ProjectStatus},
    clock,
    error::ApiError,
    keys::nullable,
    logs::{NoParameters, Parameters},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    retention: RetentionChange,
}

/// What is absent stays as it is; null sets no limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionChange {
    #[serde(deserialize_with = "nullable")]
    age_seconds: Option<Option<u64>>,
    #[serde(deserialize_with = "nullable")]
    bytes: Option<Option<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeleteParameters {
    project: Option<String>,
    confirm: Option<String>,
}

pub(super) async fn show(
    admin: Admin,
    Parameters(ProjectParameters { project }): Parameters<ProjectParameters>,
) -> Result<Json<ProjectStatus>, ApiError> {
    let project = admin.project(project.as_deref())?;
    find(&admin, project).await.map(Json)
}

pub(super) async fn change(
    admin: Admin,
    State(app): State<App>,
    Parameters(ProjectParameters { project }): Parameters<ProjectParameters>,
    request: Body,
) -> Result<Json<ProjectStatus>, ApiError> {
    let project = admin.project(project.as_deref())?;
    let Change { retention: change } = read(&app, request).await?;
    let status = find(&admin, project.clone()).await?;
    let retention = Retention {
        age_seconds: change.age_seconds.unwrap_or(status.retention.age_seconds),
        bytes: change.bytes.unwrap_or(status.retention.bytes),
    };
    let runtime = Handle::current();
    admin
        .act(move |administration, actor| {
            let set = administration.set_retention(actor, app.store.as_ref(), &project, retention);
            runtime.block_on(set)
        })
        .await?;
    Ok(Json(ProjectStatus { retention, ..status }))
}

pub(super) async fn delete(
    admin: Admin,
    State(app): State<App>,
    Parameters(DeleteParameters { project, confirm }): Parameters<DeleteParameters>,
) -> Result<Json<Value>, ApiError> {
    let project = admin.project(project.as_deref())?;
    if confirm.as_deref() != Some(project.as_str()) {
        let message = format!("confirm: expected the name of the project, `confirm={project}`");
        return Err(ApiError::parameter(message));
    }
    let name = find(&admin, project.clone()).await?.name;
    let runtime = Handle::current();
    let revoked = admin
        .act(move |administration, actor| {
            let store = app.store.as_ref();
            runtime.block_on(administration.delete_project(actor, store, &project))
        })
        .await?;
    Ok(Json(json!({ "name": name, "keys_revoked": revoked })))
}

pub(super) async fn list(
    admin: Admin,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Value>, ApiError> {
    admin.require_server()?;
    let projects = all(&admin).await?;
    Ok(Json(json!({ "projects": projects })))
}

pub(super) async fn create(
    admin: Admin,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    request: Body,
) -> Result<Json<Value>, ApiError> {
    admin.require_server()?;
    let Create { name } = read(&admin.app, request).await?;
    let project: Project =
        name.parse().map_err(|error| ApiError::body(format!("name: {error}")))?;
    let (secret, key) =
        admin.act(|administration, actor| administration.create_project(actor, project)).await?;
    let entry = KeyStatus::new(key, None, clock::now());
    Ok(Json(json!({ "name": entry.project, "key": secret, "entry": entry })))
}

async fn all(admin: &Admin) -> Result<Vec<ProjectStatus>, ApiError> {
    let store = admin.app.store.clone();
    admin.act(move |administration, actor| administration.projects(store.as_ref(), actor.now)).await
}

/// What is known of a project; only a server key can name one that does not exist.
async fn find(admin: &Admin, project: Project) -> Result<ProjectStatus, ApiError> {
    let found = all(admin).await?.into_iter().find(|status| status.name == project);
    found.ok_or_else(|| {
        let message = format!("there is no project `{project}`");
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    })
}
