//! A connection's socket: closed when its client takes nothing of an answer for too long; and the closing of one whose
//! client may still be sending.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep, timeout, timeout_at},
};

use crate::limits::{LINGER_BYTES_MAX, LINGER_PAUSE_MAX, LINGER_TIME_MAX, WRITE_STALL_MAX};

/// What a closing socket reads at once.
const LINGER_READ_BYTES: usize = 16 << 10;

/// A TCP stream that holds its place among the connections as long as it lives, whoever has it by then.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        // What is small and complete should not wait for more; a socket that refuses only makes it slower.
        let _ = stream.set_nodelay(true);
        Self { stream, stalled: None, _place: place }
    }

    /// Ends the stream of answers and reads on for a while. Closing at once would make the system answer what still
    /// arrives with a reset, and a reset takes the answer away from a client that has not read it yet.
    pub(crate) async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let end = Instant::now() + LINGER_TIME_MAX;
        let mut read_bytes = 0;
        let mut unwanted = vec![0; LINGER_READ_BYTES];
        while read_bytes < LINGER_BYTES_MAX {
            let reading = timeout(LINGER_PAUSE_MAX, self.stream.read(&mut unwanted));
            match timeout_at(end, reading).await {
                Ok(Ok(Ok(count))) if count > 0 => read_bytes += count,
                _ => return,
            }
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL_MAX)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
