//! When does a person want it to stop, or whoever started the program?

use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::base::Stop;

/// Waits for Ctrl-C; for ever, if this system cannot tell of it.
pub async fn interrupted() {
    stopped(false).await;
}

/// Waits for Ctrl-C, and for SIGTERM too if it `terminates`; for ever, if this system cannot tell of them.
///
/// It listens on a thread of its own, so that it hears them even while a query keeps every thread of the runtime busy. From
/// the first call on, what it listens for does not end the process by itself any more.
pub async fn stopped(terminates: bool) -> Stop {
    let (told, heard) = oneshot::channel();
    let listening = thread::Builder::new().name("signals".to_owned()).spawn(move || listen(told, terminates));
    if listening.is_ok()
        && let Ok(stop) = heard.await
    {
        return stop;
    }
    std::future::pending().await
}

/// Tells of the first signal, or ends when nobody waits for it any more.
fn listen(mut told: oneshot::Sender<Stop>, terminates: bool) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let stop = tokio::select! {
            signal = tokio::signal::ctrl_c() => signal.is_ok().then_some(Stop::Interrupted),
            () = terminated(), if terminates => Some(Stop::Terminated),
            () = told.closed() => None,
        };
        if let Some(stop) = stop {
            let _ = told.send(stop); // if nobody waits, it came too late
        }
    });
}

/// Waits for SIGTERM; for ever, where there is none.
async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut signals) = signal(SignalKind::terminate())
            && signals.recv().await.is_some()
        {
            return;
        }
    }
    std::future::pending().await
}
