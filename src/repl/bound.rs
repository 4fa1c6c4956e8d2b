//! What do BEGIN, COMMIT and ROLLBACK do among statements?
//!
//! What is written between BEGIN and COMMIT is seen in the session at once, and published as one release. A statement that
//! fails leaves the transaction as it was before it.
//!
//! A transaction sees one release, and is published only if nobody changed what it read or wrote: that is `serializable`, and whoever
//! asks for a weaker level gets it too.

use super::scan::{Kind, scan};
use super::sitting::Sitting;
use crate::lakehouse::{Outcome, QueryError, Session, SqlMistake, Transaction};

/// A statement that begins or ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Begin(Access),
    Commit,
    Rollback,
    /// `SET TRANSACTION …`, and what may be done from then on, if that is said.
    Set(Option<Access>),
}

/// What may be done in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    #[default]
    ReadWrite,
    ReadOnly,
}

impl Bound {
    /// Reads one; nothing if it is another statement.
    pub(super) fn read(sql: &str) -> Option<Self> {
        let bits = scan(sql);
        let solid =
            bits.iter().filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment) && bit.text != ";");
        let words: Vec<String> = solid.map(|bit| bit.text.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["start", "transaction", ref modes @ ..]
            | ["begin", "transaction" | "work", ref modes @ ..]
            | ["begin", "deferred" | "immediate" | "exclusive", "transaction", ref modes @ ..]
            | ["begin", "deferred" | "immediate" | "exclusive", ref modes @ ..]
            | ["begin", ref modes @ ..] => {
                access(modes).map(|access| Self::Begin(access.unwrap_or_default()))
            }
            ["set", "transaction", ref modes @ ..] if !modes.is_empty() => access(modes).map(Self::Set),
            ["commit" | "end"] | ["commit" | "end", "transaction" | "work"] => Some(Self::Commit),
            ["rollback" | "abort"] | ["rollback" | "abort", "transaction" | "work"] => Some(Self::Rollback),
            _ => None,
        }
    }
}

/// What the modes of a transaction say of access; nothing if they are no modes.
fn access(mut modes: &[&str]) -> Option<Option<Access>> {
    let mut access = None;
    loop {
        modes = match modes {
            [] => return Some(access),
            ["isolation", "level", "serializable" | "snapshot", rest @ ..]
            | ["isolation", "level", "repeatable", "read", rest @ ..]
            | ["isolation", "level", "read", "committed" | "uncommitted", rest @ ..]
            | ["deferrable", rest @ ..]
            | ["not", "deferrable", rest @ ..]
            | [",", rest @ ..] => rest,
            ["read", "only", rest @ ..] => {
                access = Some(Access::ReadOnly);
                rest
            }
            ["read", "write", rest @ ..] => {
                access = Some(Access::ReadWrite);
                rest
            }
            _ => return None,
        };
    }
}

/// A transaction that is open.
pub(super) struct Open {
    pub(super) transaction: Transaction,
    pub(super) access: Access,
    /// What was seen when it began.
    before: Session,
}

impl Sitting<'_, '_> {
    /// Runs a statement that writes, within the transaction that is open.
    pub(super) async fn write_within(
        &mut self,
        mut within: Transaction,
        sql: String,
    ) -> Result<Outcome, QueryError> {
        let lakehouse = self.lakehouse.clone();
        within.go_on_in(self.session.clone());
        let done = async move {
            let outcome = Box::pin(lakehouse.execute_within(&mut within, &sql)).await?;
            Ok((outcome, within))
        };
        let (outcome, within) = self.watched(done).await?;
        self.session = within.session().clone();
        if let Some(open) = &mut self.open {
            open.transaction = within;
        }
        Ok(outcome)
    }

    /// Begins or ends a transaction.
    ///
    /// # Errors
    /// One is open already, or none is; or others published what it read or wrote, and nothing of it is published.
    pub(super) async fn bound(&mut self, bound: Bound) -> Result<Outcome, QueryError> {
        let none = || {
            SqlMistake::new("elt::sql::no_transaction", "no transaction is open").help("`begin` opens one")
        };
        if let Bound::Set(wanted) = bound {
            let Some(open) = &mut self.open else {
                return Err(none().help("`begin read only` opens one that only reads").into());
            };
            if (open.access, wanted) == (Access::ReadOnly, Some(Access::ReadWrite)) {
                return Err(only_reads());
            }
            open.access = wanted.unwrap_or(open.access);
            return Ok(Outcome::nothing());
        }
        if let Bound::Begin(access) = bound {
            if self.open.is_some() {
                let mistake = SqlMistake::new("elt::sql::in_transaction", "a transaction is open already");
                return Err(mistake
                    .help("end it first: `commit` publishes what it did, `rollback` nothing")
                    .into());
            }
            if let (true, Access::ReadWrite, Some(release)) = (self.chosen, access, self.release()) {
                return Err(SqlMistake::reads_only(release).into());
            }
            let before = self.session.clone();
            self.open = Some(Open { transaction: Transaction::begin(self.session.clone()), access, before });
            return Ok(Outcome::nothing());
        }
        let Open { mut transaction, before, .. } = self.open.take().ok_or_else(none)?;
        transaction.go_on_in(self.session.clone());
        self.session = self.session.seeing(before.scope().clone());
        if bound == Bound::Rollback {
            return Ok(Outcome::nothing());
        }
        let (lakehouse, statements) = (self.lakehouse.clone(), transaction.statements());
        let done = async move { Ok(Box::pin(lakehouse.publish_transaction(transaction)).await?) };
        let release = self.watched(done).await?;
        if let Some(newer) = self.lakehouse.newer(&self.session).await.map_err(Box::new)? {
            self.session = newer;
        }
        let release = release.map(|release| release.number.to_string());
        let row = [Some("COMMIT".to_owned()), Some(statements.to_string()), release];
        Ok(Outcome::table(["statement", "statements", "release"], &["statements", "release"], vec![row]))
    }
}

/// Something is to be written where it was said that nothing is.
pub(super) fn only_reads() -> QueryError {
    SqlMistake::new("elt::sql::read_only", "this transaction only reads: it was begun so")
        .help("end it by `commit`, and write after `begin`")
        .into()
}

#[cfg(test)]
mod tests {
    use super::{Access, Bound};

    #[test]
    fn transactions_begin_and_end_by_a_few_words() {
        for (sql, bound) in [
            ("begin", Some(Bound::Begin(Access::ReadWrite))),
            ("START TRANSACTION;", Some(Bound::Begin(Access::ReadWrite))),
            ("begin isolation level repeatable read, read only", Some(Bound::Begin(Access::ReadOnly))),
            ("begin immediate", Some(Bound::Begin(Access::ReadWrite))),
            ("set transaction read only", Some(Bound::Set(Some(Access::ReadOnly)))),
            ("set transaction isolation level serializable", Some(Bound::Set(None))),
            ("begin nonsense", None),
            ("-- now\nCommit /* all */ work ;", Some(Bound::Commit)),
            ("end", Some(Bound::Commit)),
            ("abort", Some(Bound::Rollback)),
            ("rollback to savepoint a", None),
            ("select 1", None),
        ] {
            assert_eq!(Bound::read(sql), bound, "{sql}");
        }
    }
}
