//! What does a statement do that writes?
//!
//! It is staged in a session, then published as a release of one change. If another release came
//! first and changed what it read, it is worked out anew on top of that one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::openlineage::Spoken;
use super::{Lakehouse, released};
use crate::base::Unwatched;
use crate::query::{Outcome, QueryError, Session, SqlMistake, Staged, Statement};
use crate::release::{self, Goal, Learnt, Proposal, Release, ReleaseError, ReleaseKind};
use crate::table::{TableError, Unneeded};

/// How often a statement is worked out anew because others were faster.
pub(super) const ATTEMPTS: u32 = 30;

impl Lakehouse {
    /// Runs a statement, whatever it is. Returns its rows, and the session to go on with.
    ///
    /// A query is answered from `session` as it is. A statement that writes is published at once, as one
    /// release, and the session that comes back sees it; its rows say what it did.
    ///
    /// # Errors
    /// Nothing was published. [`ReleaseError::LostRace`] if others published faster again and again.
    pub async fn execute(&self, session: &Session, sql: &str) -> Result<(Outcome, Session), QueryError> {
        let statement = session.read(sql).map_err(|mistake| mistake.located(sql))?;
        let done = self.execute_statement(session, statement, sql).await;
        done.map_err(|error| error.located(sql))
    }

    /// The same, of a statement that was read in this session from this text.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub(crate) async fn execute_statement(
        &self,
        session: &Session,
        statement: Statement,
        sql: &str,
    ) -> Result<(Outcome, Session), QueryError> {
        match statement {
            Statement::Roles(order) => {
                return Ok((self.roles_statement(session, order)?, session.clone()));
            }
            Statement::Vacuum(vacuum) => {
                let (dry_run, table) = (vacuum.dry_run, vacuum.table);
                session.check_vacuum(&table)?;
                let retain = vacuum.retain_hours.map(chrono::Duration::hours);
                let files = self.vacuum(&table, retain, dry_run, &Unwatched).await.map_err(Box::new)?;
                return Ok((deleted(&files), session.clone()));
            }
            Statement::CopyInto(copy) => {
                let told = self.copy_into(session, &copy).await?;
                return Ok((told, self.newest(session).await?));
            }
            Statement::Write(_) | Statement::OwnWrite(_) => {}
            reads => return Ok((session.answer(reads).await?, session.clone())),
        }
        let teller = self.teller();
        let spoken = Spoken { sql, teller: teller.as_ref() };
        let aim = session.aim(&statement);
        let written = Box::pin(self.write(session, statement, spoken)).await;
        if let Err(error) = &written {
            self.tell_refused(spoken, aim, error).await;
        }
        written
    }

    /// Runs a statement that writes, and publishes what it did.
    async fn write(
        &self,
        session: &Session,
        statement: Statement,
        spoken: Spoken<'_>,
    ) -> Result<(Outcome, Session), QueryError> {
        self.tables().lake().check_writable().await.map_err(TableError::from)?;
        release::recover(self.tables().lake()).await?;
        let mut session = session.clone();
        for attempt in 0.. {
            let Some(staged) = session.stage_statement(statement.clone()).await? else { break };
            if staged.is_empty() {
                return Ok((told(&staged, None), session));
            }
            match self.publish_staged(&session, &staged, spoken).await {
                Ok(release) => {
                    let session = self.newest(&session).await?;
                    return Ok((told(&staged, release.as_ref()), session));
                }
                Err(ReleaseError::LostRace { .. }) if attempt < ATTEMPTS => {
                    tokio::time::sleep(jitter(&self.world().id(), attempt)).await;
                    session = self.newest(&session).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(SqlMistake::empty().into())
    }

    /// Publishes what was staged, as one release.
    pub(super) async fn publish_staged(
        &self,
        session: &Session,
        staged: &Staged,
        spoken: Spoken<'_>,
    ) -> Result<Option<Release>, ReleaseError> {
        let proposal = Proposal {
            base: session.scope().pins().clone(),
            read: session.scope().read_so_far(),
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Sql { statement: staged.statement.to_owned() },
            run: self.world().id(),
            changes: staged.changes.clone(),
            views: staged.views.clone(),
            learnt: Learnt::default(),
            goal: Goal::Names {
                hide: staged.hide.clone(),
                show: staged.show.clone(),
                schemas: staged.schemas.clone(),
            },
        };
        let release = released(release::publish(self.tables(), self.world(), proposal).await?);
        for summary in release.iter().flat_map(|release| &release.tables) {
            self.checkpoint_if_due(&summary.table, summary.version).await;
        }
        if let Some(release) = &release {
            self.tell_statement(session, spoken, staged, release).await;
        }
        Ok(release)
    }

    /// The same session, of the newest release.
    pub(super) async fn newest(&self, session: &Session) -> Result<Session, QueryError> {
        let pins = release::latest(self.tables().lake()).await?.map(|release| release.pinned());
        Ok(session.of(pins.unwrap_or_default()))
    }
}

/// How long to wait before trying again: longer each time, and not as long as the others.
pub(super) fn jitter(id: &str, attempt: u32) -> Duration {
    let chance = id.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let most = 5_u64 << attempt.min(6);
    Duration::from_millis(1 + chance % most)
}

/// The files that a VACUUM deleted, or would delete.
fn deleted(files: &[Unneeded]) -> Outcome {
    let row = |file: &Unneeded| [Some(file.path.clone()), Some(file.bytes.to_string())];
    Outcome::table(["path", "bytes"], &["bytes"], files.iter().map(row).collect())
}

/// What a statement did, as one row.
pub(super) fn told(staged: &Staged, release: Option<&Release>) -> Outcome {
    let effect = staged.effect();
    let count = |count: u64| Some(count.to_string());
    Outcome::table(
        ["statement", "rows_inserted", "rows_updated", "rows_deleted", "release"],
        &["rows_inserted", "rows_updated", "rows_deleted", "release"],
        vec![[
            Some(staged.statement.to_owned()),
            count(effect.added),
            count(effect.updated),
            count(effect.removed),
            release.map(|release| release.number.to_string()),
        ]],
    )
}
