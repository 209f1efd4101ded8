//! The server that everyone sends to, in a process of its own so that what it costs is nobody's. It answers each
//! protocol in its own words, keeps the bodies, and counts what is in them when it is asked.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::tally::{Taken, Tally, tally};

/// How a sink behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes everything.
    Takes,
    /// Answers everything with 503.
    Busy,
    /// Reads and never answers.
    Mute,
}

impl FromStr for Manner {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "takes" => Self::Takes,
            "busy" => Self::Busy,
            "mute" => Self::Mute,
            _ => bail!("a sink takes, is busy or is mute, not `{word}`"),
        })
    }
}

/// Where a person in the run's process asks for the count.
pub(crate) const COUNT_PATH: &str = "/count";

/// What the sink has taken.
#[derive(Default)]
struct Store {
    taken: Mutex<Vec<Taken>>,
    /// All bytes of these requests, heads included.
    wire_bytes: AtomicU64,
}

/// Serves until stdin ends, as it does with the run. Port 0 stands for any; the first line on stdout says which one it
/// is.
pub(crate) fn serve(manner: Manner, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(|| {
        // An error is an end, too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let store = Arc::new(Store::default());
    for stream in listener.incoming() {
        let (stream, store) = (stream?, Arc::clone(&store));
        thread::spawn(move || {
            // A connection that breaks is its client's end.
            let _ = converse(&stream, &store, manner);
        });
    }
    Ok(())
}

/// The head of a request.
#[derive(Default)]
struct Head {
    path: String,
    encoding: Option<String>,
    length: usize,
    bytes: usize,
}

fn converse(mut stream: &TcpStream, store: &Store, manner: Manner) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Some(head) = read_head(&mut reader)? {
        let mut body = vec![0; head.length];
        reader.read_exact(&mut body)?;
        let answer = if head.path == COUNT_PATH {
            success("application/json", &count(store)?)
        } else {
            match manner {
                Manner::Takes => take(store, head, body),
                Manner::Busy => {
                    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned()
                }
                Manner::Mute => continue,
            }
        };
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn read_head(reader: &mut impl std::io::BufRead) -> Result<Option<Head>> {
    let mut head = Head::default();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        head.bytes += line.len();
        let text = line.trim_end();
        if head.path.is_empty() {
            let path = text.split(' ').nth(1).context("a request without a path")?;
            path.split('?').next().unwrap_or(path).clone_into(&mut head.path);
        } else if text.is_empty() {
            return Ok(Some(head));
        } else if let Some((name, value)) = text.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.trim().parse()?,
                "content-encoding" => head.encoding = Some(value.trim().to_owned()),
                "transfer-encoding" => bail!("a body without its length"),
                _ => {}
            }
        }
    }
}

fn take(store: &Store, head: Head, body: Vec<u8>) -> String {
    let answer = match head.path.as_str() {
        // More than any batch has: all of it was accepted.
        "/api/v1/ingest" => success("application/json", r#"{"accepted":1000000000,"rejected":[]}"#),
        // An empty message: nothing was rejected.
        "/v1/logs" => success("application/x-protobuf", ""),
        _ => success("application/json", "{}"),
    };
    store.wire_bytes.fetch_add((head.bytes + body.len()) as u64, Ordering::Relaxed);
    store.taken.lock().unwrap_or_else(PoisonError::into_inner).push(Taken {
        path: head.path,
        encoding: head.encoding,
        body,
    });
    answer
}

fn success(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn count(store: &Store) -> Result<String> {
    let taken = store.taken.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = Tally::default();
    for request in taken.iter() {
        let tally = tally(request)?;
        all.records += tally.records;
        all.told_lost += tally.told_lost;
    }
    let count = json!({
        "requests": taken.len(),
        "records": all.records,
        "wire_bytes": store.wire_bytes.load(Ordering::Relaxed),
        "told_lost": all.told_lost,
    });
    Ok(count.to_string())
}
