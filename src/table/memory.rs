//! How much memory may queries take?
//!
//! As much as the machine, or the container that it is, can spare: then sorts, groups and joins spill to
//! disk, or stop with a message, before the system stops the program. `ELT_MEMORY_LIMIT` says another amount.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::base::{World, parse_size};

/// The environment variable: `4GB`, `512MB`, or bytes.
pub const MEMORY_LIMIT: &str = "ELT_MEMORY_LIMIT";

/// Of the memory that there is, the part that queries may take. The rest is for reading, writing and others.
const SHARE: f64 = 0.7;

/// So many of the largest users of memory are named when it does not suffice.
const NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// The pool that every query of this process takes its memory from; nothing if there is no limit to be seen.
pub(super) fn pool(world: &World) -> Option<Arc<dyn MemoryPool>> {
    let asked = world.env.get(MEMORY_LIMIT).and_then(|text| parse_size(text)?.try_into().ok());
    let limit = asked.or_else(spared)?;
    Some(Arc::new(TrackConsumersPool::new(FairSpillPool::new(limit), NAMED)))
}

/// A share of the memory of this machine or container.
fn spared() -> Option<usize> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    let there = system.cgroup_limits().map_or(machine, |limits| limits.total_memory.min(machine));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rough share"
    )]
    let share = (there as f64 * SHARE) as usize;
    (share > 0).then_some(share)
}

/// The same runtime for one query, which takes no more than so many bytes of what all of them share, if a limit is given; and
/// the most that it has held.
pub fn metered(runtime: &RuntimeEnv, most: Option<usize>) -> (Arc<RuntimeEnv>, Peak) {
    let peak = Peak::default();
    let all = Arc::clone(&runtime.memory_pool);
    let pool = Capped { all, most, used: AtomicUsize::new(0), peak: peak.clone() };
    (Arc::new(RuntimeEnv { memory_pool: Arc::new(pool), ..runtime.clone() }), peak)
}

/// The most bytes of memory that a query has held at once.
#[derive(Clone, Debug, Default)]
pub struct Peak(Arc<AtomicUsize>);

impl Peak {
    /// The bytes, up to now.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// A part of a pool.
#[derive(Debug)]
struct Capped {
    all: Arc<dyn MemoryPool>,
    most: Option<usize>,
    used: AtomicUsize,
    peak: Peak,
}

impl fmt::Display for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) => write!(f, "capped at {most} bytes"),
            None => write!(f, "metered"),
        }
    }
}

impl MemoryPool for Capped {
    fn name(&self) -> &'static str {
        "capped"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let used = self.used.fetch_add(additional, Ordering::Relaxed) + additional;
        self.peak.0.fetch_max(used, Ordering::Relaxed);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(additional).filter(|used| self.most.is_none_or(|most| *used <= most))
        });
        if let Err(used) = taken {
            let (wanted, most) =
                (used.saturating_add(additional).div_ceil(1 << 20), self.most.unwrap_or(usize::MAX) >> 20);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the query needs {wanted} MiB or more, and a query may take {most} MiB"
            )));
        }
        self.all.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })?;
        self.peak.0.fetch_max(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.most {
            Some(most) => MemoryLimit::Finite(most),
            None => self.all.memory_limit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::*;

    #[test]
    fn a_query_takes_its_part_and_gives_it_back() {
        let all: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&all)).build().unwrap();
        let ((one, peak), (other, _)) = (metered(&runtime, Some(100)), metered(&runtime, Some(950)));
        let taker = MemoryConsumer::new("one").register(&one.memory_pool);
        assert!(taker.try_grow(80).is_ok());
        assert!(taker.try_grow(30).unwrap_err().to_string().contains("a query may take"));
        assert_eq!(all.reserved(), 80);
        let second = MemoryConsumer::new("other").register(&other.memory_pool);
        assert!(second.try_grow(940).is_err(), "all of them share the whole");
        assert_eq!(other.memory_pool.reserved(), 0);
        drop(taker);
        assert_eq!(all.reserved(), 0);
        assert_eq!(peak.bytes(), 80, "what was held is known when it is given back");
        let (free, peak) = metered(&runtime, None);
        drop(MemoryConsumer::new("free").register(&free.memory_pool).try_grow(900));
        assert_eq!(peak.bytes(), 900);
    }

    #[test]
    fn there_is_memory_to_spare() {
        assert!(spared().is_some_and(|bytes| bytes > 64 << 20), "this machine has memory");
    }
}
