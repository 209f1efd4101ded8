//! Accepts connections and serves requests on them: how many, for how long, and how they end. What a request means is
//! the router's.
//!
//! A connection holds a place from its accept to its close. When all are taken, the listener waits a moment, then
//! answers newcomers with 503. When few are left, connections are not kept alive. Every error that the server itself
//! gives is JSON; a head that is no HTTP, or is too large, is answered by hyper, with a status and nothing else.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    http::{HeaderValue, Request, header::CONNECTION},
    response::Response,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout_at},
};
use tower_service::Service;

use crate::{
    limits::{
        ACCEPT_PAUSE, CONNECTION_BUFFER_BYTES, CONNECTION_WAIT, HEAD_BYTES_MAX, HEAD_TIME_MAX,
        REFUSALS_MAX, RETRY_OVERLOADED_SECONDS,
    },
    metrics::Metrics,
    socket::Socket,
};

/// What all connections share.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    /// A permit for each connection that may be open.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) places_max: usize,
    pub(crate) ending: watch::Receiver<bool>,
}

/// What one connection remembers.
#[derive(Debug, Default)]
struct Seen {
    /// There was a request.
    request: AtomicBool,
    /// A body was dropped before its end.
    unread: AtomicBool,
}

impl Serving {
    /// Serves until the server ends and every connection is closed.
    pub(crate) async fn run(self, listener: TcpListener) {
        tokio::select! {
            () = self.accept_all(&listener) => {}
            () = told(self.ending.clone()) => {}
        }
        drop(listener);
        let all = u32::try_from(self.places_max).unwrap_or(u32::MAX);
        // Fails only when the semaphore is closed, which nobody does.
        let _ = self.places.acquire_many(all).await;
    }

    async fn accept_all(&self, listener: &TcpListener) {
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let mut accepting = true;
        // Newcomers wait together, not one behind the other: who comes when nobody has got a place for that long is
        // refused at once.
        let mut full_since = None;
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    if std::mem::replace(&mut accepting, false) {
                        tracing::error!(%error, "connections can't be accepted");
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            accepting = true;
            if self.places.available_permits() > 0 {
                full_since = None;
            }
            let patience = *full_since.get_or_insert_with(Instant::now) + CONNECTION_WAIT;
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = timeout_at(patience, place).await {
                full_since = None;
                self.metrics.connections.add(1);
                tokio::spawn(self.clone().connection(Socket::new(stream, place)));
            } else {
                self.metrics.connections_refused.add(1);
                if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                    tokio::spawn(refuse(stream, place));
                }
            }
        }
    }

    async fn connection(self, socket: Socket) {
        let seen = Arc::new(Seen::default());
        let service = service_fn(|request| self.answer(request, &seen));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
        builder.max_header_size(HEAD_BYTES_MAX).max_buf_size(CONNECTION_BUFFER_BYTES);
        let mut connection =
            builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = told(self.ending.clone()) => {
                if !seen.request.load(Ordering::Relaxed) {
                    // It never asked for anything, and hyper would wait for it to.
                    return;
                }
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        };
        let answered = match ended {
            Ok(()) => seen.unread.load(Ordering::Relaxed),
            // hyper has told the client.
            Err(error) => error.is_parse(),
        };
        if answered && let Some(parts) = connection.into_parts() {
            parts.io.into_inner().linger().await;
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        seen: &Arc<Seen>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + 'static {
        seen.request.store(true, Ordering::Relaxed);
        let request = request.map(|body| Arriving { body, seen: Arc::clone(seen) });
        let answering = self.router.clone().call(request);
        let metrics = Arc::clone(&self.metrics);
        let (places, places_max) = (Arc::clone(&self.places), self.places_max);
        let seen = Arc::clone(seen);
        async move {
            let mut response = answering.await?;
            metrics.answered(response.status().as_u16());
            let crowded = places.available_permits() <= places_max / 4;
            // What is left of a body stands where the next request should.
            let unread = seen.unread.load(Ordering::Relaxed);
            if (crowded || unread) && !response.status().is_informational() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }
}

/// Waits until the server is told to end.
async fn told(mut ending: watch::Receiver<bool>) {
    // Whoever tells is gone only with the server.
    let _ = ending.wait_for(|&ending| ending).await;
}

/// Whether the trouble is that of the connection that was to be accepted, and the next may be a good one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers a connection for which there is no place.
async fn refuse(stream: TcpStream, place: OwnedSemaphorePermit) {
    let body = r#"{"error":"Service Unavailable","code":"overloaded","message":"too many connections are open","details":[]}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: {RETRY_OVERLOADED_SECONDS}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut socket = Socket::new(stream, place);
    if socket.write_all(answer.as_bytes()).await.is_ok() {
        socket.linger().await;
    }
}

/// A request's body, which tells when it was not read to its end.
#[derive(Debug)]
struct Arriving {
    body: Incoming,
    seen: Arc<Seen>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.seen.unread.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{io::AsyncReadExt, task::JoinHandle};

    use super::*;

    struct Running {
        address: std::net::SocketAddr,
        places: Arc<Semaphore>,
        end: watch::Sender<bool>,
        serving: JoinHandle<()>,
    }

    impl Running {
        async fn start(places_max: usize) -> Self {
            let router = Router::new()
                .route("/", get(async || "hello"))
                .route("/large", get(async || "x".repeat(64 << 20)));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (end, ending) = watch::channel(false);
            let places = Arc::new(Semaphore::new(places_max));
            let metrics = Arc::default();
            let of_all = Arc::clone(&places);
            let serving = Serving { router, metrics, places: of_all, places_max, ending };
            Self { address, places, end, serving: tokio::spawn(serving.run(listener)) }
        }

        async fn send(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        }

        /// Sends and reads until the server closes.
        async fn exchange(&self, text: &str) -> String {
            let mut answer = String::new();
            self.send(text).await.read_to_string(&mut answer).await.unwrap();
            answer
        }
    }

    // The clock of these tests runs on whenever nothing else can: what waits for a time-out gets it at once.

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_cut_off_and_so_is_an_idle_connection() {
        let running = Running::start(8).await;
        assert_eq!(running.exchange("GET / HTTP/1.1\r\nHost: ").await, "");
        let answer = running.exchange("GET / HTTP/1.1\r\nHost: m\r\n\r\n").await;
        assert!(answer.ends_with("hello") && !answer.contains("close"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_large_is_answered() {
        let running = Running::start(8).await;
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * HEAD_BYTES_MAX));
        assert!(running.exchange(&long).await.starts_with("HTTP/1.1 431"));
        assert!(running.exchange("no HTTP\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_place_a_connection_is_told_to_come_back_until_there_is_one() {
        let running = Running::start(1).await;
        let first = running.send("").await;
        while running.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = running.exchange("GET / HTTP/1.1\r\nHost: m\r\n\r\n").await;
        assert!(
            refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"),
            "{refused}"
        );
        drop(first);
        let answer = running.exchange("GET / HTTP/1.1\r\nHost: m\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("connection: close"), "the last place is not kept: {answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_loses_its_place() {
        let running = Running::start(1).await;
        let _stream = running.send("GET /large HTTP/1.1\r\nHost: m\r\n\r\n").await;
        // Waits as long as the connection has it.
        tokio::time::sleep(CONNECTION_WAIT).await;
        drop(running.places.acquire().await.unwrap());
    }

    // With the clock that does not wait, a client that is slow for a moment would count as one that takes nothing.
    #[tokio::test]
    async fn the_end_waits_for_answers_and_for_nothing_else() {
        let running = Running::start(8).await;
        let _silent = running.send("").await;
        let _half = running.send("GET / HT").await;
        let mut large = running.send("GET /large HTTP/1.1\r\nHost: m\r\n\r\n").await;
        let mut start = [0; 12];
        large.read_exact(&mut start).await.unwrap();
        running.end.send_replace(true);
        let mut rest = Vec::new();
        large.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() > 64 << 20);
        // The other two would be left alone until then.
        tokio::time::timeout(HEAD_TIME_MAX / 2, running.serving).await.unwrap().unwrap();
    }
}
