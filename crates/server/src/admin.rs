//! `/api/v1/admin/…`: keys, projects and the audit log, for keys with the scope `admin`.
//!
//! Such a key administers its own project. A server key administers all: it may name another project in the parameter
//! `project`, and reaches every key by its id. To everyone else a key of another project is one that does not exist.

mod keys;
mod projects;

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
    routing::{delete, get, patch, post},
};
use millpond_store::Project;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    App,
    administration::{Actor, Administration, AdministrationError},
    auth::Caller,
    body, clock,
    error::ApiError,
    keys::Scope,
    limits::{ADMIN_BODY_BYTES_MAX, AUDIT_ENTRIES, AUDIT_ENTRIES_MAX},
    logs::Parameters,
    routes::{Access, Parameter, Route, number, text},
};

const ADMIN: Access = Access::Scope(Scope::Admin);

const PROJECT: &[Parameter] = &[text("project", "of a server key: the project that is meant")];

/// The routes; each needs the scope `admin`.
pub(crate) const ROUTES: &[Route] = &[
    Route::new("GET", "/api/v1/admin/keys", ADMIN, || get(keys::list))
        .about("Lists keys.")
        .takes(&[PROJECT])
        .answers("Keys"),
    Route::new("POST", "/api/v1/admin/keys", ADMIN, || post(keys::create))
        .about("Makes a key.")
        .takes(&[PROJECT])
        .reads("NewKey")
        .answers("MadeKey"),
    Route::new("PATCH", "/api/v1/admin/keys/{id}", ADMIN, || patch(keys::change))
        .about("Changes a key.")
        .reads("KeyChange")
        .answers("Key"),
    Route::new("DELETE", "/api/v1/admin/keys/{id}", ADMIN, || delete(keys::revoke))
        .about("Revokes a key.")
        .answers("Key"),
    Route::new("POST", "/api/v1/admin/keys/{id}/rotate", ADMIN, || post(keys::rotate))
        .about("Gives a key a new secret.")
        .reads("Rotation")
        .answers("MadeKey"),
    Route::new("GET", "/api/v1/admin/project", ADMIN, || get(projects::show))
        .about("Tells what is stored of a project.")
        .takes(&[PROJECT])
        .answers("Project"),
    Route::new("PATCH", "/api/v1/admin/project", ADMIN, || patch(projects::change))
        .about("Sets how long, and how much, a project keeps.")
        .takes(&[PROJECT])
        .reads("ProjectChange")
        .answers("Project"),
    Route::new("DELETE", "/api/v1/admin/project", ADMIN, || delete(projects::delete))
        .about("Deletes the records and keys of a project.")
        .takes(&[PROJECT, &[text("confirm", "the name of the project")]])
        .answers("DeletedProject"),
    Route::new("GET", "/api/v1/admin/projects", ADMIN, || get(projects::list))
        .about("Lists all projects, for a server key.")
        .answers("Projects"),
    Route::new("POST", "/api/v1/admin/projects", ADMIN, || post(projects::create))
        .about("Makes a project by its first key, for a server key.")
        .reads("NewProject")
        .answers("MadeProject"),
    Route::new("GET", "/api/v1/admin/audit", ADMIN, || get(audit))
        .about("Lists acts of administration, newest first.")
        .takes(&[PROJECT, &[number("limit", "entries, 1 to 1000")]])
        .answers("Audit"),
];

/// Someone with a key that may administer.
struct Admin {
    caller: Caller,
    app: App,
}

/// The parameter that every route takes that concerns one project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProjectParameters {
    project: Option<String>,
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.require(Scope::Admin)?;
        Ok(Self { caller, app: app.clone() })
    }
}

impl Admin {
    /// Whether the key administers all projects.
    fn is_server(&self) -> bool {
        self.caller.key.entry.server
    }

    fn require_server(&self) -> Result<(), ApiError> {
        if self.is_server() { Ok(()) } else { Err(server_key_required()) }
    }

    /// The project that is meant: the key's own, or for a server key the one that is named.
    fn project(&self, named: Option<&str>) -> Result<Project, ApiError> {
        let Some(name) = named else { return Ok(self.caller.project.clone()) };
        let project: Project =
            name.parse().map_err(|error| ApiError::parameter(format!("project: {error}")))?;
        if self.is_server() || project == self.caller.project {
            Ok(project)
        } else {
            Err(server_key_required())
        }
    }

    /// Does what may wait for the disk, on a thread of its own: it is brought to an end even if the client hangs up.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Administration, &Actor) -> Result<T, AdministrationError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = self.app.clone();
        let actor = Actor { name: self.caller.key.entry.id.clone(), now: clock::now() };
        let acting = tokio::task::spawn_blocking(move || {
            let done = act(&app.administration, &actor);
            app.keys.forget();
            done
        });
        Ok(acting.await.map_err(|error| ApiError::internal(error.to_string()))??)
    }
}

fn server_key_required() -> ApiError {
    let message = "the key may administer its own project only, expected a server key";
    ApiError::new(StatusCode::FORBIDDEN, "server_key_required", message)
}

/// Reads a JSON body; an empty one is an empty object.
async fn read<T: DeserializeOwned>(app: &App, request: Body) -> Result<T, ApiError> {
    // Too small for its announced length to matter.
    let unannounced = HeaderMap::new();
    let body = body::read(request, &unannounced, &app.budget, ADMIN_BODY_BYTES_MAX).await?;
    let text = if body.bytes.is_empty() { b"{}" } else { body.bytes.as_slice() };
    serde_json::from_slice(text).map_err(|error| ApiError::body(error.to_string()))
}

/// The parameters of the audit log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditParameters {
    project: Option<String>,
    limit: Option<String>,
}

/// A server key that names no project sees the acts on all.
async fn audit(
    admin: Admin,
    State(app): State<App>,
    Parameters(AuditParameters { project, limit }): Parameters<AuditParameters>,
) -> Result<Json<Value>, ApiError> {
    let project = match project {
        None if admin.is_server() => None,
        named => Some(admin.project(named.as_deref())?),
    };
    let limit = match limit {
        None => AUDIT_ENTRIES,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=AUDIT_ENTRIES_MAX).contains(limit));
            limit.ok_or_else(|| {
                ApiError::parameter(format!("limit: `{text}`, expected 1 to {AUDIT_ENTRIES_MAX}"))
            })?
        }
    };
    let log = app.administration.audit().clone();
    let reading = tokio::task::spawn_blocking(move || log.newest(project.as_ref(), limit));
    let internal = |error: std::io::Error| ApiError::internal(error.to_string());
    let entries = reading.await.map_err(|error| internal(error.into()))?.map_err(internal)?;
    Ok(Json(json!({ "entries": entries })))
}
