//! Is somebody still waiting for this?
//!
//! Work that computes for long without a pause is not ended by dropping it. It can ask in between, with [`is_wanted`], whether whoever
//! began it is still there.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WANTED: Arc<AtomicBool>;
}

thread_local! {
    /// By what it is known whether what this thread does just now is wanted.
    static HERE: RefCell<Option<Wanted>> = const { RefCell::new(None) };
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
pub struct Wanted {
    here: Arc<AtomicBool>,
    /// Whether the work is wanted of which this is a part. It is known at once; the part is dropped when a thread comes to it, and all
    /// of them may be at work on what nobody wants.
    around: Option<Arc<AtomicBool>>,
}

impl Wanted {
    /// Whether somebody waits.
    pub fn is(&self) -> bool {
        let is = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        is(&self.here) && self.around.as_ref().is_none_or(is)
    }

    /// Whether both are told of by the same.
    pub fn is_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.here, &other.here)
    }
}

/// Somebody who waits, and by what that is known elsewhere. For a part of work that is [wanted for a while](while_wanted), it is no
/// longer than that.
pub fn waiting() -> (Waiting, Wanted) {
    let here = Arc::new(AtomicBool::new(true));
    let around = WANTED.try_with(Arc::clone).ok();
    (Waiting(Arc::clone(&here)), Wanted { here, around })
}

/// Puts back what was known before.
struct Before(Option<Wanted>);

impl Drop for Before {
    fn drop(&mut self) {
        HERE.with(|here| *here.borrow_mut() = self.0.take());
    }
}

/// Does something on this thread for whoever waits on the other side of `wanted`.
pub fn wanted_by<T>(wanted: &Wanted, work: impl FnOnce() -> T) -> T {
    let _before = Before(HERE.with(|here| here.replace(Some(wanted.clone()))));
    work()
}

/// Whether somebody waits for the work that asks; so it is if nobody said who.
pub fn is_wanted() -> bool {
    let is_here = HERE.with(|here| here.borrow().as_ref().is_none_or(Wanted::is));
    is_here && WANTED.try_with(|wanted| wanted.load(Ordering::Relaxed)).unwrap_or(true)
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

    #[tokio::test]
    async fn a_part_is_wanted_no_longer_than_the_whole() {
        let (whole, work) = while_wanted(async { waiting() });
        let (_part, wanted) = work.await;
        assert!(wanted.is());
        drop(whole);
        assert!(!wanted.is());
    }

    #[test]
    fn a_thread_works_for_whoever_it_works_for_just_now() {
        let (outer, wanted) = waiting();
        let (inner, other) = waiting();
        wanted_by(&wanted, || {
            drop(inner);
            assert!(!wanted_by(&other, is_wanted) && is_wanted());
            drop(outer);
            assert!(!is_wanted());
        });
        assert!(is_wanted());
    }
}
