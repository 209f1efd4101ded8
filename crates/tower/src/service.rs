//! The service: from a request to its response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use millpond::Scope;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    RecordedBody,
    exchange::{Exchange, watched},
    layer::Settings,
    request::{Asked, REQUEST_ID},
};

/// Records the requests of the service inside. See the [crate documentation](crate).
#[derive(Clone, Debug)]
pub struct MillpondService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> MillpondService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, Q, B> Service<Request<Q>> for MillpondService<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Error: fmt::Display,
    B: Body,
{
    type Response = Response<RecordedBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (asked, scope) = Asked::read(&request, &self.settings);
        let settings = Arc::clone(&self.settings);
        let mut exchange = Some(Exchange::begin(settings, asked, scope.clone()));
        let future = watched(&mut exchange, &scope, || self.inner.call(request));
        ResponseFuture { future: Some(future), exchange, scope }
    }
}

pin_project! {
    /// The future of a response. Dropped before it is ready, it records that the client went away.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        // There until it is dropped.
        #[pin]
        future: Option<F>,
        // There until the response is.
        exchange: Option<Exchange>,
        scope: Scope,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.scope.enter();
            this.future.set(None);
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: fmt::Display,
    B: Body,
{
    type Output = Result<Response<RecordedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let result = ready!(watched(this.exchange, this.scope, || future.poll(context)));
        let exchange = this.exchange.take();
        match result {
            Ok(response) => Poll::Ready(Ok(recorded(response, exchange, this.scope))),
            Err(error) => {
                if let Some(exchange) = exchange {
                    exchange.failed(&error);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

fn recorded<B>(
    mut response: Response<B>,
    mut exchange: Option<Exchange>,
    scope: &Scope,
) -> Response<RecordedBody<B>>
where
    B: Body,
{
    if let Some(exchange) = &mut exchange {
        exchange.responded(response.status());
        if !response.headers().contains_key(REQUEST_ID)
            && let Ok(id) = HeaderValue::from_str(exchange.request_id())
        {
            response.headers_mut().insert(REQUEST_ID, id);
        }
    }
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    response.map(|body| RecordedBody::new(body, length, exchange, scope))
}
