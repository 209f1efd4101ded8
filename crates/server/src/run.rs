//! Runs queries away from the threads that serve connections.

use std::{future::Future, sync::Arc};

use axum::http::StatusCode;
use millpond_store::{Answer, QueryError};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    error::ApiError,
    limits::{QUERIES_MAX, QUERY_STACK_BYTES, QUERY_TIME_MAX},
};

/// The threads that queries run on.
#[derive(Debug)]
pub(crate) struct Queries {
    /// Taken out when the server ends: a runtime must not be dropped inside another.
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
}

/// Ends its task when it is dropped: a client that hangs up has its query cancelled.
struct Abort<T>(JoinHandle<T>);

impl<T> Drop for Abort<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Queries {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("millpond-query")
            .thread_stack_size(QUERY_STACK_BYTES)
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime), running: Arc::new(Semaphore::new(QUERIES_MAX)) })
    }

    /// How many are running.
    pub(crate) fn running(&self) -> usize {
        QUERIES_MAX.saturating_sub(self.running.available_permits())
    }

    /// Runs a query to its end, its time limit, or until the caller is gone.
    pub(crate) async fn run(
        &self,
        query: impl Future<Output = Result<Answer, QueryError>> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let Some(runtime) = &self.runtime else {
            return Err(ApiError::internal("the server is ending"));
        };
        let running = Arc::clone(&self.running);
        let task = runtime.spawn(async move {
            let _turn = running.acquire_owned().await;
            timeout(QUERY_TIME_MAX, query).await
        });
        let mut task = Abort(task);
        match (&mut task.0).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) => {
                let message = format!(
                    "the query took longer than {} s, expected a narrower time range or filter",
                    QUERY_TIME_MAX.as_secs()
                );
                Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "query_timeout", message))
            }
            Err(error) => Err(ApiError::internal(format!("the query ended early: {error}"))),
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
