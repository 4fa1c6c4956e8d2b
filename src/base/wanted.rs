//! Is somebody still waiting for this?
//!
//! Work that computes for long without a pause is not ended by dropping it. It can ask in between, with [`is_wanted`], whether whoever
//! began it is still there.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WANTED: Arc<AtomicBool>;
}

/// Whoever waits for work. Dropped, the work is not wanted any more.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The same work, which is wanted until what is returned beside it is dropped.
pub fn while_wanted<F: Future>(work: F) -> (Waiting, impl Future<Output = F::Output>) {
    let wanted = Arc::new(AtomicBool::new(true));
    (Waiting(Arc::clone(&wanted)), WANTED.scope(wanted, work))
}

/// The other side of a [`Waiting`], for work that is not done where it was begun.
#[derive(Clone, Debug)]
pub struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Whether somebody waits.
    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether both are told of by the same.
    pub fn is_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Somebody who waits, and by what that is known elsewhere.
pub fn waiting() -> (Waiting, Wanted) {
    let wanted = Arc::new(AtomicBool::new(true));
    (Waiting(Arc::clone(&wanted)), Wanted(wanted))
}

/// Whether somebody waits for the work that asks; so it is if nobody said who.
pub fn is_wanted() -> bool {
    WANTED.try_with(|wanted| wanted.load(Ordering::Relaxed)).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_wanted_while_somebody_waits() {
        assert!(is_wanted());
        let (waiting, work) = while_wanted(async move { is_wanted() });
        assert!(work.await);
        drop(waiting);
        let (waiting, work) = while_wanted(async move { is_wanted() });
        drop(waiting);
        assert!(!work.await);
    }
}
