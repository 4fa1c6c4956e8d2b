//! What does a client go back to within a transaction?
//!
//! What the transaction was when the savepoint was set: what its statements stage is a value, and can be kept and taken up again.

use pgwire::error::PgWireResult;

use super::mistakes::{told, wrong};
use super::talk::Talk;
use crate::lakehouse::Transaction;
use crate::serve::clients::{Client, locked};
use crate::serve::endpoint::Endpoint;

/// Savepoints of one transaction at once.
const MOST: usize = 1_000;

/// A transaction as it was.
#[derive(Debug)]
pub(super) struct Savepoint {
    name: String,
    was: Option<Transaction>,
}

impl Talk {
    /// `SAVEPOINT name`
    pub(super) async fn save(&self, client: &Client, name: &str) -> PgWireResult<()> {
        let Some(id) = self.transaction() else { return Err(outside("SAVEPOINT")) };
        if locked(&self.savepoints).len() >= MOST {
            return Err(wrong(
                "53400",
                format!("{MOST} savepoints are set: release those that are not needed"),
            ));
        }
        let was = as_it_is(&self.endpoint, client, &id).await?;
        locked(&self.savepoints).push(Savepoint { name: name.to_owned(), was });
        Ok(())
    }

    /// `RELEASE SAVEPOINT name`: it, and those after it, are forgotten.
    pub(super) fn release(&self, name: &str) -> PgWireResult<()> {
        if self.transaction().is_none() {
            return Err(outside("RELEASE SAVEPOINT"));
        }
        let mut all = locked(&self.savepoints);
        let at = all.iter().rposition(|known| known.name == name).ok_or_else(|| unknown(name))?;
        all.truncate(at);
        Ok(())
    }

    /// `ROLLBACK TO SAVEPOINT name`: it stays, those after it are forgotten.
    pub(super) async fn go_back(&self, client: &Client, name: &str) -> PgWireResult<()> {
        let Some(id) = self.transaction() else { return Err(outside("ROLLBACK TO SAVEPOINT")) };
        let was = {
            let mut all = locked(&self.savepoints);
            let at = all.iter().rposition(|known| known.name == name).ok_or_else(|| unknown(name))?;
            all.truncate(at + 1);
            all[at].was.clone()
        };
        let (begun, _) = self.endpoint.within(client, id.as_bytes()).await.map_err(told)?;
        *begun.at.lock().await = was;
        Ok(())
    }
}

async fn as_it_is(endpoint: &Endpoint, client: &Client, id: &str) -> PgWireResult<Option<Transaction>> {
    let (begun, _) = endpoint.within(client, id.as_bytes()).await.map_err(told)?;
    let was = begun.at.lock().await.clone();
    Ok(was)
}

fn outside(what: &str) -> pgwire::error::PgWireError {
    wrong("25P01", format!("{what} can only be used in a transaction: begin one first"))
}

fn unknown(name: &str) -> pgwire::error::PgWireError {
    wrong("3B001", format!("there is no savepoint `{name}`"))
}
