//! LogiScout' routes.

use serde_json::{Value, json};

use crate::{error::ApiError, routes::Route};

pub(super) const ROUTES: &[Route] = &[];

pub(super) fn error(error: &ApiError) -> Value {
    json!({ "error": error.message() })
}
