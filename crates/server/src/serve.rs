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
        async move {
            let mut response = answering.await?;
            metrics.answered(response.status().as_u16());
            if places.available_permits() < places_max / 4 && !response.status().is_informational()
            {
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
