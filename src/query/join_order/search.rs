//! In which order are the tables of a region joined?
//!
//! In the one that costs least, of all there are, found from the smallest sets of tables to all of them (dynamic programming:
//! Selinger et al., 1979; also bushy, as in Moerkotte and Neumann, "Analysis of two existing and one new dynamic programming
//! algorithm", 2006). Beyond ten tables the cheapest two are joined, and again (greedy operator ordering).
//!
//! Rows of a set of tables: all of its tables' rows multiplied, and divided by the values of each key once for every table beyond the first
//! that has it. A key has as many values as the table in which it can have the fewest: that holds where one table's keys are all found in the
//! other, and is what DuckDB assumes without sketches.

use super::estimate::{Domain, Expected, share};
use super::region::{Leaves, Order, Region};

/// Tables beyond which not every order is tried: ten have 57,002 ways to be parted in two.
const ALL_ORDERS: usize = 10;

/// What is known of a region.
#[derive(Debug)]
pub(super) struct Costs {
    leaves: Vec<Expected>,
    /// Of each key the leaves that have it.
    keys: Vec<Leaves>,
    /// Of each key the places of its columns: leaf, and the column's values.
    domains: Vec<Vec<(usize, Domain)>>,
    /// Two leaves that have several keys in common, and how many times fewer values the keys have together than each by itself has,
    /// multiplied.
    together: Vec<(Leaves, f64)>,
    /// Leaves of other conditions, and the share of rows that they leave.
    conditions: Vec<(Leaves, f64)>,
    /// Rows and bytes beyond which a side is dealt out.
    pub(super) most: (f64, f64),
}

impl Costs {
    pub(super) fn new(region: &Region, leaves: Vec<Expected>, most: (f64, f64)) -> Self {
        let domain = |column: usize| {
            let (leaf, at) = region.columns[column];
            leaves[leaf].columns[at].clone()
        };
        let domains: Vec<Vec<(usize, Domain)>> = region
            .equal
            .iter()
            .map(|keys| keys.iter().map(|key| (key.leaf, domain(key.column))).collect())
            .collect();
        let keys: Vec<Leaves> =
            region.equal.iter().map(|keys| keys.iter().fold(0, |all, key| all | 1 << key.leaf)).collect();
        let all: Vec<Domain> = (0..region.columns.len()).map(domain).collect();
        let conditions = region
            .conditions
            .iter()
            .map(|condition| (condition.leaves, share(&condition.expr, &all)))
            .collect();
        let together = together(&leaves, &domains);
        Self { leaves, keys, domains, together, conditions, most }
    }

    /// How many rows some leaves give, joined.
    pub(super) fn rows(&self, set: Leaves) -> f64 {
        let mut rows: f64 = members(set).map(|leaf| self.leaves[leaf].rows).product();
        for domains in &self.domains {
            let here = || domains.iter().filter(|(leaf, _)| set & 1 << leaf != 0);
            let count = here().count();
            if count < 2 {
                continue;
            }
            let values = here().map(|(_, domain)| domain.distinct).fold(f64::INFINITY, f64::min);
            rows /= values.powi(i32::try_from(count - 1).unwrap_or(i32::MAX));
            // Of numbers from 1 to 1,000 only a tenth find others that are from 1 to 100.
            let ranges = || here().filter_map(|(_, domain)| domain.range);
            let least = ranges().map(|(least, _)| least).fold(f64::NEG_INFINITY, f64::max);
            let greatest = ranges().map(|(_, greatest)| greatest).fold(f64::INFINITY, f64::min);
            for (from, to) in ranges() {
                let length = (to - from + 1.0).max(1.0);
                rows *= ((greatest - least + 1.0) / length).clamp(1.0 / length, 1.0);
            }
        }
        for (leaves, times) in &self.together {
            if leaves & set == *leaves {
                rows *= times;
            }
        }
        for (leaves, share) in &self.conditions {
            if leaves & set == *leaves {
                rows *= share;
            }
        }
        rows.max(1.0)
    }

    /// Bytes of a row of some leaves.
    pub(super) fn width(&self, set: Leaves) -> f64 {
        members(set).map(|leaf| self.leaves[leaf].width()).sum()
    }

    /// Whether there is a key by which two sets are joined.
    fn touches(&self, one: Leaves, other: Leaves) -> bool {
        self.keys.iter().any(|key| key & one != 0 && key & other != 0)
    }

    /// What joining two sets costs, of which the first is kept, about in the time that a row takes to be looked up.
    fn join(&self, kept: Leaves, passed: Leaves, rows: f64, rows_of: &impl Fn(Leaves) -> f64) -> f64 {
        let (kept_rows, passed_rows) = (rows_of(kept), rows_of(passed));
        let (kept_width, passed_width) = (self.width(kept), self.width(passed));
        let keep = kept_rows * (3.0 + kept_width / 16.0);
        let give = rows * (0.5 + (kept_width + passed_width) / 64.0);
        let is_dealt = kept_rows > self.most.0 || kept_rows * kept_width > self.most.1;
        let deal = if is_dealt { 2.0 * (kept_rows + passed_rows) } else { 0.0 };
        keep + passed_rows + give + deal
    }

    /// What an order costs.
    pub(super) fn of(&self, order: &Order) -> f64 {
        match order {
            Order::Leaf(_) => 0.0,
            Order::Join(sides) => {
                let (kept, passed) = (leaves(&sides.0), leaves(&sides.1));
                let own = self.join(kept, passed, self.rows(kept | passed), &|set| self.rows(set));
                own + self.of(&sides.0) + self.of(&sides.1)
            }
        }
    }

    /// The order that costs least; nothing if the leaves are not all joined by keys.
    pub(super) fn best(&self) -> Option<Order> {
        match self.leaves.len() {
            count if count <= ALL_ORDERS => self.best_of_all(count),
            count => self.cheapest_first(count),
        }
    }

    fn best_of_all(&self, count: usize) -> Option<Order> {
        let all = (1_usize << count) - 1;
        let rows: Vec<f64> = (0..=all).map(|set| self.rows(set as Leaves)).collect();
        let rows_of = |set: Leaves| rows[set as usize];
        let mut best = vec![(f64::INFINITY, 0); all + 1];
        for set in 1..=all {
            if set.is_power_of_two() {
                best[set].0 = 0.0;
                continue;
            }
            let mut kept = (set - 1) & set;
            while kept != 0 {
                let passed = set ^ kept;
                let below = best[kept].0 + best[passed].0;
                if below < best[set].0 && self.touches(kept as Leaves, passed as Leaves) {
                    let cost = below + self.join(kept as Leaves, passed as Leaves, rows[set], &rows_of);
                    if cost < best[set].0 {
                        best[set] = (cost, kept);
                    }
                }
                kept = (kept - 1) & set;
            }
        }
        best[all].0.is_finite().then(|| parted(all, &best))
    }

    fn cheapest_first(&self, count: usize) -> Option<Order> {
        let mut parts: Vec<(Leaves, Order)> = (0..count).map(|leaf| (1 << leaf, Order::Leaf(leaf))).collect();
        while parts.len() > 1 {
            let mut cheapest: Option<(f64, usize, usize)> = None;
            for (one, (kept, _)) in parts.iter().enumerate() {
                for (other, (passed, _)) in parts.iter().enumerate() {
                    if one == other || !self.touches(*kept, *passed) {
                        continue;
                    }
                    let rows = self.rows(kept | passed);
                    let cost = self.join(*kept, *passed, rows, &|set| self.rows(set));
                    if cheapest.is_none_or(|(least, ..)| cost < least) {
                        cheapest = Some((cost, one, other));
                    }
                }
            }
            let (_, one, other) = cheapest?;
            let (first, last) = (one.min(other), one.max(other));
            let late = parts.remove(last);
            let early = parts.remove(first);
            let set = early.0 | late.0;
            let sides = if one < other { (early.1, late.1) } else { (late.1, early.1) };
            parts.push((set, Order::Join(Box::new(sides))));
        }
        parts.pop().map(|(_, order)| order)
    }
}

/// The order that was found for a set: what is kept of it, and what is passed by.
fn parted(set: usize, best: &[(f64, usize)]) -> Order {
    if set.is_power_of_two() {
        return Order::Leaf(set.trailing_zeros() as usize);
    }
    let kept = best[set].1;
    Order::Join(Box::new((parted(kept, best), parted(set ^ kept, best))))
}

/// The leaves of an order.
pub(super) fn leaves(order: &Order) -> Leaves {
    match order {
        Order::Leaf(leaf) => 1 << leaf,
        Order::Join(sides) => leaves(&sides.0) | leaves(&sides.1),
    }
}

fn members(set: Leaves) -> impl Iterator<Item = usize> {
    (0..Leaves::BITS as usize).filter(move |leaf| set & 1 << leaf != 0)
}

/// Keys of two columns have no more values than their table has rows.
fn together(leaves: &[Expected], domains: &[Vec<(usize, Domain)>]) -> Vec<(Leaves, f64)> {
    let mut found = Vec::new();
    for one in 0..leaves.len() {
        for other in one + 1..leaves.len() {
            let both = |keys: &&Vec<(usize, Domain)>| {
                [one, other].iter().all(|at| keys.iter().any(|(leaf, _)| leaf == at))
            };
            let mut count = 0;
            let (mut values, mut rows) = (1.0, f64::INFINITY);
            for keys in domains.iter().filter(both) {
                let here = keys.iter().filter(|(leaf, _)| *leaf == one || *leaf == other);
                count += 1;
                values *= here.clone().map(|(_, domain)| domain.distinct).fold(f64::INFINITY, f64::min);
                rows = here.map(|(_, domain)| domain.of).fold(rows, f64::min);
            }
            if count > 1 && values > rows {
                found.push((1 << one | 1 << other, values / rows));
            }
        }
    }
    found
}
