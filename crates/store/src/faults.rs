//! Lets the file-system steps of a store fail, for tests of what it does then. Without a plan, a step costs one load.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

static PLANNED: AtomicBool = AtomicBool::new(false);
static PLANS: Mutex<Vec<Arc<Plan>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Plan {
    directory: PathBuf,
    /// The first step that fails, counted from 0, and the first that does not any more.
    failing: std::ops::Range<u64>,
    error: ErrorKind,
    steps: AtomicU64,
}

/// Steps below a directory fail as long as this lives.
#[derive(Debug)]
pub struct Faults(Arc<Plan>);

impl Faults {
    /// Lets `count` steps (creating, writing, syncing, cutting, renaming and removing a file, and syncing a directory)
    /// below a directory fail with an error, after `before` that succeed. A write that fails has written a half.
    #[must_use]
    pub fn inject(directory: &Path, before: u64, count: u64, error: ErrorKind) -> Self {
        let plan = Arc::new(Plan {
            directory: directory.to_owned(),
            failing: before..before.saturating_add(count),
            error,
            steps: AtomicU64::new(0),
        });
        plans().push(Arc::clone(&plan));
        PLANNED.store(true, Relaxed);
        Self(plan)
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Relaxed)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        plans().retain(|plan| !Arc::ptr_eq(plan, &self.0));
    }
}

fn plans() -> MutexGuard<'static, Vec<Arc<Plan>>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Comes before each step on a file.
///
/// # Errors
/// The step is to fail.
pub(crate) fn step(path: &Path) -> io::Result<()> {
    if !PLANNED.load(Relaxed) {
        return Ok(());
    }
    for plan in plans().iter().filter(|plan| path.starts_with(&plan.directory)) {
        if plan.failing.contains(&plan.steps.fetch_add(1, Relaxed)) {
            return Err(plan.error.into());
        }
    }
    Ok(())
}
