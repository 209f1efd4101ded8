//! A server that says what its script says, byte by byte: real sockets and the standard library.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use millpond::{Client, read::Reader};

/// What a test waits for comes within this time, or never.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does for a request, in this order. Then it reads the next one.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// Does nothing until the client closes the connection.
    Hang,
    /// Closes the connection.
    Cut,
}

#[derive(Clone, Debug)]
pub struct Request {
    /// Place of the connection in the order in which they were made.
    pub connection: usize,
    pub method: String,
    pub path: String,
    /// Names and values of the URL's query, decoded.
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Vec<Step>>,
    requests: Vec<Request>,
    /// Connections that the client closed while the server was at work for it.
    closed: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Answers one request after the other as scripted; beyond the end of the script it hangs.
pub struct Web {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Web {
    pub fn start(script: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().script.extend(script);
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let state = Arc::clone(&state);
                let stream = stream.unwrap();
                thread::spawn(move || serve(&state, connection, stream));
            }
        });
        Self { address, shared }
    }

    /// A reader that doesn't wait before it tries again.
    pub fn reader(&self) -> Reader {
        self.reader_with_delay(Duration::ZERO)
    }

    pub fn reader_with_delay(&self, delay: Duration) -> Reader {
        Client::builder()
            .endpoint(format!("http://{}", self.address))
            .api_key("mp_secret")
            .retry_delay(delay, delay)
            .build_reader()
            .unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The requests, as soon as there are so many.
    pub fn wait_for(&self, requests: usize) -> Vec<Request> {
        self.wait("requests", |state| state.requests.len() >= requests);
        self.requests()
    }

    /// Waits until the client has closed so many connections while the server was at work for it.
    pub fn wait_for_closed(&self, connections: usize) {
        self.wait("a connection to be closed", |state| state.closed >= connections);
    }

    fn wait(&self, what: &str, enough: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while !enough(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {:#?}", state.requests);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

fn serve(shared: &Shared, connection: usize, stream: TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(connection, &mut reader) {
        let steps = {
            let mut state = shared.state.lock().unwrap();
            state.requests.push(request);
            state.script.pop_front().unwrap_or_else(|| vec![Step::Hang])
        };
        shared.changed.notify_all();
        for step in steps {
            let is_open = match step {
                Step::Send(bytes) => writer.write_all(&bytes).is_ok(),
                Step::Hang => {
                    let _ = reader.read_to_end(&mut Vec::new());
                    false
                }
                Step::Cut => return,
            };
            if !is_open {
                shared.state.lock().unwrap().closed += 1;
                shared.changed.notify_all();
                return;
            }
        }
    }
}

fn read(connection: usize, reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let path = path.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
        match line.trim_end().split_once(": ") {
            Some((key, value)) => headers.push((key.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut request = Request { connection, method, path, query, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [left.next().unwrap(), left.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer with a status, headers (each ended by CRLF) and a body.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    vec![Step::Send(text.into())]
}

pub fn ok(body: &str) -> Vec<Step> {
    answer(200, "Content-Type: application/json\r\n", body)
}

/// An answer that is these bytes and nothing else.
pub fn raw(bytes: &str) -> Vec<Step> {
    vec![Step::Send(bytes.into()), Step::Cut]
}

/// A live stream that says these pieces and ends with `end`.
pub fn stream(pieces: &[&str], end: Step) -> Vec<Step> {
    vec![Step::Send(stream_bytes(pieces)), end]
}

/// What goes over the wire for a live stream of these pieces, which doesn't end.
pub fn stream_bytes(pieces: &[impl AsRef<str>]) -> Vec<u8> {
    let mut text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n".to_owned();
    text.push_str("Transfer-Encoding: chunked\r\n\r\n");
    for piece in pieces.iter().map(AsRef::as_ref) {
        text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    text.into_bytes()
}

/// A log as the server writes it, whose message is its id.
pub fn log(id: u32) -> String {
    format!(
        r#"{{"id":"{id}","time":"2026-01-31T12:00:00.00000000{id}Z","level":"info","service":"api","message":"{id}"}}"#
    )
}

/// An event of the live stream with this log.
pub fn event(id: u32) -> String {
    format!("id: {id}\ndata: {}\n\n", log(id))
}

/// The event that tells how far the stream is.
pub fn comment(id: u32) -> String {
    format!("id: {id}\n: heartbeat\n\n")
}

/// A page of these logs.
pub fn page(ids: &[u32], cursor: Option<&str>) -> Vec<Step> {
    let logs = ids.iter().map(|id| log(*id)).collect::<Vec<_>>().join(",");
    let cursor = cursor.map(|cursor| format!(r#","next_cursor":"{cursor}""#)).unwrap_or_default();
    ok(&format!(r#"{{"logs":[{logs}],"has_more":{}{cursor}}}"#, !cursor.is_empty()))
}
