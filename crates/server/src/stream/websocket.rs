//! A tail over a WebSocket. The client says nothing; what it must know at the end is the last message, but where the form
//! has no words for it.

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
};
use futures::SinkExt;
use tokio::time::timeout;

use super::{
    batch::Piece,
    form::{Form, error},
    tail::{Over, Tail},
};
use crate::limits::SOCKET_END_WAIT;

/// Why the server ends a connection.
struct Reason {
    close_code: u16,
    code: &'static str,
    message: String,
}

/// Says what the tail says until one of the two sides ends.
pub(super) async fn serve(mut socket: WebSocket, mut tail: Tail) {
    let mut guard = tail.guard();
    let form = tail.form();
    let reason = loop {
        let said = tokio::select! {
            heard = listen(&mut socket, form) => match heard {
                Some(reason) => break reason,
                None => return,
            },
            said = tail.next() => said,
        };
        match said {
            Ok(piece) => tokio::select! {
                // What can be sent at once is sent; the tail then says why it ends.
                biased;
                sent = send(&mut socket, &piece) => if sent.is_err() { return },
                // Who does not read gets no reason.
                _ = guard.over() => return,
            },
            Err(over) => break Reason::from(over),
        }
    };
    let _ = timeout(SOCKET_END_WAIT, end(socket, reason, form)).await;
}

/// Waits until the client is gone (`None`), or says something that it must not. Pings are answered on the way.
async fn listen(socket: &mut WebSocket, form: Form) -> Option<Reason> {
    loop {
        match socket.recv().await? {
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Text(_) | Message::Binary(_)) if !form.speaks() => {}
            Ok(Message::Text(_) | Message::Binary(_)) => {
                return Some(Reason {
                    close_code: close_code::POLICY,
                    code: "invalid_body",
                    message: "a message came, expected none: the filter stands in the address"
                        .to_owned(),
                });
            }
            Ok(Message::Close(_)) | Err(_) => return None,
        }
    }
}

async fn send(socket: &mut WebSocket, piece: &Piece) -> Result<(), axum::Error> {
    for message in piece.messages() {
        socket.feed(text(message)).await?;
    }
    socket.flush().await
}

/// Everything that is said is text; who has nothing to say asks whether the other side is there.
fn text(message: Bytes) -> Message {
    if message.is_empty() {
        return Message::Ping(message);
    }
    Message::Text(Utf8Bytes::try_from(message).unwrap_or_default())
}

async fn end(mut socket: WebSocket, reason: Reason, form: Form) -> Result<(), axum::Error> {
    let Reason { close_code, code, message } = reason;
    if form.speaks() {
        socket.feed(Message::text(error(code, &message))).await?;
    }
    let frame = CloseFrame { code: close_code, reason: Utf8Bytes::from_static(code) };
    socket.send(Message::Close(Some(frame))).await?;
    // Until the client has closed too, so that it surely reads the reason.
    while let Some(Ok(_)) = socket.recv().await {}
    Ok(())
}

impl From<Over> for Reason {
    fn from(over: Over) -> Self {
        let reason = |close_code, code, message: &str| Self {
            close_code,
            code,
            message: message.to_owned(),
        };
        match over {
            Over::Closing => reason(close_code::AWAY, "closing", "the server is shutting down"),
            Over::KeyInvalid => {
                reason(close_code::POLICY, "invalid_key", "the key was revoked or has expired")
            }
            Over::Failed(error) => reason(close_code::ERROR, error.code(), error.message()),
        }
    }
}
