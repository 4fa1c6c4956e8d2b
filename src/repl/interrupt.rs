//! When does a person want it to stop?

use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Waits for Ctrl-C; for ever, if this system cannot tell of it.
///
/// It listens on a thread of its own, so that it hears Ctrl-C even while a query keeps every thread of
/// the runtime busy. From the first call on, Ctrl-C does not end the process by itself any more.
pub async fn interrupted() {
    let (pressed, heard) = oneshot::channel();
    let listening = thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || listen(pressed));
    if listening.is_err() || heard.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Tells of Ctrl-C, or ends when nobody waits for it any more.
fn listen(mut pressed: oneshot::Sender<()>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let is_pressed = tokio::select! {
            signal = tokio::signal::ctrl_c() => signal.is_ok(),
            () = pressed.closed() => false,
        };
        if is_pressed {
            let _ = pressed.send(()); // if nobody waits, it came too late
        }
    });
}
