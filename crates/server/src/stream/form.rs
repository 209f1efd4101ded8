//! What a tail says, as text: server-sent events or the messages of a WebSocket. Pure.

use millpond_record::json::{write_string, write_u64};

/// How a connection takes what a tail says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// JSON, one object a message.
    Messages,
}

/// Records that a tail will not show, by their ids, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) from_id: u64,
    pub(super) to_id: u64,
}

impl Form {
    /// Writes a record with its id.
    pub(super) fn record(self, out: &mut String, id: u64, json: &str) {
        match self {
            Self::Events => {
                out.push_str("id: ");
                write_u64(out, id);
                out.push_str("\ndata: ");
                out.push_str(json);
                out.push_str("\n\n");
            }
            Self::Messages => {
                out.push_str("{\"type\":\"record\",\"id\":");
                write_u64(out, id);
                out.push_str(",\"log\":");
                out.push_str(json);
                out.push('}');
            }
        }
    }

    /// How far the tail is, so that a client that was shown nothing yet can resume too.
    pub(super) fn alive(self, id: u64, comment: &str) -> String {
        match self {
            Self::Events => format!("id: {id}\n: {comment}\n\n"),
            Self::Messages => format!("{{\"type\":\"heartbeat\",\"id\":{id}}}"),
        }
    }

    /// What the tail leaves out.
    pub(super) fn missed(self, Missed { from_id, to_id }: Missed) -> String {
        let records = to_id.saturating_sub(from_id) + 1;
        let members = format!("\"from_id\":{from_id},\"to_id\":{to_id},\"records\":{records}}}");
        match self {
            Self::Events => format!("id: {to_id}\nevent: missed\ndata: {{{members}\n\n"),
            Self::Messages => format!("{{\"type\":\"missed\",{members}"),
        }
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
