//! Runs queries away from the threads that serve connections, and SQL away from the other queries: it may work for long
//! without letting go of its thread.

use std::{future::Future, sync::Arc, time::Duration};

use axum::http::StatusCode;
use millpond_store::QueryError;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    error::ApiError,
    limits::{QUERIES_WAITING_MAX, QUERY_STACK_BYTES, QUERY_TIME_MAX, QUERY_WAIT},
};

/// The threads that queries run on.
#[derive(Debug)]
pub(crate) struct Queries {
    /// Taken out when the server ends: a runtime must not be dropped inside another.
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
    running_max: usize,
    waiting: Semaphore,
}

/// Ends its task when it is dropped: a client that hangs up has its query cancelled.
#[derive(Debug)]
pub(crate) struct Abort<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for Abort<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Queries {
    /// As many as `running_max` run at the same time, on as many threads as there are processors.
    pub(crate) fn start(running_max: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("millpond-query")
            .thread_stack_size(QUERY_STACK_BYTES)
            .enable_time()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            running: Arc::new(Semaphore::new(running_max)),
            running_max,
            waiting: Semaphore::new(QUERIES_WAITING_MAX),
        })
    }

    /// Number of queries that run now.
    pub(crate) fn running(&self) -> usize {
        self.running_max.saturating_sub(self.running.available_permits())
    }

    /// Runs a query to its end, the longest time that one may take, or until the caller is gone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.run_within(QUERY_TIME_MAX, query).await
    }

    /// Runs a query to its end, its time limit, or until the caller is gone.
    pub(crate) async fn run_within<T, E>(
        &self,
        time_max: Duration,
        query: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else {
            return Err(ApiError::internal("the server is ending"));
        };
        let turn = self.turn().await?;
        let mut task = Abort(runtime.spawn(async move {
            let answer = query.await;
            drop(turn);
            answer
        }));
        // Not inside of the task: a join may work for seconds without a look at the time. It keeps its turn until then.
        match timeout(time_max, &mut task.0).await {
            Ok(Ok(answer)) => answer.map_err(Into::into),
            Err(_) => {
                let message = format!(
                    "the query took longer than {} ms, expected a narrower time range or filter",
                    time_max.as_millis()
                );
                Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "query_timeout", message))
            }
            Ok(Err(error)) => Err(ApiError::internal(format!("the query ended early: {error}"))),
        }
    }

    /// Waits for a turn, but neither long nor with many others.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(turn);
        }
        let busy = || ApiError::overloaded("too many queries are running, expected another try");
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        match timeout(QUERY_WAIT, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(busy()),
        }
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        io::Write,
        net::TcpStream,
    };

    use axum::{Router, routing::get};
    use tokio::net::TcpListener;

    use super::*;
    use crate::limits::QUERIES_MAX;

    fn code(error: ApiError) -> u16 {
        axum::response::IntoResponse::into_response(error).status().as_u16()
    }

    #[tokio::test]
    async fn a_query_whose_caller_is_gone_gives_its_turn_back() {
        let queries = Arc::new(Queries::start(QUERIES_MAX).unwrap());
        let asking = Arc::clone(&queries);
        let caller = tokio::spawn(async move { asking.run(pending::<Result<(), _>>()).await });
        while queries.running() == 0 {
            tokio::task::yield_now().await;
        }
        caller.abort();
        while queries.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_gives_its_turn_back() {
        let queries = Arc::new(Queries::start(QUERIES_MAX).unwrap());
        let asking = Arc::clone(&queries);
        let endless = move || async move { asking.run(pending::<Result<(), _>>()).await };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, Router::new().route("/", get(endless))).into_future());
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        while queries.running() == 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        while queries.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_query_that_takes_too_long_is_stopped() {
        let queries = Queries::start(QUERIES_MAX).unwrap();
        let late =
            queries.run_within(Duration::from_millis(1), pending::<Result<(), QueryError>>()).await;
        assert_eq!(code(late.unwrap_err()), 503);
    }

    #[tokio::test]
    async fn a_query_that_does_not_look_at_the_time_is_answered_in_time_and_keeps_its_turn() {
        let queries = Queries::start(QUERIES_MAX).unwrap();
        let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
        // Should it be waited for after all, it ends as another error.
        let deaf =
            async move { ended.recv_timeout(QUERY_TIME_MAX).map_err(|_| QueryError::Cancelled) };
        let late = queries.run_within(Duration::from_millis(1), deaf).await;
        assert_eq!(code(late.unwrap_err()), 503);
        assert_eq!(queries.running(), 1);
        end.send(()).unwrap();
        while queries.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// As many callers as may run at once, none of whom is ever answered.
    async fn busy(queries: &Arc<Queries>) -> Vec<JoinHandle<Result<(), ApiError>>> {
        let endless = || {
            let queries = Arc::clone(queries);
            tokio::spawn(async move { queries.run(pending()).await })
        };
        let callers = std::iter::repeat_with(endless).take(QUERIES_MAX).collect();
        while queries.running() < QUERIES_MAX {
            tokio::task::yield_now().await;
        }
        callers
    }

    fn waiting(queries: &Arc<Queries>) -> JoinHandle<Result<(), ApiError>> {
        let queries = Arc::clone(queries);
        tokio::spawn(async move { queries.run(ready(Ok(()))).await })
    }

    async fn until_waiting(queries: &Queries, count: usize) {
        while QUERIES_WAITING_MAX - queries.waiting.available_permits() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_further_query_waits_for_its_turn() {
        let queries = Arc::new(Queries::start(QUERIES_MAX).unwrap());
        let callers = busy(&queries).await;
        let further = waiting(&queries);
        until_waiting(&queries, 1).await;
        callers.first().unwrap().abort();
        assert!(further.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_query_is_told_to_come_back_where_too_many_wait() {
        let queries = Arc::new(Queries::start(QUERIES_MAX).unwrap());
        let _callers = busy(&queries).await;
        let _further: Vec<_> =
            std::iter::repeat_with(|| waiting(&queries)).take(QUERIES_WAITING_MAX).collect();
        until_waiting(&queries, QUERIES_WAITING_MAX).await;
        let refused = queries.run(ready(Ok(()))).await;
        assert_eq!(code(refused.unwrap_err()), 429);
    }
}
