//! When does work end before it is done?

use std::future::poll_fn;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Diagnostic, Error, ErrorKind};

/// Who wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A person, by Ctrl-C.
    Interrupted,
    /// Whoever started the program, by SIGTERM.
    Terminated,
}

impl Stop {
    /// What there is to say of work that was given up: `has_published` if a part of it was published before.
    pub fn error(self, has_published: bool) -> Error {
        let what = match has_published {
            true => "interrupted; what was made before is published, the rest is not",
            false => "interrupted; nothing was published",
        };
        let kind = match self {
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Terminated => ErrorKind::Terminated,
        };
        Error::new(kind, Diagnostic::error("elt::interrupted", what))
    }
}

/// Comes after a stretch of time, also while every thread of the runtime computes.
///
/// The runtime's own timers are looked at between two pieces of work, and a query may be one piece. So a thread of its
/// own waits; it ends when what is returned is dropped.
pub async fn after(time: Duration) {
    let shared: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
    let (alive, dropped) = channel::<()>();
    let waiting = Arc::clone(&shared);
    let wait = move || {
        if dropped.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            let mut state = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = true;
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        }
    };
    if std::thread::Builder::new().name("timer".to_owned()).spawn(wait).is_err() {
        return tokio::time::sleep(time).await;
    }
    poll_fn(|context| {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
    drop(alive);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn time_passes_while_every_thread_computes() {
        let begun = Instant::now();
        let busy = tokio::spawn(async move { while begun.elapsed() < Duration::from_secs(2) {} });
        after(Duration::from_millis(50)).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        busy.await.unwrap();
    }

    #[test]
    fn who_is_stopped_says_what_is_published() {
        let told = |stop: Stop, has| (stop.error(has).kind().exit_code(), stop.error(has).to_string());
        assert_eq!(told(Stop::Interrupted, false), (130, "interrupted; nothing was published".to_owned()));
        assert_eq!(told(Stop::Terminated, false), (143, "interrupted; nothing was published".to_owned()));
    }
}
