//! How deep can something go?
//!
//! What is read, planned and dropped by a function that calls itself takes stack for every step down, and a thread that has none
//! left ends the whole program. Statements are refused beyond a depth (`query::dialect`); here is the stack for what is let through.

use std::future::{Future, poll_fn};

/// Bytes of stack for threads that plan and run statements. They are taken from the system as they are used.
pub const STACK: usize = 64 << 20;

/// Bytes that are enough for what goes deep. With less, it gets a stack of its own.
const ENOUGH: usize = 16 << 20;

/// Does something that may go deep.
pub fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ENOUGH, STACK, work)
}

/// The same future, which may go deep whoever polls it.
pub fn roomy<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    poll_fn(move |context| with_stack(|| future.as_mut().poll(context)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(left: usize) -> usize {
        let here = std::hint::black_box([left; 64]);
        if left == 0 { 0 } else { deep(left - 1) + here[1] - here[0] + 1 }
    }

    #[test]
    fn what_goes_deep_has_the_stack_for_it() {
        let small = std::thread::Builder::new().stack_size(128 << 10);
        let told = small.spawn(|| with_stack(|| deep(20_000))).unwrap().join().unwrap();
        assert_eq!(told, 20_000);
    }
}
