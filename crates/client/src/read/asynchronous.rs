//! The reader for async programs. Each call and each stream has a plain thread for as long as it lasts, so that it works
//! with any runtime, and in a forked child, where the threads of a pool would be missing.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use async_channel::Receiver;
use futures_core::Stream;

use super::{
    Aggregation, Filter, Log, Page, Query, RawFormat, RawOptions, ReadError, Reader, Receipt,
    Statistics, Stopper,
};
use crate::limits::STREAM_LOGS_AHEAD;

/// A [`Reader`] whose calls are futures. A future or stream that is dropped stops its work and closes its connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use millpond::{Client, read::Query};
///
/// let reader = Client::builder().endpoint("http://127.0.0.1:4480").build_reader()?.into_async();
/// let page = reader.query(&Query::new("level:error")).await?;
/// println!("{} logs", page.logs.len());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AsyncReader {
    reader: Reader,
}

impl Reader {
    /// The same reader, for async programs.
    #[must_use]
    pub fn into_async(self) -> AsyncReader {
        AsyncReader { reader: self }
    }
}

impl From<Reader> for AsyncReader {
    fn from(reader: Reader) -> Self {
        reader.into_async()
    }
}

impl AsyncReader {
    /// As [`Reader::query`].
    ///
    /// # Errors
    /// As there.
    pub async fn query(&self, query: &Query) -> Result<Page, ReadError> {
        let query = query.clone();
        self.run(move |reader| reader.query(&query)).await
    }

    /// As [`Reader::by_trace_id`].
    ///
    /// # Errors
    /// As there.
    pub async fn by_trace_id(&self, trace_id: &str) -> Result<Page, ReadError> {
        let trace_id = trace_id.to_owned();
        self.run(move |reader| reader.by_trace_id(&trace_id)).await
    }

    /// As [`Reader::aggregated`].
    ///
    /// # Errors
    /// As there.
    pub async fn aggregated(&self, aggregation: &Aggregation) -> Result<Statistics, ReadError> {
        let aggregation = aggregation.clone();
        self.run(move |reader| reader.aggregated(&aggregation)).await
    }

    /// As [`Reader::ingest_raw`].
    ///
    /// # Errors
    /// As there.
    pub async fn ingest_raw(
        &self,
        format: RawFormat,
        body: impl Into<Vec<u8>>,
        options: &RawOptions,
    ) -> Result<Receipt, ReadError> {
        let (body, options) = (body.into(), options.clone());
        self.run(move |reader| reader.ingest_raw(format, body, &options)).await
    }

    /// As [`Reader::logs`]. The next page is fetched while the one before is read.
    pub fn logs(&self, query: impl Into<Query>) -> AsyncLogs {
        let (reader, stopper) = self.stoppable();
        AsyncLogs::new(reader.logs(query), stopper)
    }

    /// As [`Reader::stream`].
    pub fn stream(&self, filter: impl Into<Filter>) -> AsyncLogs {
        let stream = self.reader.stream(filter);
        let stopper = stream.stopper();
        AsyncLogs::new(stream, stopper)
    }

    fn stoppable(&self) -> (Reader, Stopper) {
        let stopper = Stopper::default();
        (self.reader.clone().stopped_by(&stopper), stopper)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (reader, stopper) = self.stoppable();
        let (sender, receiver) = async_channel::bounded(1);
        spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.try_send(work(&reader));
        })?;
        let _stop = StopOnDrop(stopper);
        receiver.recv().await.unwrap_or_else(|_| {
            Err(ReadError::Thread(io::Error::other("it ended without an answer")))
        })
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), ReadError> {
    let thread = thread::Builder::new().name("millpond-read".to_owned());
    thread.spawn(work).map(drop).map_err(ReadError::Thread)
}

struct StopOnDrop(Stopper);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Logs that come one after the other; ends after the first error. Made by [`AsyncReader::logs`] and
/// [`AsyncReader::stream`]. Up to 64 logs are read ahead of the one who asks.
#[must_use = "a stream that is dropped stops"]
pub struct AsyncLogs {
    receiver: Pin<Box<Receiver<Result<Log, ReadError>>>>,
    _stop: StopOnDrop,
}

impl AsyncLogs {
    fn new(
        logs: impl Iterator<Item = Result<Log, ReadError>> + Send + 'static,
        stopper: Stopper,
    ) -> Self {
        let (sender, receiver) = async_channel::bounded(STREAM_LOGS_AHEAD);
        let failed = sender.clone();
        let spawned = spawn(move || {
            for log in logs {
                if sender.send_blocking(log).is_err() {
                    return;
                }
            }
        });
        if let Err(error) = spawned {
            // The channel is empty: there is room.
            let _ = failed.try_send(Err(error));
        }
        Self { receiver: Box::pin(receiver), _stop: StopOnDrop(stopper) }
    }
}

impl Stream for AsyncLogs {
    type Item = Result<Log, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.as_mut().poll_next(context)
    }
}

impl fmt::Debug for AsyncLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncLogs").finish_non_exhaustive()
    }
}
