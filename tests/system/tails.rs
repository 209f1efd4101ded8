//! A thousand who follow at once.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::fixture::{Fixture, event};

const TAILS: usize = 1000;
const READERS: usize = 8;
const KINDS: usize = 10;
const BATCHES: usize = 30;

/// A stream over a plain socket. HTTP/1.0, so that the body is nothing but the events.
pub(crate) struct Tail(BufReader<TcpStream>);

impl Tail {
    /// Connects, with the key in the address; returns when the server has found where the stream begins.
    pub(crate) fn open(fixture: &Fixture, key: &str, q: &str) -> Result<Self> {
        let address = fixture.server.serve().address.clone();
        let mut socket = TcpStream::connect(&address)?;
        // An answer slower than this is a hang.
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        let path = format!("/api/v1/logs/stream?token={key}&q={q}");
        write!(socket, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut tail = Self(BufReader::with_capacity(1024, socket));
        let status = tail.next_line()?;
        ensure!(status.contains(" 200 "), "answered {status}");
        while !tail.next_line()?.is_empty() {}
        Ok(tail)
    }

    pub(crate) fn next_line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the stream ended");
        Ok(line.trim_end().to_owned())
    }

    /// The `fields.event_id` of the next record.
    fn next_event(&mut self) -> Result<String> {
        loop {
            if let Some(record) = self.next_line()?.strip_prefix("data: ") {
                let record: serde_json::Value = serde_json::from_str(record)?;
                return Ok(record["fields"]["event_id"]
                    .as_str()
                    .context("no event_id")?
                    .to_owned());
            }
        }
    }
}

#[test]
fn a_thousand_tails_each_get_their_records_once() -> Result<()> {
    let fixture = Fixture::start()?;
    let key = fixture.api.key().to_owned();
    let mut readers: Vec<Vec<(usize, Tail)>> = (0..READERS).map(|_| Vec::new()).collect();
    for number in 0..TAILS {
        // Ten kinds of records; what a tail has in its filter beyond that is its own for every other.
        let own = if number % 2 == 0 { String::new() } else { format!("+-no_{number}") };
        let kind = number / 2 % KINDS;
        let tail = Tail::open(&fixture, &key, &format!("fields.kind:{kind}{own}"))?;
        readers[number % READERS].push((kind, tail));
    }
    let reading: Vec<_> = readers.into_iter().map(|tails| thread::spawn(|| read(tails))).collect();
    for batch in 0..BATCHES {
        let records: Vec<_> = (0..KINDS)
            .map(|kind| {
                let mut record = event(&format!("{kind}-{batch}"));
                record["fields"]["kind"] = kind.into();
                record
            })
            .collect();
        fixture.api.ingest(&records, None)?.succeeded()?;
    }
    // What comes after everything else shows that nothing came twice before it.
    let last: Vec<_> = (0..KINDS)
        .map(|kind| {
            let mut record = event("last");
            record["fields"]["kind"] = kind.into();
            record
        })
        .collect();
    fixture.api.ingest(&last, None)?.succeeded()?;
    for reader in reading {
        reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
    }
    Ok(())
}

fn read(tails: Vec<(usize, Tail)>) -> Result<()> {
    for (kind, mut tail) in tails {
        for batch in 0..BATCHES {
            assert_eq!(tail.next_event()?, format!("{kind}-{batch}"));
        }
        assert_eq!(tail.next_event()?, "last");
    }
    Ok(())
}
