//! The body of a response, which knows when its exchange is over.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use millpond::Scope;
use pin_project_lite::pin_project;

use crate::exchange::{Exchange, watched};

pin_project! {
    /// Passes the body inside of it through, and records the request at its end. Dropped before, it records that the
    /// client went away.
    #[derive(Debug)]
    pub struct RecordedBody<B> {
        // There until it is dropped.
        #[pin]
        body: Option<B>,
        // Bytes of the whole body, if they are known. A server may stop to ask as soon as it has them.
        length: Option<u64>,
        // There until the end of the body.
        exchange: Option<Exchange>,
        scope: Scope,
    }

    impl<B> PinnedDrop for RecordedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.scope.enter();
            this.body.set(None);
        }
    }
}

impl<B: Body> RecordedBody<B> {
    pub(crate) fn new(
        body: B,
        length: Option<u64>,
        mut exchange: Option<Exchange>,
        scope: &Scope,
    ) -> Self {
        let length = length.or_else(|| body.size_hint().exact());
        let ended = body.is_end_stream() || length == Some(0);
        // A server does not ask for what it will not send.
        if let Some(exchange) = exchange.take_if(|exchange| ended || exchange.is_bodiless()) {
            exchange.completed();
        }
        Self { body: Some(body), length, exchange, scope: scope.clone() }
    }
}

impl<B> Body for RecordedBody<B>
where
    B: Body,
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let result = ready!(watched(this.exchange, this.scope, || body.poll_frame(context)));
        let Some(exchange) = this.exchange else { return Poll::Ready(result) };
        let ended = match &result {
            Some(Ok(frame)) => {
                exchange.sent(frame.data_ref().map_or(0, |data| data.remaining()));
                let all = this.length.is_some_and(|length| exchange.has_sent(length));
                all || this.body.as_ref().get_ref().as_ref().is_some_and(Body::is_end_stream)
            }
            Some(Err(error)) => {
                if let Some(exchange) = this.exchange.take() {
                    exchange.failed(error);
                }
                false
            }
            None => true,
        };
        if ended && let Some(exchange) = this.exchange.take() {
            exchange.completed();
        }
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
