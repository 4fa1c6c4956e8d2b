//! A table takes the files of another as its own.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::restore::to_files;
use crate::base::TableName;
use crate::lake::layout;
use crate::table::hidden::relative_file;
use crate::table::{Change, DataFile, Effect, Operation, Snapshot, TableError, Tables};

/// So many files are shared at once.
const AT_ONCE: usize = 16;

/// Makes `table` what `source` is, in place of `base` if there is one. No row is read.
///
/// The files are hard links on a local disk, and copies that the store makes by itself in a bucket; so either table may be
/// changed, vacuumed or dropped, and the other does not notice.
pub async fn share(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    source: &Snapshot,
    description: Option<String>,
) -> Result<Change, TableError> {
    source.check_writable()?;
    let mut design = source.design().clone();
    if let Some(description) = description {
        design = design.with_description(Some(description));
    }
    if let Some(base) = &base {
        base.check_writable()?;
        base.refuse_if_append_only()?;
        design = design.at_least_as(base.design());
    }
    let (from, to) = (layout::table(source.table()), layout::table(table));
    let below = |root: &Path, path: &Path| Path::from_iter(root.parts().chain(path.parts()));
    let mut paths = Vec::with_capacity(source.files().len());
    for file in source.files() {
        paths.push(file.location(&Path::default())?);
        paths.extend(file.vector().and_then(relative_file).map(Path::from));
    }
    paths.sort();
    paths.dedup();
    let now = tables.now_millis();
    futures::stream::iter(paths)
        .map(|path| {
            let (from, to) = (below(&from, &path), below(&to, &path));
            async move { tables.lake().share(&from, &to, now).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let added = source.files().iter().map(|file| file.with_data_change(true)).collect::<Vec<DataFile>>();
    let mut change = Change::blank(table, None, Arc::clone(source.schema()), design);
    change = match base {
        Some(base) => to_files(base, &added, change),
        None => Change { add: added, ..change },
    };
    change.operation = Operation::Clone;
    change.effect = Effect { added: source.rows().unwrap_or(0), ..Effect::default() };
    change.count_rows_after();
    Ok(change.with_provenance("source", format!("{} version {}", source.table(), source.version())))
}
