//! The shipper: entries of any form, for any server, by the engine that delivers records.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    BreakerState, Client, FlushOutcome, Metrics,
    diagnostics::is_own_thread,
    read::{EventStream, ReadError, Request, Response, exchange::Exchange},
};

/// Delivers JSON of any form to any server, as a [`Client`] delivers records to Millpond's: with the same queue, batches,
/// retries, circuit breaker, spool, and behaviour at the end of a process and in its forks.
///
/// Made by [`Builder::build_shipper`](crate::Builder::build_shipper). Cheap to clone; all clones are the same shipper.
///
/// Every answer 2xx means that the batch was delivered. 408, 425, 429, 5xx and no answer at all: it is tried again, when
/// `Retry-After` or the `retryAfter` of a JSON body says so (up to [`limits::RETRY_AFTER_MAX`](crate::limits)). 413: it is
/// halved. 400, 415, 422 and what else is 4xx: it is cut up until the entry at fault is alone, and that one is dropped.
/// 401, 403, 404, 405, 410 and redirects: see [`Envelope::drop_refused`](crate::Envelope::drop_refused).
///
/// ```no_run
/// use std::time::Duration;
/// use millpond::{Client, Envelope};
///
/// let envelope = Envelope::new("https://logs.example/v1/logs")
///     .header("x-api-key", "k")
///     .around("{\"logs\":[", "]}")
///     .on_failure(|failure| eprintln!("{}", failure.message));
/// let shipper = Client::builder().build_shipper(envelope)?;
/// shipper.ship(r#"{"text":"order placed","order":4711}"#);
/// assert!(shipper.flush(Duration::from_secs(2)).is_complete());
/// # Ok::<(), millpond::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shipper {
    client: Client,
    exchange: Arc<Exchange>,
}

impl Shipper {
    pub(crate) fn new(client: Client) -> Self {
        Self { exchange: Arc::new(Exchange::new(client.settings())), client }
    }

    /// Takes one entry, a JSON value, whether it is one is not checked; `false` if it was dropped and counted: the queue
    /// is full, the shipper is closed, or the entry is empty or larger than a record may be. Never waits, unless
    /// [`Overflow::Block`](crate::Overflow::Block) says so. A silent shipper takes everything and sends nothing.
    pub fn ship(&self, json: &str) -> bool {
        self.client.ship(one_line(json).as_bytes())
    }

    /// Has everything sent that was shipped before, and waits for it, at most for `timeout`, and no longer than
    /// something may come of it. So it ends early, [in vain](FlushOutcome::in_vain), once
    /// - a batch was given up, after [`Builder::attempts_max`](crate::Builder::attempts_max) or because it was refused;
    /// - the server refuses all batches, and they are kept until that has been put right;
    /// - another attempt has failed and the circuit breaker is open.
    pub fn flush(&self, timeout: Duration) -> FlushOutcome {
        self.flush_while(timeout, timeout, || true)
    }

    /// As [`Self::flush`], but asks `goes_on` about every `interval` whether to wait any longer.
    pub fn flush_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.unless_sending(|client| client.flush_hopefully(timeout, interval, goes_on))
    }

    /// As [`Client::flush_while`]: also when nothing may come of it.
    pub fn flush_patiently(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.unless_sending(|client| client.flush_while(timeout, interval, goes_on))
    }

    /// As [`Client::persist_while`].
    pub fn persist_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        self.unless_sending(|client| client.persist_while(timeout, interval, goes_on))
    }

    /// Takes no more entries, and waits until all are delivered, at most for `timeout`, as [`Client::close`] does.
    pub fn close(&self, timeout: Duration) -> FlushOutcome {
        self.close_while(timeout, timeout, || true)
    }

    /// As [`Self::close`], but asks `goes_on` about every `interval` whether to wait any longer.
    pub fn close_while(
        &self,
        timeout: Duration,
        interval: Duration,
        goes_on: impl FnMut() -> bool,
    ) -> FlushOutcome {
        let timeout = if is_own_thread() { Duration::ZERO } else { timeout };
        self.client.close_while(timeout, interval, goes_on)
    }

    /// The thread that sends would wait for itself; and were each failure that it reports to ask for a flush, there would
    /// be no pause between its attempts.
    fn unless_sending(&self, wait: impl FnOnce(&Client) -> FlushOutcome) -> FlushOutcome {
        if is_own_thread() { self.client.unsettled() } else { wait(&self.client) }
    }

    /// Asks the same system something else, with the same headers, proxy, certificates and time limits, and waits for
    /// the answer, whatever its status is. Tried again only if the [request](Request::attempts_max) says so.
    ///
    /// # Errors
    /// There is no answer, or the request can't be written.
    pub fn request(&self, request: &Request) -> Result<Response, ReadError> {
        request.send(&self.exchange)
    }

    /// The data of the server-sent events that a `GET` of this address is answered with. Connects when the first one is
    /// wanted.
    pub fn events(&self, request: Request) -> EventStream {
        EventStream::new(Arc::clone(&self.exchange), request)
    }

    /// Has what waits sent at once, though no batch is full or old enough. Waits for nothing, and cuts no pause after a
    /// failure short, as a flush does.
    pub fn hasten(&self) {
        self.client.hasten();
    }

    /// The account of this process so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.client.metrics()
    }

    /// Begins to count anew, as [`Client::reset_metrics`].
    pub fn reset_metrics(&self) {
        self.client.reset_metrics();
    }

    /// What the circuit breaker between this process and the server lets pass.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.client.breaker_state()
    }
}

/// A newline in JSON is white space between two tokens; in the queue it ends the entry.
fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains('\n') { Cow::Owned(json.replace('\n', " ")) } else { Cow::Borrowed(json) }
}
