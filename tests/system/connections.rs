//! Connections as clients really use them: one for each record, hundreds at once, answered before they have sent
//! everything, standing still.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use anyhow::{Context, Result, ensure};
use millpond_system_tests::Api;

use crate::fixture::{Fixture, event, event_ids, ids, sorted};

const INGEST: &str = "/api/v1/ingest";

fn connect(api: &Api) -> Result<TcpStream> {
    let address = api.url().strip_prefix("http://").context("no http://")?;
    Ok(TcpStream::connect(address)?)
}

/// The head of a `POST` with a body of so many bytes.
fn head(path: &str, key: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: millpond\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n"
    )
}

/// Reads to the end; the status and everything.
fn answer(mut stream: TcpStream) -> Result<(u16, String)> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).with_context(|| format!("no status in `{text}`"))?;
    Ok((status.parse()?, text))
}

/// Sends one record on a connection of its own.
fn send_alone(api: &Api, id: &str) -> Result<()> {
    let body = event(id).to_string();
    let mut stream = connect(api)?;
    let head = head(INGEST, api.key(), body.len());
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
    let (status, text) = answer(stream)?;
    ensure!(status == 200, "{text}");
    Ok(())
}

#[test]
fn a_connection_for_each_record_is_no_trouble() -> Result<()> {
    let fixture = Fixture::start()?;
    let alone = ids("alone", 300);
    for id in &alone {
        send_alone(&fixture.api, id)?;
    }
    let api = &fixture.api;
    let together = thread::scope(|scope| {
        let clients: Vec<_> = (0..200)
            .map(|client| {
                scope.spawn(move || -> Result<Vec<String>> {
                    let sent = ids(&format!("client-{client}"), 10);
                    sent.iter().try_for_each(|id| send_alone(api, id))?;
                    Ok(sent)
                })
            })
            .collect();
        let sent = clients.into_iter().map(|client| client.join().ok().context("panicked")?);
        sent.collect::<Result<Vec<_>>>()
    })?;
    let sent: Vec<_> = alone.into_iter().chain(together.into_iter().flatten()).collect();
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&sent));
    Ok(())
}

/// Sends a head and a hundred megabytes before it reads a byte.
fn answered_after_sending_everything(api: &Api, path: &str, key: &str) -> Result<(u16, String)> {
    let megabyte = vec![b' '; 1 << 20];
    let mut stream = connect(api)?;
    stream.write_all(format!("{}\r\n", head(path, key, 100 * megabyte.len())).as_bytes())?;
    for _ in 0..100 {
        stream.write_all(&megabyte)?;
    }
    answer(stream)
}

#[test]
fn a_client_that_sends_everything_before_it_reads_gets_its_answer() -> Result<()> {
    let fixture = Fixture::start()?;
    let key = fixture.api.key();
    for (path, key, status, code) in [
        (INGEST, key, 413, "body_too_large"),
        (INGEST, "mp_wrong", 401, "invalid_key"),
        ("/api/v1/nothing", key, 404, "not_found"),
        ("/api/v1/logs", key, 405, "method_not_allowed"),
    ] {
        let (found, text) = answered_after_sending_everything(&fixture.api, path, key)?;
        assert_eq!(found, status, "{text}");
        assert!(text.contains(code) && text.contains("connection: close"), "{text}");
    }
    Ok(())
}

#[test]
fn uploads_that_stand_still_keep_nobody_out() -> Result<()> {
    let fixture = Fixture::start()?;
    let mut still = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(&fixture.api)?;
        let head = head(INGEST, fixture.api.key(), 60 << 20);
        stream.write_all(format!("{head}\r\n[").as_bytes())?;
        still.push(stream);
    }
    let large = " ".repeat(20 << 20) + &event("large").to_string();
    let json = ("Content-Type", "application/json");
    fixture.api.post(INGEST, &[json], large.as_bytes())?.succeeded()?;
    assert_eq!(event_ids(&fixture.api.all(&[])?), ["large"]);
    Ok(())
}

#[test]
fn a_body_that_ends_early_leaves_nothing_behind() -> Result<()> {
    let fixture = Fixture::start()?;
    let body = event("half").to_string();
    let mut stream = connect(&fixture.api)?;
    let head = head(INGEST, fixture.api.key(), body.len() + 1);
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // Whatever it is told, if anything, it is not that its record was taken.
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert!(!text.contains(" 200 "), "{text}");
    assert!(fixture.api.all(&[])?.is_empty());
    Ok(())
}

#[test]
fn a_server_that_is_told_to_end_does_not_wait_for_idle_connections() -> Result<()> {
    let fixture = Fixture::start()?;
    let _silent = connect(&fixture.api)?;
    fixture.api.ingest(&[event("kept")], None)?.succeeded()?;
    // The client of the fixture keeps its connection, too.
    let fixture = fixture.restart(|| Ok(()))?;
    assert_eq!(event_ids(&fixture.api.all(&[])?), ["kept"]);
    Ok(())
}
