//! What if a table changes twice before anybody sees it?
//!
//! A change can be gone on from as if it were a version: [`Change::as_snapshot`] is what the next write works
//! on, and [`Change::then`] makes one change of the two, so that one commit tells both.

use std::sync::Arc;

use super::change::Definition;
use super::{Change, Effect, Operation, Snapshot, TableError};

impl Change {
    /// The table as it would be after this change, for a write that goes on from it.
    ///
    /// # Errors
    /// If the table's own description cannot be read back, which would be elt's mistake.
    pub fn as_snapshot(&self) -> Result<Arc<Snapshot>, TableError> {
        Snapshot::after(self).map(Arc::new)
    }

    /// The same change, counting no rows: what it does to them is only to write them otherwise.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        self.effect = Effect::default();
        self
    }

    /// This change and then `next`, which was made from [`as_snapshot`](Self::as_snapshot), as one.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let is_in =
            |list: &[super::DataFile], file: &super::DataFile| list.iter().any(|other| other.is(file));
        let mut retire = self.retire.clone();
        retire.extend(next.retire.iter().filter(|file| !is_in(&self.add, file)).cloned());
        let mut add: Vec<_> = self.add.iter().filter(|file| !is_in(&next.retire, file)).cloned().collect();
        add.extend(next.add);
        let mut transactions = self.transactions;
        for (app, progress) in next.transactions {
            let before = transactions.get(&app).map_or(progress.before, |first| first.before);
            transactions.insert(app, super::change::Progress { before, ..progress });
        }
        let mut provenance = self.provenance;
        provenance.extend(next.provenance);
        let mut change = Self {
            table: self.table,
            base: self.base,
            schema: next.schema,
            design: next.design,
            definition: match next.definition {
                Definition::Same => self.definition,
                made => made,
            },
            operation: both(self.operation, next.operation),
            effect: Effect {
                added: self.effect.added + next.effect.added,
                updated: self.effect.updated + next.effect.updated,
                removed: self.effect.removed + next.effect.removed,
                ..Effect::default()
            },
            add,
            retire,
            transactions,
            provenance,
        };
        change.count_rows_after();
        change
    }
}

/// What two writes are together: what both are, the whole table if the first made it, else some of each.
fn both(first: Operation, next: Operation) -> Operation {
    match first {
        _ if first == next => first,
        Operation::Overwrite | Operation::Create | Operation::Restore { .. } => first,
        _ => Operation::Merge,
    }
}
