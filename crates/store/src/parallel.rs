//! Runs queries on threads of their own: as many for each query as there are processors, so that the operating system
//! shares them out fairly between a long query and a short one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use tokio::sync::oneshot;

use crate::QueryError;

/// Whether whoever asked is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// Ends the query with an error if nobody waits for it.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.0.load(Ordering::Relaxed) { Err(QueryError::Cancelled) } else { Ok(()) }
    }
}

/// Cancels when it is dropped.
struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a query on a thread of its own; dropping the future cancels it.
pub(crate) async fn run<T: Send + 'static>(
    query: impl FnOnce(&Cancelled) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let cancelled = Cancelled::default();
    let _cancel = CancelOnDrop(cancelled.clone());
    let (reply, answer) = oneshot::channel();
    let thread = thread::Builder::new().name("millpond-query".to_owned());
    thread
        .spawn(move || {
            // Nobody waits any more: nothing to tell.
            let _ = reply.send(query(&cancelled));
        })
        .map_err(|error| QueryError::Read(Box::new(error)))?;
    // A panic was reported when it happened.
    answer.await.unwrap_or_else(|_| Err(QueryError::Read("the query's thread ended early".into())))
}

/// Lets each of some workers fold items, and gives what each has folded. Items are taken in their order.
pub(crate) fn fold<I: Sync, A: Send>(
    cancelled: &Cancelled,
    items: &[I],
    start: impl Fn() -> A + Sync,
    work: impl Fn(&mut A, usize, &I) -> Result<(), QueryError> + Sync,
) -> Result<Vec<A>, QueryError> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut folded = start();
        while let Some((place, item)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            items.get(place).map(|item| (place, item))
        } {
            let worked = cancelled.check().and_then(|()| work(&mut folded, place, item));
            if let Err(error) = worked {
                next.store(items.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(folded)
    };
    let workers =
        thread::available_parallelism().map_or(1, std::num::NonZero::get).min(items.len());
    if workers <= 1 {
        return Ok(vec![worker()?]);
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(worker)).collect();
        let mut folded = vec![worker()];
        for other in others {
            folded.push(other.join().unwrap_or_else(|_| {
                Err(QueryError::Read("a thread of the query ended early".into()))
            }));
        }
        folded.into_iter().collect()
    })
}

/// Does the same with each item, and gives the results in the items' order.
pub(crate) fn map<I: Sync, T: Send>(
    cancelled: &Cancelled,
    items: &[I],
    work: impl Fn(&I) -> Result<T, QueryError> + Sync,
) -> Result<Vec<T>, QueryError> {
    let parts = fold(cancelled, items, Vec::new, |done: &mut Vec<(usize, T)>, place, item| {
        done.push((place, work(item)?));
        Ok(())
    })?;
    let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    all.sort_unstable_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
