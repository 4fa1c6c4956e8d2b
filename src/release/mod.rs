//! What do readers see?
//!
//! A [`Release`] is sealed, numbered, and names one version of every table and the text of every
//! view: its [`Pins`]. Readers resolve names through pins and nothing else, so they see a whole
//! release or the one before it, never a mixture.
//!
//! [`publish`] makes the next one from [`Change`](crate::table::Change)s in three steps:
//!
//! 1. *Prepare*: one document says everything that is going to happen, to the byte.
//! 2. *Commit*: the entry of each table's Delta log is put in its place, if the place is free.
//! 3. *Seal*: the release document is created. This is the moment; before it, readers see nothing.
//!
//! All three are put-if-absent of bytes known since step 1. So whoever finds a prepared release
//! without a seal can finish it ([`recover`]), twice or two at a time, and come to the same end. The
//! one thing that can stop a release after step 1 is a program outside elt that commits to one of the
//! tables in that very moment: then what was committed is taken back and the number is sealed as
//! *abandoned*, a release that changes nothing.

mod document;
mod error;
mod memory;
mod pins;
mod publish;
mod recover;
mod roll_back;

pub use document::{Outcome, Release, ReleaseKind, TableSummary};
pub use error::ReleaseError;
pub use memory::{Basis, Learnt, Memory, completed, mark, memory};
pub use pins::{Pins, View};
pub use publish::{Goal, Proposal, Published, publish};
pub use recover::{Recovered, recover};
pub use roll_back::roll_back;

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt};

use crate::base::ReleaseNumber;
use crate::lake::{Lake, layout};

/// Returns the newest sealed release; nothing in a lake that has none yet.
///
/// One listing and one read; a process that asks again lists only what is new.
pub async fn latest(lake: &Lake) -> Result<Option<Release>, ReleaseError> {
    match lake.newest(&layout::RELEASES.into()).await? {
        Some(number) => release(lake, ReleaseNumber(number)).await.map(Some),
        None => Ok(None),
    }
}

/// Returns release `number`.
///
/// # Errors
/// [`ReleaseError::NoSuchRelease`].
pub async fn release(lake: &Lake, number: ReleaseNumber) -> Result<Release, ReleaseError> {
    match lake.read_json(&layout::release(number)).await? {
        Some(release) => Ok(release),
        None => {
            let newest = lake.numbers(&layout::RELEASES.into()).await?.into_iter().max();
            Err(ReleaseError::NoSuchRelease { number, newest: newest.map(ReleaseNumber) })
        }
    }
}

/// Releases that are read at once.
const AT_ONCE: usize = 16;

/// Returns all sealed releases, newest first, at most `limit`.
pub async fn list(lake: &Lake, limit: usize) -> Result<Vec<Release>, ReleaseError> {
    backwards(lake).await?.take(limit).try_collect().await
}

/// The sealed releases, newest first, each read shortly before it is asked for.
async fn backwards(
    lake: &Lake,
) -> Result<impl Stream<Item = Result<Release, ReleaseError>> + '_, ReleaseError> {
    let mut numbers = lake.numbers(&layout::RELEASES.into()).await?;
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let read = numbers.into_iter().map(move |number| release(lake, ReleaseNumber(number)));
    Ok(futures::stream::iter(read).buffered(AT_ONCE))
}

/// Returns the published releases of a run that began at `since`, newest first. Those before it are not read.
pub async fn of_run(lake: &Lake, run: &str, since: DateTime<Utc>) -> Result<Vec<Release>, ReleaseError> {
    let (mut found, releases) = (Vec::new(), backwards(lake).await?);
    let mut releases = std::pin::pin!(releases);
    while let Some(release) = releases.try_next().await? {
        if release.run == run {
            found.extend(Some(release).filter(Release::is_published));
        } else if release.at < since {
            break;
        }
    }
    Ok(found)
}

/// Returns the release that was current at `instant`; the first one if that was later, nothing if there is none.
///
/// Whoever looks back no further than `instant` reads its tables at the versions that it pins, or at later ones.
pub async fn current_at(lake: &Lake, instant: DateTime<Utc>) -> Result<Option<Release>, ReleaseError> {
    let (mut oldest, releases) = (None, backwards(lake).await?);
    let mut releases = std::pin::pin!(releases);
    while let Some(release) = releases.try_next().await? {
        let is_it = release.at <= instant;
        oldest = Some(release);
        if is_it {
            break;
        }
    }
    Ok(oldest)
}
