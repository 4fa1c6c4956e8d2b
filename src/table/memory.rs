//! How much memory may queries take?
//!
//! As much as the machine, or the container that it is, can spare: then sorts, groups and joins spill to
//! disk, or stop with a message, before the system stops the program. `ELT_MEMORY_LIMIT` says another amount.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_to_spare() {
        assert!(spared().is_some_and(|bytes| bytes > 64 << 20), "this machine has memory");
    }
}
