//! `POST /v1/logs`: logs in, structured or raw. Of structured logs those that are good are stored; of a raw body all or
//! none. The path is OTLP's as well; what is in the body tells.

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use millpond_protocols::{Defaults, Format, Protocol, detect, is_otlp, otlp::Encoding};
use millpond_record::TextAttribute;
use serde_json::{Value, json};

use super::{INVALID, UNREADABLE};
use crate::{
    App,
    auth::Caller,
    clock,
    error::ApiError,
    ingest::{Ingested, Rejected, Wanted, take},
    peers::otlp,
};

/// The dataset of a log that names none.
const DATASET: &str = "default";

pub(super) async fn ingest(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    if otlp::encoding(request.headers()) == Encoding::Protobuf {
        return Ok(otlp::logs(State(app), request).await);
    }
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &app).await?;
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let asked = Asked::of(&parts.uri);
    let defaults = asked.defaults()?;
    let how = move |body: &[u8]| {
        let format = detect(asked.get("format"), content_type.as_deref(), body)
            .map_err(|error| ApiError::parameter(error.to_string()))?;
        if format == Format::Json && is_otlp(body) {
            return Ok(Wanted::good_of(Protocol::Otlp(Encoding::Json), Defaults::default()));
        }
        // Of structured logs each is one by itself.
        let whole = format != Format::Json;
        Ok(Wanted { whole, ..Wanted::good_of(Protocol::Timberlogs(format), defaults) })
    };
    let ingested = take(&app, &caller, &parts.headers, body, how).await?;
    match ingested.protocol {
        Some(Protocol::Otlp(encoding)) => Ok(otlp::stored(encoding, &ingested)),
        _ => answer(&ingested).map(|answer| Json(answer).into_response()),
    }
}

/// Parameters of the address. Its SDKs do not escape them: what a stray sign makes of them is taken as it comes.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(uri: &Uri) -> Self {
        Self(serde_html_form::from_str(uri.query().unwrap_or_default()).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    /// What logs get that do not say it themselves.
    fn defaults(&self) -> Result<Defaults, ApiError> {
        let mut defaults = Defaults::default();
        for (attribute, value) in [
            (TextAttribute::Service, self.get("source")),
            (TextAttribute::Environment, self.get("environment")),
            (TextAttribute::Dataset, self.get("dataset").or(Some(DATASET))),
        ] {
            let set = defaults.set_text(attribute, value.unwrap_or_default());
            set.map_err(|error| ApiError::parameter(error.to_string()))?;
        }
        if let Some(level) = self.get("level") {
            let set = defaults.set_level(level);
            set.map_err(|error| ApiError::parameter(format!("level: {error}")))?;
        }
        Ok(defaults)
    }
}

/// The answer to a body of which something was stored; else the error.
fn answer(ingested: &Ingested) -> Result<Value, ApiError> {
    if ingested.accepted == 0 {
        return Err(refusal(ingested));
    }
    let millis = clock::now().nanos().div_euclid(1_000_000);
    let mut answer = json!({ "success": true, "count": ingested.accepted, "timestamp": millis });
    if let Some(members) = answer.as_object_mut().filter(|_| !ingested.rejected.is_empty()) {
        let rejected = ingested.rejected.iter();
        let rejected: Vec<Value> = rejected
            .map(|Rejected { index, reason, .. }| json!({ "index": index, "reason": reason }))
            .collect();
        members.insert("rejected".to_owned(), rejected.into());
    }
    Ok(answer)
}

/// Why nothing was stored: what could not be read goes before what was read and is not good.
fn refusal(Ingested { rejected, refused, .. }: &Ingested) -> ApiError {
    if let Some(unreadable) = rejected.iter().find(|one| *refused && one.field.is_none()) {
        let place = unreadable.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let message = format!("Failed to parse {place}{}", unreadable.reason);
        return ApiError::new(StatusCode::BAD_REQUEST, UNREADABLE, message);
    }
    let mut issues: Vec<Value> = rejected.iter().map(issue).collect();
    if issues.is_empty() {
        issues.push(
            json!({ "path": ["logs"], "message": "there are no logs, expected at least one" }),
        );
    }
    let error = ApiError::new(StatusCode::BAD_REQUEST, INVALID, "nothing in the body is a log");
    error.with_details(issues)
}

fn issue(rejected: &Rejected) -> Value {
    let Rejected { index, line, field, reason } = rejected;
    let mut path = vec![json!("logs"), json!(index)];
    path.extend(field.map(Value::from));
    let message = match line {
        Some(line) => format!("line {line}: {reason}"),
        None => reason.clone(),
    };
    json!({ "path": path, "message": message })
}
