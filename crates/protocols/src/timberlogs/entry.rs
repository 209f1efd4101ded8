//! A log entry as Timberlogs' clients write it -> the text of a record.

use millpond_record::{RecordKey, Severity, TextAttribute, Timestamp, json::ObjectBuilder};

use super::limits::STEP_INDEX_MAX;
use crate::{
    draft::Draft,
    names::of_timberlogs,
    output::Fault,
    walk::{members, text_of},
};

/// The text of a record that says what an entry says. Members that Timberlogs does not know are kept as well; null says
/// nothing.
pub(super) fn record(json: &str) -> Result<String, Fault> {
    let mut draft = Draft::default();
    let mut exception = ObjectBuilder::default();
    let mut has_message = false;
    let mut data_message = None;
    for (key, value) in members(json).filter(|(_, value)| *value != "null") {
        match &*key {
            "level" => draft.member("level").push_str(level(value)?),
            "timestamp" => draft.time(time(value)?),
            "stepIndex" => draft.member("step_index").push_str(step(value)?),
            "data" if value.starts_with('{') => {
                data_message =
                    members(value).find(|(key, value)| key == "message" && value.starts_with('"'));
                draft.member("fields").push_str(value);
            }
            // `error("failed", "reason")` sends a text.
            "data" => draft.field("value").push_str(value),
            "errorName" => exception.string("type", &text_of(value)),
            "errorStack" => exception.string("raw", &text_of(value)),
            name => {
                let name = of_timberlogs(name);
                has_message |= RecordKey::of(name) == Some(RecordKey::Text(TextAttribute::Message));
                draft.member(name).push_str(value);
            }
        }
    }
    if !has_message {
        let reason = "`message` is missing, expected a text".to_owned();
        return Err(Fault { field: "message", reason });
    }
    if !exception.is_empty() {
        // Where `error(message, exception)` of its clients puts what the exception says.
        if let Some((_, message)) = data_message {
            exception.key("message").push_str(message);
        }
        draft.member("exception").push_str(exception.finish().as_str());
    }
    Ok(draft.finish())
}

fn level(value: &str) -> Result<&str, Fault> {
    match Severity::from_name(&text_of(value)) {
        Ok(_) => Ok(value),
        Err(error) => Err(Fault { field: "level", reason: error.to_string() }),
    }
}

fn time(value: &str) -> Result<Timestamp, Fault> {
    let time = match value.starts_with('"') {
        true => Timestamp::parse(&text_of(value)),
        false => Timestamp::parse_number(value),
    };
    time.map_err(|error| Fault { field: "timestamp", reason: format!("`timestamp`: {error}") })
}

fn step(value: &str) -> Result<&str, Fault> {
    let step = value.parse().ok().filter(|step: &u32| *step <= STEP_INDEX_MAX);
    step.map(|_| value).ok_or_else(|| {
        let found: String = value.chars().take(32).collect();
        let reason =
            format!("`stepIndex` is {found}, expected a whole number from 0 to {STEP_INDEX_MAX}");
        Fault { field: "stepIndex", reason }
    })
}
