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
