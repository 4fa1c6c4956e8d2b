//! What became of a release whose process died?

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::base::ReleaseNumber;
use crate::lake::{Created, Lake, StagedDocument, json, layout};
use crate::table::commit;

use super::document::{Prepared, PreparedCommit};
use super::{Outcome, Release, ReleaseError, latest};

/// What recovery found and did.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The release, published or abandoned now.
    pub release: Release,
}

/// How a prepared release ends.
pub(super) enum Ending {
    /// It is out.
    Published(Box<Release>),
    /// It is not; the error says who was in the way.
    Abandoned(Box<Release>, ReleaseError),
}

/// Finishes the release that was prepared and never sealed, if there is one.
///
/// Anybody who is about to write calls this first. It needs nothing of the process that died, and
/// does no harm beside one that still lives.
pub async fn recover(lake: &Lake) -> Result<Option<Recovered>, ReleaseError> {
    let next = latest(lake).await?.map_or(ReleaseNumber(1), |release| release.number.next());
    let Some(prepared) = lake.read_json::<Prepared>(&layout::prepared(next)).await? else { return Ok(None) };
    let release = match finish(lake, &prepared).await? {
        Ending::Published(release) | Ending::Abandoned(release, _) => *release,
    };
    Ok(Some(Recovered { release }))
}

/// How many entries are put in their places at once.
const AT_ONCE: usize = 16;

/// What has to be there for a release to be out, in this order: the entries of its tables' logs, and itself.
pub(super) fn documents(prepared: &Prepared) -> impl Iterator<Item = (Path, Bytes)> + '_ {
    let entries = prepared
        .commits
        .iter()
        .map(|commit| (layout::log_entry(&commit.table, commit.version), Bytes::from(commit.entry.clone())));
    let release = &prepared.release;
    entries.chain([(layout::release(release.number), json(release))])
}

/// Puts every entry in its place and seals the release; or takes back what it put.
async fn finish(lake: &Lake, prepared: &Prepared) -> Result<Ending, ReleaseError> {
    let staged = lake.stage(documents(prepared).collect()).await?;
    finish_staged(lake, prepared, &staged).await
}

/// The same with its [`documents`], which are staged.
pub(super) async fn finish_staged(
    lake: &Lake,
    prepared: &Prepared,
    staged: &[StagedDocument],
) -> Result<Ending, ReleaseError> {
    let (sealed, entries) = staged.split_last().expect("a release is a document of its own");
    let placing: Vec<_> = entries.iter().map(|entry| lake.place(entry).boxed()).collect();
    let placed: Vec<Created> = futures::stream::iter(placing).buffered(AT_ONCE).try_collect().await?;
    let (mut done, mut stopped) = (Vec::new(), None);
    for (commit, placed) in prepared.commits.iter().zip(placed) {
        match placed {
            Created::Yes => done.push(commit),
            Created::TakenBy(theirs) => stopped = stopped.or(Some((commit, theirs))),
        }
    }
    if let Some((commit, theirs)) = stopped {
        let who = commit::author_of(&commit.table, &String::from_utf8_lossy(&theirs));
        return abandon(lake, prepared, &done, commit, who).await;
    }
    let release = match lake.place(sealed).await? {
        Created::Yes => prepared.release.clone(),
        Created::TakenBy(_) => super::release(lake, prepared.release.number).await?,
    };
    Ok(Ending::Published(Box::new(release)))
}

/// Takes back the entries in `done`, and seals the number as a release that changes nothing.
async fn abandon(
    lake: &Lake,
    prepared: &Prepared,
    done: &[&PreparedCommit],
    stopped_at: &PreparedCommit,
    who: String,
) -> Result<Ending, ReleaseError> {
    let mut pins = prepared.before.clone();
    for commit in done {
        let after = commit.version.next();
        // If someone committed on top in this moment, their commit stays and is reported by the next build.
        let _ = lake.create_once(&layout::log_entry(&commit.table, after), commit.undo.clone()).await?;
        if commit.existed {
            pins.tables.insert(commit.table.clone(), after);
        } else {
            pins.retired.insert(commit.table.clone(), after);
        }
    }
    let outcome = Outcome::Abandoned { because: who.clone() };
    let before = prepared.memory_before;
    let release = Release {
        outcome,
        pins,
        tables: Vec::new(),
        memory: None,
        memory_in: before,
        ..prepared.release.clone()
    };
    // If someone else finished it first, theirs is the truth.
    let release = match lake.create_once(&layout::release(release.number), json(&release)).await? {
        Created::Yes => release,
        Created::TakenBy(_) => super::release(lake, release.number).await?,
    };
    let expected = prepared.before.head(&stopped_at.table);
    let foreign = ReleaseError::ForeignCommit {
        table: stopped_at.table.clone(),
        expected: expected.map_or_else(|| "no table".to_owned(), |version| format!("version {version}")),
        release: prepared.release.number,
        found: stopped_at.version,
        who,
    };
    Ok(Ending::Abandoned(Box::new(release), foreign))
}
