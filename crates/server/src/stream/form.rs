//! What a tail says, as text: server-sent events or the messages of a WebSocket. Pure.

use millpond_protocols::{logiscout, logtide, streamlogia};
use millpond_query::Cursor;
use millpond_record::{
    LogRecord,
    json::{write_string, write_u64},
};

/// How a connection takes what a tail says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Server-sent events.
    Events,
    /// JSON, one object a message.
    Messages,
    /// Server-sent events as LogTide has them.
    LogTide,
    /// Messages as LogiScout has them: records, and nothing else.
    LogiScout,
    /// Messages as Streamlogia has them: arrays of records, and nothing else.
    Streamlogia,
}

/// A record that is to be shown.
pub(super) struct Shown<'a> {
    pub(super) cursor: Cursor,
    pub(super) record: &'a LogRecord<'a>,
    /// It and its id in our own words.
    pub(super) json: &'a str,
    pub(super) project: &'a str,
}

/// Records that a tail will not show, by their ids, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) from_id: u64,
    pub(super) to_id: u64,
}

impl Form {
    /// Writes a record with its id.
    pub(super) fn record(self, out: &mut String, shown: &Shown<'_>) {
        let (id, json) = (shown.cursor.sequence, shown.json);
        match self {
            Self::Events => event(out, id, json),
            Self::LogTide => {
                let id_text = shown.cursor.to_string();
                event(out, id, &logtide::event(&id_text, shown.project, shown.record));
            }
            Self::Messages => {
                out.push_str("{\"type\":\"record\",\"id\":");
                write_u64(out, id);
                out.push_str(",\"log\":");
                out.push_str(json);
                out.push('}');
            }
            Self::LogiScout => {
                out.push_str(&logiscout::live(&shown.cursor.to_string(), shown.record));
            }
            Self::Streamlogia => {
                let id_text = shown.cursor.to_string();
                out.push('[');
                out.push_str(&streamlogia::entry(&id_text, shown.project, shown.record));
                out.push(']');
            }
        }
    }

    /// How far the tail is, so that a client that was shown nothing yet can resume too. Nothing where only records are
    /// said: the connection then shows in its own way that it is alive.
    pub(super) fn alive(self, id: u64, comment: &str) -> String {
        match self {
            Self::Events | Self::LogTide => format!("id: {id}\n: {comment}\n\n"),
            Self::Messages => format!("{{\"type\":\"heartbeat\",\"id\":{id}}}"),
            Self::LogiScout | Self::Streamlogia => String::new(),
        }
    }

    /// What the tail leaves out.
    pub(super) fn missed(self, Missed { from_id, to_id }: Missed) -> String {
        let records = to_id.saturating_sub(from_id) + 1;
        let members = format!("\"from_id\":{from_id},\"to_id\":{to_id},\"records\":{records}}}");
        match self {
            Self::Events => format!("id: {to_id}\nevent: missed\ndata: {{{members}\n\n"),
            // Its clients take the data of every event for a record.
            Self::LogTide => format!("id: {to_id}\n: missed {records} records\n\n"),
            Self::Messages => format!("{{\"type\":\"missed\",{members}"),
            Self::LogiScout | Self::Streamlogia => String::new(),
        }
    }
}

fn event(out: &mut String, id: u64, data: &str) {
    out.push_str("id: ");
    write_u64(out, id);
    out.push_str("\ndata: ");
    out.push_str(data);
    out.push_str("\n\n");
}

impl Form {
    /// Whether a connection says why it ends, and what its client says is wrong.
    pub(super) fn speaks(self) -> bool {
        !matches!(self, Self::LogiScout | Self::Streamlogia)
    }
}

/// Why a WebSocket ends, as its last message.
pub(super) fn error(code: &str, message: &str) -> String {
    let mut text = "{\"type\":\"error\",\"code\":".to_owned();
    write_string(&mut text, code);
    text.push_str(",\"message\":");
    write_string(&mut text, message);
    text.push('}');
    text
}
