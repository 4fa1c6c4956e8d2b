//! How is work spread over cores, and its results put back in order?

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::mpsc;

/// Does `work` to every item on all cores, and gives the results to `each` in the order of the items.
///
/// At most twice as many items as there are cores are under way, so memory is bounded by the items' size. Stops
/// early, without an error, when `each` returns false. Blocks. A panic of `work` is one of the caller.
pub(super) fn in_order<T: Send, R: Send>(
    mut items: impl Iterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
    mut each: impl FnMut(R) -> bool,
) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (jobs, taken) = mpsc::channel::<(usize, T)>();
    let (done, results) = mpsc::channel::<(usize, std::thread::Result<R>)>();
    let taken = Mutex::new(taken);
    std::thread::scope(|scope| {
        // Owned here, so that the workers stop waiting when this closure ends, whichever way.
        let (jobs, results) = (jobs, results);
        for _ in 0..threads {
            let (done, taken, work) = (done.clone(), &taken, &work);
            scope.spawn(move || {
                loop {
                    let job = taken.lock().expect("no holder panics").recv();
                    let Ok((at, item)) = job else { return };
                    // Whoever waits for this result would wait for ever if nothing came of it.
                    if done.send((at, catch_unwind(AssertUnwindSafe(|| work(item))))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut sent, mut given, mut ended) = (0, 0, false);
        let mut waiting = BTreeMap::new();
        loop {
            while !ended && sent - given < 2 * threads {
                match items.next() {
                    Some(item) => {
                        jobs.send((sent, item)).expect("the workers wait for jobs");
                        sent += 1;
                    }
                    None => ended = true,
                }
            }
            if given == sent {
                return;
            }
            let Ok((at, result)) = results.recv() else { return };
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&given) {
                given += 1;
                let result = result.unwrap_or_else(|panic| resume_unwind(panic));
                if !each(result) {
                    return;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let mut seen = Vec::new();
        let slow_first = |n: u64| {
            std::thread::sleep(std::time::Duration::from_micros(50 * (7 - n % 7)));
            n * n
        };
        in_order(0..100u64, slow_first, |square| {
            seen.push(square);
            true
        });
        assert_eq!(seen, (0..100u64).map(|n| n * n).collect::<Vec<_>>());
        let mut count = 0;
        in_order(
            0..1_000_000u64,
            |n| n,
            |_| {
                count += 1;
                count < 5
            },
        );
        assert_eq!(count, 5);
    }

    #[test]
    #[should_panic(expected = "seven is too much")]
    fn a_panic_comes_out_instead_of_being_waited_for() {
        in_order(0..20, |n| assert_ne!(n, 7, "seven is too much"), |()| true);
    }
}
