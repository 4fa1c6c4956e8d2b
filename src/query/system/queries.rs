//! What was asked from this machine?

use futures::FutureExt;
use serde_json::Value;

use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, SystemTable};
use crate::base::parse_instant;
use crate::query::asked::{Entry, entries};

pub(super) const QUERY_HISTORY: SystemTable = SystemTable {
    name: "query_history",
    about: "what was asked of the lake on this machine, by whom, and how long it took",
    columns: &[
        ("query_id", Kind::Text),
        ("started_at", Kind::Instant),
        ("elapsed_seconds", Kind::Double),
        ("status", Kind::Text),
        ("num_rows", Kind::Whole),
        ("statement_text", Kind::Text),
        ("message", Kind::Text),
        ("user_name", Kind::Text),
        ("application", Kind::Text),
        ("release", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| std::future::ready(query_history(catalog)).boxed()),
};

fn query_history(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let row = |entry: Entry| {
        vec![
            entry.query_id.into(),
            parse_instant(&entry.started_at).map_or(Value::Null, instant),
            entry.elapsed_seconds.into(),
            entry.status.into(),
            entry.num_rows.into(),
            entry.statement_text.into(),
            entry.message.into(),
            entry.user_name.into(),
            entry.application.into(),
            entry.release.into(),
        ]
    };
    // What others asked is not everybody's to read.
    let rights =
        catalog.scope.rights().filter(|rights| !rights.see_all_of_the_lake() && !rights.is_within_view());
    let is_own = |entry: &Entry| rights.is_none_or(|rights| rights.user == entry.user_name);
    Ok(entries(catalog.scope.tables()).into_iter().filter(is_own).map(row).collect())
}
