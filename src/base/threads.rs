//! How are threads left that nobody needs any more, and that may be busy?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

/// How long the threads of a runtime are waited for. Whoever left them does not wait.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Ends a runtime, without waiting for what its threads cannot stop, such as a read that has begun.
///
/// A thread of its own waits for them. To let go of a thread that ends at that moment is not safe on Linux: glibc may give its stack back
/// to the system and look at it afterwards, and about one process in some thousands died of that when it had done all it was to do (`pthread_detach`; see
/// <https://github.com/uxlfoundation/oneTBB/issues/1758> for the same).
pub fn leave(runtime: Runtime) {
    let held = Arc::new(Mutex::new(Some(runtime)));
    let take = |held: &Mutex<Option<Runtime>>| held.lock().unwrap_or_else(PoisonError::into_inner).take();
    let other = Arc::clone(&held);
    let wait = move || {
        if let Some(runtime) = take(&other) {
            runtime.shutdown_timeout(PATIENCE);
        }
    };
    match std::thread::Builder::new().name("leaving".to_owned()).spawn(wait) {
        // Nor is this one let go of.
        Ok(thread) => std::mem::forget(thread),
        // There is no thread to be had: they end with the process.
        Err(_) => std::mem::forget(take(&held)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_a_runtime_does_ends_without_anyone_waiting() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let (alive, ended) = channel::<()>();
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(alive);
        });
        let (stop, stopped) = channel::<()>();
        runtime.spawn_blocking(move || stopped.recv());
        let before = Instant::now();
        leave(runtime);
        assert!(before.elapsed() < Duration::from_secs(1), "it was not waited for");
        let end = ended.recv_timeout(Duration::from_secs(10));
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "tasks are dropped");
        drop(stop);
    }
}
