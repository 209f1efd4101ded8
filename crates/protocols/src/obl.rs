//! `obl`: Open Board Logging 0.1, what a speech device logged. Every event of every session is a record.
//!
//! | record | file |
//! | --- | --- |
//! | message | `Button: LABEL`, `Action: ACTION`, `Utterance: TEXT`, `Note: TEXT`, else `Event: TYPE` |
//! | time | the event's `timestamp`, else the session's `started` |
//! | service, user | `source` and `user_id` of the file |
//! | session | `device_id` of the session |
//! | fields | the members that [`Kind::fields`] names, and `obl`: what is left of event, session and file |
//!
//! An event without a type gets the one that its members show: some devices write notes so. Nothing that the file says
//! is lost, except what it says twice.

use std::borrow::Cow;

use millpond_record::{
    TextAttribute,
    json::{Object, ObjectBuilder, Reader, write_string},
};

use crate::{
    draft::Draft,
    output::{BodyError, Output},
    walk::{elements, members, text_of},
};

const FORMAT: &str = "open-board-log-0.1";

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    let file = File::read(document(text)?)?;
    for (number, session) in elements(file.sessions).enumerate() {
        let place = format!("session {}", number + 1);
        match Session::read(session) {
            Ok(session) => session_events(&file, &session, &place, output)?,
            Err(reason) => output.rejected(None, format!("{place}: {reason}"))?,
        }
    }
    Ok(())
}

fn session_events(
    file: &File<'_>,
    session: &Session<'_>,
    place: &str,
    output: &mut Output<'_>,
) -> Result<(), BodyError> {
    for (number, event) in elements(session.events).enumerate() {
        if event.starts_with('{') {
            output.record(None, &record(file, session, event))?;
        } else {
            let found: String = event.chars().take(32).collect();
            let event = number + 1;
            let reason = format!("{place}, event {event}: it is `{found}`, expected an object");
            output.rejected(None, reason)?;
        }
    }
    Ok(())
}

/// The document behind the one comment that may precede it.
fn document(text: &str) -> Result<&str, BodyError> {
    let text = text.trim_start();
    let text = match text.strip_prefix("/*") {
        None => text,
        Some(comment) => {
            let (_, text) = comment.split_once("*/").ok_or_else(|| {
                BodyError::Head("the comment in front has no end, expected `*/`".to_owned())
            })?;
            text.trim_start()
        }
    };
    if text.is_empty() {
        return Err(BodyError::Empty("an Open Board Logging document"));
    }
    let mut reader = Reader::new(text);
    let read = reader.skip_value().and_then(|()| match reader.peek() {
        None => Ok(text),
        Some(_) => Err(reader.error("the end of the document")),
    });
    read.map_err(|error| BodyError::Json(error.into()))
}

/// The document's root. Values are kept as their JSON; `rest` is an object of what has no place of its own.
#[derive(Default)]
struct File<'a> {
    user: Option<&'a str>,
    source: Option<&'a str>,
    sessions: &'a str,
    rest: Object<'static>,
}

impl<'a> File<'a> {
    fn read(text: &'a str) -> Result<Self, BodyError> {
        let mut file = Self::default();
        let mut rest = ObjectBuilder::default();
        let mut format = None;
        for (key, value) in members(text) {
            match &*key {
                "format" => format = Some(value),
                "user_id" => file.user = Some(value),
                "source" => file.source = Some(value),
                "sessions" => file.sessions = value,
                _ => rest.key(&key).push_str(value),
            }
        }
        file.rest = rest.finish();
        if format.map(text_of).as_deref() != Some(FORMAT) {
            let found: String = format.unwrap_or("missing").chars().take(40).collect();
            return Err(BodyError::Head(format!("`format` is {found}, expected \"{FORMAT}\"")));
        }
        if !file.sessions.starts_with('[') {
            return Err(BodyError::Head("`sessions` is no array, expected one".to_owned()));
        }
        Ok(file)
    }
}

#[derive(Default)]
struct Session<'a> {
    device: Option<&'a str>,
    started: Option<&'a str>,
    events: &'a str,
    rest: Object<'static>,
}

impl<'a> Session<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let mut session = Self::default();
        let mut rest = ObjectBuilder::default();
        for (key, value) in members(text) {
            match &*key {
                "device_id" => session.device = Some(value),
                "events" => session.events = value,
                _ => {
                    if key == "started" {
                        session.started = Some(value);
                    }
                    rest.key(&key).push_str(value);
                }
            }
        }
        session.rest = rest.finish();
        if session.events.starts_with('[') {
            Ok(session)
        } else {
            Err("`events` is no array, expected one".to_owned())
        }
    }
}

/// The types of events that the format names.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Button,
    Action,
    Utterance,
    Note,
    Other,
}

impl Kind {
    fn named(name: &str) -> Self {
        match name {
            "button" => Self::Button,
            "action" => Self::Action,
            "utterance" => Self::Utterance,
            "note" => Self::Note,
            _ => Self::Other,
        }
    }

    /// The type of an event without one.
    fn shown_by(event: &str) -> &'static str {
        let has = |name| members(event).any(|(key, _)| key == name);
        if has("text") {
            "note"
        } else if has("action") {
            "action"
        } else if has("label") {
            "button"
        } else if has("correct") {
            "assessment"
        } else {
            "other"
        }
    }

    /// What a message begins with, and the member whose value follows.
    fn message(self) -> (&'static str, &'static str) {
        match self {
            Self::Button => ("Button", "label"),
            Self::Action => ("Action", "action"),
            Self::Utterance => ("Utterance", "text"),
            Self::Note => ("Note", "text"),
            Self::Other => ("Event", "type"),
        }
    }

    /// The members that are fields of the record under their own names.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Button => &["spoken", "button_id", "board_id"],
            Self::Action => &["destination_board_id", "text"],
            Self::Utterance => &["buttons"],
            Self::Note => &["author_name"],
            Self::Other => &[],
        }
    }
}

fn record(file: &File<'_>, session: &Session<'_>, event: &str) -> String {
    let named = members(event).find(|(key, value)| key == "type" && *value != "null");
    let name = named.map_or(Cow::Borrowed(Kind::shown_by(event)), |(_, value)| text_of(value));
    let kind = Kind::named(&name);
    let (prefix, told) = kind.message();
    let mut message = if kind == Kind::Other { name.clone() } else { Cow::Borrowed("") };
    let mut draft = Draft::default();
    let mut time = session.started;
    let mut rest = ObjectBuilder::default();
    rest.string("type", &name);
    for (key, value) in members(event) {
        match &*key {
            "timestamp" if value != "null" => time = Some(value),
            "type" => {}
            key if key == told => message = text_of(value),
            key if kind.fields().contains(&key) => draft.field(key).push_str(value),
            key => rest.key(key).push_str(value),
        }
    }
    let separator = if message.is_empty() { "" } else { ": " };
    draft.text(TextAttribute::Message, &format!("{prefix}{separator}{message}"));
    let attributes = [
        ("time", time),
        (TextAttribute::Service.name(), file.source),
        (TextAttribute::UserId.name(), file.user),
        (TextAttribute::SessionId.name(), session.device),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            draft.member(name).push_str(value);
        }
    }
    let parts = [("event", &rest.finish()), ("session", &session.rest), ("file", &file.rest)];
    write_rest(draft.field("obl"), parts);
    draft.finish()
}

/// What has no place of its own in a record.
fn write_rest(out: &mut String, parts: [(&str, &Object<'_>); 3]) {
    let mut separator = '{';
    for (name, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        out.push(std::mem::replace(&mut separator, ','));
        write_string(out, name);
        out.push(':');
        out.push_str(part.as_str());
    }
    out.push('}');
}
