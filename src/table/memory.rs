//! How much memory may queries take?
//!
//! As much as the machine, or the container that it is, can spare: then sorts, groups and joins spill to
//! disk, or stop with a message, before the system stops the program. `ELT_MEMORY_LIMIT` says another amount.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};

use crate::base::World;

/// The environment variable: `4GB`, `512MB`, or bytes.
pub const MEMORY_LIMIT: &str = "ELT_MEMORY_LIMIT";

/// Of the memory that there is, the part that queries may take. The rest is for reading, writing and others.
const SHARE: f64 = 0.7;

/// So many of the largest users of memory are named when it does not suffice.
const NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// The pool that every query of this process takes its memory from; nothing if there is no limit to be seen.
pub(super) fn pool(world: &World) -> Option<Arc<dyn MemoryPool>> {
    let asked = world.env.get(MEMORY_LIMIT).and_then(|text| bytes(text));
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

/// Reads `4GB`, `512 MiB` or `1000000`. Units are of 1024.
fn bytes(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!(bytes("4GB"), Some(4 << 30));
        assert_eq!(bytes("512 mib"), Some(512 << 20));
        assert_eq!(bytes("100"), Some(100));
        assert_eq!(bytes("many"), None);
        assert_eq!(bytes("0"), None);
        assert!(spared().is_some_and(|bytes| bytes > 64 << 20), "this machine has memory");
    }
}
