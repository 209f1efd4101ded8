//! `GET /api/v1/logs/stream` over a WebSocket: what server-sent events say, as messages.

use std::{net::TcpStream, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tungstenite::{
    ClientRequestBuilder, Message, WebSocket, client, protocol::frame::coding::CloseCode,
};

use crate::fixture::{Fixture, event, event_ids, events, ids, printed_key};

/// A WebSocket that a browser opens: no header but its own.
struct Socket(WebSocket<TcpStream>);

impl Socket {
    fn open(fixture: &Fixture, parameters: &str) -> Result<Self> {
        Self::open_with(fixture, fixture.api.key(), parameters)
    }

    fn open_with(fixture: &Fixture, key: &str, parameters: &str) -> Result<Self> {
        let address = &fixture.server.serve().address;
        let socket = TcpStream::connect(address)?;
        // An answer slower than this is a hang.
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        let path = format!("/api/v1/logs/stream?token={key}{parameters}");
        let request = ClientRequestBuilder::new(format!("ws://{address}{path}").parse()?);
        let (socket, _) = client(request, socket).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self(socket))
    }

    /// The next message.
    fn next(&mut self) -> Result<Value> {
        loop {
            match self.0.read()? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("{other:?}"),
            }
        }
    }

    /// The next message of a type other than `heartbeat`.
    fn next_but_heartbeats(&mut self) -> Result<Value> {
        loop {
            let message = self.next()?;
            if message["type"] != "heartbeat" {
                return Ok(message);
            }
        }
    }

    fn records(&mut self, count: usize) -> Result<(Vec<Value>, u64)> {
        let (mut records, mut last_id) = (Vec::new(), 0);
        while records.len() < count {
            let message = self.next_but_heartbeats()?;
            assert_eq!(message["type"], "record", "{message}");
            last_id = message["id"].as_u64().context("no id")?;
            records.push(message["log"].clone());
        }
        Ok((records, last_id))
    }

    /// The code of the error that it ends with, and how it is closed.
    fn end(&mut self) -> Result<(String, CloseCode)> {
        let message = self.next_but_heartbeats()?;
        assert_eq!(message["type"], "error", "{message}");
        match self.0.read()? {
            Message::Close(Some(frame)) => {
                Ok((message["code"].as_str().context("no code")?.to_owned(), frame.code))
            }
            other => bail!("{other:?}"),
        }
    }
}

#[test]
fn a_websocket_shows_what_passes_its_filter_and_resumes() -> Result<()> {
    let fixture = Fixture::start()?;
    let sent = ids("socket", 40);
    let mut socket = Socket::open(&fixture, "&q=level:info+-dull")?;
    let hello = socket.next()?;
    assert_eq!((&hello["type"], &hello["id"]), (&"heartbeat".into(), &0.into()));
    let mut dull = event("dull");
    dull["message"] = "a dull one".into();
    fixture.api.ingest(&[dull], None)?.succeeded()?;
    fixture.api.ingest(&events(&sent[..20]), None)?.succeeded()?;
    let (mut seen, last_id) = socket.records(7)?;
    drop(socket);
    fixture.api.ingest(&events(&sent[20..]), None)?.succeeded()?;
    let mut socket = Socket::open(&fixture, &format!("&q=level:info&last_event_id={last_id}"))?;
    seen.extend(socket.records(sent.len() - 7)?.0);
    assert_eq!(event_ids(&seen), sent);
    Ok(())
}

#[test]
fn a_websocket_that_has_nothing_to_say_tells_how_far_it_is() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut socket = Socket::open(&fixture, "&q=nothing")?;
    socket.next()?;
    fixture.api.ingest(&events(&ids("other", 5)), None)?.succeeded()?;
    while socket.next()?["id"] != 5 {}
    socket.0.send(Message::Ping("are you there".into()))?;
    while !matches!(socket.0.read()?, Message::Pong(text) if text == "are you there") {}
    Ok(())
}

#[test]
fn a_websocket_says_why_it_ends() -> Result<()> {
    let fixture = Fixture::start()?;
    let created = fixture.key(&["create", "--name", "socket"])?;
    let mut revoked = Socket::open_with(&fixture, &printed_key(&created)?, "")?;
    let listed = fixture.key(&["list"])?;
    let line = listed.lines().find(|line| line.ends_with("socket")).context("not listed")?;
    fixture.key(&["revoke", line.split_whitespace().next().context("no id")?])?;
    assert_eq!(revoked.end()?, ("invalid_key".to_owned(), CloseCode::Policy));

    let mut talking = Socket::open(&fixture, "")?;
    talking.0.send(Message::text("level:error"))?;
    assert_eq!(talking.end()?, ("invalid_body".to_owned(), CloseCode::Policy));

    let mut stopped = Socket::open(&fixture, "")?;
    // It is a WebSocket by now; a connection that is about to become one just ends.
    stopped.next()?;
    let stopping = std::thread::spawn(move || fixture.server.stop().map(drop));
    assert_eq!(stopped.end()?, ("closing".to_owned(), CloseCode::Away));
    stopping.join().map_err(|_| anyhow::anyhow!("stopping panicked"))?
}

#[test]
fn what_can_not_be_followed_is_refused_before_the_upgrade() -> Result<()> {
    let fixture = Fixture::start()?;
    let upgrade = |path: &str, key: &str, version: &str| {
        fixture.api.bare(
            "GET",
            path,
            &[
                ("X-API-Key", key),
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("Sec-WebSocket-Version", version),
            ],
        )
    };
    let key = fixture.api.key();
    let refused = [
        upgrade("/api/v1/logs/stream", "mp_wrong", "13")?,
        upgrade("/api/v1/logs/stream?q=(", key, "13")?,
        upgrade("/api/v1/logs/stream?last_event_id=7", key, "13")?,
        upgrade("/api/v1/logs/stream", key, "12")?,
    ];
    let codes = refused.each_ref().map(|reply| (reply.status, reply.code()));
    let expected = [
        (401, "invalid_key"),
        (400, "invalid_query"),
        (400, "invalid_parameter"),
        (400, "invalid_upgrade"),
    ];
    assert_eq!(codes, expected);
    Ok(())
}
