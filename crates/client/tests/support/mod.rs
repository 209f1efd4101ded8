//! A server for tests: real sockets, the standard library, and a script of what goes wrong.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use millpond::{Builder, Client};

/// What a test waits for comes within this time, or never.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It is stored and acknowledged.
    Accept,
    /// It is stored but for so many of its records.
    Reject(usize),
    /// It is not stored.
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// It is stored, and the connection is closed without an answer.
    StoreAndCut,
    /// The connection is closed without an answer.
    Cut,
    /// No answer until [`Server::release`].
    Hang,
    /// It is stored, and answered with this body.
    Say(&'static str),
    /// It is stored, and answered with these bytes, head and body, whereupon the connection is closed.
    SayBytes(Vec<u8>),
    /// 413 if there are more records than that, else it is accepted.
    AtMost(usize),
    /// This status if one of the records has this in it, else it is accepted.
    Poisoned(u16, &'static str),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub connection: usize,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub lines: Vec<String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn key(&self) -> &str {
        self.header("idempotency-key").unwrap()
    }
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    script: VecDeque<Reply>,
    /// Accepted and rejected records of each stored batch.
    receipts: HashMap<String, (usize, usize)>,
    stored: Vec<String>,
    released: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    always: Mutex<Option<Reply>>,
    stopping: AtomicBool,
}

/// Answers as its script says, then as [`Server::always`] says, then [`Reply::Accept`].
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if state.stopping.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                let stream = stream.unwrap();
                thread::spawn(move || serve(&state, connection, stream));
            }
        });
        Self { address, shared }
    }

    /// An address at which nobody listens. Away from the one that all other sockets of the tests use where the
    /// system has several, lest one of them gets its port.
    pub fn nowhere() -> SocketAddr {
        let host = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "127.0.0.1:0" };
        TcpListener::bind(host).unwrap().local_addr().unwrap()
    }

    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.state.lock().unwrap().script.extend(replies);
    }

    pub fn always(&self, reply: Reply) {
        *self.shared.always.lock().unwrap() = Some(reply);
    }

    /// Lets the requests go on that hang; they are accepted.
    pub fn release(&self) {
        // Also at the end of a test that has failed.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).released = true;
        self.shared.changed.notify_all();
    }

    /// The requests, as soon as `enough` holds for them.
    pub fn wait(&self, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while !enough(&state.requests) {
            let remaining = deadline.saturating_duration_since(Instant::now());
            assert!(!remaining.is_zero(), "waited in vain; came: {:#?}", state.requests);
            state = self.shared.changed.wait_timeout(state, remaining).unwrap().0;
        }
        state.requests.clone()
    }

    pub fn wait_for(&self, requests: usize) -> Vec<Request> {
        self.wait(|came| came.len() >= requests)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The lines that were stored, each batch once, in the order of their arrival.
    pub fn stored(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().stored.clone()
    }

    /// The messages of the stored lines.
    pub fn messages(&self) -> Vec<String> {
        self.stored().iter().map(|line| message(line)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.release();
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, connection: usize, stream: TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(connection, &mut reader) {
        match answer(shared, &request) {
            Some(Answer::Whole(bytes)) => return drop(writer.write_all(&bytes)),
            Some(Answer::Parts(status, headers, body)) => {
                let headers: String =
                    headers.iter().map(|(key, value)| format!("{key}: {value}\r\n")).collect();
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
                );
                if writer.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            None => return,
        }
    }
}

fn read(connection: usize, reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
        match line.trim_end().split_once(": ") {
            Some((key, value)) => headers.push((key.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut request = Request { connection, path, headers, body: Vec::new(), lines: Vec::new() };
    request.body = vec![0; request.header("content-length")?.parse().unwrap()];
    reader.read_exact(&mut request.body).ok()?;
    let mut text = String::new();
    match request.header("content-encoding") {
        Some("zstd") => {
            text = String::from_utf8(zstd::decode_all(&*request.body).unwrap()).unwrap();
        }
        Some("gzip") => {
            flate2::read::GzDecoder::new(&*request.body).read_to_string(&mut text).unwrap();
        }
        Some(other) => panic!("unknown encoding {other}"),
        None => text.push_str(std::str::from_utf8(&request.body).unwrap()),
    }
    request.lines = if request.header("content-type") == Some("application/json") {
        entries(&text)
    } else {
        assert!(text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    };
    Some(request)
}

/// The entries of an array, or of the only member of an object.
fn entries(text: &str) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_str(text).unwrap();
    let array = body.as_object().map_or(&body, |object| object.values().next().unwrap());
    array.as_array().unwrap().iter().map(ToString::to_string).collect()
}

enum Answer {
    Parts(u16, &'static [(&'static str, &'static str)], String),
    Whole(Vec<u8>),
}

fn answer(shared: &Shared, request: &Request) -> Option<Answer> {
    let mut state = shared.state.lock().unwrap();
    let scripted = state.script.pop_front().or_else(|| shared.always.lock().unwrap().clone());
    let mut reply = scripted.unwrap_or(Reply::Accept);
    state.requests.push(request.clone());
    shared.changed.notify_all();
    if matches!(reply, Reply::Hang) {
        while !state.released {
            state = shared.changed.wait(state).unwrap();
        }
        reply = Reply::Accept;
    }
    // What was stored before is answered as it was then, if it is answered at all.
    let known = state.receipts.get(request.key()).copied();
    let receipt = match reply {
        Reply::Cut => return None,
        Reply::Status(status, headers, body) if known.is_none() || status >= 500 => {
            return Some(Answer::Parts(status, headers, body.to_owned()));
        }
        Reply::AtMost(lines) if known.is_none() && request.lines.len() > lines => {
            return Some(Answer::Parts(413, &[], String::new()));
        }
        Reply::Poisoned(status, poison)
            if known.is_none() && request.lines.iter().any(|line| line.contains(poison)) =>
        {
            return Some(Answer::Parts(status, &[], String::new()));
        }
        Reply::Reject(rejected) => known.unwrap_or((request.lines.len() - rejected, rejected)),
        _ => known.unwrap_or((request.lines.len(), 0)),
    };
    let (accepted, rejected) = receipt;
    if state.receipts.insert(request.key().to_owned(), receipt).is_none() {
        state.stored.extend_from_slice(&request.lines[rejected..]);
    }
    match reply {
        Reply::Say(body) => return Some(Answer::Parts(200, &[], body.to_owned())),
        Reply::SayBytes(bytes) => return Some(Answer::Whole(bytes)),
        _ => {}
    }
    let body = format!(
        r#"{{"accepted":{accepted},"rejected":[],"rejected_count":{rejected},"duplicate":false}}"#
    );
    (!matches!(reply, Reply::StoreAndCut)).then_some(Answer::Parts(200, &[], body))
}

/// A builder for a server at this address that waits for nothing but what the test asks for: batches are sent when
/// they are flushed, and failed ones again at once. It says nothing of its own.
pub fn builder(address: SocketAddr) -> Builder {
    Client::builder()
        .endpoint(format!("http://{address}"))
        .service("test")
        .batch_age(Duration::from_secs(3600))
        .retry_delay(Duration::ZERO, Duration::ZERO)
        .shutdown_timeout(Duration::ZERO)
        .breaker(u32::MAX, Duration::ZERO)
        .loss_reports(false)
}

/// A client for the server, as [`builder`] makes it.
pub fn client(server: &Server) -> Client {
    builder(server.address).build().unwrap()
}

pub fn log(client: &Client, messages: impl IntoIterator<Item = usize>) {
    for message in messages {
        client.info(message.to_string()).send();
    }
}

/// With this limit, [`log_too_large`] logs a record that can't be made to fit.
pub const LOG_BYTES_MAX: usize = 2048;

/// Logs a record that is dropped as too large: an attribute alone is.
pub fn log_too_large(client: &Client) {
    client.info("m").user_id(&"x".repeat(2 * LOG_BYTES_MAX)).send();
}

pub fn flush(client: &Client) {
    let outcome = client.flush(PATIENCE);
    assert!(outcome.is_complete(), "{outcome:?} {:?}", client.metrics());
}

pub fn message(line: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["message"].as_str().unwrap().to_owned()
}

pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Waits until `condition` holds; for what no condition variable tells.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::yield_now();
    }
}
